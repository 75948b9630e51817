package scoring

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/explain"
	"recstream/scoring/feature"
	"recstream/scoring/profile"
	"recstream/scoring/rank"
	"recstream/scoring/similarity"
)

// Scorer decides requests one after another, in buffers of its own. It is for one goroutine at a time.
type Scorer struct {
	engine    *Engine
	state     *state
	arm       *arm // of the request in hand
	filter    catalog.Filter
	question  question
	ranker    rank.Ranker
	query     rank.Query
	ranked    []rank.Ranked
	taste     similarity.Taste
	raters    map[*boundModel]rater // those that the batch has used
	answering *boundModel           // that answered the request in hand, nil for none
	// contributors explain the models that the batch has asked them to; nil for one that cannot be explained.
	contributors map[*boundModel]*explain.Contributor
	comparing    bool      // the similar tier may be asked in this batch
	began        time.Time // of the request in hand
	buffers      buffers
	faded        schemas.Profile // of the request in hand, as of its time
	newest       time.Time       // when the newest item of the answer was added; zero where that is not known
	asked        time.Time       // when the tier in hand was asked
	stages       Stages
	looked       [numCaches]lookups // of the batch
	lastPanic    *PanicError
}

// buffers hold what is made of one request's candidates.
type buffers struct {
	inputs          feature.Inputs
	row             []float64 // a full row; the items' part is the evaluator's
	pairs           []float64 // candidate by candidate
	raw             []float64 // what is ranked by, by candidate
	missing, places []int32   // candidates that the memo has no score for
	made            []float64 // their scores
	order           []int32   // candidates as a list has them
	marks           []uint32  // by item: the round in which it was put into order
	round           uint32
	history         []schemas.ProfileItem
}

// Stages are how long the stages of a decision took.
type Stages struct {
	Filter time.Duration // to find the eligible items; 0 where the answer was remembered
	Score  time.Duration // to make what models say of them, features included; 0 where none was asked
	Rank   time.Duration // for all else: to choose and order, or to find the answer that was remembered
}

// NewScorer returns a scorer for one worker.
func (e *Engine) NewScorer() *Scorer {
	return &Scorer{engine: e, raters: map[*boundModel]rater{}, contributors: map[*boundModel]*explain.Contributor{}}
}

// PanicError is a panic that was stopped inside scoring.
type PanicError struct {
	Tier  schemas.Tier // the tier that it stopped, "" outside the tiers
	Value any
	Stack []byte
}

// Error says where it happened and what the panic's value was; the stack is left out.
func (e *PanicError) Error() string {
	if e.Tier == "" {
		return fmt.Sprintf("score: panic: %v", e.Value)
	}
	return fmt.Sprintf("score: tier %s: panic: %v", e.Tier, e.Value)
}

// Code is the stable code of the error.
func (e *PanicError) Code() string { return string(schemas.ReasonPanic) }

// Transient is false: the same request would panic again.
func (e *PanicError) Transient() bool { return false }

// Begin takes the catalogue and the deployment now in force for the decisions that follow, until End: call it once
// a batch, so that a batch is decided by one state. It returns ErrNoCatalog while there is no catalogue.
func (s *Scorer) Begin() error {
	s.End()
	st := s.engine.state.Load()
	if st.catalog == nil {
		return ErrNoCatalog
	}
	s.state = st
	s.comparing = slices.ContainsFunc(st.arms, (*arm).mayCompare)
	return nil
}

// End lets go of what Begin took, so that a scorer without work keeps no old models and catalogues in memory.
func (s *Scorer) End() {
	s.tell()
	for m, r := range s.raters {
		m.raters.Put(r)
	}
	clear(s.raters)
	clear(s.contributors)
	s.ranker.Forget()
	s.query, s.question = rank.Query{}, question{}
	s.taste.Reset(nil)
	s.state, s.arm, s.answering = nil, nil, nil
}

// NeedsProfile reports whether the decision on a request depends on what is known of its user: a model has
// features of the user, scores have an affinity, what was seen is to be left out, or the tiers above the similar
// one are in trouble, or may be with the candidates that the request names, which can be all alike. It is false before
// Begin, and for anonymous users.
func (s *Scorer) NeedsProfile(req *schemas.Request) bool {
	if s.state == nil || req.UserID == "" {
		return false
	}
	return req.ExcludeSeen || s.comparing || s.state.personal || req.Candidates != nil && s.state.compares
}

