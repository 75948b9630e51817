package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
)

// worker replays one partition's range, batch after batch.
type worker struct {
	*run
	partition  int
	reader     reader
	checkpoint int64
	figures    *Figures
	outbox     Outbox // nil where nothing is emitted

	jobs           []job
	decisions      []schemas.Decision // by job
	keys           []schemas.ProfileKey
	comparer       comparer
	begun, scorers map[*scoring.Engine]*scoring.Scorer // of the batch in hand, and of the one before
}

// batch is what comes of a batch, as one attempt makes it.
type batch struct {
	figures     *Figures
	differences []postgres.ReplayDifference
	rows        []*schemas.Decision
	outcomes    []schemas.Outcome
	stored      map[string]bool // request ids that the replay has a row of already
	decided     map[string]bool // request ids of this batch
}

// has reports whether the request was decided by this replay before.
func (b *batch) has(id string) bool { return b.stored[id] || b.decided[id] }

// work replays the range to its end, or until ctx ends. A batch in hand is finished before.
func (w *worker) work(ctx context.Context) error {
	for w.checkpoint < w.reader.to {
		var lost int64
		err := w.retry(ctx, "read", func() (err error) {
			lost, err = w.reader.read(ctx, w.batchSize)
			if err != nil || w.reader.next == w.checkpoint { // nobody else would see that the replay is paused
				err = w.unlessStopped(ctx, err)
			}
			return err
		})
		if err != nil {
			return err
		}
		w.figures.Lost += lost
		if err := w.settle(ctx); err != nil {
			return fmt.Errorf("partition %d: %w", w.partition, err)
		}
	}
	return nil
}

// settle sees the batch that was read through. It goes on for a while after its context has ended, so that nothing is done
// for nothing; only what has to wait for the rate is left.
func (w *worker) settle(stopping context.Context) error {
	if w.reader.next == w.checkpoint {
		return nil // there was nothing
	}
	ctx, cancel := outliving(stopping, drainTimeout)
	defer cancel()
	var done *batch
	err := w.retry(ctx, "decide", func() (err error) {
		if done, err = w.process(ctx, nil); err != nil {
			err = w.unlessStopped(ctx, err)
		}
		return err
	})
	if err == nil {
		err = w.limit.take(stopping, len(w.jobs)) // what the filter leaves out costs nothing
	}
	if err == nil {
		err = w.emit(ctx, done)
	}
	if err == nil {
		err = w.store(ctx, done)
	}
	return err
}

// process decides the batch again and compares. stored are the ids of requests that the replay has rows of.
func (w *worker) process(ctx context.Context, stored map[string]bool) (*batch, error) {
	b := &batch{figures: w.figures.clone(), stored: stored, decided: map[string]bool{}}
	found, err := w.findLive(ctx)
	if err != nil {
		return nil, err
	}
	w.match(b, found)
	if err := w.addProfiles(ctx); err != nil {
		return nil, err
	}
	if len(w.decisions) < len(w.jobs) {
		w.decisions = append(w.decisions, make([]schemas.Decision, len(w.jobs)-len(w.decisions))...)
	}
	defer w.end()
	for i := range w.jobs {
		j, d := &w.jobs[i], &w.decisions[i]
		cause, err := w.decide(ctx, j, d)
		if err != nil {
			return nil, err
		}
		w.judge(b, j, d, cause)
	}
	return b, nil
}

// judge compares a decision with the live one, and adds it to the batch.
func (w *worker) judge(b *batch, j *job, d *schemas.Decision, cause string) {
	if cause != "" {
		b.fail(j.event, j.live, cause)
		return
	}
	if j.live == nil {
		b.figures.Alone++
	} else if !w.compare(b, j, d) {
		return
	}
	if j.again {
		return // the row of the first one stays
	}
	b.rows = append(b.rows, d)
	if w.outbox != nil {
		b.outcomes = append(b.outcomes, schemas.Outcome{Message: &j.message, Decision: d})
	}
}

// compare counts in what a decision differs from the live one. It returns false for one that was not to be
// reproduced and is not: that says nothing of anything but the gap.
func (w *worker) compare(b *batch, j *job, d *schemas.Decision) bool {
	var scores Sketch
	r := w.comparer.compare(j.live, d, &scores)
	if !r.identical && j.gap != "" {
		b.fail(j.event, j.live, j.gap)
		return false
	}
	b.figures.Scores.Merge(&scores)
	b.figures.compared(j.live, d, &r)
	if !r.identical {
		b.differences = append(b.differences, postgres.ReplayDifference{Offset: j.message.Offset, RequestID: d.RequestID,
			LiveScoredAt: j.live.ScoredAt, Causes: r.causes(), Reproducible: true, Compared: true,
			Overlap: r.overlaps[0], ScoreDifference: r.largest})
	}
	return true
}

