package devstack

import (
	"errors"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func startBroker(t *testing.T, opts BrokerOptions) *Broker {
	t.Helper()
	b, err := StartBroker(opts)
	must(t, err)
	t.Cleanup(b.Close)
	return b
}

func TestBrokerServesGroups(t *testing.T) {
	b := startBroker(t, BrokerOptions{})
	kafkaWorks(deadline(t), t, b.Addr()[0], "films")
}

func TestBrokerMakesOnlyGivenTopics(t *testing.T) {
	b := startBroker(t, BrokerOptions{Brokers: 3, Topics: map[string]int{"films": 6}})
	if len(b.Addr()) != 3 {
		t.Fatalf("addresses %v, want three", b.Addr())
	}
	found, err := newClient(t, b.Addr()[2]).Metadata(deadline(t), &kafka.MetadataRequest{Topics: []string{"films", "misspelt"}})
	must(t, err)
	if n := len(found.Topics[0].Partitions); n != 6 {
		t.Errorf("films has %d partitions, want 6", n)
	}
	if err := found.Topics[1].Error; !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("an unknown topic gives %v, want UnknownTopicOrPartition", err)
	}
}

func TestBrokerKeepsDataAndPort(t *testing.T) {
	ctx := deadline(t)
	opts := BrokerOptions{DataDir: t.TempDir()}
	first := startBroker(t, opts)
	addr := first.Addr()[0]
	makeTopic(ctx, t, addr, "films")
	write(ctx, t, addr, "films", "one")
	first.Close()

	opts.Port = portOf(t, addr)
	second := startBroker(t, opts)
	if second.Addr()[0] != addr {
		t.Errorf("address %s after a restart, want %s", second.Addr()[0], addr)
	}
	if got := readAll(ctx, t, addr, "films", 1); got[0] != "one" {
		t.Errorf("read %q after a restart, want one", got)
	}
}

func TestBrokerInjectsFaults(t *testing.T) {
	b := startBroker(t, BrokerOptions{Topics: map[string]int{"films": 1}})
	b.Cluster().ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		res := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		topic := kmsg.NewCreateTopicsResponseTopic()
		topic.Topic, topic.ErrorCode = "series", kerr.TopicAuthorizationFailed.Code
		res.Topics = append(res.Topics, topic)
		return res, nil, true
	})
	res, err := newClient(t, b.Addr()[0]).CreateTopics(deadline(t), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: "series", NumPartitions: 1, ReplicationFactor: 1}},
	})
	must(t, err)
	if !errors.Is(res.Errors["series"], kafka.TopicAuthorizationFailed) {
		t.Errorf("error %v, want the injected one", res.Errors["series"])
	}
}
