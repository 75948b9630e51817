package producer

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"recstream/internal/devstack"
	"recstream/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	requests    = "requests"
	results     = "results"
	deadLetters = "dead-letters"
)

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startBroker starts an embedded broker with six partitions for results and three for dead letters.
func startBroker(t testing.TB, o devstack.BrokerOptions) *devstack.Broker {
	t.Helper()
	o.Topics = map[string]int{requests: 3, results: 6, deadLetters: 3}
	broker, err := devstack.StartBroker(o)
	must(t, err)
	t.Cleanup(broker.Close)
	return broker
}

func newProducer(t testing.TB, broker *devstack.Broker) *Producer {
	transport := &kafka.Transport{MetadataTTL: 100 * time.Millisecond}
	t.Cleanup(transport.CloseIdleConnections)
	return New(Config{
		Client:  &kafka.Client{Addr: kafka.TCP(broker.Addr()...), Transport: transport},
		Results: results, DeadLetters: deadLetters, Source: "/recstream/test", Timeout: 2 * time.Second,
	})
}

func openOutbox(t testing.TB, broker *devstack.Broker) *Outbox {
	t.Helper()
	o, err := newProducer(t, broker).Open(deadline(t), assigned)
	must(t, err)
	return o
}

// assigned is the partition that outboxes are for. Its member is of no group, which brokers take for an offset that
// somebody sets by hand.
var assigned = schemas.Assignment{Group: "recstream", Generation: -1, Topic: requests, Partition: 2}

// answer is the outcome of a request of a user's.
func answer(user, request string) *schemas.Outcome {
	out := exampleOutcome()
	out.Decision.UserID, out.Decision.RequestID = user, request
	return out
}

// refusal is the outcome of an event that nobody can read.
func refusal(key, value []byte, headers ...schemas.Header) *schemas.Outcome {
	return &schemas.Outcome{
		Message: &schemas.Message{Source: schemas.Source{Topic: "requests", Partition: 2, Offset: 9}, Key: key, Value: value,
			Headers: headers, Time: time.UnixMilli(1_700_000_000_000)},
		Rejection: &schemas.Rejection{Code: "invalid_json", Detail: "is not JSON", Stage: "decode", Attempts: 1, At: time.UnixMilli(1_800_000_000_000)},
	}
}

// flush flushes as a worker does: again, as long as there are errors. It returns how many there were.
func flush(t testing.TB, o *Outbox) (failures int) {
	t.Helper()
	ctx := deadline(t)
	for {
		err := o.Flush(ctx, 1)
		if err == nil {
			return failures
		}
		failures++
		var e *Error
		if ctx.Err() != nil || errors.As(err, &e) && !e.Transient() {
			t.Fatalf("flush %d: %v", failures, err)
		}
	}
}

// records reads n records of a topic, and makes sure that there are no more.
func records(t testing.TB, broker *devstack.Broker, topic string, n int) (list []*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()...), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(10*time.Millisecond),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	must(t, err)
	defer client.Close()
	for ctx := deadline(t); len(list) < n; {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			t.Fatalf("%d of %d records: %v", len(list), n, err)
		}
		list = append(list, fetched.Records()...)
	}
	if end := written(t, broker, topic); end != int64(n) {
		t.Errorf("%s has %d records, want %d", topic, end, n)
	}
	return list
}

// written returns how many records were ever written to a topic.
func written(t testing.TB, broker *devstack.Broker, topic string) (n int64) {
	t.Helper()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(broker.Addr()...), Transport: transport}
	var ask []kafka.OffsetRequest
	for partition := range 6 {
		if topic == results || partition < 3 {
			ask = append(ask, kafka.LastOffsetOf(partition))
		}
	}
	res, err := client.ListOffsets(deadline(t), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: ask}})
	must(t, err)
	for _, p := range res.Topics[topic] {
		must(t, p.Error)
		n += p.LastOffset
	}
	return n
}

func headerMap(r *kgo.Record) map[string]string {
	m := map[string]string{}
	for _, h := range r.Headers {
		m[h.Key] = string(h.Value)
	}
	return m
}

// cloudEventHeaders is how many headers a dead letter gets whose event is no CloudEvent.
const cloudEventHeaders = 5
