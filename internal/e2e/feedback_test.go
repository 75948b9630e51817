package e2e

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
	"recstream/scoring/profile"
)

// feedbackGroup is the consumer group that an instance reads feedback in.
func (s *stack) feedbackGroup() string { return s.name + "-feedback" }

// badFeedback are ways for a feedback to be bad, with the codes that they are refused with.
var badFeedback = []struct {
	name, code string
	value      []byte
}{
	{"tombstone", schemas.CodeEmptyMessage, nil},
	{"cut short", schemas.CodeInvalidJSON, []byte(`{"request_id":"x","item_id":"i","acti`)},
	{"no item", schemas.CodeMissingField, []byte(`{"request_id":"x","action":"click"}`)},
	{"unknown action", schemas.CodeUnknownValue, []byte(`{"request_id":"x","item_id":"i","action":"shrug"}`)},
	{"rating without value", schemas.CodeMissingField, []byte(`{"request_id":"x","item_id":"i","action":"rating"}`)},
	{"a request", schemas.CodeUnknownField, []byte(`{"request_id":"x","mood":"funny"}`)},
	{"wrong clock", schemas.CodeInvalidTime, []byte(`{"request_id":"x","user_id":"u-001","item_id":"i","action":"click","at":"2999-01-01T00:00:00Z"}`)},
}

// newFeedback makes n events of feedback on items, of which one in fifty is bad. Each good one has a request id
// of its own; some have no user, some no time, some an item that nobody knows.
func newFeedback(n int, items []schemas.Item) (messages []kafka.Message, bad map[string][]byte, codes map[string]string) {
	bad, codes = map[string][]byte{}, map[string]string{}
	began := time.Now().AddDate(0, -6, 0)
	for i := range n {
		if i%50 == 49 {
			kind, key := badFeedback[len(bad)%len(badFeedback)], fmt.Sprintf("bad-%04d", len(bad))
			bad[key], codes[key] = kind.value, kind.code
			messages = append(messages, kafka.Message{Key: []byte(key), Value: kind.value})
			continue
		}
		f := schemas.Feedback{
			RequestID: fmt.Sprintf("f-%06d", i),
			UserID:    fmt.Sprintf("u-%03d", i*7919%users),
			ItemID:    items[i*31%len(items)].ID,
			Action:    schemas.ActionImpression + schemas.Action(i/3%int(schemas.NumActions-1)),
			Value:     math.NaN(),
			At:        began.Add(time.Duration(i*13%n) * time.Hour / 2), // not in the order of the events
		}
		if f.Action == schemas.ActionRating {
			f.Value = float64(i % 6)
		}
		switch i % 20 {
		case 5:
			f.UserID = ""
		case 6:
			f.At = time.Time{}
		case 7:
			f.ItemID = "an-item-that-nobody-knows"
		}
		messages = append(messages, kafka.Message{Key: []byte(f.PartitionKey()), Value: schemas.AppendFeedback(nil, &f)})
	}
	return messages, bad, codes
}

// TestFeedbackCountsOnce kills an instance in the middle of feedback and lets another go on. Each event has one
// row, profiles are what the events make of them, and bad events are dead letters and nothing else. Requests are
// answered meanwhile.
func TestFeedbackCountsOnce(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		const n, requests = 8_000, 500
		items, _, err := s.db.Catalog(within(t))
		if err != nil {
			t.Fatal(err)
		}
		messages, bad, codes := newFeedback(n, items)
		first := s.serve(t, "RECSTREAM_CONSUMER_BATCH_RECORDS=20")
		s.publishTo(t, s.feedback(), messages[:n/2]...)
		eventually(t, "the first outcomes", func() (bool, string) {
			stored := s.countRows(t, "outcomes")
			return stored > 0, strconv.Itoa(stored)
		})
		first.kill()
		if s.allCommitted(t, s.feedbackGroup(), s.feedback()) {
			t.Error("the instance had finished its work when it was killed: the kill shows nothing")
		}
		second := s.serve(t)
		s.publishTo(t, s.feedback(), messages[n/2:]...)
		var asked []kafka.Message
		for i := range requests {
			asked = append(asked, goodMessage(i))
		}
		s.publish(t, asked...)
		s.awaitGroup(t, s.feedbackGroup(), s.feedback())
		s.check(t, &workload{good: requests, bad: codes, badValue: bad, badTopic: s.feedback()})
		second.stop(t)

		if stored := s.countRows(t, "outcomes"); stored != n-len(bad) {
			t.Errorf("%d outcomes, want %d", stored, n-len(bad))
		}
		s.checkOutcomes(t, items)
	})
}

func (s *stack) countRows(t *testing.T, table string) (n int) {
	t.Helper()
	if err := s.db.Pool().QueryRow(within(t), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// checkOutcomes reads the topic of feedback anew, and compares what is stored with what its good events are and
// with the profiles that they make.
func (s *stack) checkOutcomes(t *testing.T, items []schemas.Item) {
	t.Helper()
	byID := map[string]*schemas.Item{}
	for i := range items {
		byID[items[i].ID] = &items[i]
	}
	rows, want := s.readOutcomes(t), map[string]*schemas.Profile{}
	var ids []string
	for _, partition := range readTopic(t, s, s.feedback(), func(m kafka.Message) kafka.Message { return m }) {
		for _, m := range partition {
			var f schemas.Feedback
			if schemas.DecodeFeedback(m.Value, &f) != nil || f.At.After(time.Now().AddDate(1, 0, 0)) {
				continue
			}
			if f.At.IsZero() {
				f.At = m.Time.UTC()
			}
			if row := fmt.Sprint(f, m.Partition, m.Offset); rows[f.RequestID] != row {
				t.Errorf("%s is stored as %s, want %s", f.RequestID, rows[f.RequestID], row)
			}
			if f.UserID == "" {
				continue
			}
			if want[f.UserID] == nil {
				want[f.UserID] = &schemas.Profile{UserID: f.UserID}
				ids = append(ids, f.UserID)
			}
			profile.Apply(want[f.UserID], &f, byID[f.ItemID], profile.DefaultHalfLife)
		}
	}
	got := map[string]*schemas.Profile{}
	if err := s.db.Profiles(within(t), ids, got); err != nil {
		t.Fatal(err)
	}
	for user, p := range want {
		if got[user] != nil {
			p.Version = got[user].Version // counts the writes, which batches decide
		}
		if got[user] == nil || fmt.Sprint(*got[user]) != fmt.Sprint(*p) {
			t.Errorf("profile of %s\n got %+v\nwant %+v", user, got[user], p)
		}
	}
	if n := s.countRows(t, "profiles"); n != len(want) || n == 0 {
		t.Errorf("%d profiles, want %d", n, len(want))
	}
}

// readOutcomes returns what is stored, by request id.
func (s *stack) readOutcomes(t *testing.T) map[string]string {
	t.Helper()
	rows, err := s.db.Pool().Query(within(t), `SELECT request_id, coalesce(user_id, ''), item_id, action,
		coalesce(value, 'NaN'), at, source_partition, source_offset FROM outcomes`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]string{}
	for rows.Next() {
		var f schemas.Feedback
		var action string
		var partition, offset int
		if err := rows.Scan(&f.RequestID, &f.UserID, &f.ItemID, &action, &f.Value, &f.At, &partition, &offset); err != nil {
			t.Fatal(err)
		}
		f.Action, _ = schemas.ParseAction(action)
		f.At = f.At.UTC()
		stored[f.RequestID] = fmt.Sprint(f, partition, offset)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return stored
}
