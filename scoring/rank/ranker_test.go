package rank

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"recstream/schemas"
)

// rounds of the property tests, each with a catalogue, parameters and queries of its own.
const rounds = 300

// eachRandom calls check for random queries, all ranked by one ranker, so that what a query leaves behind shows.
func eachRandom(t *testing.T, seed uint64, check func(t *testing.T, rng *rand.Rand, w *world, r *Ranker, q *Query)) {
	t.Helper()
	var r Ranker
	for round := range rounds {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		w := randomWorld(rng)
		for range 3 {
			check(t, rng, w, &r, w.randomQuery(rng))
			if t.Failed() {
				t.Fatalf("in round %d", round)
			}
		}
	}
}

func TestRankIsTheNaiveRanking(t *testing.T) {
	eachRandom(t, 1, func(t *testing.T, _ *rand.Rand, w *world, r *Ranker, q *Query) {
		want, oracle := rankNaively(w.items, q)
		got := r.Rank(nil, q)
		if !alike(got, want) {
			t.Errorf("ranked\n%v, want\n%v\nquery %+v\nparameters %+v", got, want, *q, *oracle.p)
		}
		most := 1 + len(q.Items)/2
		dropped, all := r.Dropped(nil, most), oracle.dropped()
		if wanted := all[:min(most, len(all))]; !slices.EqualFunc(dropped, wanted, alikeDrops) {
			t.Errorf("dropped\n%v, want\n%v\nquery %+v\nparameters %+v\nranked %v", dropped, wanted, *q, *oracle.p, got)
		}
	})
}

// tolerance is for what is computed in another way.
const tolerance = 1e-12

// alike tells whether two answers have the same items with about the same numbers.
func alike(a, b []Ranked) bool {
	return slices.EqualFunc(a, b, func(x, y Ranked) bool {
		near := almost(x.Prediction, y.Prediction) && almost(x.Score, y.Score)
		for i := range x.Terms {
			near = near && almost(x.Terms[i], y.Terms[i])
		}
		return near && x.Item == y.Item && x.Candidate == y.Candidate && x.Pinned == y.Pinned
	})
}

func alikeDrops(a, b Drop) bool {
	return a.Candidate == b.Candidate && a.Item == b.Item && a.Code == b.Code && almost(a.Score, b.Score)
}

func almost(a, b float64) bool {
	return math.Abs(a-b) <= tolerance || (math.IsNaN(a) && math.IsNaN(b))
}

// same compares answers to the bit.
func same(a, b []Ranked) bool {
	return slices.EqualFunc(a, b, func(x, y Ranked) bool {
		alike := math.Float64bits(x.Prediction) == math.Float64bits(y.Prediction)
		for i := range x.Terms {
			alike = alike && math.Float64bits(x.Terms[i]) == math.Float64bits(y.Terms[i])
		}
		x.Prediction, y.Prediction = 0, 0
		return alike && x == y
	})
}

func TestInvariants(t *testing.T) {
	eachRandom(t, 2, func(t *testing.T, rng *rand.Rand, w *world, r *Ranker, q *Query) {
		got := r.Rank(nil, q)
		if len(got) == 0 || len(got) > q.Limit {
			t.Fatalf("%d items, the limit is %d", len(got), q.Limit)
		}
		checkPins(t, q, got)
		checkCaps(t, w, got)
		checkPage(t, w, got)
		checkTerms(t, q, got)
		again := r.Rank(nil, q)
		if !same(got, again) {
			t.Error("the same query has another answer")
		}
		if q.Raw != nil {
			checkOrder(t, rng, r, q, got)
		}
	})
}

// checkPins wants all pins first, in their order, and pinned.
func checkPins(t *testing.T, q *Query, got []Ranked) {
	t.Helper()
	var pins []int32
	for _, p := range q.Pins {
		if !slices.Contains(pins, p) && len(pins) < q.Limit {
			pins = append(pins, p)
		}
	}
	for i := range got {
		if got[i].Pinned != (i < len(pins)) || (got[i].Pinned && got[i].Item != pins[i]) {
			t.Errorf("item %d is %d, pinned %v; the pins are %v", i, got[i].Item, got[i].Pinned, pins)
		}
	}
}

// checkCaps counts anew at each place: no item that is no pin comes where a cap was reached.
func checkCaps(t *testing.T, w *world, got []Ranked) {
	t.Helper()
	caps, counts := w.plan.params.Caps, map[string]int{}
	count := func(kind string, value any, most int, pinned bool) {
		key := fmt.Sprint(kind, value)
		if counts[key]++; counts[key] > most && most > 0 && !pinned {
			t.Errorf("%s comes %d times, at most %d may", key, counts[key], most)
		}
	}
	for _, g := range got {
		it := &w.items[g.Item]
		for _, genre := range it.Genres {
			count("genre", genre, caps.Genre, g.Pinned)
		}
		if it.Franchise != "" {
			count("franchise", it.Franchise, caps.Franchise, g.Pinned)
		}
		if it.Year != 0 {
			count("band", int(it.Year)/caps.BandYears, caps.YearBand, g.Pinned)
		}
	}
}

// checkPage wants no two nearly identical ones on the first page, pins aside.
func checkPage(t *testing.T, w *world, got []Ranked) {
	t.Helper()
	page := got[:min(len(got), w.plan.params.Page)]
	for i := range page {
		for j := range i {
			if !page[i].Pinned && w.plan.x.NearIdentical(page[i].Item, page[j].Item, w.plan.params.NearIdentical) {
				t.Errorf("items %d and %d of the first page are nearly identical", j, i)
			}
		}
	}
}

