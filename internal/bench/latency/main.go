// Command latency measures how long an app waits for its recommendations: over HTTP, over Kafka alone, and over Kafka
// while another process replays the past, at the same load, beside each other in every round, from one instance with
// default settings on a real Apache Kafka and a real Postgres of its own.
//
// Requests are sent when they are due, whether or not earlier ones are answered, and each is timed from when it was
// due: an instance that stalls is seen to. A round in which a request is not answered gives no figure.
//
// Run it from the repository: go run ./internal/bench/latency. docs/benchmarks.md says what the figures mean.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"recstream/internal/rounds"
)

func main() { rounds.Main("bench-http", run) }

// options are what the flags say.
type options struct {
	rounds.Options
	rates   []int // requests a second
	seconds float64
}

// run is the program with its surroundings given.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	found, err := measure(ctx, o, stderr)
	if err != nil {
		return err
	}
	if err := found.print(stdout); err != nil {
		return err
	}
	return found.object().Write(o.Out)
}

// parseOptions reads the flags, as rounds.Options does.
func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	set := rounds.Flags("latency", stderr)
	var rates string
	set.StringVar(&rates, "rates", "50,500", "requests a second, separated by commas")
	set.Float64Var(&o.seconds, "seconds", 4, "length of a round")
	o.Rounds = 5
	if err := o.Parse(set, args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(rates, ",") {
		rate, err := strconv.Atoi(text)
		if err != nil || rate < 1 {
			return o, fmt.Errorf("-rates: %q is no number of requests a second", text)
		}
		o.rates = append(o.rates, rate)
	}
	if o.seconds <= 0 {
		return o, errors.New("-seconds must be more than 0")
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
	fmt.Fprintf(stderr, "asking %d times, so that there is a past to replay\n", past)
	if err := ask(ctx, topic, past); err != nil {
		return nil, err
	}
	return takeTurns(ctx, o, []trial{{path: web}, {path: topic}, s.besideReplay(topic, "1000"), s.besideReplay(topic, "0")}, stderr)
}

// trial is a path, and what goes on beside the asking.
type trial struct {
	path
	label  string                                                  // "" is the path's name
	beside func(ctx context.Context) (end func() error, err error) // nil is nothing
}

func (t *trial) name() string { return cmp.Or(t.label, t.path.name()) }

// load asks over the path while that goes on.
func (t *trial) load(ctx context.Context, rate int, length time.Duration) ([]time.Duration, error) {
	if t.beside == nil {
		return load(ctx, t.path, rate, length)
	}
	end, err := t.beside(ctx)
	if err != nil {
		return nil, err
	}
	times, err := load(ctx, t.path, rate, length)
	return times, errors.Join(err, end())
}

// takeTurns has the trials take turns.
func takeTurns(ctx context.Context, o options, trials []trial, stderr io.Writer) (*figures, error) {
	found := newFigures()
	for round := range o.Rounds + 1 { // the first is to warm up
		for _, rate := range o.rates {
			for i := range trials {
				t := &trials[i]
				times, err := t.load(ctx, rate, time.Duration(o.seconds*float64(time.Second)))
				if err != nil {
					return nil, fmt.Errorf("%s at %d requests/s: %w", t.name(), rate, err)
				}
				if round > 0 {
					found.add(t.name(), rate, times)
				}
			}
		}
		fmt.Fprintf(stderr, "round %d of %d\n", round, o.Rounds)
	}
	return found, nil
}
