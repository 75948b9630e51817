package scoring

import (
	"fmt"
	"runtime/debug"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/feature"
)

// Scorer decides requests one after another, in buffers of its own. It is for one goroutine at a time.
type Scorer struct {
	engine    *Engine
	state     *state
	filter    catalog.Filter
	ranking   ranking
	features  []float64
	lastPanic *PanicError
}

// NewScorer returns a scorer for one worker.
func (e *Engine) NewScorer() *Scorer {
	return &Scorer{engine: e, features: make([]float64, feature.Num)}
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

// Begin takes the catalogue and the model now in force for the decisions that follow, until the next Begin:
// call it once a batch, so that a batch is decided by one model. It returns ErrNoCatalog, and changes
// nothing, while there is no catalogue.
func (s *Scorer) Begin() error {
	st := s.engine.state.Load()
	if st.catalog == nil {
		return ErrNoCatalog
	}
	s.state = st
	return nil
}

// Decide decides req. It sets the fields of dst that are the decision itself: RequestID, UserID, Context
// and RequestedAt as in req, Tier, Degraded, Model, ConfigVersion, CatalogVersion, Considered and Items.
// The slices are reused up to their capacity, and nil Items are appended to. Times of scoring and Source
// are the caller's. The Model is shared and must not be changed.
//
// Items expire against req.RequestedAt; where the event had no time, the caller sets it first. A limit
// below 1 is schemas.DefaultLimit; Params.MaxItems caps it.
//
// Without a Begin before it, Decide begins itself. It returns ErrNoCatalog while there is no catalogue, and
// a *PanicError for a panic outside the tiers; dst is then unspecified.
func (s *Scorer) Decide(req *schemas.Request, dst *schemas.Decision) (err error) {
	s.lastPanic = nil
	if s.state == nil {
		if err := s.Begin(); err != nil {
			return err
		}
	}
	defer func() {
		if v := recover(); v != nil {
			s.lastPanic = &PanicError{Value: v, Stack: debug.Stack()}
			err = s.lastPanic
		}
	}()
	s.start(req, dst)
	eligible := s.filter.Eligible(s.state.catalog, req)
	dst.Considered = len(eligible)
	if len(eligible) == 0 {
		s.answerNothing(dst)
		return nil
	}
	return s.descend(eligible, dst)
}

// LastPanic returns the panic that the last Decide stopped, nil if there was none: the decision carries only
// its reason code, an operator wants to see where it came from.
func (s *Scorer) LastPanic() *PanicError { return s.lastPanic }

// start clears what an earlier decision left in dst and in the scorer.
func (s *Scorer) start(req *schemas.Request, dst *schemas.Decision) {
	dst.RequestID, dst.UserID, dst.Context, dst.RequestedAt = req.RequestID, req.UserID, req.Context, req.RequestedAt
	dst.Model = nil
	dst.Degraded, dst.Items = dst.Degraded[:0], dst.Items[:0]
	dst.ConfigVersion, dst.CatalogVersion = s.engine.version, s.state.catalog.Version()
	limit := req.Limit
	if limit < 1 {
		limit = schemas.DefaultLimit
	}
	s.ranking.reset(min(limit, s.engine.params.MaxItems))
}

// answerNothing makes the empty answer: the last tier's, and the model's own trouble stays told.
func (s *Scorer) answerNothing(dst *schemas.Decision) {
	dst.Tier = schemas.TierBasic
	if s.state.model == nil {
		dst.Degraded = append(dst.Degraded, s.state.reason)
	}
	dst.Degraded = append(dst.Degraded, schemas.ReasonNoEligibleItems)
}
