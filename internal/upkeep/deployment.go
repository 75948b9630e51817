package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/experiment"
	"recstream/scoring/feature"
	"recstream/scoring/model"
)

// DeploymentStore is where it is kept which model is active and which experiments run.
type DeploymentStore interface {
	DeploymentVersion(context.Context) (string, error)
	ActiveModel(context.Context) (*postgres.ModelChange, error)
	PreviousModel(context.Context) (*schemas.ModelRef, error)
	Experiments(context.Context) ([]postgres.Experiment, error)
	RegisterModel(context.Context, schemas.ModelRef, postgres.ModelInfo) (int32, error)
	MarkServed(ctx context.Context, change int64) error
}

// Deployment gives an engine the active model and the running experiments, whenever either has changed. A bundle
// that is missing or refused leaves the model that serves in force, as the previous one; where none serves, the
// last that served well is taken up. It is tried again until it is there.
type Deployment struct {
	Models   model.Store
	Store    DeploymentStore
	Engine   *scoring.Engine
	Params   func(yaml string) (scoring.Params, error) // the configured parameters with those of a variant
	Interval time.Duration
	Log      *slog.Logger

	version string                  // in force
	whole   bool                    // everything that version wants could be had
	serving *model.Model            // of the last deployment
	loaded  map[string]*model.Model // by name@version; what the last deployment used
	told    map[string]string       // refusals that were logged, by name@version
}

// Run looks for changes until ctx ends.
func (d *Deployment) Run(ctx context.Context) {
	loop(ctx, d.Interval, d.Log, "the deployment", d.Refresh)
}

// Refresh looks once. The error says that the store could not be asked; a refused bundle is logged, not returned.
func (d *Deployment) Refresh(ctx context.Context) error {
	version, err := d.Store.DeploymentVersion(ctx)
	if err != nil || version == d.version && d.whole {
		return err
	}
	b := assembly{Deployment: d, ctx: ctx, whole: true, loaded: map[string]*model.Model{}, told: map[string]string{}}
	next, change, err := b.assemble()
	if err != nil {
		return err
	}
	if version != d.version || b.news() {
		if err := d.Engine.Deploy(ctx, next); err != nil {
			return err
		}
		d.logInForce(next)
	}
	d.version, d.whole, d.serving, d.loaded, d.told = version, b.whole, next.Model, b.loaded, b.told
	if change != nil && next.Model != nil && next.Reason == "" && change.ServedAt.IsZero() {
		return d.Store.MarkServed(ctx, change.ID)
	}
	return nil
}

func (d *Deployment) logInForce(next scoring.Deployment) {
	names := make([]string, len(next.Experiments))
	for i := range next.Experiments {
		names[i] = next.Experiments[i].Name
	}
	if next.Model == nil {
		d.Log.Warn("no model in force, the tiers below it answer", keyReason, next.Reason, keyExperiments, names)
		return
	}
	ref := next.Model.Ref
	d.Log.Info("model in force", keyModel, ref.Name, keyVersion, ref.Version, keySHA256, ref.SHA256,
		keyReason, next.Reason, keyExperiments, names)
}

// assembly is one look: what the store wants, as far as it can be had.
type assembly struct {
	*Deployment
	ctx    context.Context
	whole  bool
	loaded map[string]*model.Model
	told   map[string]string
}

// news reports whether other bundles could be had, or were refused, than by the last look.
func (b *assembly) news() bool {
	return !maps.Equal(b.loaded, b.Deployment.loaded) || !maps.Equal(b.told, b.Deployment.told)
}

func (b *assembly) assemble() (next scoring.Deployment, change *postgres.ModelChange, err error) {
	if change, err = b.Store.ActiveModel(b.ctx); err != nil {
		return next, nil, err
	}
	if change != nil {
		if next.Model, next.Reason, err = b.active(change.To); err != nil {
			return next, nil, err
		}
	}
	next.Experiments, err = b.experiments()
	return next, change, err
}

// active returns the active model, or the one that stands in for it with the reason.
func (b *assembly) active(ref *schemas.ModelRef) (*model.Model, schemas.Reason, error) {
	m, reason, err := b.open(ref.Name, ref.Version, ref.SHA256)
	if m != nil || err != nil {
		return m, "", err
	}
	if b.serving != nil {
		b.keep(b.serving)
		return b.serving, reason, nil
	}
	previous, err := b.Store.PreviousModel(b.ctx)
	if err != nil || previous == nil {
		return nil, reason, err
	}
	m, _, err = b.open(previous.Name, previous.Version, previous.SHA256)
	return m, reason, err
}

