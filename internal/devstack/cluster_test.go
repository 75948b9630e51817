package devstack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

func startCluster(t *testing.T, opts ClusterOptions) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Apache Kafka, which takes seconds")
	}
	c, err := StartCluster(deadline(t), opts)
	needServer(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// leader returns who leads the topic's partition 0, asking a broker.
func leader(ctx context.Context, t *testing.T, addr, topic string) int {
	t.Helper()
	found, err := newClient(t, addr).Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	must(t, err)
	must(t, found.Topics[0].Error)
	return found.Topics[0].Partitions[0].Leader.ID
}

// keepWriting writes the value until the brokers confirm it, at most 1 s an attempt.
func keepWriting(ctx context.Context, t *testing.T, c *Cluster, value string) {
	t.Helper()
	// Metadata that is asked for often is how this client finds the new leader.
	transport := &kafka.Transport{MetadataTTL: 100 * time.Millisecond}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(c.Addrs()...), Transport: transport, Timeout: time.Second}
	eventually(ctx, t, "write "+value, func() bool {
		res, err := client.Produce(ctx, &kafka.ProduceRequest{
			Topic: "films", RequiredAcks: kafka.RequireAll,
			Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte(value))}),
		})
		return err == nil && res.Error == nil
	})
}

func TestClusterSurvivesLossOfLeader(t *testing.T) {
	ctx := deadline(t)
	c := startCluster(t, ClusterOptions{Settings: QuickFailover()})
	res, err := newClient(t, c.Addrs()[0]).CreateTopics(ctx, &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: "films", NumPartitions: 1, ReplicationFactor: 3}},
	})
	must(t, err)
	must(t, res.Errors["films"])
	franz, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.DefaultProduceTopic("films"),
		kgo.RequestTimeoutOverhead(time.Second), kgo.ProduceRequestTimeout(time.Second), kgo.DialTimeout(time.Second))
	must(t, err)
	defer franz.Close()

	ways := map[string]struct{ lose, back func(*Kafka) error }{
		"kill":  {(*Kafka).Kill, func(k *Kafka) error { return k.Start(ctx) }},
		"pause": {(*Kafka).Pause, (*Kafka).Resume},
	}
	want := []string{"before"}
	keepWriting(ctx, t, c, "before")
	for name, way := range ways {
		must(t, c.InSync(ctx))
		lost := leader(ctx, t, c.Addrs()[0], "films")
		must(t, way.lose(c.Broker(lost)))
		begin := time.Now()
		keepWriting(ctx, t, c, name+" kafka-go")
		t.Logf("%s: kafka-go is back after %v", name, time.Since(begin))
		eventually(ctx, t, "write "+name+" franz-go", func() bool {
			return franz.ProduceSync(ctx, kgo.StringRecord(name+" franz-go")).FirstErr() == nil
		})
		want = append(want, name+" kafka-go", name+" franz-go")
		if now := leader(ctx, t, c.Addrs()[lost%3], "films"); now == lost {
			t.Errorf("%s: broker %d still leads", name, lost)
		}
		begin = time.Now()
		must(t, way.back(c.Broker(lost)))
		must(t, c.InSync(ctx))
		t.Logf("%s: all in sync again after %v", name, time.Since(begin))
		for _, addr := range c.Addrs() {
			if now := leader(ctx, t, addr, "films"); now == lost {
				t.Errorf("%s: %s says that broker %d leads, which was lost", name, addr, lost)
			}
		}
	}
	// A write that timed out may have been done, so one may be there twice, one by one.
	got := slices.Compact(readAllOf(ctx, t, c))
	if !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

// readAllOf reads all that the topic's partition has.
func readAllOf(ctx context.Context, t *testing.T, c *Cluster) []string {
	t.Helper()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(c.Addrs()...), Transport: transport}
	ends, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{"films": {kafka.LastOffsetOf(0)}},
	})
	must(t, err)
	return readAll(ctx, t, c.Addrs()[0], "films", int(ends.Topics["films"][0].LastOffset))
}

func TestClusterOfOneKeepsDirAndAdvertises(t *testing.T) {
	ctx := deadline(t)
	dir := t.TempDir()
	for round := range 2 {
		c := startCluster(t, ClusterOptions{Brokers: 1, Dir: dir, Advertised: []string{"127.0.0.1:9"}})
		found, err := newClient(t, c.Addrs()[0]).Metadata(ctx, &kafka.MetadataRequest{Topics: []string{"films"}})
		must(t, err)
		if b := found.Brokers[0]; b.ID != 1 || b.Host != "127.0.0.1" || b.Port != 9 {
			t.Errorf("brokers %v, want 1 at 127.0.0.1:9", found.Brokers)
		}
		if known := found.Topics[0].Error == nil; known != (round == 1) {
			t.Errorf("round %d: the topic is known: %v", round, known)
		}
		if round == 0 {
			makeTopicDirect(ctx, t, c.Addrs()[0], "films")
		}
		must(t, c.Close())
	}
}

// makeTopicDirect makes a topic through the one broker at the address, wherever it says that it is.
func makeTopicDirect(ctx context.Context, t *testing.T, addr, topic string) {
	t.Helper()
	conn, err := kafka.DialContext(ctx, "tcp", addr)
	must(t, err)
	defer conn.Close()
	must(t, conn.CreateTopics(kafka.TopicConfig{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}))
}

func TestStartClusterRefuses(t *testing.T) {
	script, err := kafkaScript()
	must(t, err)
	needServer(t, kafkaInstalled(t.Context(), script))
	for _, n := range []int{-1, 2, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c, err := StartCluster(t.Context(), ClusterOptions{Brokers: n})
			if err == nil {
				t.Fatal(errors.Join(errors.New("no error"), c.Close()))
			}
		})
	}
}
