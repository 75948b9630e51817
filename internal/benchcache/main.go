// Command benchcache measures what remembering is worth: decisions of the demo's models over the demo's catalogue with
// a cache and without, and the best that could come of those that recstream does not have. docs/benchmarks.md says what
// the figures mean.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"testing"
	"time"

	"recstream/internal/rounds"
)

func main() { rounds.Main("benchcache", run) }

// run is the program with its surroundings given.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := rounds.Options{Rounds: 9, Turn: 100 * time.Millisecond}
	if err := o.Parse(rounds.Flags("benchcache", stderr), args); err != nil {
		return err
	}
	// One thread: what one function leaves to collect is not collected at another's expense.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	w, err := newWorld()
	if err != nil {
		return err
	}
	figures := o.Figures()
	figures["items"], figures["candidates_per_request"] = w.catalog.Len(), math.Round(w.meanCandidates())
	fmt.Fprintf(stdout, "µs of processor time a decision, medians of %d rounds (least–largest)\n\n", o.Rounds)
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
	return figures.Write(o.Out)
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
func (c *comparison) measure(ctx context.Context, o rounds.Options, stdout io.Writer, figures rounds.Figures) error {
	with, without, err := c.times(ctx, o)
	if err != nil {
		return err
	}
	a, b, ratio := rounds.SpreadOf(without), rounds.SpreadOf(with), rounds.Ratio(without, with)
	fmt.Fprintf(stdout, "%-20s %-26s %-26s %-22s %6.4g MB\n", c.name, a.Text(3), b.Text(3), ratio.Text(3), float64(c.bytes())/1e6)
	figures.Add("without_us", c.name, a)
	figures.Add("with_us", c.name, b)
	figures.Add("ratio", c.name, ratio)
	figures["bytes_"+c.name] = c.bytes()
	if c.with != nil {
		figures["allocs_per_request_"+c.name] = testing.AllocsPerRun(100, func() { err = errors.Join(err, c.with()) })
	}
	return err
}

// times returns microseconds a decision, by round.
func (c *comparison) times(ctx context.Context, o rounds.Options) (with, without []float64, err error) {
	var functions []func() error
	for _, f := range []func() error{c.with, c.without, c.part} {
		if f != nil {
			functions = append(functions, f)
		}
	}
	ns, err := o.TakeTurns(ctx, functions...)
	if err != nil {
		return nil, nil, err
	}
	for i := range o.Rounds {
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
