package scoring

import (
	"math"
	"runtime/debug"
	"slices"
	"time"

	"recstream/schemas"
	"recstream/scoring/rank"
)

// question is what the tiers are asked.
type question struct {
	req      *schemas.Request
	profile  *schemas.Profile // as of the request's time; nil is unknown
	eligible []int32
	deadline time.Time         // of the answer; zero is none
	stored   *schemas.Decision // the decision that is made again; nil for a new one
	slots    *slots            // where the answer may be remembered; nil for nowhere
	key      answerKey         // of the answer there
}

// ranks are the ways to rank, by tier: each leaves the best of the eligible items in the scorer, or returns the
// reason why it cannot.
var ranks = map[schemas.Tier]func(*Scorer, *rung, *question) schemas.Reason{
	schemas.TierModel:     (*Scorer).rankByModel,
	schemas.TierPrevious:  (*Scorer).rankByModel,
	schemas.TierSimilar:   (*Scorer).rankBySimilarity,
	schemas.TierPopular:   (*Scorer).rankByPopularity,
	schemas.TierEditorial: (*Scorer).rankByLists,
	schemas.TierBasic:     (*Scorer).rankByOrder,
}

var nan = math.NaN()

// descend tries tier after tier until one answers, and writes its answer.
func (s *Scorer) descend(q *question, dst *schemas.Decision) {
	for i := range s.arm.rungs {
		r := &s.arm.rungs[i]
		reason := s.tryPlace(i, q)
		if reason == "" {
			s.answer(r, dst)
			if i == 0 {
				s.remember(q, dst)
			}
			return
		}
		dst.Degraded = append(dst.Degraded, reason)
	}
	s.standIn(q)
	s.answer(&s.arm.rungs[len(s.arm.rungs)-1], dst)
}

// tryPlace asks the tier at a place of the ladder.
func (s *Scorer) tryPlace(place int, q *question) schemas.Reason {
	r := &s.arm.rungs[place]
	if q.stored == nil {
		return s.try(r, q)
	}
	if code := q.left(r, place); code != "" {
		return code
	}
	return s.rankBy(r, q)
}

// standIn ranks as the basic tier does, without anything that could fail: there is an answer whatever happens.
func (s *Scorer) standIn(q *question) {
	pins := s.filter.Pins()
	s.ranked, s.ranker = s.ranked[:0], rank.Ranker{} // what it dropped was of another tier or request
	for _, i := range pins {
		s.ranked = append(s.ranked, rank.Ranked{Item: i, Prediction: nan, Pinned: true})
	}
	limit := s.limit(q.req)
	for _, i := range q.eligible {
		if len(s.ranked) >= limit {
			break
		}
		if !slices.Contains(pins, i) {
			s.ranked = append(s.ranked, rank.Ranked{Item: i, Prediction: nan})
		}
	}
	s.ranked = s.ranked[:min(len(s.ranked), limit)]
}

// try asks one tier, if it is to be asked.
func (s *Scorer) try(r *rung, q *question) (reason schemas.Reason) {
	switch {
	case r.reason != "":
		return r.reason
	case r.costly() && s.late(q):
		return schemas.ReasonDeadlineExceeded
	}
	now := s.engine.opts.Now()
	s.asked = now
	if !r.watch.breaker.Allow(now) {
		return schemas.ReasonCircuitOpen
	}
	reason = s.rankBy(r, q)
	r.watch.report(now, reason, s.atFault(reason, q))
	return reason
}

// rankBy ranks as a tier does. A panic is a reason like any other.
func (s *Scorer) rankBy(r *rung, q *question) (reason schemas.Reason) {
	defer func() {
		if v := recover(); v != nil {
			s.lastPanic = &PanicError{Tier: r.tier, Value: v, Stack: debug.Stack()}
			reason = schemas.ReasonPanic
			delete(s.raters, r.model) // it may have stopped in the middle of anything
			s.ranker = rank.Ranker{}
		}
	}()
	return r.rank(s, r, q)
}

// atFault reports whether the tier that was asked is to blame for the reason. An app may give little time, and
// candidates that are all alike: that says nothing of the tier, and must not open its breaker for others.
func (s *Scorer) atFault(reason schemas.Reason, q *question) bool {
	switch reason {
	case schemas.ReasonPanic, schemas.ReasonNonFiniteScore, schemas.ReasonEvaluatorsDisagree:
		return true
	case schemas.ReasonConstantScores:
		return q.req.Candidates == nil
	case schemas.ReasonDeadlineExceeded:
		return s.engine.opts.Now().Sub(s.asked) >= s.arm.params.Fallback.Slow
	default:
		return false
	}
}

// costly tells the tiers that take their time from those that are there for whoever is late.
func (r *rung) costly() bool { return r.model != nil || r.tier == schemas.TierSimilar }

// late reports whether the answer comes too late.
func (s *Scorer) late(q *question) bool {
	return !q.deadline.IsZero() && s.engine.opts.Now().After(q.deadline)
}

// ask prepares what the ranker is asked for q. What is ranked by is the caller's to add.
func (s *Scorer) ask(q *question) *rank.Query {
	s.query = rank.Query{Plan: s.arm.plan, At: q.req.RequestedAt, Profile: q.profile, SimilarTo: -1,
		Pins: s.filter.Pins(), Items: q.eligible, Limit: s.limit(q.req), Diversity: q.req.Diversity}
	if i, ok := s.arm.catalog.Lookup(q.req.SimilarTo); ok {
		s.query.SimilarTo = i
	}
	return &s.query
}

// rank ranks as was asked.
func (s *Scorer) rank() { s.ranked = s.ranker.Rank(s.ranked[:0], &s.query) }

