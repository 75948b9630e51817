package rank

import (
	"math"
	"time"

	"recstream/schemas"
)

// blend makes the terms of one query, but for diversity. What the query does not have is switched off.
type blend struct {
	plan *Plan
	now  int64 // Unix microseconds, or unknown

	predict   func(raw float64) float64
	calibrate bool

	boosts, likes, freshens, popular bool // which terms count
	rules                            []activeRule
	genres                           []float64 // the profile's weights, by genre; 0 between queries
	liking                           float64   // the term's weight, divided by the sum of their absolute values
	clock                            halfLives // of now
	similarTo                        int32     // -1 for none
}

// start takes on a query.
func (b *blend) start(q *Query) {
	p := q.Plan
	c := p.params.Calibration
	b.plan, b.now, b.predict = p, microseconds(q.At), q.Predict
	b.calibrate = q.Calibrate && (c.Slope != 1 || c.Intercept != 0)
	b.startBoosts(q.At)
	b.startAffinity(q.Profile)
	b.freshens = p.params.Weights.Freshness > 0 && b.now != unknown
	b.clock = since1970(b.now, p.params.FreshnessHalfLife)
	b.popular = p.popularity != nil
	b.similarTo = -1
	if p.params.Weights.Similarity > 0 {
		b.similarTo = q.SimilarTo
	}
}

// activeRule is a rule at the time of the query.
type activeRule struct {
	add             float64
	added, expiring window // added is empty outside the rule's own time
}

// startBoosts finds the rules whose time it is.
func (b *blend) startBoosts(at time.Time) {
	b.boosts, b.rules = false, b.rules[:0]
	for i := range b.plan.rules {
		r := &b.plan.rules[i]
		active := activeRule{added: window{never, never}}
		if r.used && r.holds(at) {
			active = activeRule{r.add, added(r.age, b.now), expiring(r.expiry, b.now)}
			b.boosts = true
		}
		b.rules = append(b.rules, active)
	}
}

// startAffinity lays the profile's weights out by genre. A profile whose weights are no numbers says nothing.
func (b *blend) startAffinity(p *schemas.Profile) {
	b.likes = false
	if p == nil || b.plan.params.Weights.Affinity == 0 {
		return
	}
	total := 0.0
	for i := range p.Genres {
		total += math.Abs(p.Genres[i].Weight)
	}
	if b.likes = total > 0 && !math.IsInf(total, 1); !b.likes {
		return
	}
	b.liking = b.plan.params.Weights.Affinity / total
	if n := b.plan.x.NumGenres(); cap(b.genres) < n {
		b.genres = make([]float64, n)
	} else {
		b.genres = b.genres[:n]
	}
	for i := range p.Genres {
		if id, ok := b.plan.x.Genre(p.Genres[i].Genre); ok {
			b.genres[id] += p.Genres[i].Weight
		}
	}
}

// end leaves the buffers as start wants them.
func (b *blend) end() {
	if b.likes {
		clear(b.genres)
	}
	b.likes, b.plan, b.predict = false, nil, nil
}

// onlyBase reports whether the base alone makes the score, so that raw numbers have its order.
func (b *blend) onlyBase() bool {
	return b.plan.params.Weights.Base > 0 && !b.boosts && !b.likes && !b.freshens && !b.popular && b.similarTo < 0
}

// costly reports whether a base takes more than a multiplication.
func (b *blend) costly() bool { return b.predict != nil || b.calibrate }

// sums writes the sum of the terms of each candidate.
func (b *blend) sums(dst []float64, items []int32, raw []float64) {
	for i, v := range raw {
		dst[i] = b.base(b.prediction(v))
	}
	b.addRest(dst, items)
}

// addRest adds to each base the other terms, in their order. The larger base has the sum that is not smaller.
func (b *blend) addRest(dst []float64, items []int32) {
	if b.boosts {
		for i, item := range items {
			dst[i] += b.boost(item)
		}
	}
	if b.likes {
		for i, item := range items {
			dst[i] += b.affinity(item)
		}
	}
	if b.freshens {
		for i, item := range items {
			dst[i] += b.freshness(item)
		}
	}
	if b.popular {
		for i, item := range items {
			dst[i] += b.plan.popularity[item]
		}
	}
	if b.similarTo >= 0 {
		for i, item := range items {
			dst[i] += b.similarity(item)
		}
	}
}

// terms returns the terms of one candidate, to the bit those that sums adds up.
func (b *blend) terms(item int32, prediction float64) (t schemas.Terms) {
	t[schemas.TermBase] = b.base(prediction)
	if b.boosts {
		t[schemas.TermBoost] = b.boost(item)
	}
	if b.likes {
		t[schemas.TermAffinity] = b.affinity(item)
	}
	if b.freshens {
		t[schemas.TermFreshness] = b.freshness(item)
	}
	if b.popular {
		t[schemas.TermPopularity] = b.plan.popularity[item]
	}
	if b.similarTo >= 0 {
		t[schemas.TermSimilarity] = b.similarity(item)
	}
	return t
}

func (b *blend) prediction(raw float64) float64 {
	if b.predict == nil {
		return raw
	}
	return b.predict(raw)
}

// base is the first term. Adding 0 leaves no -0, which people would wonder at.
func (b *blend) base(prediction float64) float64 {
	if b.calibrate {
		prediction = b.plan.params.Calibration.of(prediction)
	}
	return 0 + b.plan.params.Weights.Base*prediction
}

// of calibrates a probability. What is outside 0 to 1 is taken to the nearer end, so that it stays a number.
func (c Calibration) of(p float64) float64 {
	p = min(max(p, 0), 1)
	return 1 / (1 + math.Exp(-(c.Slope*math.Log(p/(1-p)) + c.Intercept)))
}

func (b *blend) boost(item int32) float64 {
	sum, added, expires := 0.0, timeOf(b.plan.added, item), timeOf(b.plan.expires, item)
	for _, k := range b.plan.rulesOf(item) {
		if r := &b.rules[k]; r.added.has(added) && r.expiring.has(expires) {
			sum += r.add
		}
	}
	return sum
}

func (b *blend) affinity(item int32) float64 {
	sum := 0.0
	for _, g := range b.plan.x.Genres(item) {
		sum += b.genres[g]
	}
	return sum * b.liking
}

// freshness multiplies two powers of 2 that were made before, one of the item's time and one of the query's, which
// takes a quarter of the time of math.Exp2.
func (b *blend) freshness(item int32) float64 {
	born, weight := b.plan.born[item], b.plan.params.Weights.Freshness
	switch halvings := born.halvings - b.clock.halvings; {
	case halvings > 0:
		return weight
	case halvings < -mostHalvings:
		return 0
	default:
		scale := math.Float64frombits(uint64(exponentBias+halvings) << mantissaBits)
		return weight * min(born.power/b.clock.power*scale, 1)
	}
}

func (b *blend) similarity(item int32) float64 {
	return b.plan.params.Weights.Similarity * b.plan.x.Similarity(item, b.similarTo)
}
