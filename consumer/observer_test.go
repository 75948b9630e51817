package consumer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/internal/devstack"
	"recstream/schemas"
)

// witness notes what it is told.
type witness struct {
	mu        sync.Mutex
	joined    []int
	opened    map[int]int64 // offset of each partition in hand
	decided   []string      // request ids
	repeated  []string
	rejected  []string // codes
	stored    int      // feedback
	next      int64    // of the last report
	times     Times    // sums
	published []time.Time
	retried   []string
	stalled   []string
	lost      map[schemas.GapReason]int64
}

func (w *witness) lock() func() {
	w.mu.Lock()
	return w.mu.Unlock
}

func (w *witness) Joined(partitions int) {
	defer w.lock()()
	w.joined = append(w.joined, partitions)
}

func (w *witness) Opened(partition int, offset int64) {
	defer w.lock()()
	if w.opened == nil {
		w.opened = map[int]int64{}
	}
	w.opened[partition] = offset
}

func (w *witness) Closed(partition int) {
	defer w.lock()()
	delete(w.opened, partition)
}

func (w *witness) Finished(r *Report) {
	defer w.lock()()
	for i := range r.Outcomes {
		switch out := &r.Outcomes[i]; {
		case out.Rejection != nil:
			w.rejected = append(w.rejected, out.Rejection.Code)
		case out.Decision == nil:
			w.stored++
		case Decided(out):
			w.decided = append(w.decided, out.Decision.RequestID)
		default:
			w.repeated = append(w.repeated, out.Decision.RequestID)
		}
	}
	w.next = r.Next
	w.published = append(w.published, r.Published)
	for i, t := range r.Times.all() {
		*w.times.all()[i] += *t
	}
}

func (t *Times) all() []*time.Duration {
	return []*time.Duration{&t.Decode, &t.Lookup, &t.Decide, &t.Store, &t.Publish, &t.Whole}
}

func (w *witness) Retried(stage string) {
	defer w.lock()()
	w.retried = append(w.retried, stage)
}

func (w *witness) Stalled(stage string) {
	defer w.lock()()
	w.stalled = append(w.stalled, stage)
}

func (w *witness) Lost(reason schemas.GapReason, events int64) {
	defer w.lock()()
	if w.lost == nil {
		w.lost = map[schemas.GapReason]int64{}
	}
	w.lost[reason] += events
}

func (w *witness) reports() int {
	defer w.lock()()
	return len(w.published)
}

func TestObserverSeesEachEventOnceThroughTrouble(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"), event("b"), &kgo.Record{Value: []byte("{")}, event("a"), event("c"))
	s, w := newInstance(t, broker), new(witness)
	s.cfg.Observer = w
	s.ledger.record = func(_ context.Context, n int, _ schemas.Batch) (bool, error) {
		if n == 1 {
			return true, errTransient // stored, and the answer lost
		}
		return true, nil
	}
	failed := false
	s.onFlush(func() error {
		if !failed {
			failed = true
			return errTransient
		}
		return nil
	})
	s.start(t)
	s.answers(t, 5)
	eventually(t, "the batch's report", func() bool { return w.reports() > 0 })
	w.mu.Lock()
	if !slices.Equal(w.joined, []int{1}) || w.opened[0] != 0 || len(w.opened) != 1 {
		t.Errorf("joined %v, in hand %v; want one partition, at offset 0", w.joined, w.opened)
	}
	w.mu.Unlock()
	s.stopped(t)

	if got := fmt.Sprint(w.decided, w.repeated, w.rejected, w.stored, w.next); got != "[a b c] [a] [invalid_json] 0 5" {
		t.Errorf("reported %s", got)
	}
	if !slices.Contains(w.retried, stageStore) || !slices.Contains(w.retried, stagePublish) {
		t.Errorf("retried %v, want store and publish among them", w.retried)
	}
	parts := time.Duration(0)
	for i, d := range w.times.all()[:5] {
		if *d <= 0 {
			t.Errorf("stage %d of %+v took no time", i, w.times)
		}
		parts += *d
	}
	if w.times.Whole < parts {
		t.Errorf("the whole took less than its parts: %+v", w.times)
	}
	if len(w.opened) != 0 {
		t.Errorf("after the end %v are in hand", w.opened)
	}
}

func TestObserverSeesFeedback(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), &kgo.Record{Value: []byte(`{"request_id":"r","item_id":"i","action":"click"}`)},
		&kgo.Record{Value: []byte(`{"request_id":"r","item_id":"i","action":"frown"}`)})
	s, w := newInstance(t, broker), new(witness)
	s.cfg.Observer = w
	s.cfg.Events = Feedback{Ledger: newFeedbackStore()}
	s.start(t)
	eventually(t, "both events", func() bool {
		defer w.lock()()
		return w.stored+len(w.rejected) == 2
	})
	s.stopped(t)
	if w.stored != 1 || !slices.Equal(w.rejected, []string{schemas.CodeUnknownValue}) || w.times.Decide != 0 || w.times.Store <= 0 {
		t.Errorf("stored %d, rejected %v, times %+v", w.stored, w.rejected, w.times)
	}
}

