// Command benchrank measures how long it takes to make an answer of 10,000 candidates with everything on, all terms,
// business rules, diversity and caps, beside a program that does the same in the obvious way: it computes all scores
// and sorts them. Both must give the same answers before a clock starts. docs/benchmarks.md says what the figures mean.
package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"recstream/internal/rounds"
	"recstream/scoring/rank"
)

func main() { rounds.Main("benchrank", run) }

// run is the program with its surroundings given.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := rounds.Options{Rounds: 9, Turn: 100 * time.Millisecond}
	if err := o.Parse(rounds.Flags("benchrank", stderr), args); err != nil {
		return err
	}
	// One thread: what one contender leaves to collect is not collected at another's expense.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	figures := o.Figures()
	fmt.Fprintf(stdout, "µs of processor time a request, medians of %d rounds (least–largest)\n\n", o.Rounds)
	fmt.Fprintf(stdout, "%-12s %-26s %-28s %-20s %s\n", "", "recstream", "all scores and a sort", "ratio", "allocations")
	for _, w := range cases() {
		if err := w.measure(ctx, o, stdout, figures); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return figures.Write(o.Out)
}

// measure compares the two, then lets them take turns, and tells and notes what came out.
func (w *workload) measure(ctx context.Context, o rounds.Options, stdout io.Writer, figures rounds.Figures) error {
	var ranker rank.Ranker
	var answer []rank.Ranked
	next := 0
	ours := func() {
		answer = ranker.Rank(answer[:0], &w.queries[next%len(w.queries)])
		next++
	}
	obvious := func() {
		w.rankObviously(&w.queries[next%len(w.queries)])
		next++
	}
	if err := w.compare(&ranker); err != nil {
		return err
	}
	allocs := testing.AllocsPerRun(len(w.queries), ours)
	ns, err := o.TakeTurns(ctx, alwaysDone(ours), alwaysDone(obvious))
	if err != nil {
		return err
	}
	us, naive := rounds.Microseconds(ns[0]), rounds.Microseconds(ns[1])
	a, b, ratio := rounds.SpreadOf(us), rounds.SpreadOf(naive), rounds.Ratio(naive, us)
	fmt.Fprintf(stdout, "%-12s %-26s %-28s %-20s %v\n", w.name, a.Text(4), b.Text(4), ratio.Text(4), allocs)
	figures.Add("rank_us", w.name, a)
	figures.Add("naive_us", w.name, b)
	figures.Add("ratio_to_naive", w.name, ratio)
	figures["allocs_per_request_"+w.name] = allocs
	return nil
}

// alwaysDone makes of a function one that might fail.
func alwaysDone(f func()) func() error { return func() error { f(); return nil } }
