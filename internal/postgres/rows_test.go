package postgres

import (
	"fmt"
	"math"
	"testing"

	"recstream/schemas"
)

// registered stores models and returns them with their ids.
func registered(t testing.TB, db *Database, names ...string) []schemas.ModelRef {
	t.Helper()
	var list []schemas.ModelRef
	for _, name := range names {
		ref := schemas.ModelRef{Name: name, Version: "v1", SHA256: fmt.Sprintf("%064x", len(name))}
		id, err := db.RegisterModel(deadline(t), ref, ModelInfo{})
		must(t, err)
		ref.ID = id
		list = append(list, ref)
	}
	return list
}

func TestStoredDecisionsAreEqualInEveryField(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	models := registered(t, db, "first", "second 🎬")
	r := newRandom(7)
	b := batchOf(0)
	var ids []string
	for i := range 2000 {
		id := fmt.Sprintf("%s-%d", r.text(), i)
		ids = append(ids, id)
		b.Decisions = append(b.Decisions, r.decision(id, noon, models))
	}
	must(t, l.Record(deadline(t), b))
	found, err := l.Find(deadline(t), ids, noon, false)
	must(t, err)
	if len(found) != len(ids) {
		t.Fatalf("found %d of %d decisions", len(found), len(ids))
	}
	for _, want := range b.Decisions {
		got := found[want.RequestID]
		if describe(got) != describe(want) {
			t.Fatalf("read back\n got %s\nwant %s", describe(got), describe(want))
		}
		if a, b := schemas.AppendResult(nil, got), schemas.AppendResult(nil, want); string(a) != string(b) {
			t.Fatalf("the result of the stored decision\n%s\nis not that of the original\n%s", a, b)
		}
	}
}

func TestScoreThatIsNotANumberDoesNotLockTheRowAway(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	d := decision("r", noon)
	d.Items = []schemas.ScoredItem{{ItemID: "a", Prediction: math.Inf(1), Score: math.NaN()}}
	must(t, l.Record(deadline(t), batchOf(0, d)))
	found, err := l.Find(deadline(t), []string{"r"}, noon, false)
	must(t, err)
	if found["r"] == nil || describe(found["r"]) != describe(d) {
		t.Errorf("found %v, want %s", found, describe(d))
	}
}

func TestRecommendationsViewHasARowForEachItem(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	full, empty := decision("full", noon), decision("empty", noon)
	full.UserID, full.Context.Mood = "ada", schemas.MoodFunny
	full.Model = &registered(t, db, "m")[0]
	full.Items = []schemas.ScoredItem{
		{ItemID: "a", Title: "A", Prediction: 0.5, Score: 2},
		{ItemID: "b", Title: "B", Prediction: math.NaN(), Score: 1},
	}
	must(t, l.Record(deadline(t), batchOf(0, full, empty)))
	got := queryRows[string](t, db, `SELECT concat_ws('|', request_id, rank, item_id, title, coalesce(prediction::text, 'null'),
		score, user_id, mood, coalesce(group_size, 'null'), model_name) FROM recommendations ORDER BY request_id, rank`)
	want := []string{"full|1|a|A|0.5|2|ada|funny|null|m", "full|2|b|B|null|1|ada|funny|null|m"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rows\n got %q\nwant %q", got, want)
	}
}

func TestRegisterModel(t *testing.T) {
	db := newDatabase(t)
	ref := schemas.ModelRef{Name: "m", Version: "1", SHA256: "00"}
	ids := make(chan int32)
	for range 8 {
		go func() {
			id, err := db.RegisterModel(t.Context(), ref, ModelInfo{})
			if err != nil {
				t.Error(err)
			}
			ids <- id
		}()
	}
	first := <-ids
	for range 7 {
		if id := <-ids; id != first {
			t.Errorf("one model has the ids %d and %d", first, id)
		}
	}
	ref.Version = "2"
	if id, err := db.RegisterModel(deadline(t), ref, ModelInfo{}); err != nil || id == first {
		t.Errorf("another version has id %d, error %v; want another than %d", id, err, first)
	}
}
