package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// popularItems makes a catalogue of items with those ids.
func popularItems(t testing.TB, db *Database, ids ...string) {
	t.Helper()
	items := make([]schemas.Item, len(ids))
	for i, id := range ids {
		items[i].ID = id
	}
	must(t, db.ImportItems(deadline(t), items, nil))
}

// outcome is a feedback of a request.
func outcome(request, item string, a schemas.Action, value float64, at time.Time) *schemas.Feedback {
	return &schemas.Feedback{RequestID: request, ItemID: item, Action: a, Value: value, At: at}
}

func clicked(request, item string, at time.Time) *schemas.Feedback {
	return outcome(request, item, schemas.ActionClick, math.NaN(), at)
}

// popularity lists what is stored, "context item weight@days after noon".
func popularity(t testing.TB, db *Database) (list []string) {
	t.Helper()
	counts, err := db.Popularity(deadline(t), math.MaxInt64) // nothing fades away
	must(t, err)
	for _, p := range counts {
		list = append(list, fmt.Sprintf("%s-%s-%s %s %.6g@%v", p.Mood, p.GroupSize, p.SessionLength, p.ItemID, p.Weight, p.AsOf.Sub(noon).Hours()/24))
	}
	slices.Sort(list)
	return list
}

func days(n float64) time.Time { return noon.Add(time.Duration(n * 24 * float64(time.Hour))) }

