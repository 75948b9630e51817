package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
)

// refusing refuses batches with that id for good, as a database does with a value that it cannot hold.
func refusing(id string) func(context.Context, int, schemas.Batch) (bool, error) {
	return func(_ context.Context, _ int, b schemas.Batch) (bool, error) {
		if slices.ContainsFunc(b.Decisions, func(d *schemas.Decision) bool { return d.RequestID == id }) {
			return false, errPermanent
		}
		return true, nil
	}
}

func TestRefusedMessageIsFoundAndTheOthersAreStored(t *testing.T) {
	ids := []string{"0", "1", "2", "3", "4", "5", "6"}
	for bad := range ids {
		t.Run(fmt.Sprint("message ", bad), func(t *testing.T) {
			b := newBench(10)
			b.ledger.record = refusing(ids[bad])
			must(t, b.settle(t.Context(), requests(10, ids...)))
			var want []string
			for i, id := range ids {
				want = append(want, fmt.Sprintf("%s@%d", id, 10+i))
			}
			want[bad] = "record_refused"
			b.expect(t, len(ids)-1, 17, want...)
			r := b.outcomes[bad].Rejection
			if r.Stage != "record" || r.RequestID != ids[bad] || r.Attempts != 1 || !r.At.Equal(scoredAt) {
				t.Errorf("rejection %+v", r)
			}
		})
	}
}

func TestRefusedMessageAndItsTwin(t *testing.T) {
	b := newBench(0)
	b.ledger.record = refusing("bad")
	must(t, b.settle(t.Context(), requests(0, "a", "bad", "a", "bad", "a")))
	b.expect(t, 1, 5, "a@0", "record_refused", "a@0", "record_refused", "a@0")
}

func TestLookUpThatIsRefused(t *testing.T) {
	b := newBench(0)
	b.ledger.find = func() error {
		if slices.Contains(b.handler.(*requestHandler).ids, "bad") {
			return errPermanent
		}
		return nil
	}
	must(t, b.settle(t.Context(), requests(0, "a", "bad", "c")))
	b.expect(t, 2, 3, "a@0", "record_refused", "c@2")
}

func TestRefusalThatNoMessageCausesIsGivenUp(t *testing.T) {
	for name, batch := range map[string]*batch{
		"markers": {from: 0, next: 3}, "a rejected message": requests(0, "{"), "a good message": requests(0, "a"), "some": requests(0, "a", "{", "b"),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(0)
			b.ledger.record = func(context.Context, int, schemas.Batch) (bool, error) { return false, errPermanent }
			if err := b.settle(t.Context(), batch); !errors.Is(err, errPermanent) {
				t.Errorf("error %v, want %v", err, errPermanent)
			}
		})
	}
}

func TestRecordIsTriedAgain(t *testing.T) {
	failing := func(times int, store bool, err error) func(context.Context, int, schemas.Batch) (bool, error) {
		return func(_ context.Context, n int, _ schemas.Batch) (bool, error) {
			if n <= times {
				return store && n == 1, err
			}
			return true, nil
		}
	}
	tests := map[string]struct {
		record  func(context.Context, int, schemas.Batch) (bool, error)
		batches int // that Record was called with
	}{
		"transient":                          {failing(2, false, errTransient), 3},
		"stored, and the answer lost":        {failing(1, true, errTransient), 1},
		"unknown errors count as that":       {failing(1, true, context.DeadlineExceeded), 1},
		"fenced by the attempt before":       {failing(1, true, errMoved), 1},
		"an error that passes and says what": {failing(1, false, errConflict), 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(0)
			b.ledger.record = test.record
			must(t, b.settle(t.Context(), requests(0, "a", "b", "a")))
			b.expect(t, 2, 3, "a@0", "b@1", "a@0")
			if len(b.ledger.batches) != test.batches {
				t.Errorf("recorded %d times, want %d", len(b.ledger.batches), test.batches)
			}
		})
	}
}

// TestAttemptThatIsStoredLate has a connection break; the server commits while the next attempt is under way.
func TestAttemptThatIsStoredLate(t *testing.T) {
	b := newBench(0)
	b.ledger.record = func(_ context.Context, n int, batch schemas.Batch) (bool, error) {
		if n == 1 {
			return false, errTransient
		}
		if n == 2 {
			b.ledger.mu.Lock()
			defer b.ledger.mu.Unlock()
			must(t, b.ledger.put(b.ledger.batches[0]))
		}
		return true, nil
	}
	must(t, b.settle(t.Context(), requests(0, "a")))
	b.expect(t, 1, 1, "a@0")
}

func TestConflictIsAnsweredWithTheOthersDecision(t *testing.T) {
	b := newBench(0)
	b.ledger.record = func(_ context.Context, n int, _ schemas.Batch) (bool, error) {
		if n == 1 { // stored by another partition between the look-up and now
			b.ledger.rows["a"] = schemas.Decision{RequestID: "a", Source: schemas.Source{Offset: 77}}
			return true, nil
		}
		return true, nil
	}
	must(t, b.settle(t.Context(), requests(0, "a", "b")))
	b.expect(t, 2, 2, "a@77", "b@1")
}

func TestFencedWorkerGivesUp(t *testing.T) {
	for name, meddle := range map[string]func(*ledger){
		"another owner is within the batch": func(l *ledger) { l.fences[0] = 2 },
		"the fence was set back":            func(l *ledger) { l.fences[0] = 5 },
		"the fence is gone":                 func(l *ledger) { delete(l.fences, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			at := int64(0)
			if strings.Contains(name, "back") {
				at = 10
			}
			b := newBench(at)
			b.ledger.record = func(context.Context, int, schemas.Batch) (bool, error) {
				b.ledger.mu.Lock()
				defer b.ledger.mu.Unlock()
				meddle(b.ledger)
				return true, nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err := b.settle(ctx, requests(at, "a", "b", "c", "d"))
			if !errors.Is(err, errFenced) || IsTransient(err) {
				t.Errorf("error %v, want %v", err, errFenced)
			}
			if len(b.ledger.batches) != 1 || len(b.ledger.rows) != 0 {
				t.Errorf("%d batches tried, %d rows stored; want 1 and 0: nothing is halved", len(b.ledger.batches), len(b.ledger.rows))
			}
		})
	}
}

func TestAnotherOwnerWhoIsFurtherHasStoredTheDecisions(t *testing.T) {
	b := newBench(0)
	b.ledger.record = func(context.Context, int, schemas.Batch) (bool, error) {
		b.ledger.rows["a"] = schemas.Decision{RequestID: "a", Source: schemas.Source{Offset: 0}}
		b.ledger.fences[0] = 9
		return true, nil
	}
	must(t, b.settle(t.Context(), requests(0, "a")))
	b.expect(t, 1, 9, "a@0")
}
