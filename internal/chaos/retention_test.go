package chaos

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/chaos/workload"
	"recstream/schemas"
)

// TestRetentionOvertakes has Kafka delete events that nobody has read: while no instance runs, and under the one that
// runs behind. Each time the gap is recorded, logged and counted, and the stream goes on after it. That the recorded
// gaps are exactly what has no outcome is for the history to show.
func TestRetentionOvertakes(t *testing.T) {
	t.Parallel()
	s := open(t, setup{env: []string{"RECSTREAM_HTTP_LISTEN=127.0.0.1:0", "RECSTREAM_KAFKA_SESSION_TIMEOUT=6s"}})
	r := s.begin(t, "8", "retention overtakes the reader")
	r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t),
		Feedback: 0.5, Bad: 0.05, Repeats: 0.02, Heavy: -1})
	r.read(t)
	s.serve(t)
	r.publish(t, 500)
	gaps := max(len(overtakings), share(50))
	for r.faults < gaps {
		r.advance(t, 25)
		r.pause(300 * time.Millisecond)
		r.overtake(t, overtakings[r.faults%len(overtakings)])
	}
	r.advance(t, 25)
	r.finish(t, share(50_000), gaps)
}

// overtaking is a way to be overtaken.
type overtaking struct {
	name     string
	feedback bool // the topic of feedback is the one that loses events
	// halt keeps the instance from reading, and resume has it, or another one, read again.
	halt   func(t *testing.T, i *instance)
	resume func(t *testing.T, r *run, i *instance) *instance
}

var overtakings = []overtaking{
	{name: "killed", halt: func(_ *testing.T, i *instance) { i.kill() }, resume: replace},
	{name: "running behind", halt: freeze, resume: thaw},
	{name: "stopped", feedback: true, halt: func(t *testing.T, i *instance) { i.stop(t, patience) }, resume: replace},
	{name: "running behind", feedback: true, halt: freeze, resume: thaw},
}

func replace(t *testing.T, r *run, _ *instance) *instance { return r.serve(t) }

func freeze(t *testing.T, i *instance) { i.signal(t, syscall.SIGSTOP) }

func thaw(t *testing.T, _ *run, i *instance) *instance {
	i.signal(t, syscall.SIGCONT)
	return i
}

// overtake keeps the instance from reading, has events deleted that it has not read, and sees that they are missed.
func (r *run) overtake(t *testing.T, o overtaking) {
	t.Helper()
	topic, i := r.topics().Requests, r.living()[0]
	if o.feedback {
		topic = r.topics().Feedback
	}
	before := i.lost(t, topic)
	o.halt(t, i)
	partition, upTo := r.unread(t, topic)
	r.deleteRecords(t, topic, partition, upTo)
	next := o.resume(t, r, i)
	if next != i {
		before = 0
	}
	n := r.awaitGap(t, topic, partition, upTo)
	next.awaitLog(t, "events lost", "topic="+topic+" ", fmt.Sprintf("partition=%d ", partition))
	eventually(t, "the lost events to be counted", patience, func() (bool, string) {
		now := next.lost(t, topic)
		return now >= before+n, fmt.Sprintf("%g of %g and %g", now, before, n)
	})
	r.struck("%s: %s/%d has lost %g events, up to %d", o.name, topic, partition, n, upTo)
}

// inHand is more than what an instance can have read of a partition when it is kept from reading: what is answered to
// the one request that was on its way then.
const inHand = 2 * batch

// unread waits until a partition has events that the instance cannot have read, and returns it, with an offset after
// one of those, which may be its end.
func (r *run) unread(t *testing.T, topic string) (partition int, upTo int64) {
	t.Helper()
	ends, err := r.kafkaView.Bounds(t.Context(), topic)
	need(t, err)
	eventually(t, "unread events", patience, func() (bool, string) {
		now, err := r.kafkaView.Bounds(t.Context(), topic)
		for p := range now {
			if more := now[p].End - ends[p].End - inHand; more > 0 {
				partition, upTo = p, now[p].End-r.rng.Int64N(more)
				return true, ""
			}
		}
		return false, fmt.Sprint(now, err)
	})
	return partition, upTo
}

// deleteRecords has Kafka delete a partition's events before an offset, as retention does.
func (r *run) deleteRecords(t *testing.T, topic string, partition int, before int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	of, one := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	one.Partition, one.Offset = int32(partition), before
	of.Topic, of.Partitions = topic, append(of.Partitions, one)
	req.Topics, req.TimeoutMillis = append(req.Topics, of), 10_000
	res, err := req.RequestWith(within(t, patience), r.client)
	need(t, err)
	need(t, kerr.ErrorForCode(res.Topics[0].Partitions[0].ErrorCode))
	logs, err := r.kafkaView.Bounds(within(t, patience), topic)
	need(t, err)
	if first := logs[partition].First; first != before {
		t.Fatalf("%s/%d begins at %d, was to at %d", topic, partition, first, before)
	}
}

// awaitGap waits until a gap up to that offset is recorded and returns how many events it has.
func (r *run) awaitGap(t *testing.T, topic string, partition int, upTo int64) (events float64) {
	t.Helper()
	eventually(t, "the gap to be recorded", patience, func() (bool, string) {
		var n *int64
		err := r.db.QueryRow(t.Context(), `SELECT max(to_offset - from_offset) FROM stream_gaps
			WHERE topic = $1 AND partition = $2 AND to_offset = $3 AND reason = 'retention'`, topic, partition, upTo).Scan(&n)
		if err != nil || n == nil {
			return false, fmt.Sprintf("none of %s/%d up to %d: %v", topic, partition, upTo, err)
		}
		events = float64(*n)
		return true, ""
	})
	return events
}

// lost returns how many events of a topic the instance says that retention took from it, as its metrics have it.
func (i *instance) lost(t *testing.T, topic string) float64 {
	t.Helper()
	for line := range strings.Lines(i.metrics(t)) {
		if value, ok := strings.CutPrefix(line, fmt.Sprintf("recstream_lost_events_total{reason=%q,topic=%q} ", schemas.GapRetention, topic)); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			need(t, err)
			return n
		}
	}
	return 0
}

// metrics returns what the instance tells Prometheus.
func (i *instance) metrics(t *testing.T) string {
	t.Helper()
	const listening = "listening for HTTP"
	i.awaitLog(t, listening, "address=")
	_, rest, _ := strings.Cut(i.log.String(), listening)
	_, rest, _ = strings.Cut(rest, "address=")
	address, _, _ := strings.Cut(rest, "\n")
	req, err := http.NewRequestWithContext(within(t, patience), http.MethodGet, "http://"+strings.TrimSpace(address)+"/metrics", nil)
	need(t, err)
	res, err := http.DefaultClient.Do(req)
	need(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	need(t, err)
	return string(text)
}
