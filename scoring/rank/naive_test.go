package rank

import (
	"math"
	"slices"
	"strings"
	"time"

	"recstream/schemas"
)

// naive ranks as the package's comment says, with a full sort and no thought of speed: the oracle of the tests. Only
// similarity and freshness are not its own, since ties hang on their last bits; they have oracles of their own.
type naive struct {
	q         *Query
	p         *Params
	items     []schemas.Item
	diversity float64
	blend     blend
	rest      []naiveItem // in order: not chosen, not in the pool
	pool      []naiveItem
	drawn     int // into the pool
	chosen    []naiveItem
}

type naiveItem struct {
	place, candidate int32
	raw, sum         float64 // the sum of all terms but diversity
	terms            schemas.Terms
	pinned           bool
}

func rankNaively(items []schemas.Item, q *Query) ([]Ranked, *naive) {
	n := &naive{q: q, p: &q.Plan.params, items: items, diversity: q.Diversity}
	if math.IsNaN(n.diversity) {
		n.diversity = n.p.Diversity.Strength
	}
	n.blend.start(q)
	for c := range q.Items {
		n.rest = append(n.rest, n.item(c))
	}
	if q.Raw == nil {
		n.diversity = 0
	} else {
		slices.SortFunc(n.rest, func(a, b naiveItem) int { return n.compare(a.sum, b.sum, a, b) })
	}
	n.choosePins()
	for len(n.chosen) < q.Limit && n.chooseNext() {
	}
	var out []Ranked
	for i := range n.chosen {
		out = append(out, n.ranked(i))
	}
	return out, n
}

// item makes the terms of a candidate, each from the item itself.
func (n *naive) item(c int) naiveItem {
	it := naiveItem{place: n.q.Items[c], candidate: int32(c)}
	if n.q.Raw == nil {
		return it
	}
	it.raw = n.q.Raw[c]
	item, w := &n.items[it.place], n.p.Weights
	it.terms = schemas.Terms{
		w.Base * n.measure(it.raw), n.boost(item), n.affinity(item), 0, w.Popularity * n.popularity(item), 0, 0,
	}
	if n.blend.freshens {
		it.terms[schemas.TermFreshness] = n.blend.freshness(it.place)
	}
	if n.q.SimilarTo >= 0 {
		it.terms[schemas.TermSimilarity] = w.Similarity * n.q.Plan.x.Similarity(it.place, n.q.SimilarTo)
	}
	it.sum = it.terms.Sum()
	return it
}

func (n *naive) measure(raw float64) float64 {
	m := raw
	if n.q.Predict != nil {
		m = n.q.Predict(raw)
	}
	if c := n.p.Calibration; n.q.Calibrate && c != (Calibration{1, 0}) {
		m = max(0, min(m, 1))
		m = 1 / (1 + math.Exp(-(c.Slope*math.Log(m/(1-m)) + c.Intercept)))
	}
	return m
}

func (n *naive) boost(it *schemas.Item) float64 {
	sum := 0.0
	for i := range n.p.Boosts {
		if naiveMatch(&n.p.Boosts[i], it, n.q.At) {
			sum += n.p.Boosts[i].Add
		}
	}
	return sum
}

func naiveMatch(b *Boost, it *schemas.Item, at time.Time) bool {
	one := func(of, have []string) bool {
		for _, name := range have {
			if slices.Contains(of, name) {
				return true
			}
		}
		return len(of) == 0
	}
	var groups []string
	for _, g := range it.Suitability {
		groups = append(groups, g.String())
	}
	within := func(r Range, v float64, missing bool) bool {
		return (r.Min == nil && r.Max == nil) || (!missing && (r.Min == nil || v >= *r.Min) && (r.Max == nil || v < *r.Max))
	}
	age, left := max(0, at.Sub(it.AddedAt).Hours()/24), max(0, it.ExpiresAt.Sub(at).Hours()/24)
	return !at.Before(b.From) && (b.Until.IsZero() || at.Before(b.Until)) &&
		one(b.Items, []string{it.ID}) && one(b.Genres, it.Genres) && one(b.Franchises, []string{it.Franchise}) &&
		one(b.Tags, it.Tags) && one(b.Groups, groups) &&
		strings.Contains(strings.ToLower(it.Title), strings.ToLower(b.Title)) &&
		within(b.Year, it.Year, it.Year == 0) && within(b.Duration, it.DurationMin, it.DurationMin == 0) &&
		within(b.Popularity, it.Popularity, it.Popularity == 0) &&
		within(b.AgeDays, age, at.IsZero() || it.AddedAt.IsZero()) &&
		within(b.ExpiresDays, left, at.IsZero() || it.ExpiresAt.IsZero())
}

func (n *naive) affinity(it *schemas.Item) float64 {
	if n.q.Profile == nil {
		return 0
	}
	sum, total := 0.0, 0.0
	for _, g := range n.q.Profile.Genres {
		if slices.Contains(it.Genres, g.Genre) {
			sum += g.Weight
		}
		total += math.Abs(g.Weight)
	}
	if total == 0 {
		return 0
	}
	return sum * (n.p.Weights.Affinity / total)
}

func naiveFreshness(at, added time.Time, halfLife time.Duration) float64 {
	if at.IsZero() || added.IsZero() {
		return 0
	}
	return math.Exp2(-float64(max(0, at.Sub(added))) / float64(halfLife))
}

func (n *naive) popularity(it *schemas.Item) float64 {
	largest := 0.0
	for i := range n.items {
		largest = max(largest, n.items[i].Popularity)
	}
	if largest == 0 {
		return 0
	}
	return math.Log1p(it.Popularity) / math.Log1p(largest)
}

