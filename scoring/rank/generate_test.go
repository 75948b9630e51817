package rank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"recstream/schemas"
	"recstream/scoring/similarity"
)

var (
	testTime   = time.Date(2026, 5, 1, 20, 0, 0, 0, time.UTC)
	testGenres = []string{"Comedy", "Drama", "Action", "Thriller", "Horror", "Crime", "War", "Family"}
)

// randomItems share much, so that caps bind and some are nearly identical. Numbers are such that ties come up.
func randomItems(rng *rand.Rand, n int) []schemas.Item {
	items := make([]schemas.Item, n)
	for i := range items {
		it := &items[i]
		it.ID = fmt.Sprintf("i%05d", i)
		it.Title = fmt.Sprint("Title ", rng.IntN(2*n))
		it.Genres = pick(rng, testGenres, rng.IntN(4))
		it.Tags = pick(rng, []string{"a", "b", "c", "d", "e", "f"}, rng.IntN(4))
		if rng.IntN(3) == 0 {
			it.Franchise = fmt.Sprint("F", rng.IntN(1+n/8))
		}
		if rng.IntN(8) > 0 {
			it.Year = float64(1960 + rng.IntN(66))
		}
		if rng.IntN(30) == 0 {
			it.Year = 1 // in the band that begins with no year
		}
		if rng.IntN(4) > 0 {
			it.Popularity = float64(rng.IntN(50))
		}
		if rng.IntN(4) > 0 {
			it.DurationMin = float64(60 + rng.IntN(120))
		}
		if rng.IntN(4) > 0 {
			it.AddedAt = testTime.Add(-time.Duration(rng.IntN(100)-5) * 12 * time.Hour)
		}
		if rng.IntN(2) == 0 {
			it.ExpiresAt = testTime.Add(time.Duration(rng.IntN(60)-5) * 12 * time.Hour)
		}
		if rng.IntN(3) == 0 {
			it.Suitability = []schemas.GroupSize{schemas.GroupSize(1 + rng.IntN(3))}
		}
	}
	return items
}

// pick returns n different names.
func pick(rng *rand.Rand, of []string, n int) []string {
	var names []string
	for _, i := range rng.Perm(len(of))[:min(n, len(of))] {
		names = append(names, of[i])
	}
	return names
}

func randomParams(rng *rand.Rand) Params {
	some := func(values ...float64) float64 { return values[rng.IntN(len(values))] }
	p := DefaultParams()
	p.Weights = Weights{some(0, 1, 1, 2), some(0, 0, 0.5), some(0, 0, 0.3), some(0, 0, 0.25), some(0, 1)}
	if rng.IntN(3) == 0 {
		p.Calibration = Calibration{some(0.5, 1, 2), some(-1, 0, 0.5)}
	}
	p.Diversity = Diversity{some(0, 0, 0.3, 0.7, 1), 1 + rng.IntN(60)}
	p.Caps = Caps{rng.IntN(4), rng.IntN(3), rng.IntN(4), 1 + rng.IntN(12)}
	if rng.IntN(3) == 0 {
		p.Caps = Caps{BandYears: 10}
	}
	p.Page = rng.IntN(12)
	p.NearIdentical = some(0.5, 0.8, 0.95, 2)
	for range rng.IntN(5) - 1 {
		p.Boosts = append(p.Boosts, randomBoost(rng))
	}
	return p
}

func randomBoost(rng *rand.Rand) Boost {
	b := Boost{Name: fmt.Sprint("rule ", rng.IntN(1000)), Add: float64(1+rng.IntN(4)) / 8 * float64(1-2*rng.IntN(2))}
	if rng.IntN(3) == 0 {
		b.From = testTime.Add(time.Duration(rng.IntN(3)-1) * time.Hour)
	}
	if rng.IntN(3) == 0 {
		b.Until = b.From.Add(time.Duration(1+rng.IntN(2)) * time.Hour)
		if b.From.IsZero() {
			b.Until = testTime.Add(time.Duration(rng.IntN(3)-1) * time.Hour)
		}
	}
	bound := func(v float64) Range { return Range{Min: &v} }
	switch rng.IntN(11) {
	case 0:
		b.Items = []string{"i00003", "i00004", "none"}
	case 1:
		b.Genres = pick(rng, testGenres, 2)
	case 2:
		b.Franchises = []string{"F0", "F1"}
	case 3:
		b.Tags = []string{"a", "z"}
	case 4:
		b.Groups = []string{"couple", "solo"}
	case 5:
		b.Title = "TITLE 1"
	case 6:
		b.Year = bound(2000)
	case 7:
		b.Duration, b.Popularity = bound(90), bound(10)
	case 8:
		least, most := 2.0, 20.0
		b.AgeDays = Range{&least, &most}
	case 9:
		least, most := float64(rng.IntN(3)), 7.0
		b.ExpiresDays = Range{&least, &most}
	}
	return b
}

// world is a catalogue with a plan.
type world struct {
	items []schemas.Item
	plan  *Plan
}

func newWorld(items []schemas.Item, p *Params) *world {
	return &world{items, NewPlan(p, items, similarity.New(items))}
}

func randomWorld(rng *rand.Rand) *world {
	p := randomParams(rng)
	if err := p.Validate(); err != nil {
		panic(err)
	}
	return newWorld(randomItems(rng, 1+rng.IntN(150)), &p)
}

// randomQuery asks for some of the items. Raw numbers and weights are few and round, so that there are ties and sums
// are exact in any order.
func (w *world) randomQuery(rng *rand.Rand) *Query {
	q := &Query{Plan: w.plan, At: testTime, SimilarTo: -1, Limit: 1 + rng.IntN(30), Diversity: math.NaN(), Calibrate: rng.IntN(2) == 0}
	for _, place := range rng.Perm(len(w.items))[:1+rng.IntN(len(w.items))] {
		q.Items = append(q.Items, int32(place))
	}
	if rng.IntN(8) == 0 {
		q.At = time.Time{}
	}
	if rng.IntN(2) == 0 {
		q.SimilarTo = int32(rng.IntN(len(w.items)))
	}
	if rng.IntN(3) == 0 {
		q.Diversity = float64(rng.IntN(5)) / 4
	}
	if rng.IntN(3) > 0 {
		q.Profile = &schemas.Profile{}
		for _, g := range pick(rng, append([]string{"Unheard of"}, testGenres...), rng.IntN(5)) {
			q.Profile.Genres = append(q.Profile.Genres, schemas.GenreWeight{Genre: g, Weight: float64(rng.IntN(17)-8) / 4})
		}
	}
	for range rng.IntN(5) - 2 {
		q.Pins = append(q.Pins, q.Items[rng.IntN(len(q.Items))])
	}
	w.randomRaw(rng, q)
	return q
}

func (w *world) randomRaw(rng *rand.Rand, q *Query) {
	kind := rng.IntN(5)
	if kind == 0 {
		return // in order
	}
	for range q.Items {
		q.Raw = append(q.Raw, float64(rng.IntN(33)-16)/8)
	}
	if kind > 1 {
		q.Predict = sigmoid
	}
}

func sigmoid(raw float64) float64 { return 1 / (1 + math.Exp(-raw)) }
