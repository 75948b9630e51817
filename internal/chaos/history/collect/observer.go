package collect

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/internal/chaos/history"
)

// Observer looks on at one run.
type Observer struct {
	kafka *Kafka
	db    *pgxpool.Pool
	run   history.Run
	now   func() time.Time
}

// NewObserver returns an observer of a run.
func NewObserver(kafka *Kafka, db *pgxpool.Pool, run history.Run) *Observer {
	return &Observer{kafka: kafka, db: db, run: run, now: time.Now}
}

// stream is a group with the topic that it reads.
type stream struct{ group, topic string }

// streams are those of the run; one without a topic is not there.
func (o *Observer) streams() (list []stream) {
	for _, s := range []stream{{o.run.Groups.Requests, o.run.Topics.Requests}, {o.run.Groups.Feedback, o.run.Topics.Feedback}} {
		if s.topic != "" {
			list = append(list, s)
		}
	}
	return list
}

// Observe looks once at every partition of the input topics. Committed offsets are read before fences, and those
// before the logs' ends: each only grows, so what is read later is not less.
func (o *Observer) Observe(ctx context.Context) ([]history.Progress, error) {
	var seen []history.Progress
	for _, s := range o.streams() {
		list, err := o.observe(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("observe %s: %w", s.topic, err)
		}
		seen = append(seen, list...)
	}
	return seen, nil
}

func (o *Observer) observe(ctx context.Context, s stream) ([]history.Progress, error) {
	counts, err := o.kafka.partitions(ctx, []string{s.topic})
	if err != nil {
		return nil, err
	}
	committed, err := o.kafka.committed(ctx, s.group, s.topic, counts[s.topic])
	if err != nil {
		return nil, err
	}
	fences, err := fences(ctx, o.db, s.group, s.topic)
	if err != nil {
		return nil, err
	}
	ends, err := o.kafka.list(ctx, []string{s.topic}, latest, Uncommitted)
	if err != nil {
		return nil, err
	}
	at := o.now().UTC()
	list := make([]history.Progress, counts[s.topic])
	for p := range list {
		list[p] = history.Progress{At: at, Group: s.group, Topic: s.topic, Partition: p,
			Committed: known(committed, p), Fence: known(fences, p), End: ends[home{s.topic, p}]}
	}
	return list, nil
}

func known(offsets map[int]int64, partition int) int64 {
	if at, ok := offsets[partition]; ok {
		return at
	}
	return history.None
}

// Watch observes again and again until it is stopped.
type Watch struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing is observed any more; what it saw is to be read then
	seen   []history.Progress
	looks  int // that succeeded
}

// roundTime is what one look may take while servers are away.
const roundTime = 2 * time.Second

// Watch begins to observe, so often. What cannot be seen, since a server is away, is looked at the next time. Only
// changes are kept. Call Stop, and see by Looks that it was not blind.
func (o *Observer) Watch(every time.Duration) *Watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watch{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		o.watch(ctx, every, w)
	}()
	return w
}

func (o *Observer) watch(ctx context.Context, every time.Duration, w *Watch) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last := map[home]history.Progress{}
	for {
		round, cancel := context.WithTimeout(ctx, roundTime)
		seen, err := o.Observe(round)
		cancel()
		if err == nil {
			w.looks++
		}
		for _, p := range seen {
			at := home{p.Topic, p.Partition}
			if before, some := last[at]; !some || changed(before, p) {
				w.seen = append(w.seen, p)
			}
			last[at] = p
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// changed leaves out only what can break no rule that the observation before did not: a log that has grown.
func changed(before, p history.Progress) bool {
	return p.Committed != before.Committed || p.Fence != before.Fence || p.End < before.End
}

// Stop ends the watch and returns what it saw, in order.
func (w *Watch) Stop() []history.Progress {
	w.cancel()
	<-w.done
	return w.seen
}

// Looks ends the watch and returns how many of its looks succeeded, each of them at every partition.
func (w *Watch) Looks() int {
	w.Stop()
	return w.looks
}

// AwaitEnd waits until all that was published is committed and fenced, or ctx ends.
func (o *Observer) AwaitEnd(ctx context.Context) error {
	return await(ctx, func() (state string, err error) {
		round, cancel := context.WithTimeout(ctx, roundTime)
		defer cancel()
		for _, s := range o.streams() {
			logs, err := o.kafka.Bounds(round, s.topic)
			if err != nil {
				return "", err
			}
			seen, err := o.observe(round, s)
			if err != nil {
				return "", err
			}
			for i, l := range logs {
				if p := seen[i]; l.First < l.End && (p.Committed < l.End || p.Fence < l.End) {
					return fmt.Sprintf("%s/%d: committed %d, fence %d of %d", l.Topic, l.Partition, p.Committed, p.Fence, l.End), nil
				}
			}
		}
		return "", nil
	})
}

// Complete fills in what the servers hold at the end of a run: logs, rows, commits, results in both views, dead letters, and
// a last observation behind those that are there. What was published, gaps and notes are the caller's to say.
func (o *Observer) Complete(ctx context.Context, h *history.History) error {
	h.Run = o.run
	last, err := o.Observe(ctx)
	if err != nil {
		return err
	}
	h.Progress = append(h.Progress, last...)
	var topics []string
	for _, s := range o.streams() {
		topics = append(topics, s.topic)
	}
	if h.Logs, err = o.kafka.Bounds(ctx, topics...); err != nil {
		return err
	}
	if h.Decisions, err = Decisions(ctx, o.db); err != nil {
		return err
	}
	if h.Outcomes, err = Outcomes(ctx, o.db); err != nil {
		return err
	}
	if h.Profiles, err = Profiles(ctx, o.db); err != nil {
		return err
	}
	if h.Popularity, err = Popularity(ctx, o.db); err != nil {
		return err
	}
	if h.Commits, err = o.commits(ctx); err != nil {
		return err
	}
	return o.emitted(ctx, h)
}

// emitted reads what recstream wrote to Kafka.
func (o *Observer) emitted(ctx context.Context, h *history.History) error {
	_, err := o.kafka.Read(ctx, o.run.Topics.Results, Committed, func(r *kgo.Record) {
		h.Results = append(h.Results, Emitted(r))
	})
	if err != nil {
		return err
	}
	_, err = o.kafka.Read(ctx, o.run.Topics.Results, Uncommitted, func(r *kgo.Record) {
		h.Raw = append(h.Raw, emission(r))
	})
	if err != nil {
		return err
	}
	_, err = o.kafka.Read(ctx, o.run.Topics.DeadLetters, Committed, func(r *kgo.Record) {
		h.DeadLetters = append(h.DeadLetters, Emitted(r))
	})
	return err
}

// emission is what a history keeps of a record in the view without isolation.
func emission(r *kgo.Record) history.Emission {
	e := history.Emission{Place: placeOf(r), Digest: history.DigestOf(r.Value)}
	for _, h := range r.Headers {
		if h.Key == "ce_id" {
			e.ID = string(h.Value)
		}
	}
	return e
}

// Emitted is a record as a history has it.
func Emitted(r *kgo.Record) history.Emitted {
	e := history.Emitted{Place: placeOf(r), Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		e.Headers = append(e.Headers, history.Header{Key: h.Key, Value: h.Value})
	}
	return e
}

func placeOf(r *kgo.Record) history.Place {
	return history.Place{Topic: r.Topic, Partition: int(r.Partition), Offset: r.Offset}
}