// The half-life is ten days; what is expected is computed by hand.
func TestOutcomesMakePopularity(t *testing.T) {
	const rating = schemas.ActionRating
	tests := map[string]struct {
		batches [][]*schemas.Feedback
		want    []string
	}{
		"what counts": {
			[][]*schemas.Feedback{{clicked("r", "a", noon), outcome("r", "b", schemas.ActionPlay, 55, noon), outcome("r", "c", schemas.ActionComplete, math.NaN(), noon)}},
			[]string{"-- a 1@0", "-- b 2@0", "-- c 4@0"},
		},
		"what does not": {
			[][]*schemas.Feedback{{outcome("r", "a", schemas.ActionImpression, 9, noon), outcome("r", "b", schemas.ActionDismiss, 9, noon), outcome("r", "c", rating, 3, noon),
				outcome("r", "a", rating, -5, noon), outcome("r", "b", rating, math.Inf(-1), noon)}},
			nil,
		},
		"ratings": {
			[][]*schemas.Feedback{{outcome("r", "a", rating, 3.5, noon), outcome("r", "b", rating, 5, noon), outcome("r", "c", rating, math.MaxFloat64, noon)}},
			[]string{"-- a 1@0", "-- b 4@0", "-- c 4@0"},
		},
		"contexts": {
			[][]*schemas.Feedback{{clicked("funny", "a", noon), clicked("solo-binge", "a", noon), clicked("unheard of", "a", noon), clicked("funny", "a", noon), clicked("old", "b", noon)}},
			[]string{"-- a 1@0", "-- b 1@0", "-solo-binge a 1@0", "funny-- a 2@0"},
		},
		"an old request with its own time": {
			[][]*schemas.Feedback{{clicked("old", "b", days(-7)), clicked("old", "b", noon)}},
			[]string{"-- b 1@0", "dramatic-- b 1@-7"},
		},
		"feedback that comes too late for its context": {
			[][]*schemas.Feedback{{clicked("older", "b", days(-29)), clicked("old", "c", days(-6))}},
			[]string{"-- b 1@-29", "dramatic-- c 1@-6"},
		},
		"in a batch, in order":         {[][]*schemas.Feedback{{clicked("r", "a", noon), clicked("r", "a", days(10))}}, []string{"-- a 1.5@10"}},
		"in a batch, out of order":     {[][]*schemas.Feedback{{clicked("r", "a", days(10)), clicked("r", "a", noon)}}, []string{"-- a 1.5@10"}},
		"in batches, in order":         {[][]*schemas.Feedback{{clicked("r", "a", noon)}, {clicked("r", "a", days(10))}}, []string{"-- a 1.5@10"}},
		"in batches, out of order":     {[][]*schemas.Feedback{{clicked("r", "a", days(10))}, {clicked("r", "a", noon)}}, []string{"-- a 1.5@10"}},
		"ages apart":                   {[][]*schemas.Feedback{{clicked("r", "a", days(-500_000))}, {clicked("r", "a", noon)}, {clicked("r", "a", days(-400_000))}}, []string{"-- a 1@0"}},
		"what is not in the catalogue": {[][]*schemas.Feedback{{clicked("r", "made up", noon), clicked("r", "a", noon)}}, []string{"-- a 1@0"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			popularItems(t, db, "a", "b", "c")
			decided := newLedger(t, db, noon, days(-8), days(-30))
			funny, binge, old, older := decision("funny", noon), decision("solo-binge", noon), decision("old", days(-8)), decision("older", days(-30))
			funny.Context.Mood, old.Context.Mood, older.Context.Mood = schemas.MoodFunny, schemas.MoodDramatic, schemas.MoodAction
			binge.Context.GroupSize, binge.Context.SessionLength = schemas.GroupSolo, schemas.SessionBinge
			must(t, decided.Record(deadline(t), batchOf(0, funny, binge)))
			must(t, decided.Record(deadline(t), batchOf(1, old)))
			must(t, decided.Record(deadline(t), batchOf(2, older)))
			l := newFeedbackLedger(t, db, tally, noon)
			from := int64(0)
			for _, events := range test.batches {
				must(t, l.Record(deadline(t), feedbackBatch(0, from, events...)))
				from += int64(len(events))
			}
			if got := popularity(t, db); !slices.Equal(got, test.want) {
				t.Errorf("popularity\n got %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestRepeatedOutcomesCountOnce(t *testing.T) {
	db := newDatabase(t)
	popularItems(t, db, "1", "2")
	l := newFeedbackLedger(t, db, tally, noon)
	one, two := feedback("u", "1"), feedback("u", "2")
	must(t, l.Record(deadline(t), feedbackBatch(0, 0, one)))
	must(t, l.Record(deadline(t), again(feedbackBatch(0, 0, one), 1)))                                                                                            // said to be repeated
	must(t, l.Record(deadline(t), schemas.FeedbackBatch{Topic: feedbackTopic, From: 1, Next: 2, ReceivedAt: noon, Events: feedbackBatch(0, 0, one, two).Events})) // not said
	if err := l.Record(deadline(t), feedbackBatch(0, 1, two)); err == nil {
		t.Error("a stale fence stores a batch")
	}
	bad := feedback("u", "bad\x00")
	if err := l.Record(deadline(t), feedbackBatch(0, 2, two, bad)); err == nil {
		t.Error("a refused event is stored")
	}
	if got, want := popularity(t, db), []string{"-- 1 1@0", "-- 2 1@0"}; !slices.Equal(got, want) {
		t.Errorf("popularity %q, want %q", got, want)
	}
}

// TestPopularItemsInPartitionsAtOnce has the same items' outcomes come in several partitions, each in an order of
// its own: nothing is lost, and nothing is in each other's way for good.
func TestPopularItemsInPartitionsAtOnce(t *testing.T) {
	const rounds, items = 5, 401
	db := newDatabase(t)
	var ids []string
	for i := range items {
		ids = append(ids, fmt.Sprint("item-", i))
	}
	popularItems(t, db, ids...)
	l := newFeedbackLedger(t, db, tally, noon)
	var wg sync.WaitGroup
	for partition := range 4 {
		wg.Go(func() {
			for round := range rounds {
				var events []*schemas.Feedback
				for i := range items {
					events = append(events, feedback(fmt.Sprint("user-", partition), ids[i*(partition+1)%items]))
				}
				b := feedbackBatch(partition, int64(round*items), events...)
				if err := l.Record(t.Context(), b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	counts, err := db.Popularity(deadline(t), twoDay)
	must(t, err)
	if len(counts) != items {
		t.Errorf("%d items, want %d", len(counts), items)
	}
	for _, p := range counts {
		if p.Weight != 4*rounds {
			t.Errorf("%s has %v, want %d", p.ItemID, p.Weight, 4*rounds)
		}
	}
}

func TestPopularityVersionGoesWithTheFeedback(t *testing.T) {
	db := newDatabase(t)
	popularItems(t, db, "a")
	l := newFeedbackLedger(t, db, tally, noon)
	seen := map[string]bool{}
	version := func() string {
		t.Helper()
		v, err := db.PopularityVersion(deadline(t), feedbackGroup)
		must(t, err)
		return v
	}
	for partition := range 2 {
		for offset := range 2 {
			seen[version()] = true
			must(t, l.Record(deadline(t), feedbackBatch(partition, int64(offset), clicked("r", "a", noon))))
		}
	}
	if seen[version()] || len(seen) != 4 {
		t.Errorf("%d versions in 4 batches, %q after them: %v", len(seen), version(), seen)
	}
	before := version()
	must(t, newLedger(t, db, noon).Record(deadline(t), batchOf(0, decision("r", noon)))) // of another group
	if after := version(); after != before {
		t.Errorf("a decision makes %q of the version %q", after, before)
	}
	if v, err := db.PopularityVersion(deadline(t), "nobody"); v != "" || err != nil {
		t.Errorf("version %q, error %v of a group that has stored nothing", v, err)
	}
}

// TestOneLateFeedbackLooksNowhere asks the server which partitions a batch with one event of 1970 has looked into.
func TestOneLateFeedbackLooksNowhere(t *testing.T) {
	db := newDatabase(t)
	popularItems(t, db, "a")
	newLedger(t, db, noon, days(-5), days(-20))
	l := newFeedbackLedger(t, db, tally, noon)
	tx, err := db.pool.Begin(deadline(t))
	must(t, err)
	defer rollback(tx, db.timeout)
	b := feedbackBatch(0, 0, clicked("r", "a", time.Unix(0, 0)), clicked("r", "a", days(-3)))
	must(t, l.countPopularity(deadline(t), tx, b, b.Events))
	rows, err := tx.Query(deadline(t), `SELECT relation::regclass::text FROM pg_locks WHERE pid = pg_backend_pid()
		AND locktype = 'relation' AND relation IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'decisions'::regclass) ORDER BY 1`)
	must(t, err)
	looked, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if want := []string{"decisions_20260309", "decisions_20260314"}; !slices.Equal(looked, want) {
		t.Errorf("looked into %v, want %v", looked, want)
	}
}

// addCount stores a count that is so many half-lives of ten days old.
func addCount(t testing.TB, db *Database, mood, item string, weight, halfLives float64) {
	t.Helper()
	execute(t, db, `INSERT INTO popularity VALUES ($1, '', '', $2, $3, $4)`, mood, item, weight, days(-10*halfLives))
}

func TestFadedPopularityIsNeitherReadNorKept(t *testing.T) {
	const halfLife = 10 * 24 * time.Hour
	db := newDatabase(t)
	if n, err := db.DropPopularity(deadline(t), halfLife); n != 0 || err != nil {
		t.Errorf("of an empty table %d rows are dropped, error %v", n, err)
	}
	popularItems(t, db, "a", "b", "c")
	addCount(t, db, "", "a", 1, 0)
	addCount(t, db, "", "b", 1, 6)       // 1/64
	addCount(t, db, "", "c", 1, 7)       // 1/128
	addCount(t, db, "funny", "a", 20, 1) // 10
	addCount(t, db, "funny", "b", 1e9, 200)
	addCount(t, db, "action", "gone", 4, 0)
	read := func(limit int) (list []string) {
		counts, err := db.popularity(deadline(t), halfLife, limit)
		must(t, err)
		for _, p := range counts {
			list = append(list, p.Mood.String()+" "+p.ItemID)
		}
		return list
	}
	for limit, want := range map[int][]string{9: {"funny a", "action gone", " a", " b"}, 2: {"funny a", "action gone"}} {
		if got := read(limit); !slices.Equal(got, want) {
			t.Errorf("at most %d: %q, want %q", limit, got, want)
		}
	}
	if n, err := db.DropPopularity(deadline(t), halfLife); n != 3 || err != nil {
		t.Errorf("%d rows are dropped, error %v; want 3", n, err)
	}
	kept := queryRows[string](t, db, `SELECT mood || ' ' || item_id FROM popularity ORDER BY 1`)
	if want := []string{" a", " b", "funny a"}; !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
}

// TestDroppingPopularityWaitsForNobody has a feedback hold a row that is to go.
func TestDroppingPopularityWaitsForNobody(t *testing.T) {
	db := newDatabase(t)
	addCount(t, db, "", "held", 1, 0)
	addCount(t, db, "", "free", 1, 0)
	tx, err := db.pool.Begin(deadline(t))
	must(t, err)
	defer rollback(tx, db.timeout)
	_, err = tx.Exec(deadline(t), `UPDATE popularity SET weight = 2 WHERE item_id = 'held'`)
	must(t, err)
	soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, want := range []int64{1, 0} {
		if n, err := db.DropPopularity(soon, twoDay); n != want || err != nil {
			t.Errorf("%d rows are dropped, error %v; want %d", n, err, want)
		}
	}
	must(t, tx.Commit(deadline(t)))
	if n, err := db.DropPopularity(soon, twoDay); n != 1 || err != nil {
		t.Errorf("%d rows are dropped when all is free, error %v; want 1", n, err)
	}
}

func TestPopularityRefusesWhatIsNone(t *testing.T) {
	db := newDatabase(t)
	for _, weight := range []string{"-1", "'NaN'", "'Infinity'", "NULL"} {
		if _, err := db.pool.Exec(t.Context(), `INSERT INTO popularity VALUES ('', '', '', 'a', `+weight+`, now())`); err == nil {
			t.Errorf("%s is taken", weight)
		}
	}
}
