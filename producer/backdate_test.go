package producer

import (
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// TestClockAhead has a broker refuse results of a clock that was hours ahead: they leave with the times of their
// events, as far apart as they were, and those of a split batch too.
func TestClockAhead(t *testing.T) {
	event := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var b recordBatch
	b.reset()
	for i := range 2 {
		b.add(nil, []byte("v"), nil, event.Add(7*time.Hour).UnixMilli()+int64(i))
		b.of(event.Add(time.Duration(i-1) * time.Minute))
	}
	var s sender
	l := &lane{queue: []*recordBatch{&b}, limit: 1 << 20}
	for _, refusal := range []error{kafka.MessageSizeTooLarge, kafka.InvalidTimestamp} {
		if err := s.take(l, refusal); err != nil || l.sent != 0 {
			t.Fatalf("after %v: error %v, %d sent", refusal, err, l.sent)
		}
	}
	if len(l.queue) != 2 {
		t.Fatalf("%d batches", len(l.queue))
	}
	for i, want := range []time.Time{event, event.Add(7*time.Hour + time.Millisecond)} { // one of them was refused
		if at, _ := l.queue[i].record(0); at != want.UnixMilli() {
			t.Errorf("record %d is of %v, want %v", i, time.UnixMilli(at).UTC(), want)
		}
	}
	if err := s.take(l, kafka.InvalidTimestamp); !errors.Is(err, kafka.InvalidTimestamp) {
		t.Errorf("error %v of a batch that is back at its events", err)
	}
}