// mayCompare reports whether the similar tier may be asked: no model above it is steady. What else is above it may have
// nothing for a request, however well it is.
func (a *arm) mayCompare() bool {
	for i := range a.rungs {
		switch r := &a.rungs[i]; {
		case r.tier == schemas.TierSimilar:
			return true
		case r.model != nil && r.steady():
			return false
		}
	}
	return false
}

// Decide decides req for a user of whom that profile is known, nil for none. It sets the fields of dst that are
// the decision itself: RequestID, UserID, Context and RequestedAt as in req, Tier, Degraded, Model, Experiment,
// ConfigVersion, CatalogVersion, ProfileVersion, Considered, Items, Pinned, ColdStart, UserFeatures, PairFeatures,
// Explain and Explanation. The slices are reused up to their capacity, and nil Items are appended to. Times of scoring and
// Source are the caller's. Model and Experiment are shared and must not be changed.
//
// Items expire against req.RequestedAt; where the event had no time, the caller sets it first. A limit
// below 1 is schemas.DefaultLimit; Params.MaxItems caps it.
//
// Without a Begin before it, Decide begins itself, and ends. It returns ErrNoCatalog while there is no catalogue, and
// a *PanicError for a panic outside the tiers; dst is then unspecified.
func (s *Scorer) Decide(req *schemas.Request, known *schemas.Profile, dst *schemas.Decision) error {
	if s.state == nil {
		if err := s.Begin(); err != nil {
			return err
		}
		defer s.End()
	}
	a, ref := s.state.assign(req.UserID)
	return s.decide(a, ref, question{req: req, deadline: a.deadline(req)}, known, dst)
}

// assign returns the arm that decides for a user, and the experiment's variant, nil where there is none.
func (st *state) assign(userID string) (*arm, *schemas.ExperimentRef) {
	for i := range st.experiments {
		x := &st.experiments[i]
		if v, ok := x.spec.Assign(userID); ok && v >= 0 {
			return x.variants[v], x.refs[v]
		}
	}
	return st.base, nil
}

// NumShadows is the number of shadow decisions that the user's requests are to have, in the batch's state. It is
// 0 before Begin.
func (s *Scorer) NumShadows(userID string) int {
	n := 0
	if s.state == nil {
		return n
	}
	for i := range s.state.experiments {
		x := &s.state.experiments[i]
		if len(x.shadows) == 0 {
			continue
		}
		if _, ok := x.spec.Assign(userID); ok {
			n += len(x.shadows)
		}
	}
	return n
}

// Shadow makes shadow decision n of req, from 0 to NumShadows-1, as Decide makes the real one. Experiment
// names the shadow. Nobody waits for it, so there is no deadline. Begin comes first.
func (s *Scorer) Shadow(n int, req *schemas.Request, known *schemas.Profile, dst *schemas.Decision) error {
	for i := range s.state.experiments {
		x := &s.state.experiments[i]
		if _, ok := x.spec.Assign(req.UserID); !ok {
			continue
		}
		if n < len(x.shadows) {
			ref := &schemas.ExperimentRef{Name: x.spec.Name, Variant: x.spec.Shadows[n].Name}
			return s.decide(x.shadows[n], ref, question{req: req}, known, dst)
		}
		n -= len(x.shadows)
	}
	return fmt.Errorf("score: there is no shadow %d", n)
}

