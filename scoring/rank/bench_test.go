package rank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"recstream/schemas"
)

// everything has all terms, rules and caps on.
func everything() Params {
	p := DefaultParams()
	p.Weights = Weights{Base: 1, Affinity: 0.3, Freshness: 0.1, Popularity: 0.1, Similarity: 0.2}
	p.Calibration = Calibration{Slope: 0.9, Intercept: -0.1}
	p.Diversity = Diversity{Strength: 0.3, Pool: 200}
	p.Caps = Caps{Genre: 4, Franchise: 1, YearBand: 4, BandYears: 10}
	week := 7.0
	p.Boosts = []Boost{
		{Name: "new", Add: 0.1, AgeDays: Range{Max: &week}},
		{Name: "comedies of the season", Add: 0.05, Genres: []string{"Comedy"}, From: testTime.AddDate(0, -1, 0)},
		{Name: "partner", Add: 0.02, Tags: []string{"a"}},
	}
	return p
}

// benchQuery has the first n items of a catalogue of 20,000 as its candidates.
func benchQuery(p Params, n, limit int) *Query {
	rng := rand.New(rand.NewPCG(1, 1))
	w := newWorld(randomItems(rng, 20_000), &p)
	q := &Query{
		Plan: w.plan, At: testTime, SimilarTo: 19_999, Limit: limit, Diversity: math.NaN(),
		Predict: sigmoid, Calibrate: true, Profile: &schemas.Profile{},
	}
	for i, g := range testGenres {
		q.Profile.Genres = append(q.Profile.Genres, schemas.GenreWeight{Genre: g, Weight: float64(i) - 2.5})
	}
	for i := range n {
		q.Items = append(q.Items, int32(i))
		q.Raw = append(q.Raw, rng.NormFloat64())
	}
	return q
}

func BenchmarkRank(b *testing.B) {
	diversity := DefaultParams()
	diversity.Diversity.Strength = 0.3
	noPage := DefaultParams()
	noPage.Page = 0
	plain := everything()
	plain.Diversity.Strength, plain.Caps = 0, Caps{BandYears: 10}
	for _, c := range []struct {
		name string
		p    Params
		bare bool
	}{
		{"base, no page", noPage, true},
		{"base", DefaultParams(), true},
		{"base and diversity", diversity, true},
		{"terms", plain, false},
		{"everything", everything(), false},
	} {
		for _, n := range []int{500, 10_000} {
			for _, limit := range []int{3, 10, 100} {
				b.Run(fmt.Sprintf("%s/candidates=%d/limit=%d", c.name, n, limit), func(b *testing.B) {
					q := benchQuery(c.p, n, limit)
					if c.bare {
						q.SimilarTo, q.Profile, q.Calibrate = -1, nil, false
					}
					benchmark(b, q)
				})
			}
		}
	}
}

func benchmark(b *testing.B, q *Query) {
	var r Ranker
	dst := r.Rank(nil, q)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.Rank(dst[:0], q)
	}
}

func BenchmarkDropped(b *testing.B) {
	var r Ranker
	r.Rank(nil, benchQuery(everything(), 10_000, 10))
	var dst []Drop
	b.ReportAllocs()
	for b.Loop() {
		dst = r.Dropped(dst[:0], 50)
	}
}

func BenchmarkNewPlan(b *testing.B) {
	q, p := benchQuery(everything(), 1, 1), everything()
	items := randomItems(rand.New(rand.NewPCG(1, 1)), 20_000)
	for b.Loop() {
		NewPlan(&p, items, q.Plan.x)
	}
}
