package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"recstream/schemas"
)

const (
	// roundTime is what a round should take where -requests does not say how large it is.
	roundTime = 7 * time.Second
	// serversStart is what the servers may take to start.
	serversStart = 90 * time.Second
)

// bench is one run: the servers, the contenders and what they did so far.
type bench struct {
	options
	stack  *stack
	items  []schemas.Item
	stderr io.Writer
	taken  int // rounds so far, of all contenders: makes names
	lanes  []*lane
}

// lane is one contender in this run.
type lane struct {
	*contender
	topic    string      // of its requests, the same in every round
	requests int         // in topic
	written  fingerprint // of the ids in topic
	measured []measurement
}

// measure runs everything and returns the figures.
func measure(ctx context.Context, o options, stderr io.Writer) (*figures, error) {
	return withBench(ctx, o, stderr, func(b *bench) (*figures, error) {
		if err := b.all(ctx); err != nil {
			return nil, err
		}
		return b.figures(ctx)
	})
}

// withBench starts the servers for what is to be measured on them.
func withBench[F any](ctx context.Context, o options, stderr io.Writer, run func(*bench) (F, error)) (f F, err error) {
	b := &bench{options: o, stderr: stderr}
	if b.items, err = demoItems(); err != nil {
		return f, err
	}
	if o.candidates > len(b.items) {
		return f, fmt.Errorf("-candidates is more than the %d items of the catalogue", len(b.items))
	}
	selected, err := chosen(o.only)
	if err != nil {
		return f, err
	}
	for _, c := range selected {
		b.lanes = append(b.lanes, &lane{contender: c})
	}
	b.say("starting Apache Kafka and Postgres")
	starting, cancel := context.WithTimeout(ctx, serversStart)
	defer cancel()
	if b.stack, err = startStack(starting); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, b.stack.close()) }()
	return run(b)
}

// say tells those who watch how far it is.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.stderr, format+"\n", args...) }

// all warms up, writes the requests, and then takes the contenders in turn, round by round.
func (b *bench) all(ctx context.Context) error {
	for _, l := range b.lanes {
		if err := b.warmUp(ctx, l); err != nil {
			return err
		}
	}
	for round := range b.Rounds {
		for _, l := range b.lanes {
			profile := ""
			if l.name == nameRecstream && round == b.Rounds-1 {
				profile = b.cpuProfile
			}
			m, err := b.round(ctx, l, profile)
			if err != nil {
				return err
			}
			l.measured = append(l.measured, m)
			b.say("round %d of %d: %-17s %8.0f requests/s", round+1, b.Rounds, l.name, float64(l.requests)/m.Seconds)
			if m.Replay != nil {
				b.say("round %d of %d: %-17s %8.0f requests/s", round+1, b.Rounds, nameReplay, float64(l.requests)/m.Replay.Seconds)
			}
		}
	}
	return nil
}

// warmUp takes an unmeasured round, which also warms the servers up, and prepares the lane's requests: as many
// as make a round of the right length.
func (b *bench) warmUp(ctx context.Context, l *lane) error {
	n := l.first
	if b.requests > 0 {
		n = min(n, b.requests)
	}
	if err := b.preload(ctx, l, n); err != nil {
		return err
	}
	m, err := b.round(ctx, l, "")
	if err != nil {
		return err
	}
	if err := b.stack.deleteTopics(ctx, l.topic); err != nil {
		return err
	}
	n = b.requests
	if n == 0 {
		n = requestsFor(float64(l.requests)/m.Seconds, roundTime)
	}
	return b.preload(ctx, l, n)
}

// requestsFor returns how many requests take that long at a rate a second: whole thousands.
func requestsFor(rate float64, d time.Duration) int {
	return max(1, int(rate*d.Seconds()/1000)) * 1000
}

// preload gives a lane a topic with n requests, which none has seen.
func (b *bench) preload(ctx context.Context, l *lane, n int) (err error) {
	l.topic, l.requests = fmt.Sprintf("requests-%s-%d", l.name, n), n
	b.say("writing %d requests for %s", n, l.name)
	if err := b.stack.createTopics(ctx, l.topic); err != nil {
		return err
	}
	l.written, err = b.stack.preload(ctx, l.topic, n, b.items, b.candidates)
	return err
}

// round has a contender answer its requests once, with topics, group and database of the round's own, and
// proves that it did. One of recstream is replayed before the proof, which shows too that nothing live was changed.
func (b *bench) round(ctx context.Context, l *lane, profile string) (m measurement, err error) {
	err = b.trial(ctx, l, func(j job) (err error) {
		j.CPUProfile = profile
		if m, err = spawn(ctx, j, b.stderr); err == nil && l.name == nameRecstream {
			m.Replay, err = b.replay(ctx, j)
		}
		return err
	})
	return m, err
}

// trial gives a lane a group, topics and a database of its own for one round, and checks what the round left.
func (b *bench) trial(ctx context.Context, l *lane, run func(job) error) error {
	b.taken++
	name := fmt.Sprintf("%s-%d", l.name, b.taken)
	j := job{
		Contender: l.name, Broker: b.stack.kafka.Addr(), Topic: l.topic, Group: "bench-" + name,
		Results: "results-" + name, DeadLetters: "dead-letters-" + name,
		ModelPath: b.stack.modelPath(), Partitions: b.stack.partitions, Requests: l.requests,
		BrokerPID: b.stack.brokerPID, DatabasePID: b.stack.databasePID,
	}
	if err := b.stack.createTopics(ctx, j.Results, j.DeadLetters); err != nil {
		return err
	}
	var err error
	if j.DatabaseURL, err = b.stack.postgres.CreateDatabase(ctx); err != nil {
		return err
	}
	if err := run(j); err != nil {
		return err
	}
	f, err := b.stack.inspect(ctx, l.contender, j)
	if err == nil {
		err = f.check(l.written, l.requests*min(schemas.DefaultLimit, b.candidates))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	return errors.Join(b.stack.deleteTopics(ctx, j.Results, j.DeadLetters), b.stack.dropDatabase(ctx, j.DatabaseURL))
}

// figures gathers what was measured.
func (b *bench) figures(ctx context.Context) (*figures, error) {
	f := &figures{lanes: b.lanes, cpus: runtime.NumCPU(), goVersion: runtime.Version(),
		rounds: b.Rounds, candidates: b.candidates}
	if again := b.replays(); again != nil {
		f.lanes = append(slices.Clip(f.lanes), again)
	}
	var err error
	f.kafka, f.postgres, err = b.stack.versions(ctx)
	return f, err
}
