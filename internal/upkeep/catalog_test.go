package upkeep

import (
	"context"
	"errors"
	"testing"
	"time"

	"recstream/internal/logbook"
	"recstream/schemas"
	"recstream/scoring"
)

// shelf is a catalogue store; reads counts how often the items were read.
type shelf struct {
	version int64
	items   []schemas.Item
	reads   int
	fail    error
}

func (s *shelf) CatalogVersion(context.Context) (int64, error) { return s.version, s.fail }

func (s *shelf) Catalog(context.Context) ([]schemas.Item, int64, error) {
	s.reads++
	return s.items, s.version, s.fail
}

func newEngine(t *testing.T) *scoring.Engine {
	t.Helper()
	e, err := scoring.New(scoring.DefaultParams(), scoring.Options{})
	must(t, err)
	return e
}

// decide returns the engine's decision on a request that says nothing.
func decide(t *testing.T, e *scoring.Engine) schemas.Decision {
	t.Helper()
	var d schemas.Decision
	must(t, e.NewScorer().Decide(&schemas.Request{RequestID: "r", RequestedAt: time.Unix(0, 0)}, nil, &d))
	return d
}

func newCatalog(t *testing.T, s *shelf) *Catalog {
	return &Catalog{Store: s, Engine: newEngine(t), Interval: time.Hour, Log: new(logbook.Book).Logger()}
}

func TestCatalogIsReadWhenItsVersionHasChanged(t *testing.T) {
	store := &shelf{version: 1, items: []schemas.Item{{ID: "a", Title: "A"}}}
	c, checked := newCatalog(t, store), time.Time{}
	for _, step := range []struct {
		name    string
		version int64
		ids     []string
		reads   int
	}{
		{"first", 1, []string{"a"}, 1},
		{"unchanged", 1, []string{"a"}, 1},
		{"changed", 2, []string{"a", "b"}, 2},
		{"unchanged again", 2, []string{"a", "b"}, 2},
		{"another database, younger", 1, []string{"c"}, 3},
	} {
		store.version, store.items = step.version, nil
		for _, id := range step.ids {
			store.items = append(store.items, schemas.Item{ID: id, Title: id})
		}
		must(t, c.Refresh(t.Context()))
		d := decide(t, c.Engine)
		if store.reads != step.reads || d.CatalogVersion != step.version || d.Considered != len(step.ids) {
			t.Errorf("%s: read %d times, version %d, %d items; want %d, %d, %d", step.name,
				store.reads, d.CatalogVersion, d.Considered, step.reads, step.version, len(step.ids))
		}
		if s := c.State(); s.Version != step.version || s.Items != len(step.ids) || !s.Checked.After(checked) {
			t.Errorf("%s: state %+v, checked before at %s", step.name, s, checked)
		}
		checked = c.State().Checked
	}
}

func TestCatalogInForceStaysWhileTheStoreIsInTrouble(t *testing.T) {
	store := &shelf{version: 1, items: []schemas.Item{{ID: "a"}}}
	c := newCatalog(t, store)
	must(t, c.Refresh(t.Context()))
	found := c.State()
	store.version, store.fail = 2, errors.New("away")
	if err := c.Refresh(t.Context()); !errors.Is(err, store.fail) {
		t.Errorf("error %v, want %v", err, store.fail)
	}
	store.fail, store.items = nil, []schemas.Item{{ID: "a"}, {ID: "a"}} // refused: one id twice
	if err := c.Refresh(t.Context()); err == nil {
		t.Error("a catalogue with one id twice is no error")
	}
	if s := c.State(); s != found {
		t.Errorf("state %+v after looks that failed, want that of before, %+v", s, found)
	}
	if v := decide(t, c.Engine).CatalogVersion; v != 1 {
		t.Errorf("version %d in force, want the old one", v)
	}
	store.items = []schemas.Item{{ID: "b"}}
	must(t, c.Refresh(t.Context()))
	if v := decide(t, c.Engine).CatalogVersion; v != 2 {
		t.Errorf("version %d in force, want the new one", v)
	}
}