// compare orders by value, then raw number, then place.
func (n *naive) compare(valueA, valueB float64, a, b naiveItem) int {
	switch {
	case valueA != valueB:
		return sign(valueB - valueA)
	case a.raw != b.raw:
		return sign(b.raw - a.raw)
	}
	return int(a.place) - int(b.place)
}

func sign(v float64) int {
	if v < 0 {
		return -1
	}
	return 1
}

func (n *naive) choosePins() {
	for _, place := range n.q.Pins {
		at := slices.IndexFunc(n.rest, func(it naiveItem) bool { return it.place == place })
		if at < 0 || len(n.chosen) == n.q.Limit {
			continue
		}
		it := n.rest[at]
		it.pinned = true
		n.rest = slices.Delete(n.rest, at, at+1)
		n.chosen = append(n.chosen, n.diversified(it))
	}
}

// near is the largest similarity to what was chosen.
func (n *naive) near(it naiveItem) float64 {
	largest := 0.0
	for _, c := range n.chosen {
		largest = max(largest, n.q.Plan.x.Similarity(it.place, c.place))
	}
	return largest
}

// diversified has the diversity term too.
func (n *naive) diversified(it naiveItem) naiveItem {
	if n.diversity > 0 {
		it.terms[schemas.TermDiversity] = -n.diversity * (it.sum + n.near(it))
	}
	return it
}

func (n *naive) chooseNext() bool {
	best := -1
	for i, it := range n.pool {
		if n.capped(it.place) != "" || (len(n.chosen) < n.p.Page && n.hasTwin(it.place)) {
			continue
		}
		if best < 0 || n.comparePool(it, n.pool[best]) < 0 {
			best = i
		}
	}
	if best < 0 {
		return n.draw()
	}
	n.chosen = append(n.chosen, n.diversified(n.pool[best]))
	n.pool = slices.Delete(n.pool, best, best+1)
	return true
}

func (n *naive) comparePool(a, b naiveItem) int {
	if n.q.Raw == nil {
		return int(a.candidate) - int(b.candidate)
	}
	da, db := n.diversified(a), n.diversified(b)
	return n.compare(da.terms.Sum(), db.terms.Sum(), a, b)
}

// draw fills the pool: without diversity at once, else by its size, and when that is exhausted by as many as were
// drawn until now of those that the caps leave room for.
func (n *naive) draw() bool {
	size, first := len(n.q.Items), n.drawn == 0
	if n.diversity > 0 {
		if size = n.drawn; first {
			size = max(n.p.Diversity.Pool, n.q.Limit)
		}
	}
	before := n.drawn
	for len(n.rest) > 0 && n.drawn < before+size {
		if first || n.capped(n.rest[0].place) == "" {
			n.pool = append(n.pool, n.rest[0])
			n.drawn++
		}
		n.rest = n.rest[1:]
	}
	return n.drawn > before
}

func (n *naive) hasTwin(place int32) bool {
	return slices.ContainsFunc(n.chosen, func(c naiveItem) bool {
		return n.q.Plan.x.NearIdentical(place, c.place, n.p.NearIdentical)
	})
}

// capped counts the answer anew for each item.
func (n *naive) capped(place int32) schemas.DropCode {
	it := &n.items[place]
	reached := func(most int, same func(c *schemas.Item) bool) bool {
		alike := 0
		for _, c := range n.chosen {
			if same(&n.items[c.place]) {
				alike++
			}
		}
		return most > 0 && alike >= most
	}
	for _, g := range it.Genres {
		if reached(n.p.Caps.Genre, func(c *schemas.Item) bool { return slices.Contains(c.Genres, g) }) {
			return schemas.DropCapGenre
		}
	}
	if it.Franchise != "" && reached(n.p.Caps.Franchise, func(c *schemas.Item) bool { return c.Franchise == it.Franchise }) {
		return schemas.DropCapFranchise
	}
	band := func(it *schemas.Item) int { return int(it.Year) / n.p.Caps.BandYears }
	if it.Year != 0 && reached(n.p.Caps.YearBand, func(c *schemas.Item) bool { return c.Year != 0 && band(c) == band(it) }) {
		return schemas.DropCapYear
	}
	return ""
}

func (n *naive) ranked(i int) Ranked {
	it := n.chosen[i]
	out := Ranked{Item: it.place, Candidate: it.candidate, Prediction: math.NaN(), Terms: it.terms, Pinned: it.pinned}
	if n.q.Raw != nil {
		out.Prediction = it.raw
		if n.q.Predict != nil {
			out.Prediction = n.q.Predict(it.raw)
		}
		out.Score = out.Terms.Sum()
	}
	return out
}

// dropped is what Dropped is to say.
func (n *naive) dropped() []Drop {
	var all []naiveItem
	for c := range n.q.Items {
		if it := n.item(c); !slices.ContainsFunc(n.chosen, func(x naiveItem) bool { return x.place == it.place }) {
			all = append(all, it)
		}
	}
	before := func(a, b naiveItem) int {
		if n.q.Raw == nil {
			return int(a.candidate) - int(b.candidate)
		}
		return n.compare(a.sum, b.sum, a, b)
	}
	slices.SortFunc(all, before)
	var out []Drop
	for _, it := range all {
		d := Drop{it.candidate, it.place, it.sum, schemas.DropBelowLimit}
		if n.q.Raw == nil {
			d.Score = math.NaN()
		}
		ahead := slices.ContainsFunc(n.chosen, func(c naiveItem) bool { return !c.pinned && before(it, c) < 0 })
		if ahead || len(n.chosen) < n.q.Limit {
			if code := n.capped(it.place); code != "" {
				d.Code = code
			} else if len(n.chosen) <= n.p.Page && n.hasTwin(it.place) {
				d.Code = schemas.DropNearIdentical
			}
		}
		out = append(out, d)
	}
	return out
}
