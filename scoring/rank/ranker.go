package rank

import (
	"math"
	"slices"
	"time"

	"recstream/schemas"
)

// Query is what is to be ranked. What it points to must not change until the next Rank or Forget.
type Query struct {
	Plan      *Plan
	At        time.Time        // of the request; zero is unknown
	Profile   *schemas.Profile // faded to At; nil is unknown
	SimilarTo int32            // place of the item whose like is wanted, or -1
	Pins      []int32          // places, in the order wanted; those that are not in Items do not count
	Items     []int32          // places of the candidates, each once
	// Raw is the tier's number of each candidate. It and what Predict makes of it are within ±1e300, so that sums are
	// finite. With nil the order of Items is the order, and there are no terms and no diversity.
	Raw       []float64
	Predict   func(raw float64) float64 // makes the measure of a raw number; never falls where raw rises; nil leaves it as it is
	Calibrate bool                      // the measure is a model's prediction
	Limit     int                       // most items of the answer
	Diversity float64                   // strength, 0 to 1; NaN is the parameters'
}

// Ranked is an item of an answer.
type Ranked struct {
	Item       int32         // place
	Candidate  int32         // index in Items
	Prediction float64       // what Predict made, not calibrated; NaN where there are no raw numbers
	Score      float64       // the sum of Terms
	Terms      schemas.Terms // all 0 where there are no raw numbers
	Pinned     bool
}

// Ranker ranks one query after another, in buffers of its own. The zero value is ready. It is for one goroutine at a
// time.
type Ranker struct {
	q         Query
	diversity float64 // δ of the query
	blend     blend
	caps      tally
	// What candidates are ordered by: sums of terms, or the query's raw numbers; nil for the order of Items. Where lazy,
	// keys are bounds from above, and sums has those that were needed, NaN for the others.
	keys, sums, bounds []float64
	lazy               bool
	ceilings           ceilings
	best               selection
	pins               []entry
	pool               pool    // of what was drawn, what may still be chosen
	held               []rival // what is nearly identical to an item of the page, and waits for the page to be full
	drawn              int     // how many candidates were drawn, and the last of them
	last               entry
	dry                bool // all candidates are drawn that may be
	chosen             []rival
	kin                []kin  // of what was chosen
	taken              bitset // places of what was chosen
	titles, franchises bitset // of what was chosen, none of them 0
	twinOf             int    // which of the chosen the last twin was found to be nearly identical to
}

// Rank appends the answer to dst, best first.
func (r *Ranker) Rank(dst []Ranked, q *Query) []Ranked {
	r.Forget()
	if q.Limit < 1 || len(q.Items) == 0 {
		return dst
	}
	r.start(q)
	r.choosePins()
	r.chooseRest()
	for i := range r.chosen {
		dst = append(dst, r.ranked(&r.chosen[i]))
	}
	return dst
}

// Forget lets go of the last query, so that a ranker without work keeps no old catalogue in memory. Dropped has nothing
// to tell then.
func (r *Ranker) Forget() {
	for i := range r.chosen {
		r.caps.count(r.chosen[i].item, -1)
		r.taken.remove(r.chosen[i].item)
		r.titles.remove(r.kin[i].title)
		r.franchises.remove(r.kin[i].franchise)
	}
	r.chosen, r.kin = r.chosen[:0], r.kin[:0]
	r.pool, r.held, r.drawn, r.last, r.twinOf = r.pool[:0], r.held[:0], 0, entry{}, 0
	r.caps.x = nil
	r.blend.end()
	r.q, r.keys, r.best.raw, r.diversity, r.lazy, r.dry = Query{}, nil, nil, 0, false, false
}

// start takes on a query: it finds out what counts, and by what candidates are ordered.
func (r *Ranker) start(q *Query) {
	p := &q.Plan.params
	r.q = *q
	r.caps.start(p.Caps, q.Plan.x)
	r.taken.reach(q.Plan.x.Len())
	r.titles.reach(q.Plan.x.NumTitles())
	r.franchises.reach(q.Plan.x.NumFranchises())
	if q.Raw == nil {
		return
	}
	if r.diversity = q.Diversity; math.IsNaN(r.diversity) {
		r.diversity = p.Diversity.Strength
	}
	r.blend.start(q)
	if r.byRaw() {
		r.keys = q.Raw
		return
	}
	r.sums = slices.Grow(r.sums[:0], len(q.Raw))[:len(q.Raw)]
	if r.lazy = r.blend.costly() && len(q.Raw) >= lazyFrom*r.firstDraw(); r.lazy {
		r.bound()
		return
	}
	r.blend.sums(r.sums, q.Items, q.Raw)
	r.keys = r.sums
}

