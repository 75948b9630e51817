package scoring

import (
	"errors"
	"math"
	"runtime/debug"
	"slices"

	"recstream/schemas"
)

// question is what the tiers are asked.
type question struct {
	req      *schemas.Request
	profile  *schemas.Profile // nil is unknown
	eligible []int32
}

// tier is one rung of the ladder.
type tier struct {
	name schemas.Tier
	// rank puts the best of the eligible items into the scorer's empty ranking, or returns the reason why
	// this tier cannot answer.
	rank func(s *Scorer, q question) schemas.Reason
}

// tiers is the ladder, best first. The model's rung has the name that the arm gives it.
var tiers = [...]tier{
	{schemas.TierModel, (*Scorer).rankByModel},
	{schemas.TierPopular, (*Scorer).rankByPopularity},
	{schemas.TierBasic, (*Scorer).rankByOrder},
}

// errNoTier cannot happen while the basic tier is what it is.
var errNoTier = errors.New("score: no tier could answer")

// descend tries tier after tier until one answers, and writes its answer.
func (s *Scorer) descend(q question, dst *schemas.Decision) error {
	if s.arm.tier == schemas.TierPrevious {
		dst.Degraded = append(dst.Degraded, s.arm.reason)
	}
	for i := range tiers {
		reason := s.try(&tiers[i], q)
		if reason == "" {
			s.answer(tiers[i].name, dst)
			return nil
		}
		dst.Degraded = append(dst.Degraded, reason)
	}
	return errNoTier
}

// try runs one tier; a panic is a reason like any other.
func (s *Scorer) try(t *tier, q question) (reason schemas.Reason) {
	defer func() {
		if v := recover(); v != nil {
			s.lastPanic = &PanicError{Tier: t.name, Value: v, Stack: debug.Stack()}
			reason = schemas.ReasonPanic
			s.raters[s.arm.index] = nil // it may have stopped in the middle of anything
		}
	}()
	s.ranking.reset(s.ranking.limit)
	return t.rank(s, q)
}

// answer writes the ranking as tier t's answer. Only the model predicts; the basic tier has no score.
func (s *Scorer) answer(t schemas.Tier, dst *schemas.Decision) {
	dst.Tier = t
	if t == schemas.TierModel {
		s.answerByModel(dst)
		return
	}
	for _, r := range s.ranking.best {
		item := s.arm.catalog.Item(r.item)
		dst.Items = append(dst.Items, schemas.ScoredItem{ItemID: item.ID, Title: item.Title, Prediction: math.NaN(), Score: r.score})
	}
}

// answerByModel writes the model's answer: raw scores become predictions, and what the model saw of the user
// is noted.
func (s *Scorer) answerByModel(dst *schemas.Decision) {
	m := s.arm.model
	if !m.answered.Load() {
		m.answered.Store(true)
	}
	dst.Tier, dst.Model = s.arm.tier, m.ref
	for _, r := range s.ranking.best {
		item := s.arm.catalog.Item(r.item)
		prediction := m.predict(r.score)
		dst.Items = append(dst.Items, schemas.ScoredItem{ItemID: item.ID, Title: item.Title, Prediction: prediction, Score: prediction})
	}
	for _, i := range m.features.UserFeatures() {
		dst.UserFeatures = append(dst.UserFeatures, s.buffers.row[i])
	}
	if n := m.features.NumPairs(); n > 0 {
		for _, r := range s.ranking.best {
			at := len(dst.PairFeatures)
			dst.PairFeatures = slices.Grow(dst.PairFeatures, n)[:at+n]
			m.features.Pair(dst.PairFeatures[at:], &s.buffers.inputs, s.arm.catalog.Item(r.item))
		}
	}
}

// rankByModel orders by raw score. One that is no number, or too many that are all alike, say that the model
// cannot be trusted with this request.
func (s *Scorer) rankByModel(q question) schemas.Reason {
	m := s.arm.model
	if m == nil {
		return s.arm.reason
	}
	scores := s.rate(m, q)
	first, varied := scores[0], false
	for n, score := range scores {
		if !isFinite(score) {
			return schemas.ReasonNonFiniteScore
		}
		varied = varied || score != first
		s.ranking.offer(q.eligible[n], score)
	}
	if !varied && len(scores) >= s.arm.params.ConstantScoresMin {
		return schemas.ReasonConstantScores
	}
	return ""
}

// rate returns the raw scores of the eligible items: remembered, or made.
func (s *Scorer) rate(m *boundModel, q question) []float64 {
	b := &s.buffers
	b.row = slices.Grow(b.row[:0], len(m.features.Names()))[:len(m.features.Names())]
	b.raw = slices.Grow(b.raw[:0], len(q.eligible))[:len(q.eligible)]
	m.features.Prepare(&b.inputs, q.req, q.profile)
	m.features.Request(b.row, &b.inputs)
	if m.memo == nil {
		s.score(m, q.eligible, b.raw)
		return b.raw
	}
	column := m.memo.column(q.req.Context)
	b.missing, b.places = column.read(q.eligible, b.raw, b.missing[:0], b.places[:0])
	if len(b.missing) > 0 {
		b.made = slices.Grow(b.made[:0], len(b.missing))[:len(b.missing)]
		s.score(m, b.missing, b.made)
		for n, score := range b.made {
			b.raw[b.places[n]] = score
			column[b.missing[n]].Store(encode(score))
		}
	}
	return b.raw
}

// score makes the raw scores of candidates for the request in the buffers.
func (s *Scorer) score(m *boundModel, candidates []int32, out []float64) {
	b := &s.buffers
	b.pairs = b.pairs[:0]
	if n := m.features.NumPairs(); n > 0 {
		b.pairs = slices.Grow(b.pairs, n*len(candidates))[:n*len(candidates)]
		for k, i := range candidates {
			m.features.Pair(b.pairs[k*n:(k+1)*n], &b.inputs, s.arm.catalog.Item(i))
		}
	}
	r := s.raters[s.arm.index]
	if r == nil {
		r = m.rater()
		s.raters[s.arm.index] = r
	}
	r.Score(b.row, candidates, b.pairs, out)
}

// rankByPopularity orders by popularity, if at least one item has any.
func (s *Scorer) rankByPopularity(q question) schemas.Reason {
	known := false
	for _, i := range q.eligible {
		popularity := s.arm.catalog.Item(i).Popularity
		known = known || popularity > 0
		s.ranking.offer(i, popularity)
	}
	if !known {
		return schemas.ReasonPopularityMissing
	}
	return ""
}

// rankByOrder takes the first items as they come, all with score 0.
func (s *Scorer) rankByOrder(q question) schemas.Reason {
	for _, i := range q.eligible[:min(len(q.eligible), s.ranking.limit)] {
		s.ranking.best = append(s.ranking.best, ranked{item: i})
	}
	return ""
}

// isFinite is false for NaN and the infinities, whose difference from themselves is NaN.
func isFinite(v float64) bool { return v-v == 0 }
