package rank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"recstream/schemas"
)

// worstCase is a configuration with a request that makes for much work: an answer of 100 items, a page as long, caps
// that exhaust the pool, items that are hardly to be told apart.
type worstCase struct {
	name     string
	strength float64 // of diversity
	change   func(p *Params)
	items    func(rng *rand.Rand, n int) []schemas.Item
	pins     bool // all candidates are pins
}

func worstCases() []worstCase {
	none := func(*Params) {}
	genre := func(p *Params) { p.Caps.Genre = 1 }
	allCaps := func(p *Params) { p.Caps = Caps{4, 1, 4, 10} }
	page := func(n int) func(p *Params) { return func(p *Params) { p.Page = n } }
	half := func(p *Params) { p.Page, p.NearIdentical = 100, 0.5 }
	cases := []worstCase{{"all pinned", 0.3, none, twentyGenres, true}}
	for _, strength := range []float64{0, 0.3, 1} {
		cases = append(cases,
			worstCase{"no limits", strength, none, twentyGenres, false},
			worstCase{"one a genre", strength, genre, twentyGenres, false},
			worstCase{"all caps", strength, allCaps, twentyGenres, false},
			worstCase{"one franchise", strength, allCaps, oneFranchise, false},
			worstCase{"one title", strength, page(100), oneTitle, false},
			worstCase{"one title, page 50", strength, page(50), oneTitle, false},
			worstCase{"one title after others", strength, page(100), lateTitle, false},
			worstCase{"one series after others", strength, page(100), lateSeries, false},
			worstCase{"half alike after others", strength, half, lateGenre, false},
			worstCase{"half alike", strength, half, twentyGenres, false},
			worstCase{"copies", strength, page(100), copies, false},
		)
	}
	return cases
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

// lateTitle has 98 items of titles of their own first, those of one title, then the others.
func lateTitle(rng *rand.Rand, n int) []schemas.Item {
	items := twentyGenres(rng, n)
	for i := range items {
		if items[i].Year = 0; i >= 98 && i < n-n/10 {
			items[i].Title = "Episode 1"
		}
	}
	return items
}

// lateSeries has 98 items of other kinds first, then the episodes of one series, then the others.
func lateSeries(rng *rand.Rand, n int) []schemas.Item {
	items := lateTitle(rng, n)
	for i := range items {
		if it := &items[i]; it.Title == "Episode 1" {
			it.Title, it.Franchise, it.Genres, it.Tags, it.Year = fmt.Sprint("Episode ", i), "Series", items[99].Genres, []string{"a"}, 2000
		}
	}
	return items
}

// lateGenre has items of other genres first, then most of one genre.
func lateGenre(rng *rand.Rand, n int) []schemas.Item {
	items := lateSeries(rng, n)
	for i := range items {
		if it := &items[i]; it.Franchise != "" {
			it.Franchise, it.Genres = "", []string{"One of its own"}
		}
	}
	return items
}

// copies are of 99 items.
func copies(rng *rand.Rand, n int) []schemas.Item {
	originals := twentyGenres(rng, 99)
	items := make([]schemas.Item, n)
	for i := range items {
		items[i] = originals[min(i, rng.IntN(99))]
	}
	return items
}

// worstQuery asks for an answer of so many out of n candidates, which have about the same score.
func worstQuery(c *worstCase, n, limit int) (*world, *Query) {
	rng := rand.New(rand.NewPCG(11, 0))
	p := everything()
	p.Weights = Weights{Base: 1, Freshness: 1e-4, Affinity: 1e-4}
	p.Caps, p.Diversity = Caps{BandYears: 10}, Diversity{c.strength, MaxPool}
	c.change(&p)
	w := newWorld(c.items(rng, n), &p)
	q := &Query{
		Plan: w.plan, At: testTime, SimilarTo: 0, Limit: limit, Diversity: math.NaN(), Predict: sigmoid, Calibrate: true,
		Profile: &schemas.Profile{Genres: []schemas.GenreWeight{{Genre: "Genre 1", Weight: 1}, {Genre: "Genre 2", Weight: -0.5}}},
	}
	for i := range n {
		q.Items = append(q.Items, int32(i))
		q.Raw = append(q.Raw, -1e-3*float64(i)/float64(n))
	}
	if c.pins {
		q.Pins = q.Items
	}
	return w, q
}

// The worst cases have the answer of the naive ranking too, and allocate nothing.
func TestWorstCasesAreTheNaiveRanking(t *testing.T) {
	var r Ranker
	for _, c := range worstCases() {
		w, q := worstQuery(&c, 300, 60)
		w.plan.params.Diversity.Pool = 80
		w.plan.params.Page = min(w.plan.params.Page, 50)
		t.Run(fmt.Sprint(c.name, " ", c.strength), func(t *testing.T) {
			answer := r.Rank(nil, q)
			if n := testing.AllocsPerRun(2, func() { answer = r.Rank(answer[:0], q) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if got, want := answer, first(rankNaively(w.items, q)); !alike(got, want) {
				t.Errorf("ranked\n%v, want\n%v", got, want)
			}
			q.Raw = nil
			if got, want := r.Rank(nil, q), first(rankNaively(w.items, q)); !alike(got, want) {
				t.Errorf("in order\n%v, want\n%v", got, want)
			}
		})
	}
}

func first(answer []Ranked, _ *naive) []Ranked { return answer }

func BenchmarkWorst(b *testing.B) {
	for _, c := range worstCases() {
		_, q := worstQuery(&c, 10_000, schemas.MaxLimit)
		b.Run(fmt.Sprint(c.name, "/", c.strength), func(b *testing.B) { benchmark(b, q) })
		if c.strength == 0 || c.pins {
			q.Raw = nil
			b.Run(c.name+"/in order", func(b *testing.B) { benchmark(b, q) })
		}
	}
}