func checkTerms(t *testing.T, q *Query, got []Ranked) {
	t.Helper()
	for _, g := range got {
		if g.Item != q.Items[g.Candidate] {
			t.Errorf("candidate %d is %d, not %d", g.Candidate, q.Items[g.Candidate], g.Item)
		}
		if math.Float64bits(g.Score) != math.Float64bits(g.Terms.Sum()) || math.IsNaN(g.Score) {
			t.Errorf("score %v is not the sum of %v", g.Score, g.Terms)
		}
		if q.Raw == nil && g.Terms != (schemas.Terms{}) {
			t.Errorf("terms %v where there are none", g.Terms)
		}
	}
}

// checkOrder shuffles the candidates: the answer is of the same items with the same numbers.
func checkOrder(t *testing.T, rng *rand.Rand, r *Ranker, q *Query, want []Ranked) {
	t.Helper()
	other := *q
	other.Items, other.Raw = slices.Clone(q.Items), slices.Clone(q.Raw)
	rng.Shuffle(len(q.Items), func(i, j int) {
		other.Items[i], other.Items[j] = other.Items[j], other.Items[i]
		other.Raw[i], other.Raw[j] = other.Raw[j], other.Raw[i]
	})
	got := r.Rank(nil, &other)
	want = slices.Clone(want)
	for i := range min(len(got), len(want)) {
		got[i].Candidate, want[i].Candidate = 0, 0
	}
	if !same(got, want) {
		t.Errorf("with the candidates in another order\n%v, want\n%v", got, want)
	}
}

// Without diversity, caps and a page the order is that of the scores; with strength 0 as the request's own wish too.
func TestStrengthZeroLeavesTheOrderAlone(t *testing.T) {
	eachRandom(t, 3, func(t *testing.T, rng *rand.Rand, w *world, r *Ranker, q *Query) {
		if q.Raw == nil {
			return
		}
		p := w.plan.params
		p.Page, p.Caps = 0, Caps{BandYears: 10}
		q.Plan, q.Diversity, q.Pins, q.Limit = newWorld(w.items, &p).plan, 0, nil, len(q.Items)
		got := r.Rank(nil, q)
		for i := 1; i < len(got); i++ {
			a, b := got[i-1], got[i]
			ordered := a.Score > b.Score || (a.Score == b.Score && (q.Raw[a.Candidate] > q.Raw[b.Candidate] ||
				(q.Raw[a.Candidate] == q.Raw[b.Candidate] && a.Item < b.Item)))
			if !ordered || b.Terms[schemas.TermDiversity] != 0 {
				t.Fatalf("%+v comes before %+v", a, b)
			}
		}
		if len(got) != len(q.Items) {
			t.Errorf("%d of %d items", len(got), len(q.Items))
		}
	})
}

// Where the page and the caps hold nothing back, scores never rise down the list, with diversity too.
func TestScoresNeverRise(t *testing.T) {
	eachRandom(t, 4, func(t *testing.T, rng *rand.Rand, w *world, r *Ranker, q *Query) {
		if q.Raw == nil {
			return
		}
		p := w.plan.params
		p.Page, p.Caps = 0, Caps{BandYears: 10}
		q.Plan, q.Pins = newWorld(w.items, &p).plan, nil
		got := r.Rank(nil, q)
		for i := 1; i < len(got); i++ {
			if got[i].Score > got[i-1].Score {
				t.Errorf("score %v comes after %v", got[i].Score, got[i-1].Score)
			}
		}
	})
}

// The fast path, where the base alone counts, gives the same bytes as the long way. A rule for items that are older than
// any makes it go the long way.
func TestFastPathIsTheLongWay(t *testing.T) {
	eachRandom(t, 5, func(t *testing.T, rng *rand.Rand, w *world, r *Ranker, q *Query) {
		if q.Raw == nil {
			return
		}
		p := w.plan.params
		p.Weights, p.Boosts = Weights{Base: 1.5}, nil
		q.Diversity = 0
		q.Plan = newWorld(w.items, &p).plan
		fast := r.Rank(nil, q)
		if !r.byRaw() {
			t.Fatal("the fast path was not taken")
		}
		ages := 1e6
		p.Boosts = []Boost{{Name: "very old", Add: 1, AgeDays: Range{Min: &ages}}}
		q.Plan = newWorld(w.items, &p).plan
		long := r.Rank(nil, q)
		if r.byRaw() {
			t.Fatal("the fast path was taken with a boost")
		}
		a, _ := json.Marshal(fast)
		b, _ := json.Marshal(long)
		if string(a) != string(b) {
			t.Errorf("the fast path has\n%s, the long way\n%s", a, b)
		}
	})
}

func TestNothingToRank(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 0))
	w := randomWorld(rng)
	q := w.randomQuery(rng)
	var r Ranker
	for _, c := range []struct {
		name   string
		change func(q *Query)
	}{
		{"no candidates", func(q *Query) { q.Items, q.Raw = nil, nil }},
		{"no limit", func(q *Query) { q.Limit = 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.Rank(nil, q) // leaves something to be dropped
			other := *q
			c.change(&other)
			if got := r.Rank(nil, &other); len(got) != 0 {
				t.Errorf("ranked %v", got)
			}
			if got := r.Dropped(nil, 10); len(got) != 0 {
				t.Errorf("dropped %v", got)
			}
		})
	}
}

func TestForget(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 0))
	w := randomWorld(rng)
	var r Ranker
	r.Rank(nil, w.randomQuery(rng))
	r.Forget()
	if r.q.Plan != nil || r.blend.plan != nil || r.caps.x != nil || r.keys != nil || r.best.raw != nil {
		t.Error("the ranker holds on to its last query")
	}
	if got := r.Dropped(nil, 10); len(got) != 0 {
		t.Errorf("dropped %v", got)
	}
}
