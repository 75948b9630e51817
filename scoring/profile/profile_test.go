package profile_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/profile"
)

const halfLife = 10 * 24 * time.Hour

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// day is so many days after the start; the half-life is ten of them.
func day(n float64) time.Time { return start.Add(time.Duration(n * 24 * float64(time.Hour))) }

// films are a small catalogue.
var films = map[string]*schemas.Item{
	"heat":    {ID: "heat", Genres: []string{"Drama", "Crime", "Drama"}, DurationMin: 170},
	"airport": {ID: "airport", Genres: []string{"Comedy"}, DurationMin: 90},
	"short":   {ID: "short", Genres: []string{"Comedy", "Drama"}},
}

func event(id string, a schemas.Action, at time.Time) schemas.Feedback {
	return schemas.Feedback{RequestID: "r", UserID: "ada", ItemID: id, Action: a, Value: math.NaN(), At: at}
}

func rating(id string, value float64, at time.Time) schemas.Feedback {
	f := event(id, schemas.ActionRating, at)
	f.Value = value
	return f
}

func applied(events ...schemas.Feedback) *schemas.Profile {
	p := &schemas.Profile{UserID: "ada"}
	for i := range events {
		profile.Apply(p, &events[i], films[events[i].ItemID], halfLife)
	}
	return p
}

func weight(genre string, w float64) schemas.GenreWeight {
	return schemas.GenreWeight{Genre: genre, Weight: w}
}

// The expected values are computed by hand.
func TestApply(t *testing.T) {
	const play, complete, click = schemas.ActionPlay, schemas.ActionComplete, schemas.ActionClick
	const dismiss, impression = schemas.ActionDismiss, schemas.ActionImpression
	tests := map[string]struct {
		events []schemas.Feedback
		want   schemas.Profile
	}{
		"impression": {
			[]schemas.Feedback{event("heat", impression, day(0)), event("heat", impression, day(1))},
			schemas.Profile{AsOf: day(1), Items: []schemas.ProfileItem{{ItemID: "heat", Impressions: 2}}},
		},
		"click": {
			[]schemas.Feedback{event("heat", click, day(0))},
			schemas.Profile{AsOf: day(0), Activity: 1, Genres: []schemas.GenreWeight{weight("Crime", 1), weight("Drama", 1)}},
		},
		"play and complete": {
			[]schemas.Feedback{event("heat", play, day(0)), event("heat", complete, day(0))},
			schemas.Profile{AsOf: day(0), Activity: 2, Genres: []schemas.GenreWeight{weight("Crime", 6), weight("Drama", 6)},
				DurationSum: 340, DurationWeight: 2, Items: []schemas.ProfileItem{{ItemID: "heat", Seen: day(0)}}},
		},
		"dismiss": {
			[]schemas.Feedback{event("airport", dismiss, day(2))},
			schemas.Profile{AsOf: day(2), Activity: 1, Genres: []schemas.GenreWeight{weight("Comedy", -3)},
				Items: []schemas.ProfileItem{{ItemID: "airport", Dismissed: day(2)}}},
		},
		"good rating": {
			[]schemas.Feedback{rating("airport", 4.5, day(0))},
			schemas.Profile{AsOf: day(0), Activity: 1, Genres: []schemas.GenreWeight{weight("Comedy", 3)},
				Items: []schemas.ProfileItem{{ItemID: "airport", Seen: day(0)}}},
		},
		"ratings of another scale": {
			[]schemas.Feedback{rating("airport", 95, day(0)), rating("heat", -1e300, day(0)), rating("short", 3, day(0))},
			schemas.Profile{AsOf: day(0), Activity: 3, Genres: []schemas.GenreWeight{weight("Comedy", 4), weight("Crime", -4), weight("Drama", -4)},
				Items: []schemas.ProfileItem{{ItemID: "airport", Seen: day(0)}, {ItemID: "heat", Seen: day(0)}, {ItemID: "short", Seen: day(0)}}},
		},
		"a half-life later": {
			[]schemas.Feedback{event("heat", play, day(0)), event("airport", play, day(10))},
			schemas.Profile{AsOf: day(10), Activity: 1.5, Genres: []schemas.GenreWeight{weight("Comedy", 2), weight("Crime", 1), weight("Drama", 1)},
				DurationSum: 85 + 90, DurationWeight: 1.5,
				Items: []schemas.ProfileItem{{ItemID: "airport", Seen: day(10)}, {ItemID: "heat", Seen: day(0)}}},
		},
		"late by two half-lives": {
			[]schemas.Feedback{event("airport", play, day(20)), event("heat", play, day(0)), event("airport", dismiss, day(0))},
			schemas.Profile{AsOf: day(20), Activity: 1.5, Genres: []schemas.GenreWeight{weight("Comedy", 1.25), weight("Crime", 0.5), weight("Drama", 0.5)},
				DurationSum: 90 + 42.5, DurationWeight: 1.25,
				Items: []schemas.ProfileItem{{ItemID: "airport", Seen: day(20), Dismissed: day(0)}, {ItemID: "heat", Seen: day(0)}}},
		},
		"unknown duration": {
			[]schemas.Feedback{event("short", complete, day(0))},
			schemas.Profile{AsOf: day(0), Activity: 1, Genres: []schemas.GenreWeight{weight("Comedy", 4), weight("Drama", 4)},
				Items: []schemas.ProfileItem{{ItemID: "short", Seen: day(0)}}},
		},
		"unknown item": {
			[]schemas.Feedback{event("lost", complete, day(0))},
			schemas.Profile{AsOf: day(0), Activity: 1, Items: []schemas.ProfileItem{{ItemID: "lost", Seen: day(0)}}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.want.UserID = "ada"
			if got := applied(tt.events...); !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
		})
	}
}

