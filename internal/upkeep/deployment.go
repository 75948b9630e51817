package upkeep

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
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
	ConfigStore
}

// Deployment gives an engine the active model and the running experiments, whenever either has changed, or the
// engine's parameters, over which those of variants are laid. A bundle
// that is missing or refused leaves the model that serves in force, as the previous one; where none serves, the
// last that served well is taken up. It is looked for again until it is there.
type Deployment struct {
	Models   model.Store
	Store    DeploymentStore
	Engine   *scoring.Engine
	Interval time.Duration
	Log      *slog.Logger

	version  string                // in force
	have     findings              // what that version wants, as far as it could be had
	serving  *model.Model          // of it
	unmarked *postgres.ModelChange // made serving the active one; to be marked once it has answered
}

// findings are what one look has found.
type findings struct {
	models  map[string]*model.Model // those in use, by name@version
	refused map[string]refusal      // by name@version
	told    map[string]string       // other troubles, by what they are about
}

// refusal is why a bundle cannot be had.
type refusal struct {
	reason schemas.Reason
	text   string
	stamp  string // of the bundle, as it was read
}

// Run looks for changes until ctx ends.
func (d *Deployment) Run(ctx context.Context) {
	loop(ctx, d.Interval, nil, d.Log, "the deployment", d.Refresh)
}

// Refresh looks once. The error says that the store could not be asked; a refused bundle is logged, not returned.
func (d *Deployment) Refresh(ctx context.Context) error {
	version, err := d.Store.DeploymentVersion(ctx)
	if err != nil {
		return err
	}
	version += " " + d.Engine.ConfigVersion() // the parameters of variants are laid over the engine's
	if err := d.markServed(ctx); err != nil || version == d.version && len(d.have.refused) == 0 {
		return err
	}
	a := newAssembly(ctx, d, version != d.version)
	next, change, err := a.assemble()
	if err != nil {
		return err
	}
	if version != d.version || !maps.Equal(a.found.models, d.have.models) || !maps.Equal(a.found.refused, d.have.refused) {
		if err := d.Engine.Deploy(ctx, next); err != nil {
			return err
		}
		d.logInForce(next)
	}
	d.version, d.have, d.serving, d.unmarked = version, a.found, next.Model, nil
	if next.Model == nil {
		d.serving = next.Previous
	} else if change.ServedAt.IsZero() {
		d.unmarked = change
	}
	return nil
}

// markServed notes that the active model serves well, once it has answered a request.
func (d *Deployment) markServed(ctx context.Context) error {
	if d.unmarked == nil || !d.Engine.Answered(d.serving) {
		return nil
	}
	if err := d.Store.MarkServed(ctx, d.unmarked.ID); err != nil {
		return err
	}
	d.unmarked = nil
	return nil
}

func (d *Deployment) logInForce(next scoring.Deployment) {
	names := make([]string, len(next.Experiments))
	for i := range next.Experiments {
		names[i] = next.Experiments[i].Name
	}
	if next.Model == nil {
		d.Log.Warn("no model in force, the tiers below it answer", "previous", next.Previous != nil, keyReason, next.Reason, keyExperiments, names)
		return
	}
	ref := next.Model.Ref
	d.Log.Info("model in force", keyModel, ref.Name, keyVersion, ref.Version, keySHA256, ref.SHA256,
		"previous", next.Previous != nil, keyExperiments, names)
	logEvaluators(d.Log, d.Engine)
}

// logEvaluators says how the models in force are evaluated.
func logEvaluators(log *slog.Logger, engine *scoring.Engine) {
	for _, e := range engine.Evaluators() {
		log.Info("evaluator", keyModel, e.Model.Name, keyVersion, e.Model.Version,
			"method", e.Method, "bytes", e.Bytes, "remembered", e.Remembered)
	}
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
