package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/readers"
)

// finish ends a run: it publishes what is missing to so many requests, waits until all is committed, judges the run,
// and fails the test if anything is wrong or if fewer faults happened than were meant to.
func (r *run) finish(t *testing.T, requests, faults int) {
	t.Helper()
	if r.faults < faults {
		t.Errorf("%d faults happened, want %d: the run shows less than it says", r.faults, faults)
	}
	if err := r.settle(t, requests); err != nil {
		r.dump(t)
		t.Fatalf("not everything is committed: %v", err)
	}
	r.mustLive(t)
	if err := readers.Verify(r.toRead(t), strings.Join(r.brokers, ","), r.topics().Results, r.readers...); err != nil {
		t.Error(err)
	}
	r.mustHaveSeen(t)
	violations := r.judge(t)
	r.requests, r.violations, r.took = int(r.sent.Load()), len(violations), time.Since(r.began)
	table.add(r.report)
	t.Log(r.report)
	if len(violations) > 0 {
		t.Errorf("seed %d, history in %s:\n%s", *seed, r.path("history.jsonl.gz"), history.Report(violations, 5))
	}
}

// mustHaveSeen fails the test unless the watch has seen a good part of the run: one that was blind sees nothing go
// back. Faults take servers away for some of the time, and a look at a slow machine takes a while.
func (r *run) mustHaveSeen(t *testing.T) {
	t.Helper()
	if least := 2 + int(time.Since(r.began)/leastLooks); r.watch.Looks() < least {
		t.Errorf("%d looks at offsets and fences succeeded, want %d at the least in %s", r.watch.Looks(), least, time.Since(r.began))
	}
}

// leastLooks is how often a look at the progress is to succeed, on average over a run with servers away.
const leastLooks = 5 * time.Second

// settle publishes what is missing to so many requests and waits until all that was published is committed and
// fenced.
func (r *run) settle(t *testing.T, requests int) error {
	t.Helper()
	if r.load != nil {
		need(t, r.load.end())
	}
	r.sendRequests(t, requests)
	for before := int64(-1); ; {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := r.observer.AwaitEnd(ctx)
		cancel()
		if err == nil || t.Context().Err() != nil {
			return err
		}
		stored := r.stored(t)
		if stored == before {
			return err
		}
		before = stored // a slow machine is no violation, a stream that stands still is
	}
}

// stored is the sum of all fences.
func (r *run) stored(t *testing.T) (sum int64) {
	t.Helper()
	err := r.db.QueryRow(within(t, patience), `SELECT coalesce(sum(next_offset), 0) FROM stream_offsets`).Scan(&sum)
	need(t, err)
	return sum
}

// toRead returns a context for as long as a slow machine needs to read all that there is of the run.
func (r *run) toRead(t *testing.T) context.Context {
	return within(t, patience+time.Duration(r.sent.Load())*time.Millisecond)
}

// judge collects the history and returns what is wrong. A history with violations is kept in a file.
func (r *run) judge(t *testing.T) []history.Violation {
	t.Helper()
	h := r.collect(t)
	t.Log(h)
	violations := history.Check(h)
	if len(violations) > 0 {
		need(t, h.WriteFile(r.path("history.jsonl.gz")))
	}
	return violations
}

// collect reads all that there is of the run.
func (r *run) collect(t *testing.T) *history.History {
	t.Helper()
	ctx := r.toRead(t)
	h := &history.History{Progress: r.endWatch(), Notes: r.notes}
	need(t, r.observer.Complete(ctx, h))
	h.DeadLetters = append(r.kept, h.DeadLetters...)
	var err error
	h.Published, err = r.publisher.Published(ctx)
	need(t, err)
	h.Gaps, err = r.gaps(ctx)
	need(t, err)
	return h
}

// gaps returns the events that the service says it had to pass over.
func (r *run) gaps(ctx context.Context) (list []history.Gap, err error) {
	rows, err := r.db.Query(ctx, `SELECT topic, partition, from_offset, to_offset, reason FROM stream_gaps`)
	if err != nil {
		return nil, fmt.Errorf("read gaps: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var g history.Gap
		if err := rows.Scan(&g.Topic, &g.Partition, &g.From, &g.To, &g.Reason); err != nil {
			return nil, fmt.Errorf("read gaps: %w", err)
		}
		list = append(list, g)
	}
	return list, rows.Err()
}

// dump keeps the history of a run that does not end, as far as it can be read.
func (r *run) dump(t *testing.T) {
	t.Helper()
	h := r.collect(t)
	need(t, h.WriteFile(r.path("history.jsonl.gz")))
	t.Logf("seed %d, history in %s:\n%s", *seed, r.path("history.jsonl.gz"), history.Report(history.Check(h), 5))
	for _, i := range r.living() {
		t.Logf("instance %d says last:\n%s", i.number, i.tail(10))
	}
}
