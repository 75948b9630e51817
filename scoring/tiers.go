package scoring

import (
	"errors"
	"math"
	"runtime/debug"

	"recstream/schemas"
	"recstream/scoring/feature"
)

// tier is one rung of the ladder.
type tier struct {
	name schemas.Tier
	// rank puts the best of the eligible items into the scorer's empty ranking, or returns the reason why
	// this tier cannot answer.
	rank func(s *Scorer, context schemas.Context, eligible []int32) schemas.Reason
}

// tiers is the ladder, best first.
var tiers = [...]tier{
	{schemas.TierModel, (*Scorer).rankByModel},
	{schemas.TierPopular, (*Scorer).rankByPopularity},
	{schemas.TierBasic, (*Scorer).rankByOrder},
}

// errNoTier cannot happen while the basic tier is what it is.
var errNoTier = errors.New("score: no tier could answer")

// descend tries tier after tier until one answers, and writes its answer.
func (s *Scorer) descend(eligible []int32, dst *schemas.Decision) error {
	for i := range tiers {
		reason := s.try(&tiers[i], dst.Context, eligible)
		if reason == "" {
			s.answer(tiers[i].name, dst)
			return nil
		}
		dst.Degraded = append(dst.Degraded, reason)
	}
	return errNoTier
}

// try runs one tier; a panic is a reason like any other.
func (s *Scorer) try(t *tier, context schemas.Context, eligible []int32) (reason schemas.Reason) {
	defer func() {
		if v := recover(); v != nil {
			s.lastPanic = &PanicError{Tier: t.name, Value: v, Stack: debug.Stack()}
			reason = schemas.ReasonPanic
		}
	}()
	s.ranking.reset(s.ranking.limit)
	return t.rank(s, context, eligible)
}

// answer writes the ranking as tier t's answer. Only the model predicts; the basic tier has no score.
func (s *Scorer) answer(t schemas.Tier, dst *schemas.Decision) {
	dst.Tier = t
	if t == schemas.TierModel {
		dst.Model = s.state.ref
	}
	for _, r := range s.ranking.best {
		item := s.state.catalog.Item(r.item)
		prediction := math.NaN()
		if t == schemas.TierModel {
			prediction = r.score
		}
		dst.Items = append(dst.Items, schemas.ScoredItem{
			ItemID: item.ID, Title: item.Title, Prediction: prediction, Score: r.score,
		})
	}
}

// rankByModel orders by prediction. One prediction that is no number, or too many that are all alike, say
// that the model cannot be trusted with this request.
func (s *Scorer) rankByModel(context schemas.Context, eligible []int32) schemas.Reason {
	memo := s.state.memo
	if memo == nil {
		return s.state.reason
	}
	feature.Request(s.features, context)
	column := memo.column(context)
	first, varied := math.NaN(), false
	for n, i := range eligible {
		var p float64
		if bits := column[i].Load(); bits != unmade {
			p = decode(bits)
		} else {
			p = memo.fill(column, i, s.features)
		}
		if !isFinite(p) {
			return schemas.ReasonNonFiniteScore
		}
		if n == 0 {
			first = p
		}
		varied = varied || p != first
		s.ranking.offer(i, p)
	}
	if !varied && len(eligible) >= s.engine.params.ConstantScoresMin {
		return schemas.ReasonConstantScores
	}
	return ""
}

// rankByPopularity orders by popularity, if at least one item has any.
func (s *Scorer) rankByPopularity(_ schemas.Context, eligible []int32) schemas.Reason {
	known := false
	for _, i := range eligible {
		popularity := s.state.catalog.Item(i).Popularity
		known = known || popularity > 0
		s.ranking.offer(i, popularity)
	}
	if !known {
		return schemas.ReasonPopularityMissing
	}
	return ""
}

// rankByOrder takes the first items as they come, all with score 0.
func (s *Scorer) rankByOrder(_ schemas.Context, eligible []int32) schemas.Reason {
	for _, i := range eligible[:min(len(eligible), s.ranking.limit)] {
		s.ranking.best = append(s.ranking.best, ranked{item: i})
	}
	return ""
}

// isFinite is false for NaN and the infinities, whose difference from themselves is NaN.
func isFinite(v float64) bool { return v-v == 0 }
