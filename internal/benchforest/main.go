// Command benchforest measures how long scoring takes: recstream's evaluator of tree ensembles beside leaves,
// LightGBM's C library, and models that lleaves and TL2cgen compiled. All get the same requests in one process,
// on one thread, in turns, and must give the same scores before a clock starts.
//
// scripts/bench-forest.sh trains the models, builds the program with the tag peers, which needs cgo, and runs it.
// Without the tag it measures recstream and leaves alone. docs/benchmarks.md says what the figures mean.
package main

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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchforest:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	places places
	rounds int
	turn   time.Duration // of a contender in a round
	out    string
}

// places say where files are; "" where there are none.
type places struct {
	models   string // directory with 100x31.txt and so on
	lightGBM string // LightGBM's shared library
	lleaves  string // directory with 100x31.so and so on
	tl2cgen  string // the same
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
	// One thread: what one contender leaves to collect is not collected at another's expense.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	found, err := measure(ctx, o, stderr)
	if err != nil {
		return err
	}
	found.print(stdout)
	if o.out == "" {
		return nil
	}
	return found.write(o.out)
}

// parseOptions reads the flags. Help was asked for where the error is flag.ErrHelp; it is printed then.
func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	set := flag.NewFlagSet("benchforest", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&o.places.models, "models", "", "`directory` of the models, such as 100x31.txt")
	set.StringVar(&o.places.lightGBM, "lightgbm", "", "LightGBM's shared library, a `file`")
	set.StringVar(&o.places.lleaves, "lleaves", "", "`directory` of the models as compiled by lleaves, such as 100x31.so")
	set.StringVar(&o.places.tl2cgen, "tl2cgen", "", "`directory` of the models as compiled by TL2cgen, such as 100x31.so")
	set.IntVar(&o.rounds, "rounds", 7, "rounds of each measurement")
	set.DurationVar(&o.turn, "turn", 150*time.Millisecond, "how long a contender scores in a round, at least")
	set.StringVar(&o.out, "out", "", "write the figures to this `file`, as one JSON object")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	switch {
	case set.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", set.Arg(0))
	case o.places.models == "":
		err = errors.New("-models is missing: run scripts/bench-forest.sh, which trains them")
	case o.rounds < 1 || o.turn <= 0:
		err = errors.New("-rounds must be at least 1, -turn more than 0")
	}
	return o, err
}
