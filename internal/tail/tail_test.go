package tail

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"recstream/internal/devstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "results"

// follower is a tail that runs, and what it has handed on.
type follower struct {
	*Tail
	unwanted atomic.Bool
	mu       sync.Mutex
	values   []string
}

func follow(t *testing.T, addr []string) *follower {
	t.Helper()
	transport := &kafka.Transport{MetadataTTL: 50 * time.Millisecond}
	f := &follower{Tail: New(Config{Client: &kafka.Client{Addr: kafka.TCP(addr...), Transport: transport}, Topic: topic,
		MaxBytes: 1 << 20, MaxWait: 50 * time.Millisecond, Timeout: 2 * time.Second, Refresh: 20 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler)})}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx, func() bool { return !f.unwanted.Load() }, f.take) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		transport.CloseIdleConnections()
	})
	return f
}

func (f *follower) take(value []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values = append(f.values, string(value))
}

// await waits until exactly those values have come, in any order.
func (f *follower) await(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	eventually(t, fmt.Sprint(want), func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		got = slices.Sorted(slices.Values(f.values))
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Fatalf("values %v, want %v", got, want)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not before the deadline", what)
		}
	}
}

func startBroker(t *testing.T, o devstack.BrokerOptions) *devstack.Broker {
	t.Helper()
	o.Topics = map[string]int{topic: 3}
	broker, err := devstack.StartBroker(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker
}

func write(t *testing.T, broker *devstack.Broker, values ...string) {
	t.Helper()
	client := newWriter(t, broker)
	for _, v := range values {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func newWriter(t *testing.T, broker *devstack.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(broker.Addr()...), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestFollowsFromTheEnd(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	write(t, broker, "old", "old", "old", "old")
	f := follow(t, broker.Addr())
	eventually(t, "all partitions read", f.Whole)
	write(t, broker, "a", "b", "c", "d", "e")
	f.await(t, "a", "b", "c", "d", "e")
}

func TestAbortedRecordsAreNotSeen(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	f := follow(t, broker.Addr())
	eventually(t, "all partitions read", f.Whole)
	client := newWriter(t, broker, kgo.TransactionalID("x"))
	for value, commit := range map[string]kgo.TransactionEndTry{"aborted": kgo.TryAbort, "committed": kgo.TryCommit} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	write(t, broker, "x", "y", "z")
	f.await(t, "committed", "x", "y", "z")
}

func TestUnwantedRecordsArePassedOver(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	f := follow(t, broker.Addr())
	eventually(t, "all partitions read", f.Whole)
	f.unwanted.Store(true)
	write(t, broker, "u", "v", "w")
	ends := func() (n int64) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return int64(len(f.values))
	}
	f.unwanted.Store(false)
	write(t, broker, "x", "y", "z") // one a partition, behind those
	eventually(t, "the wanted ones", func() bool { return ends() >= 3 })
}

func TestNewPartitionIsReadFromItsBeginning(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	f := follow(t, broker.Addr())
	eventually(t, "all partitions read", f.Whole)
	_, err := f.cfg.Client.CreatePartitions(t.Context(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 4}}})
	if err != nil {
		t.Fatal(err)
	}
	client := newWriter(t, broker)
	for i := range 4 {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	f.await(t, "0", "1", "2", "3")
}

// TestBrokerThatWasAway wants the tail to know that it is blind, and to miss nothing of what the broker kept.
func TestBrokerThatWasAway(t *testing.T) {
	dir := t.TempDir()
	broker := startBroker(t, devstack.BrokerOptions{DataDir: dir})
	f := follow(t, broker.Addr())
	eventually(t, "all partitions read", f.Whole)
	var port int
	if _, err := fmt.Sscanf(broker.Addr()[0], "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	write(t, broker, "before")
	f.await(t, "before")
	broker.Close()
	eventually(t, "blind", func() bool { return !f.Whole() })
	broker = startBroker(t, devstack.BrokerOptions{DataDir: dir, Port: port})
	write(t, broker, "later")
	f.await(t, "before", "later")
	eventually(t, "all partitions read", f.Whole)
}

func TestTopicMadeAnew(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	f := follow(t, broker.Addr())
	eventually(t, "all partitions read", f.Whole)
	write(t, broker, "a", "b", "c")
	f.await(t, "a", "b", "c")
	if err := broker.Cluster().DeleteTopic(topic); err != nil {
		t.Fatal(err)
	}
	eventually(t, "blind", func() bool { return !f.Whole() })
	if err := broker.Cluster().CreateTopic(topic, 2, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two partitions read", func() bool { return f.Whole() && f.partitionsRead() == 2 })
	write(t, broker, "d")
	f.await(t, "a", "b", "c", "d")
}

func (f *follower) partitionsRead() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Tail.mu.Lock()
	defer f.Tail.mu.Unlock()
	return len(f.readers)
}
