package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/internal/config"
	"recstream/internal/postgres"
)

// defaultScaled are the requests of a round where -requests does not say how many.
const defaultScaled = 200_000

// sweep is what -scale measures: each contender with each number of partitions and of instances.
type sweep struct {
	partitions, instances []int
}

// parseSweep reads two lists of numbers with commas.
func parseSweep(partitions, instances string) (s sweep, err error) {
	if s.partitions, err = parseCounts("-partitions", partitions); err != nil {
		return s, err
	}
	s.instances, err = parseCounts("-instances", instances)
	return s, err
}

func parseCounts(name, list string) (counts []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s: %q is not a number of 1 or more", name, text)
		}
		counts = append(counts, n)
	}
	return counts, nil
}

// point is one combination, and what its rounds have measured.
type point struct {
	*contender
	partitions, instances int
	measured              []scaled
}

// scaled is what one round of a point has measured. All is of the whole round but the rate, which is of the time in
// which all partitions were under way: from when each has committed something until the first has nothing left.
type scaled struct {
	rate     float64 // requests a second
	requests int
	app      float64 // seconds of processor time, of all instances
	broker   float64
	database float64
	wal      float64 // bytes that Postgres wrote ahead
	batches  []int64 // microseconds, in order
	peak     int64   // bytes of memory, of the largest instance
}

// progress is how far a group was at a time.
type progress struct {
	at        time.Time
	committed int64
}

// since returns the requests a second from an earlier progress on.
func (p progress) since(from progress) float64 {
	return float64(p.committed-from.committed) / p.at.Sub(from.at).Seconds()
}

// measureScale runs the sweep and returns its figures.
func measureScale(ctx context.Context, o options, stderr io.Writer) (*scaleFigures, error) {
	if o.only == "" {
		o.only = nameRecstream + "," + nameAtLeast
	}
	if o.requests == 0 {
		o.requests = defaultScaled
	}
	return withBench(ctx, o, stderr, func(b *bench) (*scaleFigures, error) {
		points, err := b.scale(ctx)
		if err != nil {
			return nil, err
		}
		f, err := b.figures(ctx)
		return &scaleFigures{figures: f, requests: o.requests, points: points}, err
	})
}

// scale takes the numbers of partitions in turn, for each has topics of its own; the rest takes turns in rounds.
func (b *bench) scale(ctx context.Context) (all []*point, err error) {
	for _, partitions := range b.sweep.partitions {
		b.stack.partitions = partitions
		l := &lane{contender: b.lanes[0].contender}
		if err := b.preload(ctx, l, b.requests); err != nil {
			return nil, err
		}
		var points []*point
		for _, c := range b.lanes {
			for _, instances := range b.sweep.instances {
				points = append(points, &point{contender: c.contender, partitions: partitions, instances: instances})
			}
		}
		if err := b.scaleRounds(ctx, l, points); err != nil {
			return nil, err
		}
		if err := b.stack.deleteTopics(ctx, l.topic); err != nil {
			return nil, err
		}
		all = append(all, points...)
	}
	return all, nil
}

// scaleRounds measures points on the same requests. The first round, of one point, warms the servers up.
func (b *bench) scaleRounds(ctx context.Context, l *lane, points []*point) error {
	if _, err := b.scaleRound(ctx, l, points[0]); err != nil {
		return err
	}
	for round := range b.Rounds {
		for _, p := range points {
			m, err := b.scaleRound(ctx, l, p)
			if err != nil {
				return fmt.Errorf("%d partitions, %d instances: %w", p.partitions, p.instances, err)
			}
			p.measured = append(p.measured, m)
			b.say("round %d of %d: %-13s %2d partitions, %d instances: %8.0f requests/s",
				round+1, b.Rounds, p.name, p.partitions, p.instances, m.rate)
		}
	}
	return nil
}

