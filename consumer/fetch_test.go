package consumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/devstack"
	"recstream/internal/logbook"
	"recstream/schemas"
)

// fill fills one batch.
func fill(t testing.TB, f *fetcher) *batch {
	t.Helper()
	b := new(batch)
	b.reset(f.offset)
	must(t, f.fill(deadline(t), b))
	return b
}

func TestBatchKeepsEveryByte(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	must(t, broker.Cluster().CreateTopic("large", 1, map[string]string{"max.message.bytes": "4000000"}))
	at := time.UnixMilli(1_700_000_000_123).UTC()
	sent := []*kgo.Record{
		{Key: []byte{}, Value: []byte{}, Timestamp: at}, // the batch's first copy has no room yet
		{Key: nil, Value: nil, Timestamp: at},
		{Key: []byte("key"), Value: []byte("value"), Timestamp: at, Headers: []kgo.RecordHeader{
			{Key: "traceparent", Value: []byte("00-1")}, {Key: "empty", Value: []byte{}}, {Key: "null", Value: nil}, {Key: "traceparent", Value: []byte("twice")}}},
		{Value: bytes.Repeat([]byte("x"), 1<<20), Timestamp: at},
		{Key: []byte("after"), Value: []byte("七"), Timestamp: at},
	}
	write(t, writer(t, broker, kgo.DefaultProduceTopic("large"), kgo.ProducerBatchMaxBytes(3<<20)), sent...)
	f := newFetcher(t, broker, &logbook.Book{})
	f.cfg.Topic, f.cfg.Linger, f.cfg.BatchRecords, f.cfg.BatchBytes = "large", time.Hour, len(sent), 3<<20
	b := fill(t, f)
	for i, m := range b.messages {
		want := schemas.Message{Source: schemas.Source{Topic: "large", Offset: int64(i)}, Key: sent[i].Key, Value: sent[i].Value, Time: at}
		for _, h := range sent[i].Headers {
			want.Headers = append(want.Headers, schemas.Header{Key: h.Key, Value: h.Value})
		}
		// %#v tells nil from empty.
		if got, want := fmt.Sprintf("%#v", m), fmt.Sprintf("%#v", want); got != want {
			t.Errorf("message %d\n got %.300s\nwant %.300s", i, got, want)
		}
	}
	if len(b.messages) != len(sent) {
		t.Errorf("%d messages, want %d", len(b.messages), len(sent))
	}
}

func TestBatchEndsAtItsLimits(t *testing.T) {
	tests := map[string]struct {
		records, bytes int
		linger         time.Duration
		want           []int // messages of each batch
	}{
		"records":                     {4, 1 << 20, time.Hour, []int{4, 4, 4}},
		"bytes":                       {1000, 250, time.Hour, []int{3, 3, 3, 3}},
		"bytes, each a batch":         {1000, 1, time.Hour, []int{1, 1, 1}},
		"linger with all in response": {1000, 1 << 20, 0, []int{12}},
		"linger":                      {1000, 1 << 20, 20 * time.Millisecond, []int{12}},
	}
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	var list []*kgo.Record
	for range 12 {
		list = append(list, &kgo.Record{Value: make([]byte, 100)})
	}
	write(t, writer(t, broker), list...)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFetcher(t, broker, &logbook.Book{})
			f.cfg.BatchRecords, f.cfg.BatchBytes, f.cfg.Linger = test.records, test.bytes, test.linger
			var next int64
			for i, want := range test.want {
				b := fill(t, f)
				if len(b.messages) != want || b.from != next || b.next != next+int64(want) {
					t.Errorf("batch %d: %d messages, offsets %d to %d; want %d from %d on", i, len(b.messages), b.from, b.next, want, next)
				}
				next = b.next
			}
		})
	}
}

