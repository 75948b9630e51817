package rank

import (
	"math"
	"slices"
	"time"

	"recstream/schemas"
	"recstream/scoring/similarity"
)

// Plan is what the parameters come to for the items of one catalogue: all that does not depend on a request. It
// never changes.
type Plan struct {
	params Params
	x      *similarity.Index
	rules  []rule
	// The rules that match item i, but for what hangs on the time, are matches[starts[i]:starts[i+1]]; both are nil without any.
	starts     []uint32
	matches    []uint16
	added      []int64     // AddedAt by item, Unix microseconds, or unknown; nil where no rule asks
	expires    []int64     // ExpiresAt, in the same way
	born       []halfLives // the same for the freshness term; nil where it is off
	popularity []float64   // the popularity term by item; nil where it is off
}

// unknown stands for a time that is missing.
const unknown = math.MinInt64

// NewPlan resolves valid parameters for the items of a catalogue, by place, with their index. It costs about as many
// steps as there are items times rules: build it in the background. What the parameters point to is kept and
// must not change any more; the items are not kept.
func NewPlan(p *Params, items []schemas.Item, x *similarity.Index) *Plan {
	plan := &Plan{params: *p, x: x}
	plan.matchRules(items)
	plan.fillTimes(items)
	plan.fillPopularity(items)
	return plan
}

// Bytes is about how much memory the plan holds, the index aside.
func (p *Plan) Bytes() int64 {
	return int64(len(p.starts))*4 + int64(len(p.matches))*2 + int64(len(p.added)+len(p.expires)+len(p.popularity))*8 + int64(len(p.born))*16
}

// ActiveBoosts appends to dst the names of the rules that hold for the item at a time, in the configuration's order.
func (p *Plan) ActiveBoosts(dst []string, item int32, at time.Time) []string {
	now := microseconds(at)
	for _, k := range p.rulesOf(item) {
		r := &p.rules[k]
		if r.holds(at) && added(r.age, now).has(timeOf(p.added, item)) && expiring(r.expiry, now).has(timeOf(p.expires, item)) {
			dst = append(dst, r.name)
		}
	}
	return dst
}

// Timeless reports whether the time of a query makes no difference: freshness does not count, and no business rule that
// any item matches has a time or asks for an age or an expiry.
func (p *Plan) Timeless() bool {
	return p.born == nil && !slices.ContainsFunc(p.rules, func(r rule) bool {
		return r.used && (!r.from.IsZero() || !r.until.IsZero() || r.age.bounded() || r.expiry.bounded())
	})
}

// rulesOf returns the rules that match an item, but for what hangs on the time.
func (p *Plan) rulesOf(item int32) []uint16 {
	if p.starts == nil {
		return nil
	}
	return p.matches[p.starts[item]:p.starts[item+1]]
}

// matchRules tries each rule on each item.
func (p *Plan) matchRules(items []schemas.Item) {
	if len(p.params.Boosts) == 0 {
		return
	}
	matchers := make([]matcher, len(p.params.Boosts))
	for k := range matchers {
		b := &p.params.Boosts[k]
		matchers[k] = newMatcher(b)
		p.rules = append(p.rules, newRule(b))
	}
	p.starts = make([]uint32, len(items)+1)
	for i := range items {
		for k := range matchers {
			if matchers[k].matches(&items[i]) {
				p.matches = append(p.matches, uint16(k))
				p.rules[k].used = true
			}
		}
		p.starts[i+1] = uint32(len(p.matches))
	}
}

// fillTimes makes the columns of when items were added and expire.
func (p *Plan) fillTimes(items []schemas.Item) {
	p.added = p.times(items, func(r *rule) Range { return r.age }, func(it *schemas.Item) time.Time { return it.AddedAt })
	p.expires = p.times(items, func(r *rule) Range { return r.expiry }, func(it *schemas.Item) time.Time { return it.ExpiresAt })
	if p.params.Weights.Freshness > 0 {
		p.born = make([]halfLives, len(items))
		for i := range items {
			p.born[i] = since1970(microseconds(items[i].AddedAt), p.params.FreshnessHalfLife)
		}
	}
}

// times makes the column of a time, if a rule that any item matches has a range that asks for it.
func (p *Plan) times(items []schemas.Item, days func(*rule) Range, of func(*schemas.Item) time.Time) []int64 {
	if !slices.ContainsFunc(p.rules, func(r rule) bool { return r.used && days(&r).bounded() }) {
		return nil
	}
	column := make([]int64, len(items))
	for i := range items {
		column[i] = microseconds(of(&items[i]))
	}
	return column
}

// fillPopularity makes the term's column, if the term counts and any item has a popularity.
func (p *Plan) fillPopularity(items []schemas.Item) {
	largest := 0.0
	for i := range items {
		largest = max(largest, known(items[i].Popularity))
	}
	weight := p.params.Weights.Popularity
	if weight == 0 || largest == 0 {
		return
	}
	p.popularity = make([]float64, len(items))
	for i := range items {
		p.popularity[i] = weight * (math.Log1p(known(items[i].Popularity)) / math.Log1p(largest))
	}
}

// known returns a quantity, 0 for one that makes no sense.
func known(v float64) float64 {
	if v > 0 && !math.IsInf(v, 1) {
		return v
	}
	return 0
}

// microseconds returns a time as Unix microseconds, the zero time as unknown.
func microseconds(t time.Time) int64 {
	if t.IsZero() {
		return unknown
	}
	return t.UnixMicro()
}

// timeOf is an item's time, as far as anybody asks.
func timeOf(column []int64, item int32) int64 {
	if column == nil {
		return unknown
	}
	return column[item]
}
