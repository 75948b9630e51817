// Command latency measures how long an app waits for its recommendations: over HTTP, and over Kafka alone, at the same
// load, beside each other in every round, from one instance with default settings on a real Apache Kafka and a real
// Postgres of its own.
//
// Requests are sent when they are due, whether or not earlier ones are answered, and each is timed from when it was
// due: an instance that stalls is seen to. A round in which a request is not answered gives no figure.
//
// Run it from the repository: go run ./internal/bench/latency. docs/benchmarks.md says what the figures mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"recstream/internal/devstack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-http:", explain(err))
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
	rounds  int
	rates   []int // requests a second
	seconds float64
	out     string
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
	found, err := measure(ctx, o, stderr)
	if err != nil {
		return err
	}
	if err := found.print(stdout); err != nil || o.out == "" {
		return err
	}
	return found.write(o.out)
}

// parseOptions reads the flags. Help was asked for where the error is flag.ErrHelp; it is printed then.
func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	set := flag.NewFlagSet("latency", flag.ContinueOnError)
	set.SetOutput(stderr)
	var rates string
	set.IntVar(&o.rounds, "rounds", 5, "rounds of each path at each rate")
	set.StringVar(&rates, "rates", "50,500", "requests a second, separated by commas")
	set.Float64Var(&o.seconds, "seconds", 4, "length of a round")
	set.StringVar(&o.out, "out", "", "write the figures to this `file`, as one JSON object")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(rates, ",") {
		rate, err := strconv.Atoi(text)
		if err != nil || rate < 1 {
			return o, fmt.Errorf("-rates: %q is no number of requests a second", text)
		}
		o.rates = append(o.rates, rate)
	}
	if set.NArg() > 0 || o.rounds < 1 || o.seconds <= 0 {
		return o, errors.New("-rounds must be at least 1 and -seconds above 0, without further arguments")
	}
	return o, nil
}

// measure runs all rounds.
func measure(ctx context.Context, o options, stderr io.Writer) (*figures, error) {
	s, err := startStack(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	web, topic := newWebPath(s.url), newTopicPath(s)
	defer web.start(ctx)()
	defer topic.start(ctx)()
	return rounds(ctx, o, []path{web, topic}, stderr)
}

// rounds has the paths take turns.
func rounds(ctx context.Context, o options, paths []path, stderr io.Writer) (*figures, error) {
	found := newFigures()
	for round := range o.rounds + 1 { // the first is to warm up
		for _, rate := range o.rates {
			for _, p := range paths {
				times, err := load(ctx, p, rate, time.Duration(o.seconds*float64(time.Second)))
				if err != nil {
					return nil, fmt.Errorf("%s at %d requests/s: %w", p.name(), rate, err)
				}
				if round > 0 {
					found.add(p.name(), rate, times)
				}
			}
		}
		fmt.Fprintf(stderr, "round %d of %d\n", round, o.rounds)
	}
	return found, nil
}
