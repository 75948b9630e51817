package postgres

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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
		if describe(got) != describe(want) || !reflect.DeepEqual(got.Explanation, want.Explanation) {
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

func TestRecommendationsViewNamesTheTerms(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	plain, blended := decision("plain", noon), decision("blended", noon)
	plain.Items = []schemas.ScoredItem{{ItemID: "a", Score: 0.5, Terms: schemas.Terms{0.5}}}
	blended.Items = []schemas.ScoredItem{{ItemID: "a", Score: 28, Terms: schemas.Terms{1, 2, 3, 4, 5, 6, 7}}, {ItemID: "b", Score: -8, Terms: schemas.Terms{0, 0, 0, 0, 0, 0, -8}}}
	blended.Pinned, blended.ColdStart = 1, []schemas.ColdStart{schemas.ColdAnonymousUser, schemas.ColdNewItem}
	blended.Explanation = &schemas.Explanation{Items: []schemas.ItemExplanation{{Reason: "first"}, {Reason: "\u2028 second"}}}
	must(t, l.Record(deadline(t), batchOf(0, plain, blended)))
	got := queryRows[string](t, db, `SELECT concat_ws('|', request_id, rank, pinned, coalesce(cold_start::text, 'null'), `+termColumns()+`,
		coalesce(reason, 'null')) FROM recommendations ORDER BY request_id, rank`)
	want := []string{
		"blended|1|t|{anonymous_user,new_item}|1|2|3|4|5|6|7|first",
		"blended|2|f|{anonymous_user,new_item}|0|0|0|0|0|0|-8|\u2028 second",
		"plain|1|f|null|0.5|0|0|0|0|0|0|null",
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows\n got %q\nwant %q", got, want)
	}
}

// termColumns are the view's, by the terms' names.
func termColumns() string { return "term_" + strings.Join(schemas.TermNames[:], ", term_") }

// What the version before wrote has no terms, and what a version with fewer terms wrote has the first of them.
func TestRowsOfOtherVersionsAreRead(t *testing.T) {
	items := func() []schemas.ScoredItem { return []schemas.ScoredItem{{Score: 3}, {Score: 7}} }
	for name, test := range map[string]struct {
		terms []float64
		want  [2]schemas.Terms
	}{
		"none":        {nil, [2]schemas.Terms{{3}, {7}}},
		"two an item": {[]float64{1, 2, 3, 4}, [2]schemas.Terms{{1, 2}, {3, 4}}},
		"eight":       {[]float64{1, 0, 0, 0, 0, 0, 1, 9, 2, 0, 0, 0, 0, 0, 2, 9}, [2]schemas.Terms{{1, 6: 1}, {2, 6: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := items()
			readTerms(got, test.terms)
			if got[0].Terms != test.want[0] || got[1].Terms != test.want[1] {
				t.Errorf("terms %v and %v, want %v", got[0].Terms, got[1].Terms, test.want)
			}
		})
	}
}

func TestExplanationThatCannotBeWrittenIsRefused(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	infinite, bad := math.Inf(1), decision("bad", noon)
	bad.Explanation = &schemas.Explanation{Dropped: []schemas.Dropped{{Score: &infinite}}}
	err := l.Record(deadline(t), batchOf(0, decision("good", noon), bad))
	if err == nil || transient(err) || !strings.Contains(err.Error(), "explanation") {
		t.Errorf("error %v, want a permanent one of the explanation", err)
	}
	if n, f := count(t, db), fenceOf(t, l, 0); n != 0 || f != 0 {
		t.Errorf("%d rows and fence %d, want 0 and 0", n, f)
	}
	must(t, l.Record(deadline(t), batchOf(0, decision("good", noon)))) // the connection is in order
}

func TestDecisionOfARequest(t *testing.T) {
	db := newDatabase(t)
	longAgo := noon.AddDate(-1, 0, 0)
	l := newLedger(t, db, noon, longAgo)
	must(t, l.Record(deadline(t), batchOf(0, decision("twice", noon))))
	must(t, l.Record(deadline(t), batchOf(1, decision("twice", longAgo), decision("once", longAgo))))
	execute(t, db, `INSERT INTO decisions SELECT (jsonb_populate_record(d, '{"run_id": 5, "request_id": "replayed"}')).* FROM decisions d WHERE request_id = 'once'`)
	for id, want := range map[string]time.Time{"twice": noon, "once": longAgo, "replayed": {}, "never": {}} {
		d, err := db.Decision(deadline(t), id)
		must(t, err)
		if want.IsZero() && d != nil || !want.IsZero() && (d == nil || d.RequestID != id || !d.ScoredAt.Equal(want)) {
			t.Errorf("%s: decision %v, want that of %s", id, d, want)
		}
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
