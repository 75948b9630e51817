package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/consumer/committed"
	"recstream/internal/devstack"
	"recstream/internal/postgres"
	"recstream/schemas"
)

const topic = "requests"

// startTopic returns a broker with one partition of twenty events, a second apart: the fifth is no request.
func startTopic(t *testing.T) (*devstack.Broker, *kafka.Client) {
	t.Helper()
	broker, err := devstack.StartBroker(devstack.BrokerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	transport := &kafka.Transport{MetadataTTL: 500 * time.Millisecond}
	t.Cleanup(transport.CloseIdleConnections)
	client := &kafka.Client{Addr: kafka.TCP(broker.Addr()...), Transport: transport, Timeout: 10 * time.Second}
	res, err := client.CreateTopics(deadline(t), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}}})
	if err != nil || res.Errors[topic] != nil {
		t.Fatal(err, res)
	}
	w := &kafka.Writer{Addr: client.Addr, Transport: transport, Topic: topic, RequiredAcks: kafka.RequireAll, BatchSize: 20, MaxAttempts: 50, BatchTimeout: time.Millisecond}
	defer w.Close()
	messages := make([]kafka.Message, 20)
	for i := range messages {
		messages[i] = kafka.Message{Time: at.Add(time.Duration(i) * time.Second), Value: fmt.Appendf(nil, `{"request_id":"r-%02d"}`, i),
			Headers: []kafka.Header{{Key: "other", Value: []byte("x")}, {Key: schemas.HeaderTraceParent, Value: []byte("00-1")}}}
	}
	messages[4].Value = []byte(`{"request_id":7}`)
	if err := w.WriteMessages(deadline(t), messages...); err != nil {
		t.Fatal(err)
	}
	return broker, client
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newReader(client *kafka.Client, from, to int64) *reader {
	return &reader{next: from, to: to, takes: func(*schemas.Request) bool { return true }, source: committed.Partition{Client: client, Topic: topic, MaxBytes: 1 << 20, Timeout: 10 * time.Second}}
}

// readAll reads batches of n to the end of the range, and says what was in each and what was lost.
func readAll(t *testing.T, r *reader, n int) (text string) {
	t.Helper()
	for r.next < r.to {
		lost, err := r.read(deadline(t), n)
		if err != nil {
			t.Fatal(err)
		}
		if lost > 0 {
			text += fmt.Sprintf("lost %d; ", lost)
		}
		for i := range r.events {
			text += fmt.Sprint(r.events[i].message.Offset, r.events[i].refused, " ")
		}
		if len(r.events) > 0 {
			text += "| "
		}
	}
	return strings.TrimSpace(text)
}

func TestReaderReadsItsRange(t *testing.T) {
	broker, client := startTopic(t)
	tests := map[string]struct {
		from, to int64
		n        int
		want     string
	}{
		"within":                    {3, 8, 100, "3 4wrong_type 5 6 7 |"},
		"in batches":                {10, 15, 2, "10 11 | 12 13 | 14 |"},
		"nothing":                   {5, 5, 10, ""},
		"to the end":                {18, 20, 10, "18 19 |"},
		"of a log that was cut":     {18, 25, 10, "18 19 | lost 5;"},
		"of a log that was cut far": {30, 35, 10, "lost 5;"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := readAll(t, newReader(client, test.from, test.to), test.n); got != test.want {
				t.Errorf("read %q, want %q", got, test.want)
			}
		})
	}
	some := newReader(client, 0, 20)
	some.takes = func(r *schemas.Request) bool {
		return r.RequestID == "r-02" || r.RequestID == "r-06" || r.RequestID == ""
	}
	if got, want := readAll(t, some, 1), "0 1 2 | 3 4wrong_type 5 6 | 7 8 9 10 11 12 13 14 15 16 17 18 19 |"; got != want {
		t.Errorf("by what is to be decided: read %q, want %q", got, want)
	}
	r := newReader(client, 6, 7)
	if got := readAll(t, r, 1); got != "6 |" {
		t.Fatal(got)
	}
	e := &r.events[0]
	if e.request.RequestID != "r-06" || !e.request.RequestedAt.Equal(at.Add(6*time.Second)) || len(e.message.Headers) != 1 ||
		e.message.Headers[0].Key != schemas.HeaderTraceParent || e.message.Source != (schemas.Source{Topic: topic, Offset: 6}) {
		t.Errorf("event %+v", *e)
	}
	if err := broker.Cluster().DeleteRecords(topic, 0, 12); err != nil {
		t.Fatal(err)
	}
	if got, want := readAll(t, newReader(client, 9, 15), 100), "lost 3; 12 13 14 |"; got != want {
		t.Errorf("after retention: read %q, want %q", got, want)
	}
	if got, want := readAll(t, newReader(client, 2, 6), 100), "lost 4;"; got != want {
		t.Errorf("a range that is gone: read %q, want %q", got, want)
	}
}

