package consumer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/devstack"
	"recstream/internal/logbook"
	"recstream/schemas"
)

// feedbackStore keeps feedback in memory, by the rules of the real one.
type feedbackStore struct {
	mu      sync.Mutex
	fences  map[int]int64
	rows    map[string]int // item@partition/offset → how often it was applied
	order   map[int][]string
	batches []schemas.FeedbackBatch // as they were recorded or tried to; events cloned

	// record, if not nil, is asked before a batch is stored; its error is the answer, with or without storing.
	record func(n int, b schemas.FeedbackBatch) (store bool, err error)
}

func newFeedbackStore() *feedbackStore {
	return &feedbackStore{fences: map[int]int64{}, rows: map[string]int{}, order: map[int][]string{}}
}

func (l *feedbackStore) Fence(_ context.Context, _ string, partition int) (int64, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ok := l.fences[partition]
	return f, ok, nil
}

func (l *feedbackStore) MoveFence(_ context.Context, _ string, partition int, from, to int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return moveFence(l.fences, partition, from, to)
}

func (l *feedbackStore) NoteGap(context.Context, schemas.Gap) (bool, error) { return true, nil }

func (l *feedbackStore) Record(_ context.Context, b schemas.FeedbackBatch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.Events = slices.Clone(b.Events)
	l.batches = append(l.batches, b)
	store, answer := true, error(nil)
	if l.record != nil {
		store, answer = l.record(len(l.batches), b)
	}
	if !store {
		return answer
	}
	if f, ok := l.fences[b.Partition]; !ok || f != b.From {
		return errMoved
	}
	for _, e := range b.Events {
		row := fmt.Sprintf("%s@%d/%d", e.ItemID, b.Partition, e.Offset)
		if b.Repeated && l.rows[row] > 0 {
			continue
		}
		l.rows[row]++
		l.order[b.Partition] = append(l.order[b.Partition], e.ItemID)
	}
	l.fences[b.Partition] = b.Next
	return answer
}

func (l *feedbackStore) stored() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows)
}

// feedbackBench is a settler of feedback.
type feedbackBench struct {
	settler
	store *feedbackStore
	book  *logbook.Book
}

func newFeedbackBench(fence int64) *feedbackBench {
	b := &feedbackBench{store: newFeedbackStore(), book: &logbook.Book{}}
	b.store.fences[0] = fence
	events := Feedback{Ledger: b.store}
	b.settler = newSettler(events, fence, b.book)
	b.settler.handler = events.handler(&b.settler)
	return b
}

func clickOn(item string) string {
	return fmt.Sprintf(`{"request_id":"r","user_id":"ada","item_id":%q,"action":"click"}`, item)
}

// clicks returns a batch of feedback from an offset on. A text with a brace is the event itself, else its item.
func clicks(from int64, items ...string) *batch {
	var events []string
	for _, item := range items {
		if !strings.Contains(item, "{") {
			item = clickOn(item)
		}
		events = append(events, item)
	}
	return requests(from, events...)
}

// expect checks what each event came to: "" for stored, else its code; the items in the order in which they were
// applied; and the fence.
func (b *feedbackBench) expect(t *testing.T, applied []string, fence int64, codes ...string) {
	t.Helper()
	var got []string
	for _, out := range b.outcomes {
		code := ""
		if out.Rejection != nil {
			code = out.Rejection.Code
			if out.Rejection.RequestID != "" || out.Rejection.UserID != "" {
				t.Errorf("a rejection names a request, and would be published as its result: %+v", out.Rejection)
			}
		}
		if out.Decision != nil {
			t.Errorf("feedback has a decision: %+v", out.Decision)
		}
		got = append(got, code)
	}
	if !slices.Equal(got, codes) {
		t.Errorf("codes %q, want %q", got, codes)
	}
	if !slices.Equal(b.store.order[0], applied) {
		t.Errorf("applied %v, want %v", b.store.order[0], applied)
	}
	if b.store.fences[0] != fence || b.fence != fence {
		t.Errorf("fence %d, and %d as the worker believes; want %d", b.store.fences[0], b.fence, fence)
	}
}

