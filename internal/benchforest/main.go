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
	"io"
	"runtime"
	"time"

	"recstream/internal/rounds"
)

func main() { rounds.Main("benchforest", run) }

// options are what the flags say.
type options struct {
	rounds.Options
	places places
}

// places say where files are; "" where there are none.
type places struct {
	models   string // directory with 100x31.txt and so on
	lightGBM string // LightGBM's shared library
	lleaves  string // directory with 100x31.so and so on
	tl2cgen  string // the same
}

// run is the program with its surroundings given.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
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
	return found.object().Write(o.Out)
}

// parseOptions reads the flags, as rounds.Options does.
func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	set := rounds.Flags("benchforest", stderr)
	set.StringVar(&o.places.models, "models", "", "`directory` of the models, such as 100x31.txt")
	set.StringVar(&o.places.lightGBM, "lightgbm", "", "LightGBM's shared library, a `file`")
	set.StringVar(&o.places.lleaves, "lleaves", "", "`directory` of the models as compiled by lleaves, such as 100x31.so")
	set.StringVar(&o.places.tl2cgen, "tl2cgen", "", "`directory` of the models as compiled by TL2cgen, such as 100x31.so")
	o.Options = rounds.Options{Rounds: 7, Turn: 150 * time.Millisecond}
	err = o.Parse(set, args)
	if err == nil && o.places.models == "" {
		err = errors.New("-models is missing: run scripts/bench-forest.sh, which trains them")
	}
	return o, err
}
