package producer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/devstack"
	"recstream/schemas"
)

func TestResultsArriveInOrderAtTheirKeysPartition(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	o := openOutbox(t, broker)
	const n = 400
	want := map[string][]string{} // users' requests
	for i := range n {
		user := fmt.Sprint("user-", i%37)
		if i%2 == 0 {
			user = "七人-" + user
		}
		out := answer(user, fmt.Sprint("r", i))
		o.Add(out)
		want[user] = append(want[user], string(schemas.AppendResult(nil, out.Decision)))
		if i%50 == 49 {
			must(t, o.Flush(deadline(t), 1))
		}
	}
	java := kgo.StickyKeyPartitioner(nil).ForTopic(results) // Java's default too
	got := map[string][]string{}
	for _, r := range records(t, broker, results, n) {
		if partition := java.Partition(r, 6); int(r.Partition) != partition {
			t.Errorf("key %s is in partition %d, want %d", r.Key, r.Partition, partition)
		}
		if id := headerMap(r)["ce_id"]; !strings.HasSuffix(id, "@recommendation.requests/3/42") {
			t.Errorf("ce_id %q", id)
		}
		got[string(r.Key)] = append(got[string(r.Key)], string(r.Value))
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Error("users' results differ from what was sent, or are in another order")
	}
}

func TestRejectionLeavesAsDeadLetterAndRejectedResult(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	o := openOutbox(t, broker)
	anonymous := refusal([]byte{}, []byte{0xff, 0}, schemas.Header{Key: "traceparent", Value: []byte("00-1")}, schemas.Header{Key: "null"})
	named := refusal(nil, []byte("x"))
	named.Rejection.RequestID, named.Rejection.UserID = "r", "ada"
	o.Add(anonymous)
	o.Add(named)
	must(t, o.Flush(deadline(t), 1))

	result := records(t, broker, results, 1)[0]
	if h := headerMap(result); string(result.Key) != "ada" || h["ce_id"] != "r@requests/2/9" || h["ce_time"] != "2023-11-14T22:13:20Z" {
		t.Errorf("rejected result: key %q, headers %v", result.Key, h)
	}
	if !result.Timestamp.Equal(named.Rejection.At) {
		t.Errorf("the rejected result's record is of %s, want the time of the rejection", result.Timestamp)
	}
	for _, r := range records(t, broker, deadLetters, 2) {
		h := headerMap(r)
		if h["dlq_reason"] != "invalid_json" || h["dlq_offset"] != "9" || len(r.Headers) != cloudEventHeaders+deadLetterHeaders+len(anonymous.Message.Headers)*boolInt(len(r.Value) == 2) {
			t.Errorf("dead letter's headers %v", h)
		}
		switch len(r.Value) {
		case 2:
			if r.Key == nil || len(r.Key) != 0 || !bytes.Equal(r.Value, []byte{0xff, 0}) || h["traceparent"] != "00-1" || r.Headers[1].Value != nil || h["ce_id"] != "dlq@requests/2/9" {
				t.Errorf("dead letter is not the event to the byte: %+v", r)
			}
		default:
			if r.Key != nil || string(r.Value) != "x" {
				t.Errorf("dead letter is not the event to the byte: %+v", r)
			}
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestTroubleNeitherDoublesNorLoses(t *testing.T) {
	produce := func(err *kerr.Error, count int) kfake.Fault {
		return kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: results, Err: err, Count: count}
	}
	tests := map[string]struct {
		fault    kfake.Fault
		failures int
		renewed  bool // with a producer id of its own
	}{
		"written, and timed out":        {produce(kerr.RequestTimedOut, 1), 1, false},
		"written, and timed out often":  {produce(kerr.RequestTimedOut, 9), 9, false},
		"written, and under-replicated": {produce(kerr.NotEnoughReplicasAfterAppend, 1), 1, false},
		"not leader":                    {produce(kerr.NotLeaderForPartition, 2), 2, false},
		"storage error":                 {produce(kerr.KafkaStorageError, 1), 1, false},
		"unknown producer id":           {produce(kerr.UnknownProducerID, 1), 1, true},
		"sequence lost":                 {produce(kerr.OutOfOrderSequenceNumber, 1), 1, true},
		"epoch lost":                    {produce(kerr.InvalidProducerEpoch, 1), 1, true},
		"no producer id at first": {kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true,
			Err: kerr.CoordinatorLoadInProgress, Count: 1}, 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			broker := startBroker(t, devstack.BrokerOptions{})
			o := openOutbox(t, broker)
			id := o.id
			o.Add(answer("ada", "before"))
			must(t, o.Flush(deadline(t), 1))
			broker.Cluster().Fault(test.fault)
			want := []string{"before", "r0", "r1", "r2", "after"}
			for i := range 3 {
				o.Add(answer("ada", fmt.Sprint("r", i)))
			}
			if got := flush(t, o); got != test.failures {
				t.Errorf("%d failures, want %d", got, test.failures)
			}
			o.Add(answer("ada", "after"))
			must(t, o.Flush(deadline(t), 1))
			if got := requestIDs(records(t, broker, results, len(want))); !slices.Equal(got, want) {
				t.Errorf("arrived %v, want %v", got, want)
			}
			if renewed := o.id != id; renewed != test.renewed {
				t.Errorf("producer id renewed: %t, want %t", renewed, test.renewed)
			}
		})
	}
}