func TestBatchLingersForMore(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	w := writer(t, broker)
	write(t, w, event("1"))
	f := newFetcher(t, broker, &logbook.Book{})
	f.cfg.Linger, f.cfg.BatchRecords = time.Hour, 2
	second := broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Observe: true, Count: -1})
	filled := make(chan *batch, 1)
	go func() { filled <- fill(t, f) }()
	must(t, second.Wait(deadline(t), 2)) // the first message is in, and it asks for another
	write(t, w, event("2"))
	if b := <-filled; len(b.messages) != 2 {
		t.Errorf("%d messages, want both", len(b.messages))
	}
}

// TestTroubleHandsOnWhatIsThere has the broker fail after the first message. A batch that waited for more would
// wait for the linger time, or ask as fast as it could.
func TestTroubleHandsOnWhatIsThere(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("1"))
	f := newFetcher(t, broker, &logbook.Book{})
	f.cfg.Linger = time.Hour
	var asked atomic.Int32
	broker.Cluster().ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.Cluster().KeepControl()
		return nil, errors.New("connection lost"), asked.Add(1) > 1
	})
	// A connection that is cut is asked over by the client itself, once.
	if b := fill(t, f); len(b.messages) != 1 || asked.Load() > 3 {
		t.Errorf("%d messages after %d requests, want 1 after the first that fails", len(b.messages), asked.Load())
	}
}

func TestFillEndsWithItsContext(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	f := newFetcher(t, broker, &logbook.Book{})
	f.cfg.FetchMaxWait = time.Hour
	asked := broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Observe: true, Count: -1})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.fill(ctx, new(batch)); err != nil {
			t.Error(err)
		}
	}()
	must(t, asked.Wait(deadline(t), 1))
	cancel()
	within(t, "the end of the wait", done)
}

func TestDeletedRecordsAreSkippedAndReported(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	w := writer(t, broker)
	for i := range 10 {
		write(t, w, event(fmt.Sprint(i)))
	}
	must(t, broker.Cluster().DeleteRecords(topic, 0, 4))
	var book logbook.Book
	f, observed := newFetcher(t, broker, &book), new(witness)
	gaps := newLedger()
	f.offset, f.cfg.Observer, f.cfg.Events = 1, observed, Requests{Ledger: gaps}
	b := fill(t, f)
	if want := (schemas.Gap{Topic: topic, From: 1, To: 4, Reason: schemas.GapRetention}); len(gaps.gaps) != 1 || gaps.gaps[0] != want {
		t.Errorf("gaps %+v are noted, want %+v", gaps.gaps, want)
	}
	if observed.lost[schemas.GapRetention] != 3 {
		t.Errorf("lost %v, want 3 by retention", observed.lost)
	}
	if len(b.messages) != 6 || b.messages[0].Offset != 4 || b.next != 10 {
		t.Errorf("%d messages up to %d, want the 6 that are left", len(b.messages), b.next)
	}
	if line := "from_offset=1 to_offset=4 count=3"; book.Count("events lost") != 1 || book.Count(line) != 1 {
		t.Errorf("log %s lacks %q", &book, line)
	}
}

func TestAnotherLogIsAnError(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	must(t, broker.Cluster().DeleteTopic(topic))
	must(t, broker.Cluster().CreateTopic(topic, 1, nil))
	write(t, writer(t, broker), event("new"))
	f := newFetcher(t, broker, &logbook.Book{})
	f.offset = 7
	free, out := make(chan *batch, 1), make(chan *batch)
	free <- new(batch)
	err := f.run(deadline(t), free, out)
	var changed *logChangedError
	if !errors.As(err, &changed) || changed.offset != 7 || changed.last != 1 || IsTransient(err) {
		t.Errorf("error %v, want a permanent one on offset 7 of a log up to 1", err)
	}
}

