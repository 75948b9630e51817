package upkeep

import (
	"context"
	"testing"
	"time"

	"recstream/internal/logbook"
	"recstream/internal/postgres"
	"recstream/schemas"
)

func TestPartitionsAreMadeAndDropped(t *testing.T) {
	db := openDatabase(t)

	var book logbook.Book
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	p := &Partitions{Database: db, Keep: postgres.Partitions{Ahead: 1, Retention: 24 * time.Hour},
		PopularityHalfLife: time.Hour, Now: func() time.Time { return now }, Log: book.Logger()}
	must(t, p.Maintain(t.Context()))
	must(t, db.RecordShadows(t.Context(), []*schemas.Decision{
		{RequestID: "old", Experiment: &schemas.ExperimentRef{}, Degraded: []schemas.Reason{}, ScoredAt: now},
		{RequestID: "new", Experiment: &schemas.ExperimentRef{}, Degraded: []schemas.Reason{}, ScoredAt: now.AddDate(0, 0, 2)},
	}))
	must(t, db.RecordTierChange(t.Context(), postgres.TierChange{At: now, Tier: schemas.TierModel}))
	must(t, db.RecordTierChange(t.Context(), postgres.TierChange{At: now.AddDate(0, 0, 2), Tier: schemas.TierModel}))
	_, err := db.Pool().Exec(t.Context(), `INSERT INTO popularity VALUES ('', '', '', 'gone', 1, now())`)
	must(t, err)
	for _, sql := range []string{`INSERT INTO items (id, title) VALUES ('a', 'A')`, `UPDATE items SET title = 'B'`,
		`UPDATE item_versions SET changed_at = '2026-03-12'`} {
		_, err = db.Pool().Exec(t.Context(), sql)
		must(t, err)
	}
	now = now.AddDate(0, 0, 2)
	must(t, p.Maintain(t.Context()))
	must(t, p.Maintain(t.Context())) // nothing to do, nothing to say
	for text, want := range map[string]int{
		"partitions made\" count=6":                                2, // of decisions, of outcomes and of past profiles
		"partitions=\"[decisions_20260314 outcomes_20260314]\"":    1,
		"partitions past their retention":                          1,
		"shadow decisions past their retention dropped\" count=1":  1,
		"faded or is of no item dropped\" count=1":                 1,
		"changes of tiers past their retention dropped\" count=1":  1,
		"versions of items past their retention dropped\" count=1": 1,
	} {
		if got := book.Count(text); got != want {
			t.Errorf("%q is logged %d times, want %d", text, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Maintain(ctx); err == nil {
		t.Error("a database that does not answer is no error")
	}
}
