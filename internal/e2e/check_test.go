package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/schemas"
)

// awaitCommitted waits until the group has committed every request that was published.
func (s *stack) awaitCommitted(t *testing.T) {
	t.Helper()
	s.awaitGroup(t, s.name, s.requests())
}

// awaitGroup waits until a group has committed all of a topic.
func (s *stack) awaitGroup(t *testing.T, group, topic string) {
	t.Helper()
	eventually(t, "committed offsets", func() (bool, string) {
		committed, ends, err := s.progress(t, group, topic)
		return err == nil && reached(committed, ends), fmt.Sprintf("committed %v, ends %v, error %v", committed, ends, err)
	})
}

// allCommitted reports whether a group has committed all of a topic.
func (s *stack) allCommitted(t *testing.T, group, topic string) bool {
	t.Helper()
	committed, ends, err := s.progress(t, group, topic)
	if err != nil {
		t.Fatal(err)
	}
	return reached(committed, ends)
}

// reached reports whether the committed offsets are the ends of all partitions; of an empty one there is none.
func reached(committed, ends map[int]int64) bool {
	for p, end := range ends {
		if committed[p] != end && !(end == 0 && committed[p] <= 0) {
			return false
		}
	}
	return len(ends) == partitions
}

// progress returns a group's committed offsets, and the ends of the topic's partitions.
func (s *stack) progress(t *testing.T, group, topic string) (committed, ends map[int]int64, err error) {
	if ends, err = s.endOffsets(t, topic); err != nil {
		return nil, nil, err
	}
	all := make([]int, partitions)
	for i := range all {
		all[i] = i
	}
	res, err := s.client.OffsetFetch(t.Context(), &kafka.OffsetFetchRequest{
		GroupID: group, Topics: map[string][]int{topic: all}})
	if err != nil {
		return nil, nil, err
	}
	committed = map[int]int64{}
	for _, p := range res.Topics[topic] {
		committed[p.Partition] = p.CommittedOffset
	}
	return committed, ends, nil
}

func (s *stack) endOffsets(t *testing.T, topic string) (map[int]int64, error) {
	var ask []kafka.OffsetRequest
	for p := range partitions {
		ask = append(ask, kafka.LastOffsetOf(p))
	}
	res, err := s.client.ListOffsets(t.Context(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: ask}})
	if err != nil {
		return nil, err
	}
	ends := map[int]int64{}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, p.Error
		}
		ends[p.Partition] = p.LastOffset
	}
	return ends, nil
}

// check verifies the whole outcome of a workload, as readers of committed records see it.
func (s *stack) check(t *testing.T, w *workload) {
	t.Helper()
	s.awaitCommitted(t)
	s.checkResults(t, w)
	s.checkDeadLetters(t, w)
	s.checkLedger(t, w)
}

func (s *stack) checkResults(t *testing.T, w *workload) {
	t.Helper()
	copies := 0
	first := map[string]result{}  // by request id
	last := map[string]string{}   // key → request id of its latest first result
	rejected := map[string]bool{} // by ce_id
	for _, partition := range s.readResults(t) {
		for _, r := range partition {
			if r.Status == schemas.StatusRejected {
				if rejected[r.id] {
					t.Errorf("rejected result %s came twice", r.id)
				}
				rejected[r.id] = true
				continue
			}
			if seen, again := first[r.RequestID]; again {
				copies++
				if seen.id != r.id || !bytes.Equal(seen.value, r.value) {
					t.Errorf("two different results for %s:\n%s %s\n%s %s", r.RequestID, seen.id, seen.value, r.id, r.value)
				}
				continue
			}
			first[r.RequestID] = r
			// Ids grow in the order of publishing.
			if last[r.key] > r.RequestID {
				t.Errorf("user %s: result of %s after that of %s", r.key, r.RequestID, last[r.key])
			}
			last[r.key] = r.RequestID
			if r.key != r.UserID || r.Tier != schemas.TierModel || len(r.Items) == 0 {
				t.Errorf("result of %s: key %q, %s", r.RequestID, r.key, r.value)
			}
		}
	}
	if len(first) != w.good {
		t.Errorf("%d requests have a result, want %d", len(first), w.good)
	}
	if copies > 0 {
		t.Errorf("%d results came twice", copies)
	}
	if len(rejected) != w.named {
		t.Errorf("%d bad events with a readable id have a rejected result, want %d", len(rejected), w.named)
	}
	t.Logf("%d results, %d rejected", len(first), len(rejected))
}

