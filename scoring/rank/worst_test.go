package rank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"recstream/schemas"
)

// worstCases are requests and configurations that make for the most work: answers of 100 items, pages as long, caps that
// exhaust the pool, items that are hardly to be told apart.
var worstCases = []struct {
	name   string
	change func(p *Params)
	items  func(rng *rand.Rand, n int) []schemas.Item
	pins   bool // all candidates are pins too
}{
	{"caps, one a genre", func(p *Params) { p.Caps.Genre = 1 }, twentyGenres, false},
	{"caps, one a genre, by score", func(p *Params) { p.Caps.Genre, p.Diversity.Strength = 1, 0 }, twentyGenres, false},
	{"one franchise", func(p *Params) { p.Caps.Franchise = 1 }, oneFranchise, false},
	{"difference alone", func(p *Params) { p.Diversity.Strength = 1 }, twentyGenres, false},
	{"one title", func(p *Params) { p.Page = 100 }, oneTitle, false},
	{"one title, by score", func(p *Params) { p.Page, p.Diversity.Strength = 100, 0 }, oneTitle, false},
	{"one title, a shorter page", func(p *Params) { p.Page = 50 }, oneTitle, false},
	{"one title, a shorter page, by score", func(p *Params) { p.Page, p.Diversity.Strength = 50, 0 }, oneTitle, false},
	{"one title but for the last", func(p *Params) { p.Page = 100 }, lastTitle, false},
	{"half alike", func(p *Params) { p.Page, p.NearIdentical = 100, 0.5 }, twentyGenres, false},
	{"half alike, by score", func(p *Params) { p.Page, p.NearIdentical, p.Diversity.Strength = 100, 0.5, 0 }, twentyGenres, false},
	{"half alike, difference alone", func(p *Params) { p.Page, p.NearIdentical, p.Diversity.Strength = 100, 0.5, 1 }, twentyGenres, false},
	{"all pinned", func(p *Params) {}, twentyGenres, true},
}

// twentyGenres are items with one to three of twenty genres.
func twentyGenres(rng *rand.Rand, n int) []schemas.Item {
	var genres []string
	for g := range 20 {
		genres = append(genres, fmt.Sprint("Genre ", g))
	}
	items := randomItems(rng, n)
	for i := range items {
		items[i].Genres, items[i].Franchise = pick(rng, genres, 1+rng.IntN(3)), ""
		items[i].Title = fmt.Sprint("Title ", i)
	}
	return items
}

// oneFranchise has nine of ten items in it.
func oneFranchise(rng *rand.Rand, n int) []schemas.Item {
	items := twentyGenres(rng, n)
	for i := range items {
		if i%10 > 0 {
			items[i].Franchise = "F"
		}
	}
	return items
}

// oneTitle is that of nine of ten items; years are missing, so that all of these are nearly identical.
func oneTitle(rng *rand.Rand, n int) []schemas.Item {
	items := twentyGenres(rng, n)
	for i := range items {
		if items[i].Year = 0; i%10 > 0 {
			items[i].Title = "Episode 1"
		}
	}
	return items
}

// lastTitle is oneTitle, popularity making those of the one title come last of the best.
func lastTitle(rng *rand.Rand, n int) []schemas.Item {
	items := oneTitle(rng, n)
	for i := range items {
		if items[i].Popularity = 0; items[i].Title != "Episode 1" && rng.IntN(n/10) < 99 {
			items[i].Popularity = 1
		}
	}
	return items
}

// worstQuery asks for an answer of so many out of n candidates.
func worstQuery(rng *rand.Rand, c int, n, limit int) (*world, *Query) {
	p := everything()
	p.Caps, p.Diversity.Pool, p.Weights.Popularity = Caps{BandYears: 10}, MaxPool, 10
	worstCases[c].change(&p)
	w := newWorld(worstCases[c].items(rng, n), &p)
	q := &Query{
		Plan: w.plan, At: testTime, SimilarTo: 0, Limit: limit, Diversity: math.NaN(), Predict: sigmoid, Calibrate: true,
		Profile: &schemas.Profile{Genres: []schemas.GenreWeight{{Genre: "Genre 1", Weight: 1}, {Genre: "Genre 2", Weight: -0.5}}},
	}
	for i := range n {
		q.Items = append(q.Items, int32(i))
		q.Raw = append(q.Raw, rng.NormFloat64())
	}
	if worstCases[c].pins {
		q.Pins = q.Items
	}
	return w, q
}

// The worst cases have the answer of the naive ranking too.
func TestWorstCasesAreTheNaiveRanking(t *testing.T) {
	for c := range worstCases {
		t.Run(worstCases[c].name, func(t *testing.T) {
			w, q := worstQuery(rand.New(rand.NewPCG(10, uint64(c))), c, 400, 60)
			w.plan.params.Page = min(w.plan.params.Page, 60)
			w.plan.params.Diversity.Pool = 80
			var r Ranker
			for _, order := range []bool{false, true} {
				if order {
					q.Raw = nil
				}
				if got, want := r.Rank(nil, q), first(rankNaively(w.items, q)); !alike(got, want) {
					t.Errorf("in order %v: ranked\n%v, want\n%v", order, got, want)
				}
			}
		})
	}
}

func first(answer []Ranked, _ *naive) []Ranked { return answer }

func BenchmarkWorst(b *testing.B) {
	for c := range worstCases {
		_, q := worstQuery(rand.New(rand.NewPCG(11, 0)), c, 10_000, schemas.MaxLimit)
		b.Run(worstCases[c].name, func(b *testing.B) { benchmark(b, q) })
		inOrder := *q
		inOrder.Raw = nil
		b.Run(worstCases[c].name+", in order", func(b *testing.B) { benchmark(b, &inOrder) })
	}
}
