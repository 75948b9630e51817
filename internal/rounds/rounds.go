// Package rounds is what the benchmarks have in common: they measure in rounds, in which all that is compared takes
// turns, sum up the rounds as spreads, and write their figures as one flat JSON object.
package rounds

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// Program is a benchmark with its surroundings given: a test or Main runs it.
type Program func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// Main is the main function of a benchmark. A signal ends the program's context; its error is told, and ends the
// process with status 1, unless it is flag.ErrHelp: then help was asked for and printed.
func Main(name string, run Program) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// Flags returns an empty set of flags, which prints to stderr what is wrong with them.
func Flags(name string, stderr io.Writer) *flag.FlagSet {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(stderr)
	return set
}

// Options are what the flags of every benchmark say.
type Options struct {
	Rounds int
	Turn   time.Duration // of each function in a round, at least; 0 in a benchmark that has no such turns
	Out    string        // file of the figures, "" for none
}

// Parse reads args: the flags that are in the set, and -rounds, -turn and -out. What o holds before are the defaults;
// where its Turn is 0, there is no -turn. The error is flag.ErrHelp where help was asked for.
func (o *Options) Parse(set *flag.FlagSet, args []string) error {
	turns := o.Turn > 0
	set.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of each measurement")
	if turns {
		set.DurationVar(&o.Turn, "turn", o.Turn, "how long each of those compared runs in a round, at least")
	}
	set.StringVar(&o.Out, "out", o.Out, "write the figures to this `file`, as one JSON object")
	if err := set.Parse(args); err != nil {
		return err
	}
	switch {
	case set.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", set.Arg(0))
	case o.Rounds < 1:
		return errors.New("-rounds must be at least 1")
	case turns && o.Turn <= 0:
		return errors.New("-turn must be more than 0")
	}
	return nil
}

// Figures returns those that tell how it was measured; a benchmark adds its own.
func (o *Options) Figures() Figures {
	return Figures{"rounds": o.Rounds, "cpus": runtime.NumCPU(), "go": runtime.Version()}
}
