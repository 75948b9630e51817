package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"recstream/internal/rounds"
)

// percentiles are those that are told.
var percentiles = []float64{50, 99}

// series is a path at a rate.
type series struct {
	path string
	rate int
}

// figures are what the rounds have measured, in milliseconds.
type figures struct {
	order  []series
	rounds map[series]map[float64][]float64 // by percentile, one a round
}

func newFigures() *figures { return &figures{rounds: map[series]map[float64][]float64{}} }

// add takes a round.
func (f *figures) add(path string, rate int, times []time.Duration) {
	s := series{path, rate}
	if f.rounds[s] == nil {
		f.order = append(f.order, s)
		f.rounds[s] = map[float64][]float64{}
	}
	slices.Sort(times)
	for _, p := range percentiles {
		f.rounds[s][p] = append(f.rounds[s][p], percentile(times, p).Seconds()*1000)
	}
}

// percentile returns the least value that p per cent of the sorted values do not exceed.
func percentile(sorted []time.Duration, p float64) time.Duration {
	i := int(float64(len(sorted))*p/100+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// print writes a table: medians of the rounds, with the least and the largest.
func (f *figures) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "path\trequests/s\tp50 ms\tp99 ms")
	for _, s := range f.order {
		fmt.Fprintf(table, "%s\t%d", s.path, s.rate)
		for _, p := range percentiles {
			v := rounds.SpreadOf(f.rounds[s][p])
			fmt.Fprintf(table, "\t%.2f (%.2f to %.2f)", v.Median, v.Least, v.Largest)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// object returns the medians by name.
func (f *figures) object() rounds.Figures {
	flat := rounds.Figures{}
	for _, s := range f.order {
		for _, p := range percentiles {
			flat[fmt.Sprintf("%s_%d_per_s_p%g_ms", s.path, s.rate, p)] = rounds.SpreadOf(f.rounds[s][p]).Median
		}
	}
	return flat
}