func (s *stack) checkDeadLetters(t *testing.T, w *workload) {
	t.Helper()
	letters := s.readDeadLetters(t)
	if len(letters) != len(w.bad) {
		t.Errorf("dead letters for %d events, want %d", len(letters), len(w.bad))
	}
	for key, code := range w.bad {
		list := letters[key]
		if len(list) == 0 {
			t.Errorf("bad event %s (%s) has no dead letter", key, code)
			continue
		}
		if len(list) > 1 {
			t.Errorf("bad event %s has %d dead letters", key, len(list))
		}
		for _, m := range list {
			if got := header(m, schemas.HeaderDLQReason); got != code {
				t.Errorf("bad event %s (%s): code %s, want %s", key, header(m, "kind"), got, code)
			}
			if !bytes.Equal(m.Value, w.badValue[key]) { // this client reads null as empty
				t.Errorf("bad event %s (%s): its bytes were changed", key, header(m, "kind"))
			}
			if header(m, schemas.HeaderDLQTopic) != cmp.Or(w.badTopic, s.requests()) || header(m, schemas.HeaderDLQOffset) == "" {
				t.Errorf("bad event %s: headers %v", key, m.Headers)
			}
		}
	}
}

func (s *stack) checkLedger(t *testing.T, w *workload) {
	t.Helper()
	var rows, ids, items int
	err := s.db.Pool().QueryRow(within(t), `SELECT count(*), count(DISTINCT request_id), coalesce(sum(cardinality(item_ids)), 0)
		FROM decisions WHERE request_id LIKE 'r-%'`).Scan(&rows, &ids, &items)
	if err != nil {
		t.Fatal(err)
	}
	if rows != w.good || ids != w.good {
		t.Errorf("ledger has %d rows of %d requests, want %d", rows, ids, w.good)
	}
	var view, others int
	if err := s.db.Pool().QueryRow(within(t), `SELECT count(*) FROM recommendations`).Scan(&view); err != nil {
		t.Fatal(err)
	}
	if view != items || items == 0 {
		t.Errorf("the view has %d rows, the ledger's arrays %d elements", view, items)
	}
	if err := s.db.Pool().QueryRow(within(t), `SELECT count(*) FROM decisions WHERE request_id NOT LIKE 'r-%'`).Scan(&others); err != nil {
		t.Fatal(err)
	}
	if others > 0 {
		t.Errorf("%d rows of requests that nobody made", others)
	}
}

func mustDecode(t *testing.T, value []byte, dst any) {
	t.Helper()
	if err := json.Unmarshal(value, dst); err != nil {
		t.Fatalf("decode %s: %v", value, err)
	}
}

// readTopic reads a topic from its beginning to its end as of now, as a reader of committed records.
func readTopic[T any](t *testing.T, s *stack, topic string, convert func(kafka.Message) T) [][]T {
	t.Helper()
	var ends map[int]int64
	eventually(t, "the ends of "+topic, func() (bool, string) { // the client hears late of a topic that was just made
		var err error
		ends, err = s.endOffsets(t, topic)
		return err == nil, fmt.Sprint(err)
	})
	all := make([][]T, partitions)
	for p, end := range ends {
		source := committed.Partition{Client: s.client, Topic: topic, Number: p, MaxBytes: 4 << 20, Timeout: 10 * time.Second}
		for offset := int64(0); offset < end; {
			records, err := source.Fetch(within(t), offset, 100*time.Millisecond)
			for err == nil {
				var r *committed.Record
				if r, err = records.Read(); err == nil {
					all[p] = append(all[p], convert(message(p, r)))
				}
			}
			if !errors.Is(err, io.EOF) {
				t.Fatalf("read %s/%d: %v", topic, p, err)
			}
			offset = records.Next()
		}
	}
	return all
}

// message copies a record.
func message(partition int, r *committed.Record) kafka.Message {
	m := kafka.Message{Partition: partition, Offset: r.Offset, Time: r.Time, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: bytes.Clone(h.Value)})
	}
	return m
}
