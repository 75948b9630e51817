package postgres

import (
	"slices"
	"testing"
	"time"

	"recstream/schemas"
)

func TestTierChanges(t *testing.T) {
	db := newDatabase(t)
	m := registered(t, db, "m")[0]
	for _, c := range []TierChange{
		{At: noon, Instance: "one", Tier: schemas.TierModel, Model: &m, From: "closed", To: "open", Reason: schemas.ReasonPanic},
		{At: noon.Add(-time.Hour), Instance: "two", Tier: schemas.TierPopular, From: "closed", To: "open", Reason: schemas.ReasonDeadlineExceeded},
		{At: noon.Add(time.Second), Instance: "one", Tier: schemas.TierModel, Model: &schemas.ModelRef{Name: "of a file"}, From: "open", To: "half_open"},
	} {
		must(t, db.RecordTierChange(deadline(t), c))
	}
	expect := func(want ...string) {
		t.Helper()
		got := queryRows[string](t, db, `SELECT concat_ws(' ', at AT TIME ZONE 'UTC', instance, tier, from_state, to_state, coalesce(reason, 'null'),
			CASE model_id WHEN $1 THEN 'm' ELSE model_id::text END) FROM tier_changes ORDER BY at`, m.ID)
		if !slices.Equal(got, want) {
			t.Errorf("changes\n got %q\nwant %q", got, want)
		}
	}
	opened, tried := "2026-03-14 12:00:00 one model closed open panic m", "2026-03-14 12:00:01 one model open half_open null"
	expect("2026-03-14 11:00:00 two popular closed open deadline_exceeded", opened, tried)
	if n, err := db.DropTierChanges(deadline(t), noon); n != 1 || err != nil {
		t.Errorf("dropped %d, error %v; want 1", n, err)
	}
	expect(opened, tried)
}
