package scoring

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"recstream/schemas"
	"recstream/scoring/model"
	"recstream/scoring/popularity"
	"recstream/scoring/rank"
)

// builder builds a state of inputs. Of the old state it takes over what still holds.
type builder struct {
	ctx     context.Context
	engine  *Engine
	inputs  *inputs
	state   *state
	old     *state
	watches watches
}

func (b *builder) build() error {
	var err error
	if b.state.catalog, err = b.inputs.catalog.WithRules(b.inputs.params.Rules); err != nil {
		return err
	}
	b.state.contents = b.contents()
	d := &b.inputs.deployment
	if b.state.base, err = b.arm(Arm{}, d.Previous, ""); err != nil {
		return err
	}
	for i := range d.Experiments {
		if err := b.experiment(&d.Experiments[i]); err != nil {
			return fmt.Errorf("experiment %s: %w", d.Experiments[i].Name, err)
		}
	}
	return nil
}

// contents returns those of the catalogue: the old ones, or new ones.
func (b *builder) contents() *contents {
	if b.sameItems() && sameSlice(b.inputs.lists, b.engine.inputs.lists) {
		return b.old.contents
	}
	if b.sameItems() {
		return b.old.contents.withLists(b.state.catalog, b.inputs.lists)
	}
	return newContents(b.state.catalog, b.inputs.lists)
}

// sameItems reports whether the items are those of the old state.
func (b *builder) sameItems() bool { return b.state.catalog.SameItems(b.old.catalog) }

// sameSlice reports whether two slices are one: inputs are replaced, never changed.
func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func (b *builder) experiment(x *Experiment) error {
	d := &b.inputs.deployment
	r := running{spec: &x.Experiment}
	for i := range x.Arms {
		previous := d.Model // stands in, and says so
		if x.Arms[i].Model == nil && x.Arms[i].Reason == "" || x.Arms[i].Model == d.Model || previous == nil {
			previous = d.Previous
		}
		owner := ""
		if x.Arms[i].Params != nil {
			owner = x.Name + "/" + x.Variants[i].Name
		}
		a, err := b.arm(x.Arms[i], previous, owner)
		if err != nil {
			return fmt.Errorf("variant %s: %w", x.Variants[i].Name, err)
		}
		r.variants = append(r.variants, a)
		r.refs = append(r.refs, &schemas.ExperimentRef{Name: x.Name, Variant: x.Variants[i].Name})
	}
	for i := range x.Shadows {
		a, err := b.arm(x.Shadows[i], nil, x.Name+"/"+x.Experiment.Shadows[i].Name)
		if err != nil {
			return fmt.Errorf("shadow %s: %w", x.Experiment.Shadows[i].Name, err)
		}
		r.shadows = append(r.shadows, a)
	}
	b.state.experiments = append(b.state.experiments, r)
	return nil
}

// arm makes an arm; what x leaves open is the deployment's and the engine's.
func (b *builder) arm(x Arm, previous *model.Model, owner string) (*arm, error) {
	a := &arm{owner: owner, params: b.state.params, version: b.state.version, catalog: b.state.catalog, contents: b.state.contents}
	if x.Params != nil {
		a.params, a.version = x.Params, x.Params.Version()
		var err error
		if a.catalog, err = b.state.catalog.WithRules(x.Params.Rules); err != nil {
			return nil, err
		}
	}
	if x.Model == nil && x.Reason == "" {
		x.Model, x.Reason = b.inputs.deployment.Model, b.inputs.deployment.Reason
	}
	a.plan, a.popularity, a.outcomes = b.plan(a), b.popularity(a), b.inputs.outcomes
	for _, tier := range a.params.Fallback.Tiers {
		r, err := b.rung(tier, a, x, previous)
		if err != nil {
			return nil, err
		}
		a.rungs = append(a.rungs, r)
		b.state.personal = b.state.personal || r.model != nil && r.model.features.NeedsProfile()
		b.state.compares = b.state.compares || r.tier == schemas.TierSimilar && r.reason == ""
	}
	b.state.personal = b.state.personal || a.params.Rank.Weights.Affinity > 0
	if !slices.Contains(b.engine.opts.Without, CacheAnswers) {
		a.answers = newAnswers(a)
	}
	b.state.arms = append(b.state.arms, a)
	return a, nil
}

