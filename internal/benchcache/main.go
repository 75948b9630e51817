// Command benchcache measures what remembering is worth: decisions of the demo's models over the demo's catalogue with
// a cache and without, and the best that could come of those that recstream does not have. docs/benchmarks.md says what
// the figures mean.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"testing"
	"time"

	"recstream/internal/spread"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchcache:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	rounds int
	turn   time.Duration // of a function in a round
	out    string
}

// run is the program with its surroundings given: a test or main calls it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	// One thread: what one function leaves to collect is not collected at another's expense.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	w, err := newWorld()
	if err != nil {
		return err
	}
	figures := map[string]any{"rounds": o.rounds, "cpus": runtime.NumCPU(), "go": runtime.Version(),
		"items": w.catalog.Len(), "candidates_per_request": math.Round(w.meanCandidates())}
	fmt.Fprintf(stdout, "µs of processor time a decision, medians of %d rounds (least–largest)\n\n", o.rounds)
	fmt.Fprintf(stdout, "%-20s %-26s %-26s %-22s %9s\n", "", "without", "with", "ratio", "memory")
	cases, err := w.cases(ctx)
	if err != nil {
		return err
	}
	for i := range cases {
		if err := cases[i].measure(ctx, o, stdout, figures); err != nil {
			return fmt.Errorf("%s: %w", cases[i].name, err)
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
	set := flag.NewFlagSet("benchcache", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.IntVar(&o.rounds, "rounds", 9, "rounds of each measurement")
	set.DurationVar(&o.turn, "turn", 100*time.Millisecond, "how long a function is called in a round, at least")
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

// comparison is a decision with a cache and without. What cannot be run is reckoned: it takes part more or less than
// what can, where part is the work that the cache spares.
type comparison struct {
	name          string
	with, without func() error // one of them may be nil
	part          func() error // nil where there are both
	bytes         func() int64 // of the cache
}

// measure lets the functions take turns, and tells and notes what came out.
func (c *comparison) measure(ctx context.Context, o options, stdout io.Writer, figures map[string]any) error {
	with, without, err := c.times(ctx, o)
	if err != nil {
		return err
	}
	ratios := make([]float64, o.rounds)
	for i := range ratios {
		ratios[i] = without[i] / with[i]
	}
	a, b, ratio := spread.Of(without), spread.Of(with), spread.Of(ratios)
	fmt.Fprintf(stdout, "%-20s %-26s %-26s %-22s %6.4g MB\n", c.name, text(a), text(b), text(ratio), float64(c.bytes())/1e6)
	for key, s := range map[string]spread.Spread{"without_us": a, "with_us": b, "ratio": ratio} {
		figures[key+"_"+c.name] = rounded(s.Median)
		figures[key+"_min_"+c.name] = rounded(s.Least)
		figures[key+"_max_"+c.name] = rounded(s.Largest)
	}
	figures["bytes_"+c.name] = c.bytes()
	if c.with != nil {
		figures["allocs_per_request_"+c.name] = testing.AllocsPerRun(100, func() { err = errors.Join(err, c.with()) })
	}
	return err
}

// times returns microseconds a decision, by round.
func (c *comparison) times(ctx context.Context, o options) (with, without []float64, err error) {
	var functions []func() error
	for _, f := range []func() error{c.with, c.without, c.part} {
		if f != nil {
			functions = append(functions, f)
		}
	}
	ns, err := spread.TakeTurns(ctx, o.rounds, o.turn, functions)
	if err != nil {
		return nil, nil, err
	}
	for i := range o.rounds {
		first, second := ns[0][i]/1e3, ns[1][i]/1e3
		switch {
		case c.without == nil: // the second is the part
			with, without = append(with, first), append(without, first+second)
		case c.with == nil:
			with, without = append(with, first-second), append(without, first)
		default:
			with, without = append(with, first), append(without, second)
		}
	}
	return with, without, nil
}

func text(s spread.Spread) string {
	return fmt.Sprintf("%.3g (%.3g–%.3g)", s.Median, s.Least, s.Largest)
}

// rounded keeps two decimals.
func rounded(v float64) float64 { return math.Round(v*100) / 100 }
