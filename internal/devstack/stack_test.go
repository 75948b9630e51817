package devstack

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// deadline is how long a test waits for a server: far more than it needs.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the condition holds.
func eventually(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not before the deadline", what)
		}
	}
}

func listening(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// needServer skips what cannot run for want of a server, with its own words; other errors fail.
func needServer(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrNoPostgres) || errors.Is(err, ErrNoKafka) {
		t.Skip(err)
	}
	must(t, err)
}

// kafkaWorks makes a topic, writes to it, and reads it back as a member of a consumer group.
func kafkaWorks(ctx context.Context, t *testing.T, addr, topic string) {
	t.Helper()
	makeTopic(ctx, t, addr, topic)
	write(ctx, t, addr, topic, "one")
	if got := join(ctx, t, addr, topic); len(got) != 2 {
		t.Errorf("the group's one member has partitions %v, want both", got)
	}
	if got := readAll(ctx, t, addr, topic, 1); got[0] != "one" {
		t.Errorf("read %q, want one", got)
	}
}

func makeTopic(ctx context.Context, t *testing.T, addr, topic string) {
	t.Helper()
	res, err := newClient(t, addr).CreateTopics(ctx, &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 2, ReplicationFactor: 1}},
	})
	must(t, err)
	must(t, res.Errors[topic])
}

func newClient(t *testing.T, addr string) *kafka.Client {
	t.Helper()
	transport := &kafka.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &kafka.Client{Addr: kafka.TCP(addr), Transport: transport}
}

// write sends a value to partition 0, again while the partition has no leader yet.
func write(ctx context.Context, t *testing.T, addr, topic, value string) {
	t.Helper()
	client := newClient(t, addr)
	eventually(ctx, t, "write", func() bool {
		res, err := client.Produce(ctx, &kafka.ProduceRequest{
			Topic: topic, RequiredAcks: kafka.RequireAll,
			Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte(value))}),
		})
		if err == nil {
			err = res.Error
		}
		var refused kafka.Error
		if err != nil && !(errors.As(err, &refused) && refused.Temporary()) {
			t.Fatalf("write: %v", err)
		}
		return err == nil
	})
}

// readAll reads n values from the start of partition 0.
func readAll(ctx context.Context, t *testing.T, addr, topic string, n int) []string {
	t.Helper()
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{addr}, Topic: topic, MaxWait: 100 * time.Millisecond})
	defer r.Close()
	var values []string
	for range n {
		m, err := r.ReadMessage(ctx)
		must(t, err)
		values = append(values, string(m.Value))
	}
	return values
}

// join joins a group and returns the partitions that it gets.
func join(ctx context.Context, t *testing.T, addr, topic string) []kafka.PartitionAssignment {
	t.Helper()
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: "group-" + topic, Brokers: []string{addr}, Topics: []string{topic}, JoinGroupBackoff: 200 * time.Millisecond,
	})
	must(t, err)
	defer group.Close()
	for {
		generation, err := group.Next(ctx)
		if err == nil {
			return generation.Assignments[topic]
		}
		if ctx.Err() != nil {
			t.Fatalf("join: %v", err) // a coordinator that still loads is asked again
		}
	}
}