func TestFeedbackIsStored(t *testing.T) {
	b := newFeedbackBench(10)
	must(t, b.settle(t.Context(), clicks(10, "a", `{"request_id":"r","item_id":"b","action":"rating","value":4,"at":"2026-03-14T11:59:59.9999999Z"}`)))
	b.expect(t, []string{"a", "b"}, 12, "", "")
	got := b.store.batches[0]
	if got.Topic != topic || got.From != 10 || got.Next != 12 || got.Repeated || !got.ReceivedAt.Equal(scoredAt.Truncate(time.Microsecond)) {
		t.Errorf("batch %+v", got)
	}
	if e := got.Events[0]; e.Offset != 10 || e.UserID != "ada" || !e.At.Equal(eventAt.Truncate(time.Microsecond)) {
		t.Errorf("an event without a time is stored as %+v of %s, want its record's time %s", e.Feedback, e.At, eventAt)
	}
	want := time.Date(2026, 3, 14, 11, 59, 59, 999_999_000, time.UTC)
	if e := got.Events[1]; e.Offset != 11 || e.Value != 4 || e.Action != schemas.ActionRating || !e.At.Equal(want) {
		t.Errorf("stored %+v, want it as of %s", e.Feedback, want)
	}
}

func TestBadFeedbackIsRejectedAndTheOthersAreStored(t *testing.T) {
	b := newFeedbackBench(0)
	at := func(text string) string { return strings.Replace(clickOn("x"), "}", `,"at":"`+text+`"}`, 1) }
	must(t, b.settle(t.Context(), clicks(0, "a", "{", `{"request_id":"r","item_id":"i","action":"rating"}`,
		at("2026-03-15T12:00:01Z"), at("2026-03-15T11:59:59Z"), at("1970-01-01T00:00:00Z"), "b")))
	b.expect(t, []string{"a", "x", "x", "b"}, 7, "", schemas.CodeInvalidJSON, schemas.CodeMissingField, schemas.CodeInvalidTime, "", "", "")
	if r := b.outcomes[3].Rejection; r.Stage != "decode" || r.Field != "at" || r.Attempts != 1 || !r.At.Equal(scoredAt) {
		t.Errorf("rejection %+v", r)
	}
	if b.book.Count("events rejected") != 1 || strings.Contains(b.book.String(), "ada") {
		t.Errorf("log: %s", b.book)
	}
	must(t, b.settle(t.Context(), clicks(7, "{"))) // nothing to store but the fence
	b.expect(t, []string{"a", "x", "x", "b"}, 8, schemas.CodeInvalidJSON)
}

func TestRecordWithoutAPlausibleTime(t *testing.T) {
	for name, at := range map[string]time.Time{"none": {}, "1969": time.Unix(-1, 0), "ahead": scoredAt.Add(25 * time.Hour)} {
		t.Run(name, func(t *testing.T) {
			b := newFeedbackBench(0)
			events := clicks(0, "a", strings.Replace(clickOn("b"), "}", `,"at":"2026-03-14T00:00:00Z"}`, 1))
			events.messages[0].Time, events.messages[1].Time = at, at
			must(t, b.settle(t.Context(), events))
			b.expect(t, []string{"b"}, 2, schemas.CodeInvalidTime, "")
		})
	}
}

func TestRefusedFeedbackIsFoundAndTheOthersAreStored(t *testing.T) {
	items := []string{"0", "1", "2", "3", "4", "5", "6"}
	for bad := range items {
		t.Run(fmt.Sprint("event ", bad), func(t *testing.T) {
			b := newFeedbackBench(0)
			b.store.record = func(_ int, batch schemas.FeedbackBatch) (bool, error) {
				if slices.ContainsFunc(batch.Events, func(e schemas.FeedbackEvent) bool { return e.ItemID == items[bad] }) {
					return false, errPermanent
				}
				return true, nil
			}
			must(t, b.settle(t.Context(), clicks(0, items...)))
			codes := make([]string, len(items))
			codes[bad] = CodeRecordRefused
			b.expect(t, slices.Delete(slices.Clone(items), bad, bad+1), 7, codes...)
		})
	}
}

