package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"recstream/internal/rounds"
)

// scaleFigures are the outcome of a sweep.
type scaleFigures struct {
	*figures // how it was measured
	requests int
	points   []*point
}

// over returns the spread of a value of each round.
func (p *point) over(value func(scaled) float64) rounds.Spread {
	var values []float64
	for _, m := range p.measured {
		values = append(values, value(m))
	}
	return rounds.SpreadOf(values)
}

// each returns an amount for each request.
func (p *point) each(amount func(scaled) float64) float64 {
	return p.over(func(m scaled) float64 { return amount(m) / float64(m.requests) }).Median
}

// rate is in requests a second.
func (p *point) rate() rounds.Spread {
	return p.over(func(m scaled) float64 { return m.rate })
}

// batch returns how long a batch took in milliseconds, that of the percentile.
func (p *point) batch(percentile int) float64 {
	return p.over(func(m scaled) float64 {
		if len(m.batches) == 0 {
			return 0
		}
		return float64(m.batches[(len(m.batches)-1)*percentile/100]) / 1000
	}).Median
}

// figure is a value with the name that the file of figures has for it.
type figure struct {
	name  string
	value float64
}

// values are those of a point that have no spread, in the order of the table.
func (p *point) values() []figure {
	return []figure{
		{"app_cpu_us_per_request", p.each(func(m scaled) float64 { return m.app * 1e6 })},
		{"kafka_cpu_us_per_request", p.each(func(m scaled) float64 { return m.broker * 1e6 })},
		{"postgres_cpu_us_per_request", p.each(func(m scaled) float64 { return m.database * 1e6 })},
		{"wal_bytes_per_request", p.each(func(m scaled) float64 { return m.wal })},
		{"batch_p50_ms", p.batch(50)},
		{"batch_p99_ms", p.batch(99)},
		{"peak_rss_mb", p.over(func(m scaled) float64 { return float64(m.peak) / (1 << 20) }).Largest},
	}
}

// print writes a table for people.
func (f *scaleFigures) print(w io.Writer) {
	fmt.Fprintf(w, "%d requests a round, %d candidates a request; %d rounds: medians (least-largest)\n%s, %s, %s, %d CPUs\n\n",
		f.requests, f.candidates, f.rounds, f.kafka, f.postgres, f.goVersion, f.cpus)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\t\t\tCPU µs a request:\t\t\tWAL B\tbatch ms\t\tpeak MB\t")
	fmt.Fprintln(t, "\tpartitions\tinstances\trequests/s\tapp\tKafka\tPostgres\ta request\tp50\tp99\tan instance\t")
	for _, p := range f.points {
		r := p.rate()
		fmt.Fprintf(t, "%s\t%d\t%d\t%.0f (%.0f-%.0f)", p.name, p.partitions, p.instances, r.Median, r.Least, r.Largest)
		for _, v := range p.values() {
			fmt.Fprintf(t, "\t%.1f", v.value)
		}
		fmt.Fprintln(t, "\t")
	}
	_ = t.Flush()
}

// object returns the figures by name: that of the contender, then p and the partitions, i and the instances.
func (f *scaleFigures) object() rounds.Figures {
	o := rounds.Figures{
		"rounds": f.rounds, "candidates": f.candidates, "requests_per_round": f.requests, "cpus": f.cpus,
		"kafka": f.kafka, "postgres": f.postgres, "go": f.goVersion,
	}
	for _, p := range f.points {
		of := fmt.Sprintf("%s_p%d_i%d", strings.ReplaceAll(p.name, "-", "_"), p.partitions, p.instances)
		o.Add("requests_per_s", of, p.rate())
		for _, v := range p.values() {
			o[v.name+"_"+of] = rounds.Rounded(v.value, 2)
		}
	}
	return o
}