// fail counts a request that was not decided, or not with what its live decision had.
func (b *batch) fail(e *event, live *schemas.Decision, cause string) {
	countCode(&b.figures.Irreproducible, cause)
	d := postgres.ReplayDifference{Offset: e.message.Offset, RequestID: e.request.RequestID, Causes: []string{cause}}
	if live != nil {
		d.LiveScoredAt = live.ScoredAt
	}
	b.differences = append(b.differences, d)
}

// emit publishes what the batch came to, before the checkpoint moves: after a crash it is published again, with the
// same ids.
func (w *worker) emit(ctx context.Context, b *batch) error {
	if len(b.outcomes) == 0 {
		return nil
	}
	for i := range b.outcomes {
		w.outbox.Add(&b.outcomes[i])
	}
	return w.retry(ctx, "emit", func() error { return w.outbox.Flush(ctx) })
}

// store stores the batch with the checkpoint. Where Postgres refuses a value for good, its events are stored one by
// one, and the one at fault is counted as irreproducible.
func (w *worker) store(ctx context.Context, b *batch) error {
	err := w.tryStore(ctx, b)
	refusal := (*postgres.Error)(nil)
	switch {
	case !errors.As(err, &refusal) || refusal.Transient() || len(w.jobs) == 0:
		return err
	case len(w.reader.events) > 1:
		return w.storeEach(ctx)
	}
	w.log().Warn("a decision cannot be stored", "offset", w.reader.events[0].message.Offset, "error", err)
	without := &batch{figures: w.figures.clone()}
	without.figures.Read++
	without.fail(w.jobs[0].event, w.jobs[0].live, CauseRecordRefused)
	return w.tryStore(ctx, without)
}

// storeEach decides and stores the events of a batch one by one. They were published.
func (w *worker) storeEach(ctx context.Context) error {
	events, next := w.reader.events, w.reader.next
	defer func() { w.reader.events, w.reader.next = events, next }()
	for i := range events {
		w.reader.events, w.reader.next = events[i:i+1], next
		if i+1 < len(events) {
			w.reader.next = events[i+1].message.Offset
		}
		var one *batch
		err := w.retry(ctx, "decide", func() (err error) {
			one, err = w.process(ctx, nil)
			return err
		})
		if err == nil {
			err = w.store(ctx, one)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tryStore stores the batch, deciding it anew where another partition has taken one of its ids.
func (w *worker) tryStore(ctx context.Context, b *batch) error {
	var stored map[string]bool
	err := w.retry(ctx, "store", func() error {
		if stored != nil { // another partition was quicker with one of the ids
			again, err := w.process(ctx, stored)
			if err != nil {
				return err
			}
			b = again
		}
		err := w.record(ctx, b)
		if errors.Is(err, postgres.ErrConflict) {
			var lookUp error
			if stored, lookUp = w.storedIDs(ctx, b); lookUp != nil {
				return lookUp
			}
		}
		return err
	})
	if err == nil {
		w.advance(b)
	}
	return err
}

// advance notes that the batch is stored.
func (w *worker) advance(b *batch) {
	w.progress(w.reader.next - w.checkpoint)
	w.checkpoint, w.figures = w.reader.next, b.figures
}

func (w *worker) record(ctx context.Context, b *batch) error {
	figures, err := json.Marshal(b.figures)
	if err != nil {
		return err
	}
	err = w.options.Store.RecordReplay(ctx, postgres.ReplayBatch{RunID: w.replay.RunID, Owner: w.owner, Partition: w.partition,
		From: w.checkpoint, Next: w.reader.next, Figures: figures, Decisions: b.rows, Differences: b.differences})
	if !errors.Is(err, postgres.ErrReplayTaken) {
		return err
	}
	// An attempt whose answer was lost may have stored it.
	r, lookUp := w.options.Store.Replay(ctx, w.replay.RunID)
	if errors.Is(lookUp, postgres.ErrNoReplay) {
		return &StoppedError{RunID: w.replay.RunID, State: postgres.ReplayCancelled} // and deleted
	}
	if lookUp != nil {
		return lookUp
	}
	for _, p := range r.Partitions {
		if p.Partition == w.partition && p.Next == w.reader.next && r.Owner == w.owner {
			return nil
		}
	}
	return &StoppedError{RunID: r.RunID, State: r.State}
}

// storedIDs returns those of the batch's request ids that the replay has a row of.
func (w *worker) storedIDs(ctx context.Context, b *batch) (map[string]bool, error) {
	ids := make([]string, len(b.rows))
	for i, d := range b.rows {
		ids[i] = d.RequestID
	}
	list, err := w.options.Store.ReplayedDecisions(ctx, w.replay, ids)
	stored := map[string]bool{}
	for _, d := range list {
		stored[d.RequestID] = true
	}
	return stored, err
}