// plan returns what ranking with the arm's parameters needs: of an arm that has the same, or a new one.
func (b *builder) plan(a *arm) *rank.Plan {
	for _, other := range b.alike() {
		if reflect.DeepEqual(other.params.Rank, a.params.Rank) {
			return other.plan
		}
	}
	return rank.NewPlan(&a.params.Rank, a.catalog.Items(), a.contents.index)
}

// popularity returns the table of an arm that has the same, or a new one.
func (b *builder) popularity(a *arm) *popularity.Table {
	for _, other := range b.alike() {
		if other.params.Fallback.PriorStrength == a.params.Fallback.PriorStrength && sameSlice(other.outcomes, b.inputs.outcomes) {
			return other.popularity
		}
	}
	return popularity.New(a.catalog.Items(), a.catalog.Lookup, b.inputs.outcomes,
		popularity.Params{HalfLife: b.engine.opts.PopularityHalfLife, PriorStrength: a.params.Fallback.PriorStrength})
}

// alike are the arms made so far, and the old ones if they are over the same items.
func (b *builder) alike() []*arm {
	if b.sameItems() {
		return append(b.state.arms[:len(b.state.arms):len(b.state.arms)], b.old.arms...)
	}
	return b.state.arms
}

// rung makes one rung of an arm's ladder.
func (b *builder) rung(tier schemas.Tier, a *arm, x Arm, previous *model.Model) (rung, error) {
	r := rung{tier: tier, rank: ranks[tier]}
	m := x.Model
	switch tier {
	case schemas.TierModel:
		if m == nil {
			r.reason = x.Reason
		}
		if m == nil && r.reason == "" {
			r.reason = schemas.ReasonModelMissing
		}
	case schemas.TierPrevious:
		if m = previous; m == nil {
			r.reason = schemas.ReasonPreviousMissing
		}
	default:
		m = nil
	}
	if a.params.Fallback.IsOff(tier) {
		r.reason = schemas.ReasonSwitchedOff
	}
	if m != nil && r.reason == "" {
		var err error
		if r.model, err = b.bind(m); err != nil {
			return r, err
		}
	}
	r.watch = b.watch(&r, a)
	return r, nil
}

// watch returns the one over a rung's tier: the one that there is, or a new one.
func (b *builder) watch(r *rung, a *arm) *watch {
	p := &a.params.Fallback
	key := watchKey{owner: a.owner, tier: r.tier, breaker: p.Breaker, drift: p.Drift}
	if r.model != nil {
		key.sha256 = r.model.ref.SHA256
	}
	for _, have := range []watches{b.watches, b.engine.watches} {
		if w := have[key]; w != nil {
			b.watches[key] = w
			return w
		}
	}
	w := newWatch(r, a.owner, p, b.engine.opts.Changed)
	b.watches[key] = w
	return w
}

// bind returns the model over the state's items: one that is there already, or a new one.
func (b *builder) bind(m *model.Model) (*boundModel, error) {
	for i, bound := range b.state.models {
		if bound.model == m {
			return b.state.models[i], nil
		}
	}
	bound := b.bound(m)
	if bound == nil {
		var err error
		if bound, err = bind(b.ctx, m, b.state.catalog, &b.engine.opts); err != nil {
			return nil, err
		}
	}
	b.state.models = append(b.state.models, bound)
	return bound, nil
}

// bound returns the model as the old state has it over the same items, nil if it has not.
func (b *builder) bound(m *model.Model) *boundModel {
	if !b.sameItems() {
		return nil
	}
	for _, bound := range b.old.models {
		if bound.model == m {
			return bound
		}
	}
	return nil
}