// scaleRound has a fleet answer the lane's requests, and proves that it did.
func (b *bench) scaleRound(ctx context.Context, l *lane, p *point) (m scaled, err error) {
	err = b.trial(ctx, &lane{contender: p.contender, topic: l.topic, requests: l.requests, written: l.written}, func(j job) error {
		if err := b.fillDatabase(ctx, j.DatabaseURL); err != nil {
			return err
		}
		f, err := launch(ctx, j, p.instances)
		defer f.close()
		if err == nil {
			m, err = b.lead(ctx, j, f)
		}
		return err
	})
	return m, err
}

// fillDatabase does for all instances what each would do alone.
func (b *bench) fillDatabase(ctx context.Context, url string) error {
	database, err := postgres.Open(ctx, postgres.Options{URL: url, MaxConnections: 1})
	if err != nil {
		return err
	}
	defer database.Close()
	return fill(ctx, database, config.Default(), b.items)
}

// lead has a fleet that is ready do its job, and measures it.
func (b *bench) lead(ctx context.Context, j job, f *fleet) (m scaled, err error) {
	database, err := pgx.Connect(ctx, j.DatabaseURL)
	if err != nil {
		return m, err
	}
	defer database.Close(ctx)
	from, err := b.used(ctx, database, f)
	if err != nil {
		return m, err
	}
	if m.rate, err = b.watch(ctx, j, f); err != nil {
		return m, err
	}
	to, err := b.used(ctx, database, f)
	m.requests = j.Requests
	m.app, m.broker, m.database, m.wal = to.app-from.app, to.broker-from.broker, to.database-from.database, to.wal-from.wal
	err = errors.Join(err, f.end())
	m.reports(f)
	return m, err
}

// watch lets a fleet begin, waits until everything is committed, and returns the rate.
func (b *bench) watch(ctx context.Context, j job, f *fleet) (rate float64, err error) {
	ends, err := b.stack.ends(ctx, j.Topic)
	if err != nil {
		return 0, err
	}
	begun := progress{at: time.Now()}
	if err := f.begin(); err != nil {
		return 0, err
	}
	var marks [3]progress
	for i, reached := range []func(offsets, ends map[int]int64) bool{allBegun, someAtEnd, allAtEnd} {
		err := f.until(ctx, func() (bool, error) {
			offsets, err := committedOffsets(ctx, b.stack.client, j)
			marks[i] = progress{time.Now(), total(offsets)}
			return err == nil && reached(offsets, ends), err
		})
		if err != nil {
			return 0, err
		}
	}
	return rateOf(begun, marks), nil
}

// rateOf returns the rate between the first two marks, or that of the whole where a round is so small that nothing
// lies between them.
func rateOf(begun progress, marks [3]progress) float64 {
	if marks[1].committed > marks[0].committed {
		return marks[1].since(marks[0])
	}
	return marks[2].since(begun)
}

// used returns what was used until now.
func (b *bench) used(ctx context.Context, database *pgx.Conn, f *fleet) (m scaled, err error) {
	all := readProcesses()
	m.app, m.broker, m.database = f.cpu(all), all.cpu(b.stack.brokerPID), all.cpu(b.stack.databasePID)
	err = database.QueryRow(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8`).Scan(&m.wal)
	return m, err
}

// allBegun tells whether every partition that has records has committed something.
func allBegun(offsets, ends map[int]int64) bool {
	for p, end := range ends {
		if end > 0 && offsets[p] == 0 {
			return false
		}
	}
	return true
}

// someAtEnd tells whether a partition that has records has been read to its end.
func someAtEnd(offsets, ends map[int]int64) bool {
	for p, end := range ends {
		if end > 0 && offsets[p] == end {
			return true
		}
	}
	return false
}

// allAtEnd tells whether all have.
func allAtEnd(offsets, ends map[int]int64) bool { return total(offsets) == total(ends) }

// reports takes in what the instances have reported.
func (m *scaled) reports(f *fleet) {
	for _, in := range f.instances {
		m.batches = append(m.batches, in.last.Batches...)
		m.peak = max(m.peak, in.last.PeakRSS)
	}
	slices.Sort(m.batches)
}
