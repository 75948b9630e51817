package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/devstack"
	"recstream/schemas"
)

func TestServiceAnswersEveryEventInOrderAndCommits(t *testing.T) {
	broker := startBroker(t, 3, devstack.BrokerOptions{})
	w := writer(t, broker)
	want := map[int32][]string{}
	send := func(from, to int) {
		for i := from; i < to; i++ {
			id, partition := fmt.Sprint("r", i), int32(i%3)
			r := event(id)
			r.Partition = partition
			if i%10 == 7 {
				r.Value, id = []byte(`{`), "invalid_json"
			}
			write(t, w, r)
			want[partition] = append(want[partition], id)
		}
	}
	send(0, 60)
	s := newInstance(t, broker)
	s.cfg.BatchRecords = 7
	s.start(t)
	s.answers(t, 60)
	send(60, 120)
	s.answers(t, 120)
	s.stopped(t)
	if n := len(s.answered()); n != 120 || s.ledger.stored() != 108 {
		t.Errorf("%d answers and %d rows, want 120 and 108", n, s.ledger.stored())
	}
	for partition, ids := range want {
		if got := committedOffset(t, broker, int(partition)); got != int64(len(ids)) {
			t.Errorf("partition %d: committed %d, want %d", partition, got, len(ids))
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == "invalid_json" })
		var got []string
		for _, id := range s.answered() {
			if slices.Contains(ids, id) {
				got = append(got, id)
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("partition %d is answered as\n     %v\nwant %v", partition, got, ids)
		}
	}
}

// TestJoined wants a service to be joined once the group's coordinator has answered, and not before.
func TestJoined(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	asked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	broker.Cluster().ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.Cluster().KeepControl()
		once.Do(func() {
			close(asked)
			broker.Cluster().SleepControl(func() { <-release })
		})
		return nil, nil, false
	})
	s := newInstance(t, broker)
	s.start(t)
	within(t, "an attempt to join", asked)
	if s.service.Joined() {
		t.Error("joined before the coordinator answers")
	}
	close(release)
	eventually(t, "joined", s.service.Joined)
}

