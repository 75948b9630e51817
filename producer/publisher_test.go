package producer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/devstack"
	"recstream/schemas"
)

// runPublisher returns a publisher to the results' topic that runs until the test ends.
func runPublisher(t *testing.T, broker *devstack.Broker) *Publisher {
	t.Helper()
	p := NewPublisher(PublisherConfig{Config: newProducer(t, broker).cfg, Topic: results, Now: time.Now})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	return p
}

func asked(i int) Event {
	return Event{ID: fmt.Sprint("r", i), Type: schemas.TypeRequest, Key: fmt.Appendf(nil, "u%d", i%7), Value: fmt.Appendf(nil, "value %d", i)}
}

// TestPublishedTogether has a write held up while others come: all of those leave in one request a partition.
func TestPublishedTogether(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	p := runPublisher(t, broker)
	must(t, p.Publish(deadline(t), asked(0)))

	const senders = 200
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	broker.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.Cluster().KeepControl()
		once.Do(func() {
			close(held)
			broker.Cluster().SleepControl(func() { <-release })
		})
		return nil, nil, false
	})
	writes := broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Observe: true, Count: -1})
	var sending sync.WaitGroup
	errs := make([]error, senders)
	sending.Go(func() { errs[0] = p.Publish(deadline(t), asked(1)) })
	<-held
	for i := 1; i < senders; i++ {
		sending.Go(func() { errs[i] = p.Publish(deadline(t), asked(i+1)) })
	}
	for ctx := deadline(t); len(p.letters) < senders-1; {
		if ctx.Err() != nil {
			t.Fatalf("%d events wait, want %d", len(p.letters), senders-1)
		}
	}
	close(release)
	sending.Wait()
	must(t, errors.Join(errs...))
	if n := writes.Hits(); n > 1+6 {
		t.Errorf("%d writes of %d events that waited together, want one a partition", n, senders)
	}
	seen := map[string]bool{}
	for _, r := range records(t, broker, results, senders+1) {
		h := headerMap(r)
		seen[h[schemas.HeaderID]] = true
		if h[schemas.HeaderType] != schemas.TypeRequest || h[schemas.HeaderSource] != "/recstream/test" ||
			h[schemas.HeaderContentType] != schemas.ContentTypeJSON || h[schemas.HeaderTime] == "" || len(h) != 6 {
			t.Fatalf("headers %v", h)
		}
		want := kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: r.Key}, 0, 1, 2, 3, 4, 5)
		if int(r.Partition) != want {
			t.Errorf("key %s is in partition %d, want %d", r.Key, r.Partition, want)
		}
	}
	if len(seen) != senders+1 {
		t.Errorf("%d different events, want %d", len(seen), senders+1)
	}
}

func TestTraceParentIsHandedOn(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	p := runPublisher(t, broker)
	ev := asked(1)
	ev.TraceParent = "00-1-2-01"
	must(t, p.Publish(deadline(t), ev))
	if h := headerMap(records(t, broker, results, 1)[0]); h[schemas.HeaderTraceParent] != ev.TraceParent {
		t.Errorf("headers %v", h)
	}
}

// TestPublishWhileTheBrokerIsAway wants an error within the caller's time, and no copy later of what failed.
func TestPublishWhileTheBrokerIsAway(t *testing.T) {
	dir := t.TempDir()
	broker := startBroker(t, devstack.BrokerOptions{DataDir: dir})
	p := runPublisher(t, broker)
	must(t, p.Publish(deadline(t), asked(0)))
	var port int
	if _, err := fmt.Sscanf(broker.Addr()[0], "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	broker.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := p.Publish(ctx, asked(1)); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("error %v after %s, want one soon", err, time.Since(began))
	}
	broker = startBroker(t, devstack.BrokerOptions{DataDir: dir, Port: port})
	for ctx := deadline(t); p.Publish(ctx, asked(2)) != nil; {
		if ctx.Err() != nil {
			t.Fatal("never published again")
		}
	}
	list := records(t, broker, results, 2)
	for _, r := range list {
		if id := headerMap(r)[schemas.HeaderID]; id == "r1" {
			t.Error("what nobody waits for any more was published")
		}
	}
}

