package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"recstream/schemas"
)

const (
	feedbackGroup = "recstream-feedback"
	feedbackTopic = "recommendation.feedback"
	tenDays       = 10 * 24 * time.Hour
)

// tally is an apply whose profiles tell which feedback they were given, in which order.
func tally(p *schemas.Profile, f *schemas.Feedback) {
	p.AsOf = f.At
	p.Activity++
	p.Genres = append(p.Genres, schemas.GenreWeight{Genre: f.ItemID, Weight: p.Activity})
}

// liking is a weight that differs by action and value, and is negative for what is disliked.
func liking(f *schemas.Feedback) float64 {
	if f.Action == schemas.ActionRating {
		return min(2*(f.Value-3), 4)
	}
	return map[schemas.Action]float64{schemas.ActionClick: 1, schemas.ActionPlay: 2, schemas.ActionComplete: 4, schemas.ActionDismiss: -3}[f.Action]
}

// newFeedbackLedger returns a ledger whose fences of partitions 0 to 3 stand at 0. The days are given partitions.
func newFeedbackLedger(t testing.TB, db *Database, apply func(*schemas.Profile, *schemas.Feedback), days ...time.Time) *FeedbackLedger {
	t.Helper()
	l := NewFeedbackLedger(db, feedbackGroup, apply, liking, tenDays)
	for partition := range 4 {
		must(t, l.MoveFence(deadline(t), feedbackTopic, partition, -1, 0))
	}
	for _, day := range days {
		for _, table := range []string{tableOutcomes, tableProfileVersions} {
			_, err := db.createPartition(deadline(t), table, day)
			must(t, err)
		}
	}
	return l
}

func feedback(user, item string) *schemas.Feedback {
	return &schemas.Feedback{RequestID: "r", UserID: user, ItemID: item, Action: schemas.ActionClick, Value: math.NaN(), At: noon}
}

// feedbackBatch gives events the offsets from one on, where the fence stands too.
func feedbackBatch(partition int, from int64, events ...*schemas.Feedback) schemas.FeedbackBatch {
	b := schemas.FeedbackBatch{Topic: feedbackTopic, Partition: partition, From: from, Next: from + int64(len(events)), ReceivedAt: noon}
	for i, f := range events {
		b.Events = append(b.Events, schemas.FeedbackEvent{Feedback: f, Offset: from + int64(i)})
	}
	return b
}

// again is the batch as it comes after a fence that has moved on already.
func again(b schemas.FeedbackBatch, fence int64) schemas.FeedbackBatch {
	b.From, b.Next, b.Repeated = fence, fence, true
	return b
}

// outcomes lists what is stored, "item@offset".
func outcomes(t testing.TB, db *Database) []string {
	t.Helper()
	return queryRows[string](t, db, `SELECT item_id || '@' || source_offset FROM outcomes ORDER BY source_partition, source_offset, at, item_id`)
}

// applied lists what a user's profile was given, in order.
func applied(t testing.TB, db *Database, user string) (items []string) {
	t.Helper()
	profiles := map[string]*schemas.Profile{}
	must(t, db.Profiles(deadline(t), []string{user}, profiles))
	if p := profiles[user]; p != nil {
		for _, g := range p.Genres {
			items = append(items, g.Genre)
		}
	}
	return items
}

