package scoring

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/model"
)

// ErrNoCatalog says that no catalogue was given to the engine yet. It passes by itself: wait and try again.
var ErrNoCatalog = errors.New("score: no catalogue is loaded yet")

// predictor predicts the probability of the positive class for feature.Num features.
type predictor interface {
	Probability(x []float64) float64
}

// Engine holds the model and the catalogue in force. Its methods may be called from any goroutine, also
// while scorers decide.
type Engine struct {
	params  Params
	version string

	mu    sync.Mutex // serializes the setters
	state atomic.Pointer[state]
}

// state is what decisions depend on beside parameters and request. It is replaced as a whole, never changed,
// but for the memo, which remembers.
type state struct {
	catalog *catalog.Snapshot // nil before the first one
	model   predictor         // nil when unavailable
	ref     *schemas.ModelRef // of model
	reason  schemas.Reason    // why model is nil
	memo    *memo             // of model over catalog; nil without either
}

// New returns an engine without a catalogue and without a model, which is ReasonModelMissing. The error
// names the parameter at fault.
func New(params Params) (*Engine, error) {
	if err := params.Validate(); err != nil {
		return nil, fmt.Errorf("scoring parameters: %w", err)
	}
	e := &Engine{params: params, version: params.Version()}
	e.state.Store(&state{reason: schemas.ReasonModelMissing})
	return e, nil
}

// ConfigVersion is the version of the engine's parameters.
func (e *Engine) ConfigVersion() string { return e.version }

// SetCatalog puts a catalogue into force for batches that begin from now on. It has to be built with the
// engine's Params.Rules, since decisions carry the version of those.
func (e *Engine) SetCatalog(snapshot *catalog.Snapshot) {
	e.replace(func(s *state) { s.catalog = snapshot })
}

// SetModel puts a model into force for batches that begin from now on.
func (e *Engine) SetModel(m *model.Model) { e.setPredictor(m, m.Ref) }

// SetModelUnavailable takes the model away, for a reason that decisions give from then on; an empty one is
// ReasonModelMissing.
func (e *Engine) SetModelUnavailable(reason schemas.Reason) {
	if reason == "" {
		reason = schemas.ReasonModelMissing
	}
	e.replace(func(s *state) { s.model, s.ref, s.reason = nil, nil, reason })
}

func (e *Engine) setPredictor(p predictor, ref schemas.ModelRef) {
	e.replace(func(s *state) { s.model, s.ref, s.reason = p, &ref, "" })
}

// replace swaps in a changed copy of the state, with a fresh memo.
func (e *Engine) replace(change func(*state)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := *e.state.Load()
	change(&next)
	next.memo = nil
	if next.model != nil && next.catalog != nil {
		next.memo = newMemo(next.model, next.catalog)
	}
	e.state.Store(&next)
}