// lazyFrom is how many times the candidates that are drawn there have to be for bounds to pay.
const lazyFrom = 4

// bound orders candidates by bounds for now.
func (r *Ranker) bound() {
	n := len(r.q.Raw)
	for i := range r.sums {
		r.sums[i] = math.NaN()
	}
	r.bounds = slices.Grow(r.bounds[:0], n)[:n]
	r.ceilings.write(r.bounds, r.q.Raw, &r.blend)
	r.blend.addRest(r.bounds, r.q.Items)
	r.keys = r.bounds
}

// key is what a candidate is ordered by.
func (r *Ranker) key(candidate int) float64 {
	if !r.lazy {
		return r.keys[candidate]
	}
	sum := &r.sums[candidate]
	if *sum != *sum {
		terms := r.blend.terms(r.q.Items[candidate], r.blend.prediction(r.q.Raw[candidate]))
		*sum = terms.Sum()
	}
	return *sum
}

// byRaw reports whether raw numbers have the order of scores.
func (r *Ranker) byRaw() bool { return r.diversity == 0 && r.blend.onlyBase() }

// choosePins chooses the pins that are candidates, as far as the limit allows.
func (r *Ranker) choosePins() {
	r.findPins()
	for _, item := range r.q.Pins {
		if len(r.chosen) == r.q.Limit {
			return
		}
		if r.taken.has(item) {
			continue
		}
		at := slices.IndexFunc(r.pins, func(e entry) bool { return e.item == item })
		if at < 0 {
			continue
		}
		pin := rival{entry: r.entry(int(r.pins[at].candidate)), pinned: true}
		for r.diversity > 0 && int(pin.seen) < len(r.chosen) {
			r.compare(&pin, math.Inf(-1))
		}
		r.choose(&pin)
	}
}

// findPins looks the pins up among the candidates. Their keys are left out: most of many pins are not needed.
func (r *Ranker) findPins() {
	r.pins = r.pins[:0]
	if len(r.q.Pins) == 0 {
		return
	}
	for _, item := range r.q.Pins {
		r.taken.add(item)
	}
	for i, item := range r.q.Items {
		if r.taken.has(item) {
			r.pins = append(r.pins, entry{item: item, candidate: int32(i)})
		}
	}
	for _, item := range r.q.Pins {
		r.taken.remove(item)
	}
}

// entry is that of a candidate.
func (r *Ranker) entry(candidate int) entry {
	e := entry{-float64(candidate), r.q.Items[candidate], int32(candidate)}
	if r.keys != nil {
		e.key = r.key(candidate)
	}
	return e
}

// choose adds a rival to the answer.
func (r *Ranker) choose(e *rival) {
	r.chosen = append(r.chosen, *e)
	r.caps.count(e.item, 1)
	r.taken.add(e.item)
	k := kinOf(r.q.Plan.x, e.item)
	r.kin = append(r.kin, k)
	r.titles.add(k.title)
	r.franchises.add(k.franchise)
	r.titles.remove(0)
	r.franchises.remove(0)
}

// ranked is an item of the answer with all its numbers.
func (r *Ranker) ranked(c *rival) Ranked {
	out := Ranked{Item: c.item, Candidate: c.candidate, Prediction: math.NaN(), Pinned: c.pinned}
	if r.keys == nil {
		return out
	}
	out.Prediction = r.blend.prediction(r.q.Raw[c.candidate])
	out.Terms = r.blend.terms(c.item, out.Prediction)
	out.Terms[schemas.TermDiversity] = r.penalty(c)
	out.Score = out.Terms.Sum()
	return out
}

// penalty is the diversity term. It is subtracted from 0, which is no -0.
func (r *Ranker) penalty(e *rival) float64 { return 0 - r.diversity*(e.key+e.near) }

// bitset is a set of places, or of other numbers from 0 on.
type bitset []uint64

// reach makes room for numbers below n.
func (b *bitset) reach(n int) {
	for len(*b)*64 < n {
		*b = append(*b, 0)
	}
}

func (b bitset) add(n int32)      { b[n>>6] |= 1 << (n & 63) }
func (b bitset) remove(n int32)   { b[n>>6] &^= 1 << (n & 63) }
func (b bitset) has(n int32) bool { return b[n>>6]>>(n&63)&1 == 1 }
