package scoring

import (
	"context"
	"fmt"
	"reflect"

	"recstream/schemas"
	"recstream/scoring/model"
)

// builder builds a state for a catalogue and a deployment. Of the old state it takes over what still holds.
type builder struct {
	ctx    context.Context
	engine *Engine
	state  *state
	old    *state
}

func (b *builder) build(d Deployment) error {
	base, err := b.arm(Arm{Model: d.Model, Reason: d.Reason}, d)
	if err != nil {
		return err
	}
	b.state.base = base
	for i := range d.Experiments {
		if err := b.experiment(&d.Experiments[i], d); err != nil {
			return fmt.Errorf("experiment %s: %w", d.Experiments[i].Name, err)
		}
	}
	return nil
}

func (b *builder) experiment(x *Experiment, d Deployment) error {
	r := running{spec: &x.Experiment}
	for i := range x.Arms {
		arm := x.Arms[i]
		if arm.Model == nil && arm.Reason != "" {
			arm.Model = d.Model // stands in, and says so
		}
		a, err := b.arm(arm, d)
		if err != nil {
			return fmt.Errorf("variant %s: %w", x.Variants[i].Name, err)
		}
		r.variants = append(r.variants, a)
		r.refs = append(r.refs, &schemas.ExperimentRef{Name: x.Name, Variant: x.Variants[i].Name})
	}
	for i := range x.Shadows {
		a, err := b.arm(x.Shadows[i], d)
		if err != nil {
			return fmt.Errorf("shadow %s: %w", x.Experiment.Shadows[i].Name, err)
		}
		r.shadows = append(r.shadows, a)
	}
	b.state.experiments = append(b.state.experiments, r)
	return nil
}

// arm makes an arm; what x leaves open is the deployment's and the engine's.
func (b *builder) arm(x Arm, d Deployment) (*arm, error) {
	a := &arm{index: len(b.state.arms), params: &b.engine.params, version: b.engine.version,
		catalog: b.state.catalog, tier: schemas.TierModel, reason: x.Reason}
	if x.Params != nil {
		a.params, a.version = x.Params, x.Params.Version()
		if !reflect.DeepEqual(x.Params.Rules, b.engine.params.Rules) {
			var err error
			if a.catalog, err = b.state.catalog.WithRules(x.Params.Rules); err != nil {
				return nil, err
			}
		}
	}
	m := x.Model
	if m == nil && x.Reason == "" {
		m, a.reason = d.Model, d.Reason
	}
	switch {
	case m == nil && a.reason == "":
		a.reason = schemas.ReasonModelMissing
	case m != nil && a.reason != "":
		a.tier = schemas.TierPrevious
	}
	if m != nil {
		bound, err := b.bind(m)
		if err != nil {
			return nil, err
		}
		a.model = bound
		b.state.profiles = b.state.profiles || m.Features().NeedsProfile()
	}
	b.state.arms = append(b.state.arms, a)
	return a, nil
}

// bind returns the model over the state's items: one that is there already, or a new one.
func (b *builder) bind(m *model.Model) (*boundModel, error) {
	for _, s := range []*state{b.state, b.old} {
		if !b.state.catalog.SameItems(s.catalog) {
			continue
		}
		for _, a := range s.arms {
			if a.model != nil && a.model.model == m {
				return a.model, nil
			}
		}
	}
	return bind(b.ctx, m, b.state.catalog, b.engine.opts.MaxBytes)
}
