package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"recstream/internal/logbook"
	"recstream/schemas"
)

// bench is a settler with a ledger and a scorer that a test can put into trouble.
type bench struct {
	settler
	ledger *ledger
	scorer *scorer
	book   *logbook.Book
}

var (
	scoredAt = time.Date(2026, 3, 14, 12, 0, 0, 123_456_789, time.UTC)
	eventAt  = scoredAt.Add(-1500 * time.Microsecond)
)

// newBench returns a settler whose fence stands at an offset.
func newBench(fence int64) *bench {
	b := &bench{ledger: newLedger(), scorer: &scorer{}, book: &logbook.Book{}}
	b.ledger.fences[0] = fence
	events := Requests{NewScorer: func() Scorer { return b.scorer }, Ledger: b.ledger}
	b.settler = newSettler(events, fence, b.book)
	b.settler.handler = events.handler(&b.settler)
	return b
}

func newSettler(events Events, fence int64, book *logbook.Book) settler {
	cfg := &Config{Topic: topic, Events: events, Now: func() time.Time { return scoredAt }}
	return settler{cfg: cfg, log: book.Logger(), fence: fence}
}

// requests returns a batch of events from an offset on. A text with a brace is the event itself, else its id.
func requests(from int64, ids ...string) *batch {
	b := &batch{from: from, next: from + int64(len(ids))}
	for i, id := range ids {
		value := []byte(id)
		if !strings.Contains(id, "{") {
			value = event(id).Value
		}
		source := schemas.Source{Topic: topic, Offset: from + int64(i)}
		b.messages = append(b.messages, schemas.Message{Source: source, Value: value, Time: eventAt})
	}
	return b
}

// answers writes out what each event came to: the request id and the offset that was decided, or the code.
func (b *bench) answers() (list []string) {
	for _, out := range b.outcomes {
		switch {
		case out.Rejection != nil:
			list = append(list, out.Rejection.Code)
		case out.Decision == nil:
			list = append(list, "nothing")
		default:
			list = append(list, fmt.Sprintf("%s@%d", out.Decision.RequestID, out.Decision.Source.Offset))
		}
	}
	return list
}

func (b *bench) expect(t *testing.T, rows int, fence int64, answers ...string) {
	t.Helper()
	if got := b.answers(); !slices.Equal(got, answers) {
		t.Errorf("answers %v, want %v", got, answers)
	}
	if len(b.ledger.rows) != rows || b.ledger.fence(0) != fence {
		t.Errorf("%d rows and fence %d, want %d and %d", len(b.ledger.rows), b.ledger.fence(0), rows, fence)
	}
}

func TestSettleDecidesAndStores(t *testing.T) {
	b := newBench(10)
	must(t, b.settle(t.Context(), requests(10, "a", `{"request_id":"b","user_id":"u","requested_at":"2026-03-14T11:59:59.9999999Z"}`)))
	b.expect(t, 2, 12, "a@10", "b@11")
	want := schemas.Decision{
		RequestID: "b", UserID: "u", RequestedAt: time.Date(2026, 3, 14, 11, 59, 59, 999_999_000, time.UTC),
		ScoredAt: scoredAt.Truncate(time.Microsecond), QueueTime: 123_457 * time.Microsecond,
		Items: []schemas.ScoredItem{{ItemID: "item-b"}}, Source: schemas.Source{Topic: topic, Offset: 11},
	}
	got := b.ledger.rows["b"]
	if got.ScoreTime < 0 || got.ScoreTime%time.Microsecond != 0 {
		t.Errorf("score time %s is not in whole microseconds", got.ScoreTime)
	}
	got.ScoreTime = 0
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("stored\n got %+v\nwant %+v", got, want)
	}
	if a := b.ledger.rows["a"]; !a.RequestedAt.Equal(eventAt.Truncate(time.Microsecond)) || a.QueueTime <= 0 {
		t.Errorf("an event without a time was requested at %s, queued %s; want its record's time", a.RequestedAt, a.QueueTime)
	}
}

func TestSettlerIsReusedFromBatchToBatch(t *testing.T) {
	b := newBench(0)
	must(t, b.settle(t.Context(), requests(0, "a", `{"request_id":"b","user_id":"left over"`, "c")))
	b.expect(t, 2, 3, "a@0", "invalid_json", "c@2")
	must(t, b.settle(t.Context(), requests(3, `{`)))
	b.expect(t, 2, 4, "invalid_json")
	if r := b.outcomes[0].Rejection; r.RequestID != "" || r.UserID != "" {
		t.Errorf("a rejection has the ids of an earlier batch: %+v", r)
	}
	must(t, b.settle(t.Context(), requests(4, "d", "e", "f", "g")))
	b.expect(t, 6, 8, "d@4", "e@5", "f@6", "g@7")
}