func (b *assembly) keep(m *model.Model) { b.loaded[labelOf(m.Ref)] = m }

func labelOf(ref schemas.ModelRef) string { return ref.Name + "@" + ref.Version }

// open returns a model of the store, registered: the one that is loaded already, if its hash is right. A bundle
// that cannot be had gives the reason; the error is the database's. An empty sha256 is any.
func (b *assembly) open(name, version, sha256 string) (*model.Model, schemas.Reason, error) {
	label := name + "@" + version
	for _, have := range []map[string]*model.Model{b.loaded, b.Deployment.loaded} {
		if m, ok := have[label]; ok && (sha256 == "" || m.Ref.SHA256 == sha256) {
			b.keep(m)
			return m, "", nil
		}
	}
	m, err := b.Models.Open(name, version)
	if err == nil && sha256 != "" && m.Ref.SHA256 != sha256 {
		err = &model.LoadError{Reason: schemas.ReasonModelLoadFailed, Name: label,
			Err: fmt.Errorf("its SHA-256 is %s, the activated one has %s", m.Ref.SHA256, sha256)}
	}
	if err != nil {
		return nil, b.refuse(label, err), nil
	}
	if m.Ref.ID, err = b.Store.RegisterModel(b.ctx, m.Ref, InfoOf(m)); err != nil {
		return nil, "", err
	}
	b.keep(m)
	return m, "", nil
}

// refuse notes that a bundle cannot be had, and logs it if that is new.
func (b *assembly) refuse(label string, err error) schemas.Reason {
	b.whole = false
	reason := schemas.ReasonModelLoadFailed
	if refused, ok := errors.AsType[*model.LoadError](err); ok {
		reason = refused.Reason
	}
	b.told[label] = err.Error()
	if b.Deployment.told[label] != err.Error() {
		b.Log.Error("bundle refused", keyModel, label, keyReason, reason, keyError, err)
	}
	return reason
}

// experiments returns the running experiments. One whose specification cannot be used is left out, and said so.
func (b *assembly) experiments() (list []scoring.Experiment, err error) {
	rows, err := b.Store.Experiments(b.ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if !row.Running {
			continue
		}
		x := scoring.Experiment{}
		if err := json.Unmarshal(row.Spec, &x.Experiment); err != nil {
			b.Log.Error("experiment left out: its specification cannot be read", keyExperiment, row.Name, keyError, err)
			continue
		}
		if x.Arms, err = b.arms(x.Name, x.Variants); err != nil {
			return nil, err
		}
		if x.Shadows, err = b.arms(x.Name, x.Experiment.Shadows); err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

func (b *assembly) arms(name string, variants []experiment.Variant) ([]scoring.Arm, error) {
	arms := make([]scoring.Arm, len(variants))
	for i, v := range variants {
		if v.Params != "" {
			p, err := b.Params(v.Params)
			if err != nil { // it was checked when it was started; the configuration may be another
				b.Log.Error("a variant's parameters cannot be used, the configured ones hold", keyExperiment, name, "variant", v.Name, keyError, err)
			} else {
				arms[i].Params = &p
			}
		}
		if v.Model == "" {
			continue
		}
		modelName, version, _ := model.SplitName(v.Model)
		var err error
		if arms[i].Model, arms[i].Reason, err = b.open(modelName, version, ""); err != nil {
			return nil, err
		}
	}
	return arms, nil
}

// InfoOf returns what the models table says of a model.
func InfoOf(m *model.Model) postgres.ModelInfo {
	f := m.Features()
	info := postgres.ModelInfo{Format: string(m.Forest().Format()), Features: f.Names(), UserFeatures: []string{}, PairFeatures: []string{}}
	for _, i := range f.UserFeatures() {
		info.UserFeatures = append(info.UserFeatures, f.Names()[i])
	}
	for i, p := range f.Parts() {
		if p == feature.PartPair {
			info.PairFeatures = append(info.PairFeatures, f.Names()[i])
		}
	}
	return info
}