func TestDuplicateIsDelivered(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	o := openOutbox(t, broker)
	broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.DuplicateSequenceNumber})
	o.Add(answer("ada", "r"))
	must(t, o.Flush(deadline(t), 1))
	for _, l := range o.targets {
		if len(l.queue) != 0 || l.sequence != 1 {
			t.Errorf("%d batches wait, next sequence %d; want 0 and 1", len(l.queue), l.sequence)
		}
	}
}

func requestIDs(list []*kgo.Record) (ids []string) {
	for _, r := range list {
		id, _, _ := strings.Cut(headerMap(r)["ce_id"], "@")
		ids = append(ids, id)
	}
	return ids
}

func TestBrokerThatFallsSilent(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	p := newProducer(t, broker)
	p.cfg.Timeout = 100 * time.Millisecond
	o, err := p.Open(deadline(t), assigned)
	must(t, err)
	broker.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
	o.Add(answer("ada", "r"))
	if err := o.Flush(deadline(t), 1); err == nil {
		t.Error("a broker that says nothing is no error")
	}
	flush(t, o)
	records(t, broker, results, 1)
}

func TestFlushEndsWithItsContext(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	o := openOutbox(t, broker)
	broker.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
	o.cfg.Timeout = time.Hour
	o.Add(answer("ada", "r"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- o.Flush(ctx, 1) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a broker that says nothing is no error")
		}
	case <-deadline(t).Done():
		t.Fatal("the flush goes on after its context's end")
	}
}

// TestOnePartitionInTrouble has the others deliver, once.
func TestOnePartitionInTrouble(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	o := openOutbox(t, broker)
	broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: results, Partitions: []int32{3}, Err: kerr.NotEnoughReplicas, Count: 2})
	for i := range 60 {
		o.Add(answer(fmt.Sprint("user-", i), fmt.Sprint("r", i)))
	}
	err := o.Flush(deadline(t), 1)
	var e *Error
	if !errors.As(err, &e) || e.Topic != results || e.Partition != 3 || !e.Transient() || !errors.Is(err, kafka.NotEnoughReplicas) {
		t.Errorf("error %v, want a transient one on results/3", err)
	}
	flush(t, o)
	records(t, broker, results, 60)
}

