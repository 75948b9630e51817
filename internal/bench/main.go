// Command bench measures recstream end to end, on a real Apache Kafka and a real Postgres of its own.
//
// Five contenders answer the same requests, one after the other and in several rounds: recstream; recstream without
// transactions; recstream with scoring left out; the obvious program with recstream's scorer; and the obvious program
// with obvious scoring. Each runs in a process of its own, so that processor time and memory are its own, and each round
// has a group, a results topic and a database of its own. A round whose ledger or results lack a request gives no
// figure. recstream's rounds are replayed, too, in another process: where a decision does not come out to the byte,
// there is no figure.
//
// With -scale it measures what more instances and more partitions bring: all combinations of them, in both kinds of
// delivery.
//
// Run it from the repository: go run ./internal/bench. docs/benchmarks.md says what the figures mean.
package main

import (
	"context"
	"errors"
	"io"
	"os"

	"recstream/internal/rounds"
)

func main() {
	rounds.Main("bench", func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		return run(ctx, args, os.Stdin, stdout, stderr)
	})
}

// options are what the flags say.
type options struct {
	rounds.Options
	requests   int // of a round; 0 chooses for each contender
	candidates int // of a request
	only       string
	cpuProfile string
	scale      bool
	sweep      sweep // with scale
	child      bool
}

// run is the program, or a child of it, with its surroundings given.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	if o.child {
		return runChild(ctx, stdin, stdout, stderr)
	}
	if o.scale {
		return tell(ctx, o, stdout, stderr, measureScale)
	}
	return tell(ctx, o, stdout, stderr, measure)
}

// report is what a measurement comes to.
type report interface {
	print(w io.Writer)
	object() rounds.Figures
}

// tell measures, and gives the report to people and to the file.
func tell[R report](ctx context.Context, o options, stdout, stderr io.Writer, measure func(context.Context, options, io.Writer) (R, error)) error {
	r, err := measure(ctx, o, stderr)
	if err != nil {
		return err
	}
	r.print(stdout)
	return r.object().Write(o.Out)
}

// parseOptions reads the flags, as rounds.Options does.
func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	set := rounds.Flags("bench", stderr)
	set.IntVar(&o.requests, "requests", 0, "requests of a round; 0 chooses, so that a round takes some 7 s")
	set.IntVar(&o.candidates, "candidates", 200, "candidates of a request")
	set.StringVar(&o.only, "only", "", "measure only these contenders, separated by commas")
	set.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of recstream's last round to this `file`, and one of its replay to FILE.replay")
	set.BoolVar(&o.scale, "scale", false, "measure several instances and partitions instead, recstream and at-least-once unless -only says others")
	instances := set.String("instances", "1,2,4", "with -scale: numbers of instances, separated by commas")
	partitions := set.String("partitions", "1,6,24", "with -scale: numbers of partitions, separated by commas")
	set.BoolVar(&o.child, "child", false, "be a contender: read a job from standard input; used by the benchmark itself")
	o.Rounds = 5
	err = o.Parse(set, args)
	if err == nil && (o.requests < 0 || o.candidates < 1) {
		err = errors.New("-candidates must be at least 1, -requests at least 0")
	}
	if err == nil {
		o.sweep, err = parseSweep(*partitions, *instances)
	}
	return o, err
}