func expectFeedback(t *testing.T, db *Database, l *FeedbackLedger, fence int64, want ...string) {
	t.Helper()
	if got := outcomes(t, db); !slices.Equal(got, want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
	if f, _, err := l.Fence(deadline(t), feedbackTopic, 0); err != nil || f != fence {
		t.Errorf("fence %d, error %v; want %d", f, err, fence)
	}
}

func TestFeedbackIsStoredInEveryField(t *testing.T) {
	db := newDatabase(t)
	l := newFeedbackLedger(t, db, tally, noon)
	rating := &schemas.Feedback{RequestID: "r1", UserID: "Zoë", ItemID: "七人の侍", Action: schemas.ActionRating, Value: -4.5, At: noon.Add(-time.Hour).Add(time.Microsecond)}
	anonymous := feedback("", "x")
	must(t, l.Record(deadline(t), feedbackBatch(2, 0, rating, anonymous)))
	got := queryRows[string](t, db, `SELECT concat_ws('|', request_id, coalesce(user_id, 'null'), item_id, action, coalesce(value::text, 'null'),
		at AT TIME ZONE 'UTC', received_at AT TIME ZONE 'UTC', source_topic, source_partition, source_offset) FROM outcomes ORDER BY source_offset`)
	want := []string{
		"r1|Zoë|七人の侍|rating|-4.5|2026-03-14 11:00:00.000001|2026-03-14 12:00:00|recommendation.feedback|2|0",
		"r|null|x|click|null|2026-03-14 12:00:00|2026-03-14 12:00:00|recommendation.feedback|2|1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("stored\n     %q\nwant %q", got, want)
	}
	if users := queryRows[string](t, db, `SELECT user_id FROM profiles`); !slices.Equal(users, []string{"Zoë"}) {
		t.Errorf("profiles of %q, want none of the anonymous", users)
	}
}

func TestFeedbackIsAppliedInTheOrderOfItsEvents(t *testing.T) {
	db := newDatabase(t)
	l := newFeedbackLedger(t, db, tally, noon)
	must(t, l.Record(deadline(t), feedbackBatch(0, 0, feedback("b", "1"), feedback("a", "2"), feedback("b", "3"))))
	must(t, l.Record(deadline(t), feedbackBatch(0, 3, feedback("c", "4"), feedback("b", "5"))))
	for user, want := range map[string][]string{"a": {"2"}, "b": {"1", "3", "5"}, "c": {"4"}, "nobody": nil} {
		if got := applied(t, db, user); !slices.Equal(got, want) {
			t.Errorf("profile of %s was given %v, want %v", user, got, want)
		}
	}
	expectFeedback(t, db, l, 5, "1@0", "2@1", "3@2", "4@3", "5@4")
}

func TestRepeatedFeedbackCountsOnce(t *testing.T) {
	one, two, three := feedback("u", "1"), feedback("u", "2"), feedback("u", "3")
	later := feedback("u", "of a topic made anew")
	later.At = noon.Add(time.Minute)
	tests := map[string]struct {
		second  schemas.FeedbackBatch
		want    []string
		applied []string
		fence   int64
	}{
		"all of it":               {again(feedbackBatch(0, 0, one, two), 2), []string{"1@0", "2@1"}, []string{"1", "2"}, 2},
		"a part":                  {again(feedbackBatch(0, 1, two), 2), []string{"1@0", "2@1"}, []string{"1", "2"}, 2},
		"with a new one":          {schemas.FeedbackBatch{Next: 3, Events: feedbackBatch(0, 1, two, three).Events}, []string{"1@0", "2@1", "3@2"}, []string{"1", "2", "3"}, 3},
		"one that was left out":   {again(feedbackBatch(0, 2, three), 2), []string{"1@0", "2@1", "3@2"}, []string{"1", "2", "3"}, 2},
		"another at its place":    {again(feedbackBatch(0, 0, later), 2), []string{"1@0", "of a topic made anew@0", "2@1"}, []string{"1", "2", "of a topic made anew"}, 2},
		"nothing but the fence":   {schemas.FeedbackBatch{Next: 7}, []string{"1@0", "2@1"}, []string{"1", "2"}, 7},
		"nobody says it is there": {schemas.FeedbackBatch{Next: 2, Events: feedbackBatch(0, 0, one, two).Events, ReceivedAt: noon}, []string{"1@0", "2@1"}, []string{"1", "2"}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			l := newFeedbackLedger(t, db, tally, noon, noon.AddDate(0, 0, 9))
			must(t, l.Record(deadline(t), feedbackBatch(0, 0, one, two)))
			b := test.second
			b.Topic, b.From = feedbackTopic, 2
			if b.ReceivedAt.IsZero() || b.Repeated {
				b.ReceivedAt, b.Repeated = noon.AddDate(0, 0, 9), true // in another partition
			}
			must(t, l.Record(deadline(t), b))
			expectFeedback(t, db, l, test.fence, test.want...)
			if got := applied(t, db, "u"); !slices.Equal(got, test.applied) {
				t.Errorf("profile was given %v, want %v", got, test.applied)
			}
		})
	}
}