func TestRedeliveredFeedbackIsSaidToBe(t *testing.T) {
	tests := map[string]struct {
		fence, known int64
		events       *batch
		applied      []string // beside a and b, at 0 and 1
		next         int64
		repeated     bool
	}{
		"before the fence":       {2, 0, clicks(0, "a", "b"), nil, 2, true},
		"across the fence":       {2, 0, clicks(1, "b", "c"), []string{"c"}, 3, true},
		"after the fence":        {2, 0, clicks(2, "c"), []string{"c"}, 3, false},
		"of a log that was cut":  {2, 9, clicks(2, "c"), []string{"c"}, 3, true},
		"one that was not there": {2, 0, clicks(0, "a", "other"), []string{"other"}, 2, true},
		"rejected ones alone":    {2, 0, clicks(0, "{", "{"), nil, 2, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newFeedbackBench(0)
			must(t, b.settle(t.Context(), clicks(0, "a", "b")))
			b.known = test.known
			before := len(b.store.batches)
			must(t, b.settle(t.Context(), test.events))
			if got := b.store.order[0]; !slices.Equal(got, append([]string{"a", "b"}, test.applied...)) {
				t.Errorf("applied %v, want a, b and %v", got, test.applied)
			}
			if b.fence != test.next || b.store.fences[0] != test.next {
				t.Errorf("fence %d, want %d", b.store.fences[0], test.next)
			}
			for _, batch := range b.store.batches[before:] {
				if batch.Repeated != test.repeated {
					t.Errorf("batch said to be repeated: %t, want %t", batch.Repeated, test.repeated)
				}
			}
		})
	}
}

func TestFeedbackIsTriedAgainAndCountsOnce(t *testing.T) {
	tests := map[string]struct {
		stored bool // by the attempt that failed
		err    error
	}{
		"transient": {false, errTransient}, "stored, and the answer lost": {true, errTransient}, "unknown": {true, context.DeadlineExceeded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newFeedbackBench(0)
			b.store.record = func(n int, _ schemas.FeedbackBatch) (bool, error) {
				if n == 1 {
					return test.stored, test.err
				}
				return true, nil
			}
			must(t, b.settle(t.Context(), clicks(0, "a", "b")))
			b.expect(t, []string{"a", "b"}, 2, "", "")
		})
	}
}

// newFeedbackInstance returns an instance that reads the topic's events as feedback.
func newFeedbackInstance(t *testing.T, broker *devstack.Broker, store *feedbackStore) *instance {
	s := newInstance(t, broker)
	s.cfg.Events, s.cfg.BatchRecords = Feedback{Ledger: store}, 7
	return s
}

// TestFeedbackServiceStoresEveryEventOnceInOrder stops a service in the middle, makes Kafka forget what it has
// committed, and lets another go on.
func TestFeedbackServiceStoresEveryEventOnceInOrder(t *testing.T) {
	const events, partitions = 300, 3
	broker := startBroker(t, partitions, devstack.BrokerOptions{})
	w := writer(t, broker)
	want, bad := map[int][]string{}, 0
	var records []*kgo.Record
	for i := range events {
		r := &kgo.Record{Value: []byte(clickOn(fmt.Sprint(i))), Partition: int32(i % partitions)}
		if i%10 == 9 {
			r.Value = []byte(`{"request_id":"r"}`)
			bad++
		} else {
			want[i%partitions] = append(want[i%partitions], fmt.Sprint(i))
		}
		records = append(records, r)
	}
	store := newFeedbackStore()
	first := newFeedbackInstance(t, broker, store)
	first.start(t)
	write(t, w, records[:events/2]...)
	eventually(t, "the first half", func() bool { return store.stored() == events/2-bad/2 })
	first.stopped(t)

	forget := kmsg.NewPtrDeleteGroupsRequest()
	forget.Groups = []string{group}
	res, err := forget.RequestWith(deadline(t), w)
	must(t, err)
	must(t, kerr.ErrorForCode(res.Groups[0].ErrorCode))
	second := newFeedbackInstance(t, broker, store)
	second.start(t)
	write(t, w, records[events/2:]...)
	eventually(t, "all", func() bool { return store.stored() == events-bad })
	second.stopped(t)
	for partition, items := range want {
		if !slices.Equal(store.order[partition], items) {
			t.Errorf("partition %d was applied as\n     %v\nwant %v", partition, store.order[partition], items)
		}
		if got := committedOffset(t, broker, partition); got != events/partitions {
			t.Errorf("partition %d: committed %d, want %d", partition, got, events/partitions)
		}
	}
	for _, code := range append(first.answered(), second.answered()...) {
		if code != schemas.CodeMissingField {
			t.Errorf("published %q, want nothing but dead letters of bad events", code)
		}
	}
	if n := len(second.answered()); n != bad {
		t.Errorf("%d dead letters of the second, want %d: all that it read, again or not", n, bad)
	}
}