// A log that seems to end before the range is asked about again: what a broker says that lags is not believed at once.
func TestReaderAsksAgainWhereTheLogEnds(t *testing.T) {
	broker, client := startTopic(t)
	var asked, answered atomic.Int32
	broker.Cluster().ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		asked.Add(1)
		res := req.ResponseKind().(*kmsg.FetchResponse)
		partition := kmsg.NewFetchResponseTopicPartition()
		partition.ErrorCode = kerr.OffsetOutOfRange.Code
		res.Topics = []kmsg.FetchResponseTopic{{Topic: topic, TopicID: broker.Cluster().TopicInfo(topic).TopicID, Partitions: []kmsg.FetchResponseTopicPartition{partition}}}
		return res, nil, true
	})
	broker.Cluster().ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.Cluster().KeepControl()
		if req.(*kmsg.ListOffsetsRequest).Topics[0].Partitions[0].Timestamp != -1 || answered.Add(1) > 1 {
			return nil, nil, false
		}
		return logEndsAt(req, 10), nil, true
	})
	r := newReader(client, 15, 20)
	r.patience = time.Millisecond
	// One that lags behind the others is asked later: whoever reads waits after an error.
	if lost, err := r.read(deadline(t), 10); lost != 0 || r.next != 15 || !errors.Is(err, kafka.OffsetOutOfRange) {
		t.Errorf("lost %d, at %d, error %v", lost, r.next, err)
	}
	if got, want := readAll(t, r, 10), "15 16 17 18 19 |"; got != want {
		t.Errorf("read %q, want %q", got, want)
	}
	if asked.Load() != 1 || answered.Load() != 2 {
		t.Errorf("%d fetches were refused, the log's end was asked for %d times; want 1 and 2", asked.Load(), answered.Load())
	}
}

// logEndsAt answers where a log ends.
func logEndsAt(req kmsg.Request, offset int64) kmsg.Response {
	res := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	partition := kmsg.NewListOffsetsResponseTopicPartition()
	partition.Offset = offset
	res.Topics = []kmsg.ListOffsetsResponseTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsResponseTopicPartition{partition}}}
	return res
}

// pausedLater is the store of a replay that is paused when it was looked at a few times.
type pausedLater struct {
	*fakeStore
	looks int
}

func (s *pausedLater) Replay(ctx context.Context, run int32) (*postgres.Replay, error) {
	if s.looks++; s.looks > 3 {
		s.replay.State = postgres.ReplayPaused
	}
	return s.fakeStore.Replay(ctx, run)
}

// A worker that has nothing to read, as a transaction is open, says so, and sees that the replay was paused.
func TestPauseIsSeenWhileThereIsNothingToRead(t *testing.T) {
	broker, client := startTopic(t)
	broker.Cluster().ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.Cluster().KeepControl()
		return logEndsAt(req, 25), nil, req.(*kmsg.ListOffsetsRequest).Topics[0].Partitions[0].Timestamp == -1
	})
	s := newFakeStore()
	w := newTestWorker(t, s, &Plan{})
	w.options.Store = &pausedLater{fakeStore: s}
	log := logTo(w)
	w.reader, w.checkpoint = *newReader(client, 20, 25), 20
	if err := w.work(deadline(t)); err == nil || err.Error() != "replay 7 is paused" {
		t.Errorf("error %v", err)
	}
	if n := strings.Count(log.String(), "waiting for the end of a transaction"); n != 1 {
		t.Errorf("told %d times\n%s", n, log)
	}
}

func TestRanges(t *testing.T) {
	_, client := startTopic(t)
	five, fifteen, far := int64(5), int64(15), int64(99)
	tests := map[string]struct {
		span     Span
		from, to int64
	}{
		"all":               {Span{}, 0, 20},
		"offsets":           {Span{FromOffset: &five, ToOffset: &fifteen}, 5, 15},
		"beyond the end":    {Span{FromOffset: &five, ToOffset: &far}, 5, 20},
		"backwards":         {Span{FromOffset: &fifteen, ToOffset: &five}, 15, 15},
		"times":             {Span{FromTime: at.Add(3 * time.Second), ToTime: at.Add(7500 * time.Millisecond)}, 3, 8},
		"before everything": {Span{ToTime: at.Add(-time.Hour)}, 0, 0},
		"after everything":  {Span{FromTime: at.Add(time.Hour)}, 20, 20},
		"one of one":        {Span{Partitions: []int{0, 0}}, 0, 20},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			list, err := test.span.Ranges(deadline(t), client, topic, 10*time.Second)
			if err != nil || len(list) != 1 || list[0].From != test.from || list[0].To != test.to || list[0].Next != test.from {
				t.Errorf("ranges %+v (%v), want %d to %d", list, err, test.from, test.to)
			}
		})
	}
	if _, err := (Span{Partitions: []int{1}}).Ranges(deadline(t), client, topic, 10*time.Second); err == nil {
		t.Error("a partition that is not there is no error")
	}
	if numbers, err := partitionsOf(deadline(t), client, topic); err != nil || !slices.Equal(numbers, []int{0}) {
		t.Error(numbers, err)
	}
}
