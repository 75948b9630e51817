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
	"recstream/scoring/popularity"
	"recstream/scoring/profile"
	"recstream/scoring/rank"
)

// ErrNoCatalog says that no catalogue was given to the engine yet. It passes by itself: wait and try again.
var ErrNoCatalog = errors.New("score: no catalogue is loaded yet")

// DefaultPopularityHalfLife is that of popularity where nothing else is wanted.
const DefaultPopularityHalfLife = 14 * 24 * time.Hour

// Deployment says which models decide. The zero value is no model, for ReasonModelMissing.
type Deployment struct {
	// Model decides where no experiment says otherwise; nil is none.
	Model *model.Model
	// Reason says why there is no Model. Empty is ReasonModelMissing.
	Reason schemas.Reason
	// Previous stands in where Model is not there or not to be trusted: the last that served before it, nil for none.
	Previous *model.Model
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
	Model  *model.Model   // nil is the deployment's, unless there is a reason
	Reason schemas.Reason // why the variant's model cannot be had: the deployment's stands in, as the previous one
	Params *Params        // nil is the engine's
}

// Options are what an engine has for as long as it lives.
type Options struct {
	// MaxBytes is the memory that the evaluator of one model may take; 0 leaves it to the forest package.
	MaxBytes int64
	// HalfLife is that of profiles; 0 is profile.DefaultHalfLife.
	HalfLife time.Duration
	// PopularityHalfLife is that of what outcomes say of an item's popularity; 0 is DefaultPopularityHalfLife.
	PopularityHalfLife time.Duration
	// Now tells the time for deadlines, for tiers that rest, and for how long the stages took; nil is time.Now.
	// What an answering tier decides does not depend on it.
	Now func() time.Time
	// Changed, if not nil, is told when a tier is left alone, tried again, and trusted again. It must not block.
	Changed func(TierChange)
	// Without are caches to do without, to see what they are worth. Decisions are the same.
	Without []Cache
}

// Engine holds what decisions depend on beside the request. Its methods may be called from any goroutine, also
// while scorers decide.
type Engine struct {
	opts   Options
	looked [numCaches]totals

	mu      sync.Mutex // serializes the setters; held while evaluators are built
	inputs  inputs
	watches watches
	state   atomic.Pointer[state]
}

// inputs are what was given to the engine.
type inputs struct {
	params     Params
	catalog    *catalog.Snapshot // nil before the first one
	deployment Deployment
	outcomes   []schemas.ItemPopularity
	lists      []schemas.EditorialList
}

// state is what decisions are made with. It is replaced as a whole, never changed, but for memos and
// answers, which remember, and for the watches over tiers.
type state struct {
	params      *Params
	version     string            // of params
	catalog     *catalog.Snapshot // nil before the first one
	contents    *contents
	base        *arm
	experiments []running
	arms        []*arm        // all of them
	models      []*boundModel // all of them, each once
	personal    bool          // decisions of an arm depend on the user, even where all is well
	compares    bool          // an arm has the similar tier
}

// running is an experiment in a state.
type running struct {
	spec     *experiment.Experiment
	refs     []*schemas.ExperimentRef // by variant
	variants []*arm
	shadows  []*arm
}

// arm is one way to decide: parameters, the catalogue under their rules, and a ladder of tiers.
type arm struct {
	// owner is experiment/variant of a variant with parameters of its own, and of a shadow. Its failures are its own:
	// they must not close a tier to others. "" for all that decide with the engine's parameters.
	owner string

	params     *Params
	version    string // of params
	catalog    *catalog.Snapshot
	contents   *contents
	plan       *rank.Plan
	popularity *popularity.Table
	outcomes   []schemas.ItemPopularity // that the popularity is of
	rungs      []rung
	answers    *answers // nil where none are remembered
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
	if opts.PopularityHalfLife == 0 {
		opts.PopularityHalfLife = DefaultPopularityHalfLife
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	e := &Engine{opts: opts, inputs: inputs{params: params}, watches: watches{}}
	e.state.Store(&state{params: &params, version: params.Version()})
	return e, nil
}

// Params are the parameters in force, those of decisions outside of experiments.
func (e *Engine) Params() Params { return *e.state.Load().params }

// ConfigVersion is the version of the parameters in force.
func (e *Engine) ConfigVersion() string { return e.state.Load().version }

// CatalogVersion is the version of the catalogue in force, 0 before the first one.
func (e *Engine) CatalogVersion() int64 {
	c := e.state.Load().catalog
	if c == nil {
		return 0
	}
	return c.Version()
}

// Evaluators says how the models in force are evaluated, each once.
func (e *Engine) Evaluators() []Evaluator {
	var list []Evaluator
	for _, m := range e.state.Load().models {
		list = append(list, m.info)
	}
	return list
}

// Answered reports whether a decision was made with the model, over the catalogue in force.
func (e *Engine) Answered(m *model.Model) bool {
	for _, b := range e.state.Load().models {
		if b.model == m && b.answered.Load() {
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

// SetParams puts parameters into force for batches that begin from now on. The error names the parameter at
// fault, or is ctx's; the old ones stay in force then.
func (e *Engine) SetParams(ctx context.Context, params Params) error {
	if err := params.Validate(); err != nil {
		return fmt.Errorf("scoring parameters: %w", err)
	}
	return e.change(ctx, func(in *inputs) { in.params = params })
}

// SetCatalog puts a catalogue into force for batches that begin from now on, once the models' evaluators are
// built for it. The parameters' rules count, whatever the snapshot was built with. An error, which only ctx or
// an experiment's parameters can cause, leaves the old one in force.
func (e *Engine) SetCatalog(ctx context.Context, snapshot *catalog.Snapshot) error {
	return e.change(ctx, func(in *inputs) { in.catalog = snapshot })
}

// Deploy puts a deployment into force for batches that begin from now on, once its evaluators are built. An
// error, which only ctx or an experiment's parameters can cause, leaves the old one in force.
func (e *Engine) Deploy(ctx context.Context, d Deployment) error {
	return e.change(ctx, func(in *inputs) { in.deployment = d })
}

// SetOutcomes puts into force what outcomes say of the items' popularity. Errors are as those of Deploy.
func (e *Engine) SetOutcomes(ctx context.Context, outcomes []schemas.ItemPopularity) error {
	return e.change(ctx, func(in *inputs) { in.outcomes = outcomes })
}

// SetEditorial puts the editorial lists into force. Errors are as those of Deploy.
func (e *Engine) SetEditorial(ctx context.Context, lists []schemas.EditorialList) error {
	return e.change(ctx, func(in *inputs) { in.lists = lists })
}

// change builds the state for other inputs and swaps it in.
func (e *Engine) change(ctx context.Context, set func(*inputs)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := e.inputs
	set(&next)
	b := builder{ctx: ctx, engine: e, inputs: &next, old: e.state.Load(), watches: watches{},
		state: &state{params: &next.params, version: next.params.Version()}}
	if next.catalog != nil {
		if err := b.build(); err != nil {
			return fmt.Errorf("deploy: %w", err)
		}
		e.watches = b.watches
	}
	e.inputs = next
	e.state.Store(b.state)
	return nil
}