func TestFeedbackWithAStaleFenceStoresNothing(t *testing.T) {
	db := newDatabase(t)
	l := newFeedbackLedger(t, db, tally, noon)
	must(t, l.Record(deadline(t), feedbackBatch(0, 0, feedback("u", "1"))))
	err := l.Record(deadline(t), feedbackBatch(0, 0, feedback("u", "2"), feedback("u", "3")))
	if !errors.Is(err, ErrFenced) || !transient(err) {
		t.Errorf("error %v, want %v", err, ErrFenced)
	}
	expectFeedback(t, db, l, 1, "1@0")
	if got := applied(t, db, "u"); len(got) != 1 {
		t.Errorf("profile was given %v, want 1 alone", got)
	}
}

func TestRefusedFeedbackLeavesNothing(t *testing.T) {
	late := feedback("u", "bad")
	late.At = time.Unix(9_300_000_000_000, 0)
	tests := map[string]struct {
		bad   *schemas.Feedback
		apply func(*schemas.Profile)
		want  string
	}{
		"NUL":            {bad: feedback("a\x00b", "bad"), want: "0x00"},
		"not UTF-8":      {bad: feedback("u", "bad\xff"), want: "0xff"},
		"time too large": {bad: late, want: "timestamp"},
		"a panic":        {bad: feedback("u", "bad"), apply: func(*schemas.Profile) { panic("a defect") }, want: "panic: a defect"},
		"no number":      {bad: feedback("u", "bad"), apply: func(p *schemas.Profile) { p.Genres[0].Weight = math.NaN() }, want: "not be finite"},
		"infinity":       {bad: feedback("u", "bad"), apply: func(p *schemas.Profile) { p.DurationSum = math.Inf(-1) }, want: "not be finite"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			l := newFeedbackLedger(t, db, func(p *schemas.Profile, f *schemas.Feedback) {
				tally(p, f)
				if f.ItemID == "bad" && test.apply != nil {
					test.apply(p)
				}
			}, noon)
			err := l.Record(deadline(t), feedbackBatch(0, 0, feedback("u", "good"), test.bad))
			if err == nil || transient(err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want a permanent one with %q", err, test.want)
			}
			expectFeedback(t, db, l, 0)
			if n := queryRows[int](t, db, `SELECT count(*) FROM profiles`)[0]; n != 0 {
				t.Errorf("%d profiles, want none", n)
			}
			must(t, l.Record(deadline(t), feedbackBatch(0, 0, feedback("u", "good")))) // the connection is in order
		})
	}
}

func TestFeedbackOfADayWithoutAPartition(t *testing.T) {
	db := newDatabase(t)
	l := newFeedbackLedger(t, db, tally)
	b := feedbackBatch(0, 0, feedback("u", "1"))
	if err := l.Record(deadline(t), b); !errors.Is(err, errMissingPartition) || !transient(err) {
		t.Errorf("error %v, want %v", err, errMissingPartition)
	}
	must(t, l.Record(deadline(t), b))
	expectFeedback(t, db, l, 1, "1@0")
}