// TestPublishThroughTrouble has the broker refuse for a while what a publisher needs.
func TestPublishThroughTrouble(t *testing.T) {
	for name, fault := range map[string]kfake.Fault{
		"producer id": {Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.CoordinatorLoadInProgress, Count: 3},
		"write":       {Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: 3},
	} {
		t.Run(name, func(t *testing.T) {
			broker := startBroker(t, devstack.BrokerOptions{})
			p := runPublisher(t, broker)
			refusals := broker.Cluster().Fault(fault)
			must(t, p.Publish(deadline(t), asked(1)))
			records(t, broker, results, 1)
			if n := refusals.Hits(); n != 3 {
				t.Errorf("the broker refused %d times, want 3", n)
			}
		})
	}
}

// TestPublishToATopicMadeAnew has another number of partitions.
func TestPublishToATopicMadeAnew(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	p := runPublisher(t, broker)
	for i := range 20 {
		must(t, p.Publish(deadline(t), asked(i)))
	}
	must(t, broker.Cluster().DeleteTopic(results))
	must(t, broker.Cluster().CreateTopic(results, 1, nil))
	for i := range 20 {
		must(t, p.Publish(deadline(t), asked(i)))
	}
}

func TestPublisherThatHasEnded(t *testing.T) {
	p := NewPublisher(PublisherConfig{Topic: results, Now: time.Now})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Run(ctx)
	for range 3 { // whichever of the ready cases is chosen
		if err := p.Publish(deadline(t), asked(0)); !errors.Is(err, ErrPublisherClosed) {
			t.Errorf("error %v", err)
		}
	}
}

// TestEventThatTheTopicRefuses goes out together with others: it fails alone and at once, and the others arrive in
// order, those of its own partition too.
func TestEventThatTheTopicRefuses(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	limit(t, broker, results, "20000")
	p := NewPublisher(PublisherConfig{Config: newProducer(t, broker).cfg, Topic: results, Now: time.Now})
	const events = 60
	isLarge := func(i int) bool { return i%10 == 3 }
	var batch []*letter
	for i := range events {
		ev := asked(i)
		if isLarge(i) {
			ev.Value = bytes.Repeat([]byte("x"), 30000)
		}
		batch = append(batch, &letter{ctx: deadline(t), event: ev, sent: make(chan error, 1)})
		p.letters <- batch[i]
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	for i, l := range batch {
		select {
		case err := <-l.sent:
			if errors.Is(err, ErrTooLarge) != isLarge(i) || isLarge(i) != errors.Is(err, kafka.MessageSizeTooLarge) || !isLarge(i) && err != nil {
				t.Errorf("event %d: %v", i, err)
			}
		case <-l.ctx.Done():
			t.Fatalf("event %d: not before the deadline", i)
		}
	}
	if err := p.Publish(deadline(t), asked(events)); err != nil {
		t.Errorf("the next one: %v", err)
	}
	cancel()
	running.Wait()
	for to, l := range p.outbox.targets {
		if l.limit != defaultBatchBytes {
			t.Errorf("batches to %v are of %d bytes from now on, for the sake of events that were refused", to, l.limit)
		}
	}
	last := map[string]int{}
	for _, r := range records(t, broker, results, events-events/10+1) {
		var n int
		if _, err := fmt.Sscanf(headerMap(r)[schemas.HeaderID], "r%d", &n); err != nil || n < last[string(r.Key)] {
			t.Errorf("event %d of user %s comes after event %d: %v", n, r.Key, last[string(r.Key)], err)
		}
		last[string(r.Key)] = n
	}
}

// TestTopicThatTakesMore has an operator raise the limit meanwhile.
func TestTopicThatTakesMore(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	limit(t, broker, results, "2000")
	p := runPublisher(t, broker)
	must(t, p.Publish(deadline(t), asked(0)))
	large := asked(1)
	large.Value = bytes.Repeat([]byte("x"), 3000)
	for range 2 {
		if err := p.Publish(deadline(t), large); !errors.Is(err, ErrTooLarge) {
			t.Errorf("error %v, want %v", err, ErrTooLarge)
		}
	}
	limit(t, broker, results, "100000")
	must(t, p.Publish(deadline(t), large))
	records(t, broker, results, 2)
}
