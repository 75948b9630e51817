package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

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
	outbox     Outbox    // nil where nothing is emitted
	waits      time.Time // when it was last told that there is nothing to read yet

	batch          batch // in hand; its memory is used again
	keys           []schemas.ProfileKey
	comparer       comparer
	begun, scorers map[*scoring.Engine]*scoring.Scorer // of the batch in hand, and of the one before
}

// batch is some events, and what the last attempt to decide them came to.
type batch struct {
	events []event
	next   int64 // where the checkpoint goes after them

	jobs        []job              // those that are decided again
	decisions   []schemas.Decision // by job
	figures     *Figures           // of the range up to next
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
		if w.reader.next == w.checkpoint {
			w.tellWaiting()
			continue
		}
		if err := w.settle(ctx); err != nil {
			return fmt.Errorf("partition %d: %w", w.partition, err)
		}
	}
	return nil
}

// tellEvery is how often a line says that a worker waits.
const tellEvery = time.Minute

// tellWaiting logs that there is nothing to read, which is for as long as somebody's transaction is open.
func (w *worker) tellWaiting() {
	if time.Since(w.waits) < tellEvery {
		return
	}
	w.waits = time.Now()
	w.log().Warn("waiting for the end of a transaction that is open in the topic", "topic", w.plan.Topic, "partition", w.partition,
		"offset", w.checkpoint)
}

// settle sees the batch that was read through. It goes on for a while after its context has ended, so that nothing is done
// for nothing; only what has to wait for the rate is left.
func (w *worker) settle(stopping context.Context) error {
	ctx, cancel := outliving(stopping, drainTimeout)
	defer cancel()
	b := &w.batch
	b.events, b.next = w.reader.events, w.reader.next
	err := w.retry(ctx, "decide", func() error {
		if err := w.prepare(ctx, b); err != nil {
			return w.unlessStopped(ctx, err)
		}
		return nil
	})
	if err == nil {
		err = w.limit.take(stopping, len(b.jobs)) // what the filter leaves out costs nothing
	}
	if err == nil {
		err = w.emit(ctx, b)
	}
	if err == nil {
		err = w.store(ctx, b)
	}
	return err
}

// prepare decides the batch again. Where that is published, it leaves out what would not be stored: the replay has a
// row of the id already.
func (w *worker) prepare(ctx context.Context, b *batch) error {
	if err := w.process(ctx, b, nil); err != nil || len(b.outcomes) == 0 {
		return err
	}
	stored, err := w.storedIDs(ctx, b)
	if err != nil || len(stored) == 0 {
		return err
	}
	return w.process(ctx, b, stored)
}

// process decides the batch again and compares. stored are the ids of requests that the replay has rows of.
func (w *worker) process(ctx context.Context, b *batch, stored map[string]bool) error {
	*b = batch{events: b.events, next: b.next, jobs: b.jobs[:0], decisions: b.decisions,
		figures: w.figures.clone(), stored: stored, decided: map[string]bool{}}
	found, err := w.findLive(ctx, b)
	if err != nil {
		return err
	}
	w.match(b, found)
	if err := w.addProfiles(ctx, b.jobs); err != nil {
		return err
	}
	if more := len(b.jobs) - len(b.decisions); more > 0 {
		b.decisions = append(b.decisions, make([]schemas.Decision, more)...)
	}
	defer w.end()
	for i := range b.jobs {
		j, d := &b.jobs[i], &b.decisions[i]
		cause, err := w.decide(ctx, j, d)
		if err != nil {
			return err
		}
		w.judge(b, j, d, cause)
	}
	return nil
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
	return w.retry(ctx, "emit", func() error {
		err := w.outbox.Flush(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge):
			return &tooLargeError{w.plan.Emit, err}
		}
		return w.unlessStopped(ctx, err)
	})
}

// tooLargeError says that the topic of the results does not take one of them.
type tooLargeError struct {
	topic string
	err   error
}

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("a result is larger than topic %s takes; raise its max.message.bytes, then resume the replay: %v", e.topic, e.err)
}

func (e *tooLargeError) Unwrap() error { return e.err }

// Transient is false: somebody has to change the topic, and resume.
func (e *tooLargeError) Transient() bool { return false }

// store stores the batch with the checkpoint. Where Postgres refuses a value for good, its events are stored one by
// one, and the one at fault is counted as irreproducible.
func (w *worker) store(ctx context.Context, b *batch) error {
	err := w.tryStore(ctx, b)
	refusal := (*postgres.Error)(nil)
	switch {
	case !errors.As(err, &refusal) || refusal.Transient() || len(b.jobs) == 0:
		return err
	case len(b.events) > 1:
		return w.storeEach(ctx, b)
	}
	w.log().Warn("a decision cannot be stored", "offset", b.events[0].message.Offset, "error", err)
	without := &batch{events: b.events, next: b.next, figures: w.figures.clone()}
	without.figures.Read++
	without.fail(b.jobs[0].event, b.jobs[0].live, CauseRecordRefused)
	return w.tryStore(ctx, without)
}

// storeEach decides and stores the events of a batch one by one. They were published.
func (w *worker) storeEach(ctx context.Context, b *batch) error {
	var one batch
	for i := range b.events {
		one.events, one.next = b.events[i:i+1], b.next
		if i+1 < len(b.events) {
			one.next = b.events[i+1].message.Offset
		}
		err := w.retry(ctx, "decide", func() error { return w.process(ctx, &one, nil) })
		if err == nil {
			err = w.store(ctx, &one)
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
			if err := w.process(ctx, b, stored); err != nil {
				return err
			}
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
	w.progress(b.next - w.checkpoint)
	w.checkpoint, w.figures = b.next, b.figures
}

func (w *worker) record(ctx context.Context, b *batch) error {
	figures, err := json.Marshal(b.figures)
	if err != nil {
		return err
	}
	err = w.options.Store.RecordReplay(ctx, postgres.ReplayBatch{RunID: w.replay.RunID, Owner: w.owner, Partition: w.partition,
		From: w.checkpoint, Next: b.next, Figures: figures, Decisions: b.rows, Differences: b.differences})
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
		if p.Partition == w.partition && p.Next == b.next && r.Owner == w.owner {
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
