package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"recstream/schemas"
	"recstream/scoring/rank"
	"recstream/scoring/similarity"
)

// What a workload has.
const (
	numItems   = 20_000 // of the catalogue
	numQueries = 16     // requests, which take turns
	limit      = 10     // items of an answer
)

var (
	now    = time.Date(2026, 5, 1, 20, 0, 0, 0, time.UTC)
	genres = []string{
		"Action", "Adventure", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Family", "Fantasy", "History",
		"Horror", "Music", "Mystery", "Romance", "Science Fiction", "Thriller", "War", "Western",
	}
)

// workload is a catalogue with requests.
type workload struct {
	name    string
	params  rank.Params
	items   []schemas.Item
	index   *similarity.Index
	queries []rank.Query
	scores  []scored // of the obvious program
	chosen  []scored
}

// cases are what is measured. The first is everything at the size that matters.
func cases() []*workload {
	base := rank.DefaultParams()
	return []*workload{
		newWorkload("all_10k", everything(), 10_000),
		newWorkload("all_500", everything(), 500),
		newWorkload("base_10k", base, 10_000),
		newWorkload("base_500", base, 500),
	}
}

// everything has all terms, rules, diversity and caps on.
func everything() rank.Params {
	p := rank.DefaultParams()
	p.Weights = rank.Weights{Base: 1, Affinity: 0.3, Freshness: 0.1, Popularity: 0.1, Similarity: 0.2}
	p.Calibration = rank.Calibration{Slope: 0.9, Intercept: -0.1}
	p.Diversity.Strength = 0.3
	p.Caps = rank.Caps{Genre: 4, Franchise: 1, YearBand: 4, BandYears: 10}
	week := 7.0
	p.Boosts = []rank.Boost{
		{Name: "new", Add: 0.1, AgeDays: rank.Range{Max: &week}},
		{Name: "comedies in spring", Add: 0.05, Genres: []string{"Comedy"}, From: now.AddDate(0, -2, 0)},
		{Name: "a partner's", Add: 0.02, Tags: []string{"tag 1", "tag 2", "tag 3"}},
	}
	return p
}

// newWorkload makes requests with that many candidates each. Those of base have neither a profile nor an item
// whose like is wanted.
func newWorkload(name string, p rank.Params, candidates int) *workload {
	rng := rand.New(rand.NewPCG(1, 2))
	w := &workload{name: name, params: p, items: make([]schemas.Item, numItems)}
	for i := range w.items {
		w.items[i] = newItem(rng, i)
	}
	w.index = similarity.New(w.items)
	plan := rank.NewPlan(&w.params, w.items, w.index)
	for range numQueries {
		q := rank.Query{Plan: plan, At: now, SimilarTo: -1, Predict: sigmoid, Calibrate: true, Limit: limit, Diversity: math.NaN()}
		if p.Weights.Affinity > 0 {
			q.Profile, q.SimilarTo = newProfile(rng), int32(rng.IntN(numItems))
		}
		places := rng.Perm(numItems)[:candidates]
		slices.Sort(places) // as a context's candidates are
		for _, place := range places {
			q.Items = append(q.Items, int32(place))
			q.Raw = append(q.Raw, rng.NormFloat64())
		}
		w.queries = append(w.queries, q)
	}
	return w
}

func newItem(rng *rand.Rand, i int) schemas.Item {
	it := schemas.Item{
		ID: fmt.Sprintf("i%06d", i), Title: fmt.Sprint("Title ", rng.IntN(2*numItems)), Year: float64(1950 + rng.IntN(77)),
		Popularity: math.Floor(100 * rng.ExpFloat64()), AddedAt: now.Add(-time.Duration(rng.IntN(365*24)) * time.Hour),
	}
	for _, g := range rng.Perm(len(genres))[:1+rng.IntN(3)] {
		it.Genres = append(it.Genres, genres[g])
	}
	for range 2 + rng.IntN(4) {
		it.Tags = append(it.Tags, fmt.Sprint("tag ", int(200*rng.ExpFloat64())))
	}
	if rng.IntN(5) == 0 {
		it.Franchise = fmt.Sprint("franchise ", rng.IntN(numItems/10))
	}
	return it
}

func newProfile(rng *rand.Rand) *schemas.Profile {
	p := &schemas.Profile{}
	for _, g := range rng.Perm(len(genres))[:8] {
		p.Genres = append(p.Genres, schemas.GenreWeight{Genre: genres[g], Weight: rng.NormFloat64()})
	}
	return p
}

func sigmoid(raw float64) float64 { return 1 / (1 + math.Exp(-raw)) }