// TestOneUserInPartitionsAtOnce has the same users' feedback come in several partitions, as from an app that
// gives its events no key: nothing is lost, and what is in each other's way passes.
func TestOneUserInPartitionsAtOnce(t *testing.T) {
	const rounds, users = 10, 7
	db := newDatabase(t)
	l := newFeedbackLedger(t, db, tally, noon)
	var wg sync.WaitGroup
	for partition := range 4 {
		wg.Go(func() {
			for round := range rounds {
				var events []*schemas.Feedback
				for i := range users { // each partition in an order of its own; new users every other round
					user := i * (partition + 1) % users
					events = append(events, feedback(fmt.Sprintf("user-%d-%d", round/2, user), fmt.Sprint(partition)))
				}
				b := feedbackBatch(partition, int64(round*users), events...)
				err := l.Record(t.Context(), b)
				for attempt := 1; err != nil && transient(err) && attempt < 10; attempt++ {
					err = l.Record(t.Context(), b)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wrong := queryRows[string](t, db, `SELECT user_id || ': ' || activity FROM profiles WHERE activity <> 8`)
	if n := queryRows[int](t, db, `SELECT count(*) FROM profiles`)[0]; n != rounds/2*users || len(wrong) > 0 {
		t.Errorf("%d profiles, of which wrong %v; want %d, each of 8 events", n, wrong, rounds/2*users)
	}
}

func TestStoredProfilesAreEqualInEveryField(t *testing.T) {
	r := newRandom(11)
	want := map[string]*schemas.Profile{}
	for i := range 50 {
		p := &schemas.Profile{UserID: fmt.Sprint(i, r.text()), AsOf: r.time(), Activity: r.float(), DurationSum: r.float(), DurationWeight: r.float(),
			Genres: []schemas.GenreWeight{}, Items: []schemas.ProfileItem{}}
		for range r.IntN(4) {
			p.Genres = append(p.Genres, schemas.GenreWeight{Genre: r.text(), Weight: r.float()})
		}
		for range r.IntN(5) {
			p.Items = append(p.Items, schemas.ProfileItem{ItemID: r.text(), Seen: pick(r, time.Time{}, r.time()),
				Dismissed: pick(r, time.Time{}, r.time()), Impressions: r.float()})
		}
		want[p.UserID] = p
	}
	db := newDatabase(t)
	l := newFeedbackLedger(t, db, func(p *schemas.Profile, _ *schemas.Feedback) {
		version := p.Version
		*p = *want[p.UserID]
		p.Version = version
	}, noon)
	var events []*schemas.Feedback
	var users []string
	for user := range want {
		users = append(users, user)
		events = append(events, feedback(user, "i"))
	}
	must(t, l.Record(deadline(t), feedbackBatch(0, 0, events...)))
	got := map[string]*schemas.Profile{}
	must(t, db.Profiles(deadline(t), append(users, "nobody", ""), got))
	if len(got) != len(want) {
		t.Errorf("%d profiles, want %d", len(got), len(want))
	}
	for user := range want {
		if want[user].Version = got[user].Version; want[user].Version == 0 || !reflect.DeepEqual(got[user], want[user]) {
			t.Errorf("profile\n got %+v\nwant %+v", got[user], want[user])
		}
	}
}

func BenchmarkRecordFeedback(b *testing.B) {
	const batch, users, items = 1000, 300, 500
	db := newDatabase(b)
	var ids []string
	for i := range items {
		ids = append(ids, fmt.Sprint(i))
	}
	popularItems(b, db, ids...)
	requests := batchOf(0)
	for i := range batch {
		d := decision(fmt.Sprint("request-", i), noon)
		d.Context = schemas.Context{Mood: schemas.Mood(i % int(schemas.NumMoods)), GroupSize: schemas.GroupSize(i % int(schemas.NumGroupSizes))}
		requests.Decisions = append(requests.Decisions, d)
	}
	must(b, newLedger(b, db, noon).Record(deadline(b), requests))
	l := newFeedbackLedger(b, db, tally, noon)
	from := int64(0)
	for b.Loop() {
		var events []*schemas.Feedback
		for i := range batch {
			f := feedback(fmt.Sprintf("user-%04d", (int(from)+i)*7919%users), ids[i*i%items])
			f.RequestID = fmt.Sprint("request-", i)
			events = append(events, f)
		}
		must(b, l.Record(deadline(b), feedbackBatch(0, from, events...)))
		from += batch
	}
	b.ReportMetric(float64(from)/b.Elapsed().Seconds(), "events/s")
}

// However many partitions wait for a lock, connections are left for those whom requests wait for.
func TestFeedbackLeavesConnectionsForTheLiveStream(t *testing.T) {
	db := newDatabase(t)
	places := cap(db.background)
	if places < 1 || places >= int(db.pool.Config().MaxConns) {
		t.Fatalf("%d places in %d connections", places, db.pool.Config().MaxConns)
	}
	for range places {
		_, err := db.inBackground(t.Context())
		must(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.inBackground(ctx); err == nil {
		t.Error("there is a place too many")
	}
}

// What no profile can be is refused where somebody writes it by hand.
func TestProfilesRefuseWhatIsNone(t *testing.T) {
	db := newDatabase(t)
	for _, values := range []string{
		`'NaN', '{}', '{}'`, `'Infinity', '{}', '{}'`, `1, '{Comedy,NULL}', '{1,2}'`, `1, '{Comedy}', '{NULL}'`, `1, '{Comedy}', '{NaN}'`, `1, '{Comedy}', '{}'`,
	} {
		if _, err := db.pool.Exec(t.Context(), `INSERT INTO profiles (user_id, activity, genres, genre_weights) VALUES ('u', `+values+`)`); err == nil {
			t.Errorf("%s is taken", values)
		}
	}
}