// Whatever the order of events, the profile is the same, to rounding.
func TestOrderDoesNotMatter(t *testing.T) {
	const tolerance = 1e-12
	rng := rand.New(rand.NewPCG(3, 14))
	names := []string{"heat", "airport", "short", "lost"}
	for range 100 {
		var events []schemas.Feedback
		for range 60 {
			e := event(names[rng.IntN(len(names))], 1+schemas.Action(rng.IntN(int(schemas.NumActions)-1)), day(rng.Float64()*100))
			e.Value = rng.Float64() * 6
			events = append(events, e)
		}
		want := applied(events...)
		rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		got := applied(events...)
		near := func(a, b float64) bool { return math.Abs(a-b) <= tolerance*max(1, math.Abs(a)) }
		if !got.AsOf.Equal(want.AsOf) || !near(got.Activity, want.Activity) ||
			!near(got.DurationSum, want.DurationSum) || !near(got.DurationWeight, want.DurationWeight) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		if !slices.EqualFunc(got.Genres, want.Genres, func(a, b schemas.GenreWeight) bool {
			return a.Genre == b.Genre && near(a.Weight, b.Weight)
		}) {
			t.Fatalf("genres %v, want %v", got.Genres, want.Genres)
		}
		if !reflect.DeepEqual(got.Items, want.Items) {
			t.Fatalf("items %v, want %v", got.Items, want.Items)
		}
	}
}

// A profile keeps the items that were touched last, in whatever order they were, sorted by id.
func TestItemsAreBounded(t *testing.T) {
	const n = schemas.MaxProfileItems + 100
	var events []schemas.Feedback
	for i := range n {
		events = append(events, event(fmt.Sprintf("film-%03d", (i*7)%n), schemas.ActionPlay, day(float64(i))))
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { events[i], events[j] = events[j], events[i] })
	p := applied(events...)
	if len(p.Items) != schemas.MaxProfileItems {
		t.Fatalf("%d items", len(p.Items))
	}
	for _, item := range p.Items {
		if item.Seen.Before(day(100)) {
			t.Errorf("%s of %s is kept", item.ItemID, item.Seen)
		}
	}
	if !slices.IsSortedFunc(p.Items, func(a, b schemas.ProfileItem) int { return strings.Compare(a.ItemID, b.ItemID) }) {
		t.Error("items are not sorted by id")
	}
}

// Items that were only shown make room for one another, and never push out those that were seen.
func TestImpressionsMakeRoom(t *testing.T) {
	events := []schemas.Feedback{event("seen", schemas.ActionPlay, day(0)), event("a", schemas.ActionImpression, day(1))}
	for i := range schemas.MaxProfileItems + 50 {
		events = append(events, event(fmt.Sprintf("film-%03d", i), schemas.ActionImpression, day(2)))
	}
	events = append(events, event("z", schemas.ActionImpression, day(3)), event("z", schemas.ActionImpression, day(3)))
	p := applied(events...)
	kept := map[string]schemas.ProfileItem{}
	for _, item := range p.Items {
		kept[item.ItemID] = item
	}
	if _, ok := kept["seen"]; !ok || len(kept) != schemas.MaxProfileItems || kept["z"].Impressions != 2 {
		t.Errorf("%d items, seen %t, z %+v", len(kept), ok, kept["z"])
	}
	if _, ok := kept["a"]; !ok {
		t.Error("of items that are alike the last by id goes, not the first")
	}
}

func TestAt(t *testing.T) {
	p := applied(event("heat", schemas.ActionPlay, day(0)))
	before := applied(event("heat", schemas.ActionPlay, day(0)))
	tests := map[string]struct {
		t    time.Time
		left float64
	}{
		"then":              {day(0), 1},
		"half a life later": {day(5), math.Sqrt2 / 2},
		"three later":       {day(30), 0.125},
		"before":            {day(-10), 1},
		"no time":           {time.Time{}, 1},
	}
	var dst schemas.Profile
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			profile.At(&dst, p, tt.t, halfLife)
			got := []float64{dst.Activity, dst.DurationSum / 170, dst.DurationWeight, dst.Genres[0].Weight / 2, dst.Genres[1].Weight / 2}
			for _, v := range got {
				if math.Abs(v-tt.left) > 1e-15 {
					t.Errorf("%v is left, want %v", got, tt.left)
				}
			}
			if !dst.AsOf.Equal(p.AsOf) || len(dst.Items) != 1 || dst.UserID != "ada" || len(dst.Genres) != 2 {
				t.Errorf("got %+v", dst)
			}
		})
	}
	if !reflect.DeepEqual(p, before) {
		t.Errorf("the profile was changed: %+v", p)
	}
}

func TestAllocatesNothing(t *testing.T) {
	p := applied(event("heat", schemas.ActionPlay, day(0)), event("airport", schemas.ActionPlay, day(0)))
	f := event("heat", schemas.ActionComplete, day(1))
	var dst schemas.Profile
	profile.At(&dst, p, day(2), halfLife)
	allocations := testing.AllocsPerRun(100, func() {
		profile.Apply(p, &f, films["heat"], halfLife)
		profile.At(&dst, p, day(2), halfLife)
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkAt(b *testing.B) {
	p := applied(event("heat", schemas.ActionPlay, day(0)), event("airport", schemas.ActionPlay, day(0)))
	var dst schemas.Profile
	for b.Loop() {
		profile.At(&dst, p, day(2), halfLife)
	}
}