func TestFlushFollowsTheLeader(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{Brokers: 3})
	o := openOutbox(t, broker)
	for i := range 9 {
		for partition := range int32(6) {
			must(t, broker.Cluster().MoveTopicPartition(results, partition, int32(i%3)))
		}
		o.Add(answer("ada", fmt.Sprint("r", i)))
		flush(t, o)
	}
	want := []string{"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8"}
	if got := requestIDs(records(t, broker, results, 9)); !slices.Equal(got, want) {
		t.Errorf("arrived %v, want %v", got, want)
	}
}

// TestSequenceNumbersWrap follows Kafka's DefaultRecordBatch.incrementSequence. The embedded broker wraps one
// number earlier, so it cannot be the judge.
func TestSequenceNumbersWrap(t *testing.T) {
	for _, test := range []struct {
		sequence int32
		records  int
		want     int32
	}{
		{0, 1, 1}, {math.MaxInt32 - 5, 5, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 4, 2}, {math.MaxInt32, 3, 2},
	} {
		b := new(recordBatch)
		b.reset()
		for range test.records {
			b.add(nil, nil, nil, 0)
		}
		l := &lane{sequence: test.sequence, queue: []*recordBatch{b}}
		if l.acknowledged(); l.sequence != test.want || l.sent != 1 {
			t.Errorf("%d records after %d: next is %d, want %d", test.records, test.sequence, l.sequence, test.want)
		}
	}
}

func TestLargeBatchesAreBegunAnew(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	p := newProducer(t, broker)
	p.cfg.BatchBytes = 2000
	o, err := p.Open(deadline(t), assigned)
	must(t, err)
	requests := broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Observe: true, Count: -1})
	for i := range 50 {
		o.Add(answer("ada", fmt.Sprint("r", i)))
	}
	must(t, o.Flush(deadline(t), 1))
	records(t, broker, results, 50)
	if n := requests.Hits(); n < 10 || n > 20 {
		t.Errorf("%d batches of at most 2,000 bytes and a record, want 10 to 20", n)
	}
	for _, l := range o.targets {
		if len(l.queue) != 0 || len(l.spare) > maxSpares {
			t.Errorf("%d batches wait, %d are spare", len(l.queue), len(l.spare))
		}
	}
}

func TestFlushOfNothing(t *testing.T) {
	o := openOutbox(t, startBroker(t, devstack.BrokerOptions{}))
	for range 2 {
		must(t, o.Flush(deadline(t), 1))
	}
}

func TestOpenNamesTheTopicThatIsMissing(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	must(t, broker.Cluster().DeleteTopic(deadLetters))
	_, err := newProducer(t, broker).Open(deadline(t), assigned)
	if !errors.Is(err, kafka.UnknownTopicOrPartition) || !strings.Contains(err.Error(), deadLetters) {
		t.Errorf("error %v, want one that names %s", err, deadLetters)
	}
	must(t, broker.Cluster().CreateTopic(deadLetters, 1, nil))
	_, err = newProducer(t, broker).Open(deadline(t), assigned)
	must(t, err)
}

func TestOpenWhileTheBrokerIsAway(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	p := newProducer(t, broker)
	p.cfg.Timeout = 200 * time.Millisecond
	broker.Close()
	began := time.Now()
	if _, err := p.Open(t.Context(), assigned); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("error %v after %s, want one soon", err, time.Since(began))
	}
}

func TestRecreatedResultsTopicIsForANewOutbox(t *testing.T) {
	for name, transactions := range map[string]bool{"with transactions": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			broker := startBroker(t, devstack.BrokerOptions{})
			p := newProducer(t, broker)
			p.cfg.Transactions = transactions
			o := openTransactional(t, p, assigned)
			for i := range 20 {
				o.Add(answer(fmt.Sprint("user ", i), fmt.Sprint("r", i)))
			}
			must(t, broker.Cluster().DeleteTopic(results))
			must(t, broker.Cluster().CreateTopic(results, 1, nil))
			_, err := flushTo(t, o, 1)
			if reopen := (*reopenError)(nil); !errors.As(err, &reopen) || reopen.why != whyOutdated {
				t.Errorf("error %v, want one that says that the topics are others", err)
			}
		})
	}
}
