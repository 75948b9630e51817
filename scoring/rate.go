package scoring

import (
	"math"
	"slices"

	"recstream/schemas"
)

// scoredAtOnce is how many candidates a model scores between two looks at the clock.
const scoredAtOnce = 1024

// rankByModel orders by prediction, unless there is a sign that the model is not to be trusted with this request.
func (s *Scorer) rankByModel(r *rung, q *question) schemas.Reason {
	m := r.model
	s.prepare(m, q)
	if s.missing(m, q) > s.arm.params.Fallback.MaxMissingFeatures {
		return schemas.ReasonMissingFeatures
	}
	rated := s.rate(m, q)
	s.stages.Score += s.engine.opts.Now().Sub(s.asked)
	if !rated {
		return schemas.ReasonDeadlineExceeded
	}
	if reason := s.suspect(r); reason != "" {
		return reason
	}
	query := s.ask(q)
	query.Raw, query.Predict, query.Calibrate = s.buffers.raw, m.predict, true
	s.rank()
	return s.verify(m, q)
}

// prepare makes the features of the request.
func (s *Scorer) prepare(m *boundModel, q *question) {
	b := &s.buffers
	b.row = slices.Grow(b.row[:0], len(m.features.Names()))[:len(m.features.Names())]
	m.features.Prepare(&b.inputs, q.req, q.profile)
	m.features.Request(b.row, &b.inputs)
}

// missing is the share of the model's features that are missing of the user, and of the user with the first candidate.
func (s *Scorer) missing(m *boundModel, q *question) float64 {
	n := m.features.Missing(&s.buffers.inputs, s.arm.catalog.Item(q.eligible[0]))
	return float64(n) / float64(len(m.features.Names()))
}

// suspect looks for what a good model's scores do not have.
func (s *Scorer) suspect(r *rung) schemas.Reason {
	scores := s.buffers.raw
	first, varied := scores[0], false
	for _, score := range scores {
		if !isFinite(score) {
			return schemas.ReasonNonFiniteScore
		}
		varied = varied || score != first
	}
	if !varied && len(scores) >= s.arm.params.Fallback.ConstantScoresMin {
		return schemas.ReasonConstantScores
	}
	if s.question.stored == nil && r.watch.observe(s.asked, scores, r.model.predict) {
		return schemas.ReasonDriftExceeded
	}
	return ""
}

// verify walks the trees for the best item, now and then, and compares: a score is what the model says, whatever
// the evaluator.
func (s *Scorer) verify(m *boundModel, q *question) schemas.Reason {
	every := s.arm.params.Fallback.VerifyEvery
	if every == 0 || m.model == nil || q.stored != nil || m.decided.Add(1)%uint64(every) != 0 {
		return ""
	}
	best := &s.ranked[0]
	x := make([]float64, len(m.features.Names()))
	m.features.Vector(x, &s.buffers.inputs, s.arm.catalog.Item(best.Item))
	n := slices.Index(q.eligible, best.Item)
	if walked := m.model.Raw(x); math.Float64bits(walked) != math.Float64bits(s.buffers.raw[n]) {
		return schemas.ReasonEvaluatorsDisagree
	}
	return ""
}

// verifyDue reports whether the next decision of a model is to be verified.
func (s *Scorer) verifyDue(m *boundModel) bool {
	every := s.arm.params.Fallback.VerifyEvery
	return every > 0 && (m.decided.Load()+1)%uint64(every) == 0
}

// rate leaves the raw scores of the eligible items in the buffers: remembered, or made. It returns false when there
// was no time for that.
func (s *Scorer) rate(m *boundModel, q *question) bool {
	b := &s.buffers
	raw := b.sized(len(q.eligible))
	if m.memo == nil {
		return s.score(m, q, q.eligible, raw) == len(raw)
	}
	column := m.memo.column(q.req.Context)
	b.missing, b.places = column.read(q.eligible, raw, b.missing[:0], b.places[:0])
	l := &s.looked[scoresCache]
	l.hits, l.misses = l.hits+uint64(len(raw)-len(b.missing)), l.misses+uint64(len(b.missing))
	if len(b.missing) == 0 {
		return true
	}
	b.made = slices.Grow(b.made[:0], len(b.missing))[:len(b.missing)]
	made := s.score(m, q, b.missing, b.made)
	for n, score := range b.made[:made] { // also of a request that has no time for the rest: the next one will
		raw[b.places[n]] = score
		column[b.missing[n]].Store(encode(score))
	}
	return made == len(b.made)
}

// score makes the raw scores of candidates for the request in the buffers, some at a time as long as there is time,
// and returns how many.
func (s *Scorer) score(m *boundModel, q *question, candidates []int32, out []float64) (made int) {
	b, r := &s.buffers, s.rater(m)
	for made < len(candidates) {
		some := candidates[made:min(len(candidates), made+scoredAtOnce)]
		n := m.features.NumPairs()
		b.pairs = slices.Grow(b.pairs[:0], n*len(some))[:n*len(some)]
		for k, i := range some {
			if n == 0 {
				break
			}
			m.features.Pair(b.pairs[k*n:(k+1)*n], &b.inputs, s.arm.catalog.Item(i))
		}
		r.Score(b.row, some, b.pairs, out[made:made+len(some)])
		if made += len(some); s.late(q) {
			break
		}
	}
	return made
}

// rater returns the batch's rater of a model.
func (s *Scorer) rater(m *boundModel) rater {
	r := s.raters[m]
	if r == nil {
		r = m.rater()
		s.raters[m] = r
	}
	return r
}

// isFinite is false for NaN and the infinities, whose difference from themselves is NaN.
func isFinite(v float64) bool { return v-v == 0 }