func TestOneIDTwice(t *testing.T) {
	b := newBench(0)
	must(t, b.settle(t.Context(), requests(0, "a", "b", "a", "a")))
	b.expect(t, 2, 4, "a@0", "b@1", "a@0", "a@0")
	if !slices.Equal(b.scorer.scored, []string{"a", "b"}) {
		t.Errorf("scored %v, want each id once", b.scorer.scored)
	}
	must(t, b.settle(t.Context(), requests(4, "b", "c")))
	b.expect(t, 3, 6, "b@1", "c@5")
	if slices.Contains(b.ledger.finds, true) {
		t.Error("new events were looked for beyond the look-back window")
	}
}

func TestRedeliveredEventsGetTheirStoredDecisions(t *testing.T) {
	b := newBench(0)
	must(t, b.settle(t.Context(), requests(0, "a", "b")))
	before := len(b.ledger.batches)
	must(t, b.settle(t.Context(), requests(0, "a", "b")))
	b.expect(t, 2, 2, "a@0", "b@1")
	if len(b.ledger.batches) != before || !b.ledger.finds[1] {
		t.Errorf("recorded %d times more, looked for ever: %t; want 0 and true", len(b.ledger.batches)-before, b.ledger.finds[1])
	}
	must(t, b.settle(t.Context(), requests(1, "b", "c"))) // in part
	b.expect(t, 3, 3, "b@1", "c@2")
}

func TestMarkersMoveTheFence(t *testing.T) {
	b := newBench(5)
	must(t, b.settle(t.Context(), &batch{from: 5, next: 8}))
	b.expect(t, 0, 8)
}

func TestScorerInTrouble(t *testing.T) {
	b := newBench(0)
	begun, decided := 0, 0
	b.scorer.begin = func() error {
		if begun++; begun == 1 {
			return errors.New("no catalogue yet")
		}
		return nil
	}
	b.scorer.decide = func(id string) error {
		if id == "panics" {
			return fmt.Errorf("score: %w", codedError{})
		}
		if decided++; decided == 1 {
			return errors.New("of the moment")
		}
		return nil
	}
	must(t, b.settle(t.Context(), requests(0, "a", "panics", "panics", "b")))
	b.expect(t, 2, 4, "a@0", "panic", "panic", "b@3")
	if r := b.outcomes[1].Rejection; r.Stage != "score" || r.RequestID != "panics" || !strings.Contains(r.Detail, "broken tree") {
		t.Errorf("rejection %+v", r)
	}
}

func TestRejectionSaysWhatTheDecoderFound(t *testing.T) {
	b := newBench(0)
	must(t, b.settle(t.Context(), requests(0, `{"request_id":"r","user_id":"ada","mood":"sad"}`)))
	b.expect(t, 0, 1, schemas.CodeUnknownValue)
	r := *b.outcomes[0].Rejection
	if r.Detail == "" {
		t.Error("the rejection has no detail")
	}
	r.Detail = ""
	want := schemas.Rejection{Code: schemas.CodeUnknownValue, Field: "mood", Stage: "decode", Attempts: 1, At: scoredAt, RequestID: "r", UserID: "ada"}
	if r != want {
		t.Errorf("rejection\n got %+v\nwant %+v", r, want)
	}
	if strings.Contains(b.book.String(), "sad") || strings.Contains(b.book.String(), "ada") {
		t.Errorf("a user's data is logged: %s", b.book)
	}
}

func TestSettleEndsWithItsContext(t *testing.T) {
	b := newBench(0)
	ctx, cancel := context.WithCancel(t.Context())
	b.ledger.record = func(context.Context, int, schemas.Batch) (bool, error) {
		cancel()
		return false, errTransient
	}
	if err := b.settle(ctx, requests(0, "a", "b")); !errors.Is(err, context.Canceled) || !errors.Is(err, errTransient) {
		t.Errorf("error %v, want one that is both %v and %v", err, context.Canceled, errTransient)
	}
	if len(b.ledger.batches) != 1 {
		t.Errorf("recorded %d times, want once", len(b.ledger.batches))
	}
}
