package scoring

import (
	"fmt"
	"runtime/debug"
	"slices"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/feature"
	"recstream/scoring/profile"
)

// Scorer decides requests one after another, in buffers of its own. It is for one goroutine at a time.
type Scorer struct {
	engine    *Engine
	state     *state
	arm       *arm // of the request in hand
	filter    catalog.Filter
	ranking   ranking
	raters    []rater // by arm, made when first used
	buffers   buffers
	faded     schemas.Profile // of the request in hand, as of its time
	lastPanic *PanicError
}

// buffers hold the features and scores of one request.
type buffers struct {
	inputs          feature.Inputs
	row             []float64 // a full row; the items' part is the evaluator's
	pairs           []float64 // candidate by candidate
	raw             []float64 // scores, by candidate
	missing, places []int32   // candidates that the memo has no score for
	made            []float64 // their scores
}

// NewScorer returns a scorer for one worker.
func (e *Engine) NewScorer() *Scorer { return &Scorer{engine: e} }

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
	s.raters = slices.Grow(s.raters[:0], len(st.arms))[:len(st.arms)]
	return nil
}

// End lets go of what Begin took, so that a scorer without work keeps no old models and catalogues in memory.
func (s *Scorer) End() {
	for i, r := range s.raters {
		if r != nil {
			s.state.arms[i].model.raters.Put(r)
		}
	}
	clear(s.raters)
	s.raters, s.state, s.arm = s.raters[:0], nil, nil
}

// NeedsProfiles reports whether a model of the batch has features of the user. It is false before Begin.
func (s *Scorer) NeedsProfiles() bool { return s.state != nil && s.state.profiles }

// Decide decides req for a user of whom that profile is known, nil for none. It sets the fields of dst that are
// the decision itself: RequestID, UserID, Context and RequestedAt as in req, Tier, Degraded, Model, Experiment,
// ConfigVersion, CatalogVersion, Considered, Items, UserFeatures and PairFeatures. The slices are reused up to
// their capacity, and nil Items are appended to. Times of scoring and Source are the caller's. Model and
// Experiment are shared and must not be changed.
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
	return s.decide(a, ref, req, known, dst)
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
// names the shadow. Begin comes first.
func (s *Scorer) Shadow(n int, req *schemas.Request, known *schemas.Profile, dst *schemas.Decision) error {
	for i := range s.state.experiments {
		x := &s.state.experiments[i]
		if _, ok := x.spec.Assign(req.UserID); !ok {
			continue
		}
		if n < len(x.shadows) {
			ref := &schemas.ExperimentRef{Name: x.spec.Name, Variant: x.spec.Shadows[n].Name}
			return s.decide(x.shadows[n], ref, req, known, dst)
		}
		n -= len(x.shadows)
	}
	return fmt.Errorf("score: there is no shadow %d", n)
}

func (s *Scorer) decide(a *arm, ref *schemas.ExperimentRef, req *schemas.Request, known *schemas.Profile, dst *schemas.Decision) (err error) {
	s.lastPanic, s.arm = nil, a
	defer func() {
		if v := recover(); v != nil {
			s.lastPanic = &PanicError{Value: v, Stack: debug.Stack()}
			err = s.lastPanic
		}
	}()
	s.start(req, dst)
	dst.Experiment = ref
	eligible := s.filter.Eligible(a.catalog, req)
	dst.Considered = len(eligible)
	if len(eligible) == 0 {
		s.answerNothing(dst)
		return nil
	}
	if known != nil && s.state.profiles {
		profile.At(&s.faded, known, req.RequestedAt, s.engine.opts.HalfLife)
		known = &s.faded
	}
	return s.descend(question{req, known, eligible}, dst)
}

// LastPanic returns the panic that the last decision stopped, nil if there was none: the decision carries only
// its reason code, an operator wants to see where it came from.
func (s *Scorer) LastPanic() *PanicError { return s.lastPanic }

// start clears what an earlier decision left in dst and in the scorer.
func (s *Scorer) start(req *schemas.Request, dst *schemas.Decision) {
	dst.RequestID, dst.UserID, dst.Context, dst.RequestedAt = req.RequestID, req.UserID, req.Context, req.RequestedAt
	dst.Model, dst.Experiment = nil, nil
	dst.Degraded, dst.Items = dst.Degraded[:0], dst.Items[:0]
	dst.UserFeatures, dst.PairFeatures = dst.UserFeatures[:0], dst.PairFeatures[:0]
	dst.ConfigVersion, dst.CatalogVersion = s.arm.version, s.arm.catalog.Version()
	limit := req.Limit
	if limit < 1 {
		limit = schemas.DefaultLimit
	}
	s.ranking.reset(min(limit, s.arm.params.MaxItems))
}

// answerNothing makes the empty answer: the last tier's, and the model's own trouble stays told.
func (s *Scorer) answerNothing(dst *schemas.Decision) {
	dst.Tier = schemas.TierBasic
	if s.arm.reason != "" {
		dst.Degraded = append(dst.Degraded, s.arm.reason)
	}
	dst.Degraded = append(dst.Degraded, schemas.ReasonNoEligibleItems)
}
