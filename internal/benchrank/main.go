// Command benchrank measures how long it takes to make an answer of 10,000 candidates with everything on, all terms,
// business rules, diversity and caps, beside a program that does the same in the obvious way: it computes all scores
// and sorts them. Both must give the same answers before a clock starts. docs/benchmarks.md says what the figures mean.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"recstream/internal/spread"
	"recstream/scoring/rank"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchrank:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	rounds int
	turn   time.Duration // of a contender in a round
	out    string
}

// run is the program with its surroundings given: a test or main calls it.
func run(args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	// One thread: what one contender leaves to collect is not collected at another's expense.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	figures := map[string]any{"rounds": o.rounds, "cpus": runtime.NumCPU(), "go": runtime.Version()}
	fmt.Fprintf(stdout, "µs of processor time a request, medians of %d rounds (least–largest)\n\n", o.rounds)
	fmt.Fprintf(stdout, "%-12s %-26s %-28s %-20s %s\n", "", "recstream", "all scores and a sort", "ratio", "allocations")
	for _, w := range cases() {
		if err := w.measure(o, stdout, figures); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	if o.out == "" {
		return nil
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.out, append(text, '\n'), 0o644)
}

// parseOptions reads the flags. Help was asked for where the error is flag.ErrHelp; it is printed then.
func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	set := flag.NewFlagSet("benchrank", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.IntVar(&o.rounds, "rounds", 9, "rounds of each measurement")
	set.DurationVar(&o.turn, "turn", 100*time.Millisecond, "how long a contender ranks in a round, at least")
	set.StringVar(&o.out, "out", "", "write the figures to this `file`, as one JSON object")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	switch {
	case set.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", set.Arg(0))
	case o.rounds < 1 || o.turn <= 0:
		err = errors.New("-rounds must be at least 1, -turn more than 0")
	}
	return o, err
}

// measure compares the two, then lets them take turns, and tells and notes what came out.
func (w *workload) measure(o options, stdout io.Writer, figures map[string]any) error {
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
	us, ratios := takeTurns(o, ours, obvious)
	a, b, ratio := spread.Of(us[0]), spread.Of(us[1]), spread.Of(ratios)
	fmt.Fprintf(stdout, "%-12s %-26s %-28s %-20s %v\n", w.name, text(a), text(b), text(ratio), allocs)
	for key, s := range map[string]spread.Spread{"rank_us": a, "naive_us": b, "ratio_to_naive": ratio} {
		figures[key+"_"+w.name] = rounded(s.Median)
		figures[key+"_min_"+w.name] = rounded(s.Least)
		figures[key+"_max_"+w.name] = rounded(s.Largest)
	}
	figures["allocs_per_request_"+w.name] = allocs
	return nil
}

func text(s spread.Spread) string {
	return fmt.Sprintf("%.4g (%.4g–%.4g)", s.Median, s.Least, s.Largest)
}

// rounded keeps two decimals.
func rounded(v float64) float64 { return math.Round(v*100) / 100 }

// takeTurns calls both in turns, round by round, each as often as takes a turn. It returns the microseconds a call, by
// function and round, and the second's divided by the first's, round by round.
func takeTurns(o options, functions ...func()) (us [][]float64, ratios []float64) {
	us = make([][]float64, len(functions))
	for range o.rounds {
		for i, f := range functions {
			us[i] = append(us[i], repeat(o.turn, f))
		}
		last := len(us[0]) - 1
		ratios = append(ratios, us[1][last]/us[0][last])
	}
	return us, ratios
}

// repeat calls f until a turn's processor time is used up, and returns the microseconds of a call. Waiting for
// a processor, on a machine with other work, is left out.
func repeat(turn time.Duration, f func()) float64 {
	started, calls := processorTime(), 0
	for {
		for range 8 {
			f()
		}
		calls += 8
		if took := processorTime() - started; took >= turn {
			return float64(took.Nanoseconds()) / 1e3 / float64(calls)
		}
	}
}

// processorTime is what the process has used until now, in user mode and in the kernel.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
