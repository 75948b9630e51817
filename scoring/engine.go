package scoring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/experiment"
	"recstream/scoring/model"
	"recstream/scoring/profile"
)

// ErrNoCatalog says that no catalogue was given to the engine yet. It passes by itself: wait and try again.
var ErrNoCatalog = errors.New("score: no catalogue is loaded yet")

// Deployment says which models decide. The zero value is no model, for ReasonModelMissing.
type Deployment struct {
	// Model decides where no experiment says otherwise; nil is none.
	Model *model.Model
	// Reason says why there is no model, or why Model is not the one that should be. Empty means that Model is
	// the active one; then it answers as schemas.TierModel, else as schemas.TierPrevious.
	Reason schemas.Reason
	// Experiments are asked in order; the first that takes the user decides.
	Experiments []Experiment
}

// Experiment is a running experiment with what its variants decide with.
type Experiment struct {
	experiment.Experiment
	Arms    []Arm // by variant
	Shadows []Arm // by shadow
}

// Arm is what one variant decides with.
type Arm struct {
	Model  *model.Model   // nil is the deployment's
	Reason schemas.Reason // not empty: the variant's model cannot be had; the deployment's stands in, as the previous one
	Params *Params        // nil is the engine's
}

// Engine holds the catalogue and the deployment in force. Its methods may be called from any goroutine, also
// while scorers decide.
type Engine struct {
	params  Params
	version string
	opts    Options

	mu         sync.Mutex // serializes the setters; held while evaluators are built
	deployment Deployment
	state      atomic.Pointer[state]
}

// state is what decisions depend on beside the request. It is replaced as a whole, never changed, but for
// memos, which remember.
type state struct {
	catalog     *catalog.Snapshot // nil before the first one
	base        *arm
	experiments []running
	arms        []*arm // all of them, by arm.index
	profiles    bool   // an arm has features of the user
}

// running is an experiment in a state.
type running struct {
	spec     *experiment.Experiment
	refs     []*schemas.ExperimentRef // by variant
	variants []*arm
	shadows  []*arm
}

// arm is one way to decide: parameters, the catalogue under their rules, and a model over its items.
type arm struct {
	index   int
	params  *Params
	version string // of params
	catalog *catalog.Snapshot
	tier    schemas.Tier   // of the model
	reason  schemas.Reason // why there is no model, or why it is the previous one
	model   *boundModel    // nil when unavailable
}

// Options are the engine's limits.
type Options struct {
	// MaxBytes is the memory that the evaluator of one model may take; 0 leaves it to the forest package.
	MaxBytes int64
	// HalfLife is that of profiles; 0 is profile.DefaultHalfLife.
	HalfLife time.Duration
}

// New returns an engine without a catalogue and without a model, which is ReasonModelMissing. The error
// names the parameter at fault.
func New(params Params, opts Options) (*Engine, error) {
	if err := params.Validate(); err != nil {
		return nil, fmt.Errorf("scoring parameters: %w", err)
	}
	if opts.HalfLife == 0 {
		opts.HalfLife = profile.DefaultHalfLife
	}
	e := &Engine{params: params, version: params.Version(), opts: opts}
	e.state.Store(&state{})
	return e, nil
}

// Params are the engine's parameters, those of decisions outside of experiments.
func (e *Engine) Params() Params { return e.params }

// ConfigVersion is the version of the engine's parameters.
func (e *Engine) ConfigVersion() string { return e.version }

// Evaluators says how the models in force are evaluated, each once.
func (e *Engine) Evaluators() []Evaluator {
	var list []Evaluator
	seen := map[*boundModel]bool{}
	for _, a := range e.state.Load().arms {
		if a.model != nil && !seen[a.model] {
			seen[a.model] = true
			list = append(list, a.model.info)
		}
	}
	return list
}

// Answered reports whether a decision was made with the model, over the catalogue in force.
func (e *Engine) Answered(m *model.Model) bool {
	for _, a := range e.state.Load().arms {
		if a.model != nil && a.model.model == m && a.model.answered.Load() {
			return true
		}
	}
	return false
}

// Item returns the item of that id in the catalogue in force, nil if there is none. It must not be changed.
func (e *Engine) Item(id string) *schemas.Item {
	c := e.state.Load().catalog
	if c == nil {
		return nil
	}
	i, ok := c.Lookup(id)
	if !ok {
		return nil
	}
	return c.Item(i)
}

// SetCatalog puts a catalogue into force for batches that begin from now on, once the models' evaluators are
// built for it. The snapshot has to be built with the engine's Params.Rules. An error, which only ctx or an
// experiment's parameters can cause, leaves the old one in force.
func (e *Engine) SetCatalog(ctx context.Context, snapshot *catalog.Snapshot) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.replace(ctx, snapshot, e.deployment)
}

// Deploy puts a deployment into force for batches that begin from now on, once its evaluators are built. An
// error, which only ctx or an experiment's parameters can cause, leaves the old one in force.
func (e *Engine) Deploy(ctx context.Context, d Deployment) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.replace(ctx, e.state.Load().catalog, d)
}

// replace builds the next state and swaps it in.
func (e *Engine) replace(ctx context.Context, snapshot *catalog.Snapshot, d Deployment) error {
	next := &state{catalog: snapshot}
	if snapshot != nil {
		b := builder{ctx: ctx, engine: e, state: next, old: e.state.Load()}
		if err := b.build(d); err != nil {
			return fmt.Errorf("deploy: %w", err)
		}
	}
	e.deployment = d
	e.state.Store(next)
	return nil
}