func TestStopBeforeStart(t *testing.T) {
	s := newInstance(t, startBroker(t, 1, devstack.BrokerOptions{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, New(s.cfg).Run(ctx))
}

func TestStopWhileTheBrokersAreAway(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	s := newInstance(t, broker)
	broker.Close()
	s.start(t)
	eventually(t, "the first failure", func() bool { return s.book.Count("not joined") > 0 })
	s.stopped(t)
}

func TestWrongConfigurationIsAnError(t *testing.T) {
	s := newInstance(t, startBroker(t, 1, devstack.BrokerOptions{}))
	s.cfg.Group = ""
	if err := New(s.cfg).Run(t.Context()); err == nil {
		t.Error("a service without a group runs")
	}
}

// hold makes Record wait; started is closed when it does.
func hold(l *ledger) (started, release chan struct{}) {
	started, release = make(chan struct{}), make(chan struct{})
	l.record = func(ctx context.Context, n int, b schemas.Batch) (bool, error) {
		if n > 1 {
			return true, nil
		}
		close(started)
		select {
		case <-release:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return started, release
}

func TestStopDrainsTheBatchInHand(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"), event("b"))
	s := newInstance(t, broker)
	started, release := hold(s.ledger)
	s.start(t)
	within(t, "the batch", started)
	s.stop()
	select {
	case <-s.ended:
		t.Fatal("the service ended with a batch in hand")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	s.stopped(t)
	if got := s.answered(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("answered %v, want both", got)
	}
	if got := committedOffset(t, broker, 0); got != 2 {
		t.Errorf("committed %d, want 2", got)
	}
}

func TestStopAbandonsWhatHangsAtTheDrainTimeout(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"))
	s := newInstance(t, broker)
	s.cfg.DrainTimeout = 100 * time.Millisecond
	started, _ := hold(s.ledger)
	s.start(t)
	within(t, "the batch", started)
	s.stopped(t)
	if got := s.answered(); len(got) > 0 || committedOffset(t, broker, 0) >= 0 {
		t.Errorf("answered %v, committed %d; want nothing", got, committedOffset(t, broker, 0))
	}
	if s.book.Count("not finished within the drain timeout") == 0 {
		t.Errorf("nothing tells that a batch was abandoned:\n%s", s.book)
	}
	next := newInstance(t, broker)
	next.ledger = s.ledger
	next.start(t)
	next.answers(t, 1)
}

func TestInstanceWithoutPartitions(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	one, other := newInstance(t, broker), newInstance(t, broker)
	other.ledger = one.ledger
	one.start(t)
	other.start(t)
	_, err := broker.Cluster().WaitGroupStable(deadline(t), group, 2)
	must(t, err)
	write(t, writer(t, broker), event("a"))
	eventually(t, "the answer", func() bool { return len(one.answered())+len(other.answered()) == 1 })
	one.stopped(t)
	other.stopped(t)
}

// TestInstancesComeAndGo moves partitions from one to the other while events come in.
func TestInstancesComeAndGo(t *testing.T) {
	broker := startBroker(t, 4, devstack.BrokerOptions{})
	w := writer(t, broker)
	const rounds, events = 4, 600
	shared := newLedger()
	var all []*instance
	for i := range events {
		if i%(events/rounds) == 0 {
			s := newInstance(t, broker)
			s.ledger, s.cfg.BatchRecords = shared, 5
			all = append(all, s)
			s.start(t)
		}
		r := event(fmt.Sprint(i))
		r.Partition = int32(i % 4)
		write(t, w, r)
		if n := len(all); n > 1 && i%(events/rounds) == events/rounds/2 {
			_, err := broker.Cluster().WaitGroupStable(deadline(t), group, 2)
			must(t, err)
			all[n-2].stop()
		}
	}
	eventually(t, "every row", func() bool { return shared.stored() == events })
	eventually(t, "every answer", func() bool {
		seen := map[string]bool{}
		for _, s := range all {
			for _, id := range s.answered() {
				seen[id] = true
			}
		}
		return len(seen) == events
	})
	for _, s := range all {
		s.stopped(t)
	}
	for partition := range 4 {
		if got := committedOffset(t, broker, partition); got != events/4 {
			t.Errorf("partition %d: committed %d, want %d", partition, got, events/4)
		}
	}
}

func TestWorkerThatPanicsTakesItsPartitionUpAgain(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"))
	s := newInstance(t, broker)
	panics := 1
	s.scorer.decide = func(string) error {
		if panics--; panics >= 0 {
			panic("a defect of ours")
		}
		return nil
	}
	s.start(t)
	s.answers(t, 1)
	s.stopped(t)
	if s.book.Count("worker panicked") != 1 {
		t.Errorf("log:\n%s", s.book)
	}
}

func TestTroubleThatStaysCostsOneRebalanceAPause(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"))
	s := newInstance(t, broker)
	var mu sync.Mutex
	var failures []time.Time
	s.onFlush(func() error {
		mu.Lock()
		defer mu.Unlock()
		failures = append(failures, time.Now())
		if len(failures) > 2 {
			return nil
		}
		return errPermanent
	})
	s.start(t)
	s.answers(t, 1)
	s.stopped(t)
	for i := range failures[1:] {
		if gap := failures[i+1].Sub(failures[i]); gap < giveBackPause {
			t.Errorf("taken up again after %s, want a pause of %s", gap, giveBackPause)
		}
	}
	if s.ledger.stored() != 1 || committedOffset(t, broker, 0) != 1 {
		t.Errorf("%d rows, committed %d; want 1 and 1", s.ledger.stored(), committedOffset(t, broker, 0))
	}
}

func TestPublishIsTriedAgain(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"))
	s := newInstance(t, broker)
	failures := 2
	s.onFlush(func() error {
		if failures--; failures >= 0 {
			return errors.New("broker away")
		}
		return nil
	})
	s.start(t)
	s.answers(t, 1)
	s.stopped(t)
	if got := s.answered(); len(got) != 1 {
		t.Errorf("answered %v, want one answer", got)
	}
}

func TestPartitionIsOpenedWhenTheLedgerIsBack(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"))
	s := newInstance(t, broker)
	opened := 0
	s.cfg.OpenOutbox = func(_ context.Context, of schemas.Assignment) (Outbox, error) {
		if opened++; opened < 5 {
			return nil, errors.New("broker away")
		}
		return s.newOutbox(of, nil), nil
	}
	s.start(t)
	s.answers(t, 1)
	s.stopped(t)
	if s.book.Count("given back") > 0 || s.book.Count("stage=open") == 0 {
		t.Errorf("log:\n%s", s.book)
	}
}

func TestRecreatedTopicIsReadFromItsStart(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	w := writer(t, broker)
	write(t, w, event("a"), event("b"), event("c"))
	s := newInstance(t, broker)
	s.start(t)
	s.answers(t, 3)
	must(t, broker.Cluster().DeleteTopic(topic))
	must(t, broker.Cluster().CreateTopic(topic, 1, nil))
	write(t, writer(t, broker), event("new"))
	s.answers(t, 4)
	s.stopped(t)
	if got := s.answered(); !slices.Contains(got, "new") || s.ledger.fence(0) != 1 {
		t.Errorf("answered %v, fence %d; want new, and the fence in the new log", got, s.ledger.fence(0))
	}
}
