package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"recstream/internal/rounds"
)

// figures are the outcome of a run.
type figures struct {
	lanes      []*lane
	rounds     int
	candidates int
	cpus       int
	kafka      string
	postgres   string
	goVersion  string
}

// over returns the spread of a value of each round.
func (l *lane) over(value func(measurement) float64) rounds.Spread {
	var values []float64
	for _, m := range l.measured {
		values = append(values, value(m))
	}
	return rounds.SpreadOf(values)
}

// rate is in requests a second.
func (l *lane) rate() rounds.Spread {
	return l.over(func(m measurement) float64 { return float64(l.requests) / m.Seconds })
}

// perRequest returns seconds of processor time in microseconds a request.
func (l *lane) perRequest(seconds func(measurement) float64) rounds.Spread {
	return l.over(func(m measurement) float64 { return seconds(m) * 1e6 / float64(l.requests) })
}

// Processor time of the three sides.
func appCPU(m measurement) float64      { return m.AppCPU }
func brokerCPU(m measurement) float64   { return m.BrokerCPU }
func databaseCPU(m measurement) float64 { return m.DatabaseCPU }

// peakMB is the most memory that a round took, in MiB.
func (l *lane) peakMB() float64 {
	return l.over(func(m measurement) float64 { return float64(m.PeakRSS) / (1 << 20) }).Largest
}

// lane returns a contender's lane, nil if it was not measured.
func (f *figures) lane(name string) *lane {
	for _, l := range f.lanes {
		if l.name == name {
			return l
		}
	}
	return nil
}

// ratio compares recstream's median rate with another's. ok is false where one of them was not measured.
func (f *figures) ratio(other string) (r float64, ok bool) {
	a, b := f.lane(nameRecstream), f.lane(other)
	if a == nil || b == nil {
		return 0, false
	}
	return a.rate().Median / b.rate().Median, true
}

// print writes a table for people, the ratios, and what limits recstream.
func (f *figures) print(w io.Writer) {
	fmt.Fprintf(w, "%d candidates a request; %d rounds: medians (least-largest)\n%s, %s, %s, %d CPUs\n\n",
		f.candidates, f.rounds, f.kafka, f.postgres, f.goVersion, f.cpus)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\trequests\t\tCPU µs a request:\t\t\tpeak\t")
	fmt.Fprintln(t, "\ta round\trequests/s\tapp\tKafka\tPostgres\tMB\t")
	for _, l := range f.lanes {
		r := l.rate()
		fmt.Fprintf(t, "%s\t%d\t%.0f (%.0f-%.0f)\t%.1f\t%.1f\t%.1f\t%.0f\t\n", l.about, l.requests, r.Median, r.Least, r.Largest,
			l.perRequest(appCPU).Median, l.perRequest(brokerCPU).Median, l.perRequest(databaseCPU).Median, l.peakMB())
	}
	_ = t.Flush()
	fmt.Fprintln(w)
	for _, other := range f.lanes {
		ratio, ok := f.ratio(other.name)
		switch {
		case !ok || other.name == nameRecstream:
		case other.name == nameReplay:
			fmt.Fprintf(w, "%s / recstream: %.2f\n", other.about, 1/ratio)
		default:
			fmt.Fprintf(w, "recstream / %s: %.2f\n", other.about, ratio)
		}
	}
	if l := f.lane(nameRecstream); l != nil {
		fmt.Fprintln(w, "\n"+limits(l.shares(f.cpus)))
	}
}

// shares says where a machine's processor time went, each from 0 to 1. What is missing to 1 went to others.
type shares struct{ app, broker, database, idle float64 }

// shares returns the medians of all rounds.
func (l *lane) shares(cpus int) shares {
	share := func(seconds func(measurement) float64) float64 {
		return l.over(func(m measurement) float64 { return seconds(m) / m.Seconds / float64(cpus) }).Median
	}
	return shares{share(appCPU), share(brokerCPU), share(databaseCPU), share(func(m measurement) float64 { return m.Idle })}
}

// muchIdle is the idle share from which on waits are what limits, and not processor time.
const muchIdle = 0.2

// limits says what limits recstream.
func limits(s shares) string {
	names := []string{"recstream itself", "Kafka", "Postgres"}
	values := []float64{s.app, s.broker, s.database}
	most := slices.Index(values, slices.Max(values))
	others := max(0, 1-s.app-s.broker-s.database-s.idle)
	text := fmt.Sprintf("While recstream ran, the machine's processor time went to recstream %.0f %%, Kafka %.0f %%, Postgres %.0f %%, others %.0f %%; %.0f %% was idle.\n",
		100*s.app, 100*s.broker, 100*s.database, 100*others, 100*s.idle)
	if s.idle < muchIdle {
		return text + "Processor time limits it, most of all that of " + names[most] + "."
	}
	return text + "Waits for Kafka and Postgres (round trips, flushes to disk) limit it, not processor time."
}

// object returns the figures by name.
func (f *figures) object() rounds.Figures {
	o := rounds.Figures{
		"rounds": f.rounds, "candidates": f.candidates, "cpus": f.cpus,
		"kafka": f.kafka, "postgres": f.postgres, "go": f.goVersion,
	}
	prefixes := map[string]string{nameRecstream: "", nameAtLeast: "at_least_once_", nameIOOnly: "io_only_", nameNaive: "naive_", nameNaiveOwn: "naive_own_scoring_", nameReplay: "replay_"}
	for _, l := range f.lanes {
		p := prefixes[l.name]
		o[p+"requests_per_s"] = rounds.Rounded(l.rate().Median, 0)
		o[p+"requests_per_s_min"] = rounds.Rounded(l.rate().Least, 0)
		o[p+"requests_per_s_max"] = rounds.Rounded(l.rate().Largest, 0)
		o[p+"requests_per_round"] = l.requests
		o[p+"app_cpu_us_per_request"] = rounds.Rounded(l.perRequest(appCPU).Median, 2)
		o[p+"kafka_cpu_us_per_request"] = rounds.Rounded(l.perRequest(brokerCPU).Median, 2)
		o[p+"postgres_cpu_us_per_request"] = rounds.Rounded(l.perRequest(databaseCPU).Median, 2)
		o[p+"peak_rss_mb"] = rounds.Rounded(l.peakMB(), 1)
	}
	ratios := map[string]string{nameAtLeast: "ratio_to_at_least_once", nameIOOnly: "ratio_to_io", nameNaive: "ratio_to_naive", nameNaiveOwn: "ratio_to_naive_own_scoring"}
	for name, key := range ratios {
		if r, ok := f.ratio(name); ok {
			o[key] = rounds.Rounded(r, 3)
		}
	}
	if r, ok := f.ratio(nameReplay); ok {
		o["ratio_replay_to_live"] = rounds.Rounded(1/r, 3)
	}
	return o
}