// TestObserverHearsOfLostEvents begins behind the log's start, as after a long stop.
func TestObserverHearsOfLostEvents(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"), event("b"), event("c"))
	first := newInstance(t, broker)
	first.start(t)
	first.answers(t, 3)
	first.stopped(t)
	write(t, writer(t, broker), event("d"), event("e"), event("f"))
	must(t, broker.Cluster().DeleteRecords(topic, 0, 5))

	s, w := newInstance(t, broker), new(witness)
	s.cfg.Observer, s.ledger = w, first.ledger
	s.start(t)
	s.answers(t, 1)
	s.stopped(t)
	if want := map[schemas.GapReason]int64{schemas.GapRetention: 2}; !maps.Equal(w.lost, want) {
		t.Errorf("lost %v, want %v", w.lost, want)
	}
}

// TestOffsetSetForwardIsHeardOfAndCanBeSetBack does as an operator does who sets a stopped group's offset to the end of a
// partition, and then what the log says is the remedy.
func TestOffsetSetForwardIsHeardOfAndCanBeSetBack(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"), event("b"))
	first := newInstance(t, broker)
	first.start(t)
	first.answers(t, 2)
	eventually(t, "the offset", func() bool { return committedOffset(t, broker, 0) == 2 })
	first.stopped(t)
	write(t, writer(t, broker), event("c"), event("d"), event("e"))

	next := func(offset int64) (*instance, *witness) {
		setOffset(t, broker, offset)
		s, w := newInstance(t, broker), new(witness)
		s.cfg.Observer, s.ledger = w, first.ledger
		s.start(t)
		return s, w
	}
	s, w := next(5)
	write(t, writer(t, broker), event("f"))
	s.answers(t, 1)
	s.stopped(t)
	if want := map[schemas.GapReason]int64{schemas.GapLedgerBehind: 3}; !maps.Equal(w.lost, want) {
		t.Errorf("lost %v, want %v", w.lost, want)
	}
	want := schemas.Gap{Topic: topic, From: 2, To: 5, Reason: schemas.GapLedgerBehind}
	if len(first.ledger.gaps) != 1 || first.ledger.gaps[0] != want {
		t.Errorf("gaps %+v are noted, want %+v", first.ledger.gaps, want)
	}
	if line := "reason=ledger_behind from_offset=2 to_offset=5 count=3"; s.book.Count(line) != 1 || s.book.Count("--reset-offsets") != 1 {
		t.Errorf("log %s lacks %q or the remedy", s.book, line)
	}

	s, w = next(want.From)
	s.answers(t, 4)
	s.stopped(t)
	if got := s.answered(); !slices.Equal(got, []string{"c", "d", "e", "f"}) || len(w.lost) != 0 {
		t.Errorf("after the remedy %v are answered, and lost %v", got, w.lost)
	}
}

// setOffset sets the offset of a group without members, as an operator's tool does.
func setOffset(t *testing.T, broker *devstack.Broker, offset int64) {
	t.Helper()
	res, err := newClient(t, broker).OffsetCommit(deadline(t), &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: offset}}}})
	must(t, err)
	must(t, res.Topics[topic][0].Error)
}
