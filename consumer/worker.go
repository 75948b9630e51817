package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// worker sees the messages of one partition through, for as long as one generation of the group lasts.
type worker struct {
	cfg       *Config
	log       *slog.Logger
	watch     *watch
	of        schemas.Assignment
	partition int

	outbox Outbox
	settler
}

func newWorker(s *Service, generation *kafka.Generation, partition int) *worker {
	log := s.log.With(keyTopic, s.cfg.Topic, keyPartition, partition)
	w := &worker{
		cfg:   &s.cfg,
		log:   log,
		watch: &s.watch,
		of: schemas.Assignment{Group: s.cfg.Group, Generation: int(generation.ID), Member: generation.MemberID,
			Topic: s.cfg.Topic, Partition: partition},
		partition: partition,
		settler:   settler{cfg: &s.cfg, log: log, partition: partition},
	}
	w.settler.handler = s.cfg.Events.handler(&w.settler)
	return w
}

// giveBackPause is how long a worker in trouble waits before its partition goes back to the group. Trouble that
// stays then costs the group one rebalance a pause, not one after the other.
const giveBackPause = time.Second

// run works until we stop, until the generation ends, or until something is wrong that only a new generation can
// mend. The batch in hand is then finished, within the drain timeout.
func (w *worker) run(stop, ended context.Context) {
	defer w.cfg.observer().Closed(w.partition)
	defer w.watch.leave(w.partition)
	taking, stopTaking := context.WithCancel(ended)
	defer stopTaking()
	defer context.AfterFunc(stop, stopTaking)()
	defer w.pause(taking)
	// A panic here is a defect of ours. It must not take the other partitions along.
	defer func() {
		if v := recover(); v != nil {
			w.log.Error("worker panicked; its partition is taken up again", keyError, fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	finishing, release := w.finishing(taking, ended)
	defer release()

	w.watch.enter(w.partition, stageOpen)
	offset, err := w.open(taking)
	if err == nil {
		w.cfg.observer().Opened(w.partition, offset)
		err = w.consume(taking, finishing, offset)
	} else if taking.Err() != nil {
		return // there was nothing in hand
	}
	if err != nil {
		w.log.Warn("partition given back to the group, its next owner takes up the batch in hand", keyError, err)
	}
}

// pause waits for a while, or until nothing is to be taken any more.
func (w *worker) pause(taking context.Context) {
	timer := time.NewTimer(giveBackPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-taking.Done():
	}
}

// finishing returns a context for the batch in hand: it ends when the drain timeout has passed after nothing is
// to be taken any more. A generation that has ended has no heartbeats; once the session is over too, the partition
// has another owner.
func (w *worker) finishing(taking, ended context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	giveUpAfter := func(limit time.Duration) {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(fmt.Errorf("not finished within the drain timeout of %s", limit))
		case <-ctx.Done():
		}
	}
	stopped := context.AfterFunc(taking, func() { giveUpAfter(w.cfg.DrainTimeout) })
	lost := context.AfterFunc(ended, func() { giveUpAfter(min(w.cfg.DrainTimeout, w.cfg.SessionTimeout)) })
	return ctx, func() {
		stopped()
		lost()
		cancel(nil)
	}
}

// open takes the partition over and finds out where to begin. The order matters: once the outbox is open, no owner
// before can publish any more, and only then is what it has committed final.
func (w *worker) open(ctx context.Context) (offset int64, err error) {
	if err := w.cfg.retry(ctx, w.log, stageOpen, func(int) error {
		w.outbox, err = w.cfg.OpenOutbox(ctx, w.of)
		return err
	}); err != nil {
		return 0, err
	}
	err = w.cfg.retry(ctx, w.log, stageOpen, func(int) error {
		r, err := w.resume(ctx)
		offset, w.fence, w.known = r.offset, r.fence, r.known
		return err
	})
	return offset, err
}

// resume looks up how far the partition was read, and sets the fence where it must be moved.
func (w *worker) resume(ctx context.Context) (resumption, error) {
	var p position
	var err error
	if p.committed, err = w.outbox.Committed(ctx); err != nil {
		return resumption{}, err
	}
	// The fence first: its last owner may still move it on, and the log's end is to be no older.
	if p.fence, p.fenced, err = w.cfg.Events.fences().Fence(ctx, w.cfg.Topic, w.partition); err != nil {
		return resumption{}, err
	}
	if p.first, p.last, err = sourceOf(w.cfg, w.partition).Bounds(ctx); err != nil {
		return resumption{}, err
	}
	r := resume(p)
	if r.note != "" {
		w.log.Error(r.note, "committed", p.committed, "fence", p.fence, "first", p.first, "last", p.last, keyOffset, r.offset)
	}
	for _, g := range r.gaps {
		if err := noteGap(ctx, w.cfg, w.log, w.partition, g); err != nil {
			return resumption{}, err
		}
	}
	if r.moved {
		err = w.cfg.Events.fences().MoveFence(ctx, w.cfg.Topic, w.partition, p.seen(), r.fence)
	}
	return r, err
}

// noteGap records a gap in the ledger and, if it was not known, in the log and with the observer.
func noteGap(ctx context.Context, cfg *Config, log *slog.Logger, partition int, g schemas.Gap) error {
	g.Topic, g.Partition = cfg.Topic, partition
	isNew, err := cfg.Events.fences().NoteGap(ctx, g)
	if err != nil || !isNew {
		return err
	}
	log.Error(gapNotes[g.Reason], keyReason, string(g.Reason), keyFrom, g.From, keyTo, g.To, keyCount, g.To-g.From)
	cfg.observer().Lost(g.Reason, g.To-g.From)
	return nil
}

// consume takes batch after batch. The fetcher reads one ahead meanwhile.
func (w *worker) consume(taking, finishing context.Context, offset int64) error {
	free, ready := make(chan *batch, 2), make(chan *batch)
	free <- new(batch)
	free <- new(batch)
	fetching, stopFetching := context.WithCancel(taking)
	fetched := make(chan error, 1)
	f := &fetcher{cfg: w.cfg, log: w.log, partition: w.partition, offset: offset}
	var fetcher sync.WaitGroup
	fetcher.Go(func() { fetched <- f.run(fetching, free, ready) })
	defer fetcher.Wait()
	defer stopFetching()

	for {
		w.watch.enter(w.partition, stageIdle)
		select {
		case <-taking.Done():
			return nil
		case err := <-fetched:
			return err
		case b := <-ready:
			if err := w.finish(finishing, b); err != nil {
				return err
			}
			free <- b
		}
	}
}

// finish sees a batch through: settled in the ledger, then published and committed, reported.
func (w *worker) finish(ctx context.Context, b *batch) error {
	w.times = Times{}
	began := time.Now()
	w.watch.enter(w.partition, stageSettle)
	if err := w.settle(ctx, b); err != nil {
		return err
	}
	w.watch.enter(w.partition, stagePublish)
	if err := w.publish(ctx, b.next); err != nil {
		return err
	}
	spend(&w.times.Whole, began)
	w.cfg.observer().Finished(&Report{Partition: w.partition, Next: b.next, Outcomes: w.outcomes, Published: w.cfg.Now(), Times: w.times})
	return nil
}

// publish sends what the batch came to and commits its offset.
func (w *worker) publish(ctx context.Context, next int64) error {
	for i := range w.outcomes {
		if out := &w.outcomes[i]; out.Decision != nil || out.Rejection != nil { // stored feedback leaves nothing
			w.outbox.Add(out)
		}
	}
	return w.cfg.retry(ctx, w.log, stagePublish, func(int) error {
		defer spend(&w.times.Publish, time.Now())
		return w.outbox.Flush(ctx, next)
	})
}