func (s *Scorer) decide(a *arm, ref *schemas.ExperimentRef, posed question, known *schemas.Profile, dst *schemas.Decision) (err error) {
	s.question = posed
	q, req := &s.question, posed.req
	s.lastPanic, s.arm, s.answering = nil, a, nil
	s.ranked, s.newest, s.stages = s.ranked[:0], time.Time{}, Stages{}
	defer func() {
		if v := recover(); v != nil {
			s.lastPanic = &PanicError{Value: v, Stack: debug.Stack()}
			err = s.lastPanic
		}
	}()
	s.began = s.engine.opts.Now()
	s.start(req, dst)
	dst.Experiment = ref
	if known != nil {
		dst.ProfileVersion = known.Version
		profile.At(&s.faded, known, req.RequestedAt, s.engine.opts.HalfLife)
		q.profile = &s.faded
	}
	if !s.recall(q, dst) {
		q.eligible = s.filter.Eligible(a.catalog, req, q.profile)
		s.stages.Filter = s.engine.opts.Now().Sub(s.began)
		if dst.Considered = len(q.eligible); dst.Considered == 0 {
			s.answerNothing(q, dst)
		} else {
			s.descend(q, dst)
		}
	}
	s.noteColdStart(q, dst)
	if s.explains(q) {
		s.explain(q, dst)
	}
	s.stages.Rank = s.engine.opts.Now().Sub(s.began) - s.stages.Filter - s.stages.Score
	return nil
}

// deadline is when the answer to a request comes too late, zero for never.
func (a *arm) deadline(req *schemas.Request) time.Time {
	wait := a.params.Fallback.Deadline
	if req.DeadlineMS > 0 {
		wait = time.Duration(req.DeadlineMS) * time.Millisecond
	}
	if wait == 0 || req.RequestedAt.IsZero() {
		return time.Time{}
	}
	return req.RequestedAt.Add(wait)
}

// LastPanic returns the panic that the last decision stopped, nil if there was none: the decision carries only
// its reason code, an operator wants to see where it came from.
func (s *Scorer) LastPanic() *PanicError { return s.lastPanic }

// Stages says how long the stages of the last decision took.
func (s *Scorer) Stages() Stages { return s.stages }

// start clears what an earlier decision left in dst.
func (s *Scorer) start(req *schemas.Request, dst *schemas.Decision) {
	dst.RequestID, dst.UserID, dst.Context, dst.RequestedAt = req.RequestID, req.UserID, req.Context, req.RequestedAt
	dst.Model, dst.Experiment = nil, nil
	dst.Degraded, dst.Items, dst.Pinned, dst.ColdStart = dst.Degraded[:0], dst.Items[:0], 0, dst.ColdStart[:0]
	dst.UserFeatures, dst.PairFeatures = dst.UserFeatures[:0], dst.PairFeatures[:0]
	dst.Explain, dst.Explanation = req.Explain, nil
	dst.ConfigVersion, dst.CatalogVersion, dst.ProfileVersion = s.arm.version, s.arm.catalog.Version(), 0
}

// limit is how many items the answer to a request may have.
func (s *Scorer) limit(req *schemas.Request) int {
	limit := req.Limit
	if limit < 1 {
		limit = schemas.DefaultLimit
	}
	return min(limit, s.arm.params.MaxItems)
}

// answerNothing makes the empty answer: the last tier's, and the model's own trouble stays told.
func (s *Scorer) answerNothing(q *question, dst *schemas.Decision) {
	dst.Tier = schemas.TierBasic
	if first := &s.arm.rungs[0]; first.tier == schemas.TierModel {
		if reason := q.trouble(first); reason != "" {
			dst.Degraded = append(dst.Degraded, reason)
		}
	}
	dst.Degraded = append(dst.Degraded, schemas.ReasonNoEligibleItems)
}

// noteColdStart notes what was not known.
func (s *Scorer) noteColdStart(q *question, dst *schemas.Decision) {
	switch {
	case q.req.UserID == "":
		dst.ColdStart = append(dst.ColdStart, schemas.ColdAnonymousUser)
	case q.profile == nil && s.looksForProfile(q):
		dst.ColdStart = append(dst.ColdStart, schemas.ColdUnknownUser)
	}
	if q.req.Context == (schemas.Context{}) {
		dst.ColdStart = append(dst.ColdStart, schemas.ColdEmptyContext)
	}
	if s.isNew(s.newest, q.req.RequestedAt) {
		dst.ColdStart = append(dst.ColdStart, schemas.ColdNewItem)
	}
}

// isNew reports whether an item that was added then came into the catalogue of late.
func (s *Scorer) isNew(added, at time.Time) bool {
	return !at.IsZero() && !added.IsZero() && at.Sub(added) < s.arm.params.Fallback.NewItemAge
}
