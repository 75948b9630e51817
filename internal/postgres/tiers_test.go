package postgres

import (
	"reflect"
	"testing"
	"time"

	"recstream/schemas"
)

func TestTierChanges(t *testing.T) {
	db := newDatabase(t)
	m := registered(t, db, "m")[0]
	opened := TierChange{At: noon, Instance: "one", Tier: schemas.TierModel, Model: &m, From: "closed", To: "open", Reason: schemas.ReasonPanic}
	tried := TierChange{At: noon.Add(time.Second), Instance: "one", Tier: schemas.TierModel, Model: &m, From: "open", To: "half_open"}
	other := TierChange{At: noon.Add(-time.Hour), Instance: "two", Tier: schemas.TierPopular, From: "closed", To: "open", Reason: schemas.ReasonDeadlineExceeded}
	for _, c := range []TierChange{opened, other, tried} {
		must(t, db.RecordTierChange(deadline(t), c))
	}
	expect := func(limit int, want ...TierChange) {
		t.Helper()
		if got, err := db.TierChanges(deadline(t), limit); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("changes %+v, error %v; want %+v", got, err, want)
		}
	}
	expect(10, tried, opened, other)
	expect(2, tried, opened)
	if n, err := db.DropTierChanges(deadline(t), noon); n != 1 || err != nil {
		t.Errorf("dropped %d, error %v; want 1", n, err)
	}
	expect(10, tried, opened)

	unregistered := TierChange{At: noon, Tier: schemas.TierModel, Model: &schemas.ModelRef{Name: "of a file"}, From: "closed", To: "open"}
	must(t, db.RecordTierChange(deadline(t), unregistered))
	unregistered.Model = nil
	expect(10, tried, unregistered, opened)
}
