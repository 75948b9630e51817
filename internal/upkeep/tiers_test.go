package upkeep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"recstream/internal/logbook"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/fallback"
)

// tierStore is a store of changes that a test holds up.
type tierStore struct {
	began   chan struct{} // has room for every change
	release chan struct{} // nil waits for nothing, and a store that is never released for its context
	err     error
	reasons []schemas.Reason // of what was stored; to be read when Run has returned
}

func (s *tierStore) RecordTierChange(ctx context.Context, c postgres.TierChange) error {
	if s.release != nil {
		s.began <- struct{}{}
		select {
		case <-s.release:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if s.err == nil {
		s.reasons = append(s.reasons, c.Reason)
	}
	return s.err
}

// tierChange is one that is known by its reason.
func tierChange(i int) scoring.TierChange {
	return scoring.TierChange{Tier: schemas.TierModel, Change: fallback.Change{To: "open", Reason: schemas.Reason(fmt.Sprint("reason-", i))}}
}

// reasons are those of the changes from 0 on.
func reasons(n int) (list []schemas.Reason) {
	for i := range n {
		list = append(list, tierChange(i).Reason)
	}
	return list
}

func startTiers(t *testing.T, tiers *Tiers) (stop func(), ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tiers.Run(ctx)
	}()
	return cancel, done
}

// A change whose storing is under way at the end is stored once, and those behind it are too.
func TestTierChangesOutliveTheEnd(t *testing.T) {
	const changes = 3
	store := &tierStore{began: make(chan struct{}, changes), release: make(chan struct{})}
	var book logbook.Book
	tiers := NewTiers(store, "here", book.Logger())
	stop, ended := startTiers(t, tiers)
	for i := range changes {
		tiers.Note(tierChange(i))
	}
	within(t, "the first change", store.began)
	stop()
	close(store.release)
	within(t, "the end", ended)
	if !slices.Equal(store.reasons, reasons(changes)) {
		t.Errorf("stored %v, want %v", store.reasons, reasons(changes))
	}
	if n := book.Count("not stored"); n != 0 {
		t.Errorf("%d changes are said not to be stored", n)
	}
}

// Whatever the store does, each change is in the log, in order, and so is that it was not stored.
func TestTierChangesAreLoggedWhereTheyCannotBeStored(t *testing.T) {
	const changes = 3
	for name, store := range map[string]*tierStore{
		"an error":                   {err: errors.New("away")},
		"no answer until the end":    {began: make(chan struct{}, changes), release: make(chan struct{})},
		"an error, after some while": {began: make(chan struct{}, changes), release: closed(), err: errors.New("away")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var book logbook.Book
			tiers := NewTiers(store, "here", book.Logger())
			for i := range changes {
				tiers.Note(tierChange(i))
			}
			stop, ended := startTiers(t, tiers)
			stop()
			within(t, "the end", ended)
			last := -1
			for _, reason := range reasons(changes) {
				at := strings.Index(book.String(), string(reason))
				if at <= last {
					t.Errorf("%s is at %d of the log, after %d", reason, at, last)
				}
				last = at
			}
			if told, failed := book.Count("tier changed"), book.Count("not stored"); told != changes || failed != changes {
				t.Errorf("%d changes told, %d not stored; want %d of each", told, failed, changes)
			}
		})
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// Who notes a change holds a lock that all workers need: nothing is written there, and nothing waited for.
func TestNotingATierChangeNeverWaits(t *testing.T) {
	const tooMany = 10
	store := &tierStore{}
	var book logbook.Book
	tiers := NewTiers(store, "here", book.Logger())
	noted := make(chan struct{})
	go func() {
		defer close(noted)
		for i := range tierQueue + tooMany {
			tiers.Note(tierChange(i))
		}
	}()
	within(t, "the last note", noted)
	if book.String() != "" {
		t.Errorf("logged by who notes:\n%.300s", book.String())
	}
	stop, ended := startTiers(t, tiers)
	stop()
	within(t, "the end", ended)
	if n := book.Count("tier changed"); n != tierQueue || !slices.Equal(store.reasons, reasons(tierQueue)) {
		t.Errorf("%d changes logged, %d stored; want %d of each, in order", n, len(store.reasons), tierQueue)
	}
	if n := book.Count(fmt.Sprintf("too many waited\" count=%d", tooMany)); n != 1 {
		t.Errorf("the %d lost ones are told %d times, want once", tooMany, n)
	}
}
