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

// A replay goes when it is past its retention, but not while an instance starts.
func TestReplaysPastTheirRetentionAreDeleted(t *testing.T) {
	db := openDatabase(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	for _, age := range []time.Duration{3 * time.Hour, time.Hour} {
		r, err := db.CreateReplay(t.Context(), postgres.Replay{CreatedAt: now.Add(-age), Plan: []byte(`{}`),
			Partitions: []postgres.ReplayPartition{{To: 1}}}, "me")
		must(t, err)
		must(t, db.PauseReplay(t.Context(), r.RunID, ""))
	}
	var book logbook.Book
	p := &Partitions{Database: db, PopularityHalfLife: time.Hour, Now: func() time.Time { return now }, Log: book.Logger()}
	must(t, p.dropReplays(t.Context())) // 0 keeps all
	p.KeepReplay = 2 * time.Hour
	must(t, p.Maintain(t.Context())) // what a start waits for does not delete
	if list, err := db.Replays(t.Context()); err != nil || len(list) != 2 {
		t.Fatalf("%d replays (%v), want both", len(list), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(ctx)
	}()
	deadline := time.After(20 * time.Second)
	for book.Count("replays past their retention deleted\" run_ids=[1]") == 0 {
		select {
		case <-deadline:
			t.Error("the old replay is not deleted")
			cancel()
		case <-ended:
			t.Fatal("ended")
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	<-ended
	if list, err := db.Replays(t.Context()); err != nil || len(list) != 1 || list[0].RunID != 2 {
		t.Errorf("left are %+v (%v), want the second", list, err)
	}
}
