package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"

	"recstream/internal/rounds"
)

// print writes tables for people.
func (f *figures) print(w io.Writer) {
	fmt.Fprintf(w, "ns a candidate, rows included; one thread of %d CPUs, %s; %d rounds: medians (least-largest)\n",
		runtime.NumCPU(), runtime.Version(), f.options.Rounds)
	for _, c := range f.cells {
		f.printCell(w, c)
	}
	f.printExplained(w)
	if len(f.missing) > 0 {
		fmt.Fprintf(w, "\nNot measured:\n  %s\n", strings.Join(f.missing, "\n  "))
	}
}

// printCell writes the table of a model with a catalogue, and what comes of it.
func (f *figures) printCell(w io.Writer, c *cell) {
	fmt.Fprintf(w, "\n%s, %s items\n", c.model, c.catalogue)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "candidates a request:\t")
	for _, n := range counts {
		fmt.Fprintf(t, "%d\t", n)
	}
	fmt.Fprintln(t, "times ours\tMB\tms to load\tto prepare\t")
	last := len(counts) - 1
	ours := c.best(last, peerOurs)
	for i := range c.lanes {
		l := &c.lanes[i]
		fmt.Fprintf(t, "%s\t", l.about)
		for count := range counts {
			fmt.Fprintf(t, "%s\t", brief(rounds.SpreadOf(l.ns[count])))
		}
		fmt.Fprintf(t, "%.1f\t%.1f\t%.1f\t%s\t\n", rounds.Ratio(l.ns[last], ours.ns[last]).Median,
			float64(l.bytes)/(1<<20), l.loading.Seconds()*1e3, f.prepared(c, l))
	}
	_ = t.Flush()
	fmt.Fprintf(w, "recstream: %s, %.0f allocations a request.", ours.method, c.allocs)
	for _, rival := range rivals {
		if theirs := c.best(last, rival.peers...); theirs != nil {
			r := rounds.Ratio(theirs.ns[last], ours.ns[last])
			fmt.Fprintf(w, " %s takes %.1f (%.1f-%.1f) times as long.", rival.about, r.Median, r.Least, r.Largest)
		}
	}
	fmt.Fprintln(w)
}

// prepared says what has to be done before requests can come, beside loading: recstream prepares the catalogue,
// some peers compile the model.
func (f *figures) prepared(c *cell, l *lane) string {
	if seconds, ok := f.compiling[l.peer+"_"+c.model]; ok {
		return fmt.Sprintf("%.0f", seconds*1e3)
	}
	return fmt.Sprintf("%.1f", l.preparing.Seconds()*1e3)
}

// brief writes a spread with as many decimals as matter.
func brief(s rounds.Spread) string {
	if s.Median < 100 {
		return fmt.Sprintf("%.1f (%.1f-%.1f)", s.Median, s.Least, s.Largest)
	}
	return fmt.Sprintf("%.0f (%.0f-%.0f)", s.Median, s.Least, s.Largest)
}

// printExplained writes the table of what explanations cost.
func (f *figures) printExplained(w io.Writer) {
	fmt.Fprintln(w, "\nContributions of the features to a score, µs a row")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\trecstream\tLightGBM\ttimes ours\t")
	for i := range f.explained {
		e := &f.explained[i]
		fmt.Fprintf(t, "%s\t%s\t", e.model, brief(rounds.SpreadOf(e.ours)))
		if len(e.lightGBM) == 0 {
			fmt.Fprintln(t, "-\t-\t")
			continue
		}
		fmt.Fprintf(t, "%s\t%.1f\t\n", brief(rounds.SpreadOf(e.lightGBM)), rounds.Ratio(e.lightGBM, e.ours).Median)
	}
	_ = t.Flush()
}