// rankBySimilarity orders by likeness to the item that the request wants the like of, else to what the user has
// seen last.
func (s *Scorer) rankBySimilarity(_ *rung, q *question) schemas.Reason {
	query := s.ask(q)
	s.taste.Reset(s.arm.contents.index)
	if query.SimilarTo >= 0 {
		s.taste.Add(query.SimilarTo, 1)
		query.SimilarTo = -1 // once is enough
	} else if !s.tasteOfHistory(q) {
		return schemas.ReasonNoHistory
	}
	raw, alike := s.buffers.sized(len(q.eligible)), false
	for n, i := range q.eligible {
		raw[n] = s.taste.Similarity(i)
		alike = alike || raw[n] > 0
	}
	if !alike {
		return schemas.ReasonNoHistory
	}
	query.Raw = raw
	s.rank()
	return ""
}

// tasteOfHistory adds what the user has seen last to the taste, what is longer ago with less weight. It reports
// whether there is anything.
func (s *Scorer) tasteOfHistory(q *question) bool {
	if q.profile == nil {
		return false
	}
	p, b := &s.arm.params.Fallback.History, &s.buffers
	b.history = b.history[:0]
	for i := range q.profile.Items {
		item := &q.profile.Items[i]
		if item.SeenBy(q.req.RequestedAt) && !item.Dismissed.After(item.Seen) {
			b.history = append(b.history, *item)
		}
	}
	slices.SortFunc(b.history, func(a, b schemas.ProfileItem) int { return b.Seen.Compare(a.Seen) })
	found := false
	for n, item := range b.history {
		if n == p.Items {
			break
		}
		if i, ok := s.arm.catalog.Lookup(item.ItemID); ok {
			age := b.history[0].Seen.Sub(item.Seen)
			s.taste.Add(i, math.Exp2(-float64(age)/float64(p.HalfLife)))
			found = true
		}
	}
	return found
}

// rankByPopularity orders by popularity within the context, if at least one item has any.
func (s *Scorer) rankByPopularity(_ *rung, q *question) schemas.Reason {
	table := s.arm.popularity.Context(q.req.Context)
	if table == nil {
		return schemas.ReasonPopularityMissing
	}
	raw, known := s.buffers.sized(len(q.eligible)), false
	for n, i := range q.eligible {
		raw[n] = float64(table[i])
		known = known || raw[n] > 0
	}
	if !known {
		return schemas.ReasonPopularityMissing
	}
	query := s.ask(q)
	query.Raw = raw
	s.rank()
	return ""
}

// rankByLists takes the eligible items of the lists that suit the request, in their order, and fills up with
// the others as they come.
func (s *Scorer) rankByLists(_ *rung, q *question) schemas.Reason {
	b := &s.buffers
	if len(b.marks) != s.arm.catalog.Len() {
		b.marks, b.round = make([]uint32, s.arm.catalog.Len()), 0
	}
	if b.round += 2; b.round == 0 { // the counter wrapped
		clear(b.marks)
		b.round = 2
	}
	for _, i := range q.eligible {
		b.marks[i] = b.round
	}
	b.order = b.order[:0]
	for n := range s.arm.contents.lists {
		if l := &s.arm.contents.lists[n]; l.suits(q.req.Context, q.req.RequestedAt) {
			b.listed(l.items)
		}
	}
	if len(b.order) == 0 {
		return schemas.ReasonNoEditorialList
	}
	b.listed(q.eligible)
	query := s.ask(q)
	query.Items = b.order
	s.rank()
	return ""
}

// listed puts those of the items that are eligible and not in order yet into it.
func (b *buffers) listed(items []int32) {
	for _, i := range items {
		if b.marks[i] == b.round {
			b.marks[i] = b.round + 1
			b.order = append(b.order, i)
		}
	}
}

// rankByOrder takes the first items as they come.
func (s *Scorer) rankByOrder(_ *rung, q *question) schemas.Reason {
	s.ask(q)
	s.rank()
	return ""
}

// sized returns the room for n numbers to rank by.
func (b *buffers) sized(n int) []float64 {
	b.raw = slices.Grow(b.raw[:0], n)[:n]
	return b.raw
}

// answer writes what was ranked as the answer of a tier. Only models predict.
func (s *Scorer) answer(r *rung, dst *schemas.Decision) {
	dst.Tier = r.tier
	for i := range s.ranked {
		best := &s.ranked[i]
		item := s.arm.catalog.Item(best.Item)
		scored := schemas.ScoredItem{ItemID: item.ID, Title: item.Title, Prediction: nan, Score: best.Score, Terms: best.Terms}
		if r.model != nil {
			scored.Prediction = best.Prediction
		}
		dst.Items = append(dst.Items, scored)
		if item.AddedAt.After(s.newest) {
			s.newest = item.AddedAt
		}
		if best.Pinned {
			dst.Pinned++
		}
	}
	if r.model != nil {
		s.answering = r.model
		s.noteFeatures(r.model, dst)
	}
}

// noteFeatures notes which model answered, and what it saw of the user.
func (s *Scorer) noteFeatures(m *boundModel, dst *schemas.Decision) {
	if !m.answered.Load() {
		m.answered.Store(true)
	}
	dst.Model = m.ref
	for _, i := range m.features.UserFeatures() {
		dst.UserFeatures = append(dst.UserFeatures, s.buffers.row[i])
	}
	n := m.features.NumPairs()
	for i := range s.ranked {
		if n == 0 {
			return
		}
		at := len(dst.PairFeatures)
		dst.PairFeatures = slices.Grow(dst.PairFeatures, n)[:at+n]
		m.features.Pair(dst.PairFeatures[at:], &s.buffers.inputs, s.arm.catalog.Item(s.ranked[i].Item))
	}
}
