package proxy

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/devstack"
)

// kafkas are the servers that the tests run against; each makes one that advertises the proxy, and
// returns its own address.
var kafkas = map[string]func(t *testing.T, advertised string) string{
	"embedded": func(t *testing.T, advertised string) string {
		broker, err := devstack.StartBroker(devstack.BrokerOptions{
			Advertised: []string{advertised},
		})
		must(t, err)
		t.Cleanup(broker.Close)
		return broker.Addr()[0]
	},
	"apache": func(t *testing.T, advertised string) string {
		if testing.Short() {
			t.Skip("starts Apache Kafka, which takes seconds")
		}
		broker, err := devstack.StartKafka(deadline(t), devstack.KafkaOptions{Advertised: advertised})
		if errors.Is(err, devstack.ErrNoKafka) {
			t.Skip(err)
		}
		must(t, err)
		t.Cleanup(func() { must(t, broker.Close()) })
		return broker.Addr()
	},
}

// kafka is a broker behind a proxy.
type kafka struct{ *Proxy }

// client returns a client that writes each record with one request at the most, so that a test
// decides what becomes of it.
func (k *kafka) client(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(k.Addr()),
		kgo.DisableIdempotentWrite(), kgo.RecordRetries(0), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RequestTimeoutOverhead(time.Second), kgo.ProduceRequestTimeout(100*time.Millisecond),
		kgo.FetchMaxWait(100*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	must(t, err)
	t.Cleanup(client.Close)
	return client
}

func makeTopic(ctx context.Context, t *testing.T, client *kgo.Client, name string) {
	t.Helper()
	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	create.Topics = append(create.Topics, topic)
	_, err := create.RequestWith(ctx, client)
	must(t, err)
}

func write(ctx context.Context, client *kgo.Client, topic, value string) error {
	return client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr()
}

// read returns the topic's first n records.
func (k *kafka) read(ctx context.Context, t *testing.T, topic string, n int) (all []string) {
	t.Helper()
	reader := k.client(t, kgo.ConsumeTopics(topic))
	for len(all) < n {
		got := reader.PollFetches(ctx)
		must(t, got.Err())
		got.EachRecord(func(r *kgo.Record) { all = append(all, string(r.Value)) })
	}
	return all
}

func TestKafka(t *testing.T) {
	tests := map[string]Trigger{
		"applied and cut":      {When: AfterResponse, Do: Cut},
		"applied and silenced": {When: AfterResponse, Do: Silence},
		"never sent":           {When: BeforeRequest, Do: Cut},
	}
	for server, open := range kafkas {
		t.Run(server, func(t *testing.T) {
			p := start(t, "", Kafka)
			p.Forward(open(t, p.Addr()))
			for name, trigger := range tests {
				t.Run(name, func(t *testing.T) { produceIsBroken(t, &kafka{p}, trigger) })
			}
			n := p.Counts()
			if n.Cut != 4 || n.Silenced != 2 {
				t.Errorf("counts %+v, want 4 cut and 2 silenced", n)
			}
		})
	}
}

// produceIsBroken loses the answers to two of four writes, or the writes themselves.
func produceIsBroken(t *testing.T, k *kafka, trigger Trigger) {
	ctx := deadline(t)
	client := k.client(t)
	topic := strings.ReplaceAll(path.Base(t.Name()), "_", "-")
	makeTopic(ctx, t, client, topic)
	must(t, write(ctx, client, topic, "before"))
	trigger.Match, trigger.Times = API(kmsg.Produce.Int16()), 2
	armed := k.Arm(trigger)
	want := []string{"before"}
	for _, value := range []string{"one", "two"} {
		if err := write(ctx, client, topic, value); err == nil {
			t.Errorf("the client was told that %s is written", value)
		}
		if trigger.When == AfterResponse {
			want = append(want, value)
		}
	}
	must(t, write(ctx, client, topic, "after"))
	want = append(want, "after")
	if got := k.read(ctx, t, topic, len(want)); !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	if armed.Fired() != 2 {
		t.Errorf("fired %d times, want 2", armed.Fired())
	}
}
