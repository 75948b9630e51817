// Command bench measures recstream end to end, on a real Apache Kafka and a real Postgres of its own.
//
// Four contenders answer the same requests, one after the other and in several rounds: recstream; recstream with
// scoring left out; the obvious program with recstream's scorer; and the obvious program with obvious scoring.
// Each runs in a process of its own, so that processor time and memory are its own, and each round has a group,
// a results topic and a database of its own. A round whose ledger or results lack a request gives no figure.
//
// Run it from the repository: go run ./internal/bench. docs/benchmarks.md says what the figures mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"recstream/internal/devstack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", explain(err))
		os.Exit(1)
	}
}

// explain says what to do about an error, where that is known.
func explain(err error) string {
	switch {
	case errors.Is(err, devstack.ErrNoKafka):
		return "Apache Kafka is not installed: run 'scripts/kafka.sh install', then this again"
	case errors.Is(err, devstack.ErrNoPostgres):
		return "Postgres is not installed: run 'scripts/postgres.sh install', then this again"
	}
	return err.Error()
}

// options are what the flags say.
type options struct {
	rounds     int
	requests   int // of a round; 0 chooses for each contender
	candidates int // of a request
	only       string
	out        string
	cpuProfile string
	child      bool
}

// run is the program, or a child of it, with its surroundings given: a test or main calls it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.child {
		return runChild(ctx, stdin, stdout, stderr)
	}
	figures, err := measure(ctx, o, stderr)
	if err != nil {
		return err
	}
	figures.print(stdout)
	if o.out == "" {
		return nil
	}
	return figures.write(o.out)
}

// parseOptions reads the flags. Help was asked for where the error is flag.ErrHelp; it is printed then.
func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.IntVar(&o.rounds, "rounds", 5, "rounds of each contender")
	set.IntVar(&o.requests, "requests", 0, "requests of a round; 0 chooses, so that a round takes some 7 s")
	set.IntVar(&o.candidates, "candidates", 200, "candidates of a request")
	set.StringVar(&o.only, "only", "", "measure only these contenders, separated by commas")
	set.StringVar(&o.out, "out", "", "write the figures to this `file`, as one JSON object")
	set.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of recstream's last round to this `file`")
	set.BoolVar(&o.child, "child", false, "be a contender: read a job from standard input; used by the benchmark itself")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	switch {
	case set.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", set.Arg(0))
	case o.rounds < 1 || o.requests < 0 || o.candidates < 1:
		err = errors.New("-rounds and -candidates must be at least 1, -requests at least 0")
	}
	return o, err
}
