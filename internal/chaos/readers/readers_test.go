package readers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/devstack"
)

var errNoJava = devstack.ErrNoKafka

const (
	topic      = "results"
	partitions = 3
)

func TestReaders(t *testing.T) {
	k := startKafka(t)
	t.Run("of an empty topic", func(t *testing.T) { readNothing(t, k) })
	t.Run("through a kill", func(t *testing.T) { readThroughKill(t, k) })
}

// readNothing wants an empty topic to have an end, and a topic that is not there to be an error, not a wait.
func readNothing(t *testing.T, k *devstack.Kafka) {
	if records, ends, err := Committed(within(t), k.Addr(), topic); err != nil || len(records) > 0 || ends.String() != "0:0,1:0,2:0" {
		t.Errorf("%v %v %v", records, ends, err)
	}
	if err := Verify(within(t), k.Addr(), topic, start(t, Python, k.Addr()), start(t, Java, k.Addr())); err != nil {
		t.Error(err)
	}
	if _, _, err := Committed(within(t), k.Addr(), "misspelt"); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("a topic that is not there: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, _, err := Committed(ended, k.Addr(), topic); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the context's end", err)
	}
}

// readThroughKill has both readers read while transactions are committed and aborted, and while the broker is killed in
// the middle of one. They are to see what was committed, once, and nothing of what was aborted or is still open.
func readThroughKill(t *testing.T, k *devstack.Kafka) {
	started := []*Reader{start(t, Python, k.Addr()), start(t, Java, k.Addr())}
	w := newWriter(t, k.Addr(), "writer")
	for i := range 60 {
		w.begin(t)
		w.write(t, 20)
		if i == 20 {
			awaitAll(t, k.Addr(), started) // they are in the middle of it, not before it or after it
			restart(t, k)
		}
		w.end(t, i%3 != 1)
	}
	open := newWriter(t, k.Addr(), "left open")
	open.begin(t)
	open.write(t, 20)
	w.begin(t)
	w.write(t, 20) // committed, and held back by what is open
	w.end(t, true)

	if err := Verify(within(t), k.Addr(), topic, started...); err != nil {
		t.Error(err)
	}
	for _, r := range started {
		w.check(t, r.Records(), 40*20)
	}

	// What is open is given up: the topic ends with its markers then, and what was held back is to be seen.
	open.end(t, false)
	again := []*Reader{start(t, Python, k.Addr()), start(t, Java, k.Addr())}
	if err := Verify(within(t), k.Addr(), topic, again...); err != nil {
		t.Error(err)
	}
	w.check(t, again[0].Records(), 41*20)
}

// awaitAll waits until the readers have seen what is committed.
func awaitAll(t *testing.T, addr string, started []*Reader) {
	t.Helper()
	want, _, err := Committed(within(t), addr, topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range started {
		if err := r.Await(within(t), after(want)); err != nil {
			t.Fatal(err)
		}
	}
}

// restart kills the broker and starts it again.
func restart(t *testing.T, k *devstack.Kafka) {
	t.Helper()
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := k.Start(within(t)); err != nil {
		t.Fatal(err)
	}
}

// startKafka starts a broker with an empty topic.
func startKafka(t *testing.T) *devstack.Kafka {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Apache Kafka, which takes seconds")
	}
	k, err := devstack.StartKafka(within(t), devstack.KafkaOptions{})
	need(t, err)
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()))
	need(t, err)
	defer client.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, partitions, 1
	req.Topics = append(req.Topics, wanted)
	res, err := req.RequestWith(within(t), client)
	need(t, err)
	need(t, kerr.ErrorForCode(res.Topics[0].ErrorCode))
	return k
}

// start starts a reader, for the time of the test.
func start(t *testing.T, language Language, addr string) *Reader {
	t.Helper()
	r, err := Start(within(t), language, addr, topic)
	need(t, err)
	t.Cleanup(r.Close)
	return r
}

// need skips what cannot run for want of a program, other than in CI; other errors fail.
func need(t *testing.T, err error) {
	t.Helper()
	if (errors.Is(err, ErrNoPython) || errors.Is(err, devstack.ErrNoKafka)) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// writer writes results in transactions and remembers what it committed.
type writer struct {
	client    *kgo.Client
	name      string
	written   int
	pending   []string // ids in the open transaction
	committed map[string]bool
}

func newWriter(t *testing.T, addr, name string) *writer {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID(name), kgo.DefaultProduceTopic(topic))
	need(t, err)
	t.Cleanup(client.Close)
	return &writer{client: client, name: name, committed: map[string]bool{}}
}

func (w *writer) begin(t *testing.T) {
	t.Helper()
	need(t, w.client.BeginTransaction())
	w.pending = nil
}

// write writes n results and waits until the broker has them.
func (w *writer) write(t *testing.T, n int) {
	t.Helper()
	var batch []*kgo.Record
	for range n {
		w.written++
		id := fmt.Sprintf("%s %d", w.name, w.written)
		w.pending = append(w.pending, id)
		batch = append(batch, &kgo.Record{
			Key:     fmt.Appendf(nil, "user %d", w.written%17),
			Value:   fmt.Appendf(nil, `{"request_id":%q,"status":"ok","title":"Amélie"}`, id),
			Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte(id)}},
		})
	}
	need(t, w.client.ProduceSync(within(t), batch...).FirstErr())
}

func (w *writer) end(t *testing.T, commit bool) {
	t.Helper()
	need(t, w.client.EndTransaction(within(t), kgo.TransactionEndTry(commit)))
	for _, id := range w.pending {
		if commit {
			w.committed[id] = true
		}
	}
}

// check wants n records, all of them committed ones.
func (w *writer) check(t *testing.T, records []Record, n int) {
	t.Helper()
	ids := map[string]bool{}
	for _, r := range records {
		if !w.committed[r.ID] || r.RequestID != r.ID || r.Status != "ok" || len(r.SHA256) != 64 {
			t.Errorf("%+v was not committed", r)
		}
		ids[r.ID] = true
	}
	if len(ids) != n || len(records) != n {
		t.Errorf("%d records with %d ids, want %d", len(records), len(ids), n)
	}
}
