package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/experiment"
	"recstream/scoring/model"
)

// assembly puts together what the store wants, as far as it can be had.
type assembly struct {
	*Deployment
	ctx   context.Context
	anew  bool // the store wants something else than before
	found findings
}

func newAssembly(ctx context.Context, d *Deployment, anew bool) *assembly {
	return &assembly{Deployment: d, ctx: ctx, anew: anew,
		found: findings{models: map[string]*model.Model{}, refused: map[string]refusal{}, told: map[string]string{}}}
}

func (a *assembly) assemble() (next scoring.Deployment, change *postgres.ModelChange, err error) {
	if change, err = a.Store.ActiveModel(a.ctx); err != nil {
		return next, nil, err
	}
	if change != nil {
		if next.Model, next.Reason, err = a.open(change.To.Name+"@"+change.To.Version, change.To.SHA256); err != nil {
			return next, nil, err
		}
		if next.Previous, err = a.previous(next.Model); err != nil {
			return next, nil, err
		}
	}
	next.Experiments, err = a.experiments()
	return next, change, err
}

// previous returns the model that stands in where the active one, nil for none, is not to be had or not to be
// trusted: without an active one that which serves here, else the last that served well.
func (a *assembly) previous(active *model.Model) (*model.Model, error) {
	if active == nil && a.serving != nil {
		a.found.models[a.serving.Ref.Name+"@"+a.serving.Ref.Version] = a.serving
		return a.serving, nil
	}
	ref, err := a.Store.PreviousModel(a.ctx)
	if err != nil || ref == nil {
		return nil, err
	}
	m, _, err := a.open(ref.Name+"@"+ref.Version, ref.SHA256)
	return m, err
}

// open returns a model of the store, registered: the one that is loaded already, if its hash is right. A bundle
// that cannot be had gives the reason; the error is the database's. An empty sha256 is any.
func (a *assembly) open(label, sha256 string) (*model.Model, schemas.Reason, error) {
	for _, have := range []map[string]*model.Model{a.found.models, a.have.models} {
		m := have[label]
		if m == nil || sha256 != "" && m.Ref.SHA256 != sha256 {
			continue
		}
		same, err := a.stillRegistered(m)
		if err != nil {
			return nil, "", err
		}
		if same {
			a.found.models[label] = m
			return m, "", nil
		}
	}
	m, reason := a.load(label, sha256)
	if m == nil {
		return nil, reason, nil
	}
	var err error
	if m.Ref.ID, err = a.Store.RegisterModel(a.ctx, m.Ref, InfoOf(m)); err != nil {
		return nil, "", err
	}
	a.found.models[label] = m
	return m, "", nil
}

// stillRegistered reports whether a loaded model has the id that it had: a database that was replaced gives
// others. It asks when the store wants something new, which a replaced one does.
func (a *assembly) stillRegistered(m *model.Model) (bool, error) {
	if !a.anew {
		return true, nil
	}
	id, err := a.Store.RegisterModel(a.ctx, m.Ref, InfoOf(m))
	return id == m.Ref.ID, err
}

// load reads a bundle, unless it was refused as it stands there.
func (a *assembly) load(label, sha256 string) (*model.Model, schemas.Reason) {
	name, version, _ := model.SplitName(label)
	stamp := sha256 + bundleStamp(a.Models.Path(name, version))
	before, again := a.have.refused[label]
	if again && before.stamp == stamp {
		a.found.refused[label] = before
		return nil, before.reason
	}
	m, err := a.Models.Open(name, version)
	if err == nil && sha256 != "" && m.Ref.SHA256 != sha256 {
		err = &model.LoadError{Reason: schemas.ReasonModelLoadFailed, Name: label,
			Err: fmt.Errorf("its SHA-256 is %s, the one that was chosen has %s", m.Ref.SHA256, sha256)}
	}
	if err == nil {
		return m, ""
	}
	r := refusal{reason: schemas.ReasonModelLoadFailed, text: err.Error(), stamp: unreadableStamp(err, stamp)}
	if refused, ok := errors.AsType[*model.LoadError](err); ok {
		r.reason = refused.Reason
	}
	a.found.refused[label] = r
	if before.text != r.text {
		a.Log.Error("bundle refused", keyModel, label, keyReason, r.reason, keyError, err)
	}
	return nil, r.reason
}

// unreadableStamp is the stamp, or none for a bundle that could not be read: a permission or a disk is mended
// without a trace.
func unreadableStamp(err error, stamp string) string {
	if _, unreadable := errors.AsType[*fs.PathError](err); unreadable {
		return ""
	}
	return stamp
}

// bundleStamp is another one when a file of the bundle is another one: names, sizes and times.
func bundleStamp(dir string) string {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", f.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// experiments returns the running experiments. One whose specification cannot be used is left out, and said so.
func (a *assembly) experiments() (list []scoring.Experiment, err error) {
	rows, err := a.Store.Experiments(a.ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if !row.Running {
			continue
		}
		x, params, err := a.specification(row.Spec)
		if err != nil {
			a.leaveOut(row.Name, err)
			continue
		}
		if err := a.saveParams(params); err != nil {
			return nil, err
		}
		if x.Arms, err = a.arms(x.Variants, params); err != nil {
			return nil, err
		}
		if x.Shadows, err = a.arms(x.Experiment.Shadows, params); err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

// specification reads an experiment and its variants' parameters, by variant.
func (a *assembly) specification(text []byte) (x scoring.Experiment, params map[string]*scoring.Params, err error) {
	if err := json.Unmarshal(text, &x.Experiment); err != nil {
		return x, nil, err
	}
	if err := x.Validate(); err != nil {
		return x, nil, err
	}
	base := a.Engine.Params()
	params = map[string]*scoring.Params{}
	for _, list := range [][]experiment.Variant{x.Variants, x.Experiment.Shadows} {
		for _, v := range list {
			if v.Params == "" {
				continue
			}
			p, err := config.Overlay(base, v.Params) // it was checked at the start, against the parameters of then
			if err != nil {
				return x, nil, fmt.Errorf("variant %s: %w", v.Name, err)
			}
			params[v.Name] = &p
		}
	}
	return x, params, nil
}

// saveParams keeps the parameters of variants in the store: decisions name them by their version.
func (a *assembly) saveParams(params map[string]*scoring.Params) error {
	for _, p := range params {
		if err := a.Store.SaveConfig(a.ctx, p.Version(), string(config.FormatScoring(*p))); err != nil {
			return err
		}
	}
	return nil
}

// leaveOut logs that an experiment is left out, once for each cause.
func (a *assembly) leaveOut(name string, err error) {
	a.found.told[name] = err.Error()
	if a.have.told[name] != err.Error() {
		a.Log.Error("experiment left out: its specification cannot be used", keyExperiment, name, keyError, err)
	}
}

func (a *assembly) arms(variants []experiment.Variant, params map[string]*scoring.Params) ([]scoring.Arm, error) {
	arms := make([]scoring.Arm, len(variants))
	for i, v := range variants {
		arms[i].Params = params[v.Name]
		if v.Model == "" {
			continue
		}
		var err error
		if arms[i].Model, arms[i].Reason, err = a.open(v.Model, v.SHA256); err != nil {
			return nil, err
		}
	}
	return arms, nil
}