func TestFetchFollowsTheLeader(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{Brokers: 3})
	w := writer(t, broker)
	f := newFetcher(t, broker, &logbook.Book{})
	for i := range 6 {
		must(t, broker.Cluster().MoveTopicPartition(topic, 0, int32(i%3)))
		write(t, w, event(fmt.Sprint(i)))
		if b := fill(t, f); len(b.messages) != 1 || !strings.Contains(string(b.messages[0].Value), fmt.Sprint(i)) {
			t.Fatalf("move %d: %d messages, want event %d", i, len(b.messages), i)
		}
	}
}

func TestFetcherReadsOneBatchAheadAndNoMore(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	w := writer(t, broker)
	for i := range 20 {
		write(t, w, event(fmt.Sprint(i)))
	}
	f := newFetcher(t, broker, &logbook.Book{})
	f.cfg.BatchRecords = 2
	ctx, cancel := context.WithCancel(t.Context())
	free, out, done := make(chan *batch, 2), make(chan *batch), make(chan struct{})
	free <- new(batch)
	free <- new(batch)
	go func() {
		defer close(done)
		if err := f.run(ctx, free, out); err != nil {
			t.Error(err)
		}
	}()
	inHand := <-out
	ahead := <-out
	select {
	case b := <-out:
		t.Errorf("a third batch, %d to %d, while two are out", b.from, b.next)
	case <-time.After(50 * time.Millisecond):
	}
	if inHand.next != 2 || ahead.from != 2 || ahead.next != 4 {
		t.Errorf("batches up to %d and from %d to %d", inHand.next, ahead.from, ahead.next)
	}
	free <- inHand
	if b := <-out; b.from != 4 {
		t.Errorf("the next batch begins at %d, want 4", b.from)
	}
	cancel()
	within(t, "the fetcher's end", done)
}

func TestBatchForgetsWhatItHad(t *testing.T) {
	b := &batch{messages: []schemas.Message{{Key: []byte("k")}}, data: []byte("k"), from: 1, next: 2}
	b.reset(5)
	if b.moved() || b.full(1, 1) || b.messages[:1][0].Key != nil {
		t.Errorf("after reset: %+v", b)
	}
}

// TestWhatIsBeforeAnUnreadableBatchIsHandled has a batch in the log whose compression nobody knows.
func TestWhatIsBeforeAnUnreadableBatchIsHandled(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	good := rawBatch(kmsg.RecordBatch{LastOffsetDelta: 1, NumRecords: 2, Records: []byte("\x0c\x00\x00\x00\x01\x01\x00\x0c\x00\x00\x02\x01\x01\x00")})
	bad := rawBatch(kmsg.RecordBatch{FirstOffset: 2, Attributes: 5, NumRecords: 1, Records: []byte("?")})
	broker.Cluster().ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.Cluster().KeepControl()
		asked, res := req.(*kmsg.FetchRequest), req.ResponseKind().(*kmsg.FetchResponse)
		to, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		partition.RecordBatches = bad
		if asked.Topics[0].Partitions[0].FetchOffset == 0 {
			partition.RecordBatches = append(good, bad...)
		}
		to.Topic, to.Partitions = topic, append(to.Partitions, partition)
		res.Topics = append(res.Topics, to)
		return res, nil, true
	})
	var book logbook.Book
	f := newFetcher(t, broker, &book)
	if b := fill(t, f); len(b.messages) != 2 || b.next != 2 {
		t.Fatalf("%d messages up to %d, want 2", len(b.messages), b.next)
	}
	ctx, cancel := context.WithCancel(deadline(t))
	done := make(chan error, 1)
	b := new(batch)
	b.reset(f.offset)
	go func() { done <- f.fill(ctx, b) }()
	eventually(t, "the log", func() bool { return book.Count("unknown compression 5") > 1 && book.Count("at offset 2") > 1 })
	cancel()
	if err := <-done; err != nil || b.moved() {
		t.Errorf("%v, up to %d", err, b.next)
	}
}

// rawBatch returns the batch's bytes, with length and checksum.
func rawBatch(b kmsg.RecordBatch) []byte {
	b.Magic, b.ProducerID = 2, -1
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}
