package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/scoring/experiment"
	"recstream/scoring/model"
)

// The checks of models.
const (
	checkOfModel      = "model"
	checkOfExperiment = "experiment"
)

// checkModelFile looks at the model of model.path, or says that there is none.
func checkModelFile(m config.Model) finding {
	if m.Path == "" {
		return finding{Check: checkOfModel, OK: true, Detail: "none configured: the tiers below a model answer",
			ToDo: "set model.store to the directory of the bundles to have one; 'recstream model build' makes them"}
	}
	loaded, err := model.Load(m.Path)
	switch {
	case err != nil:
		return failed(checkOfModel, err, "run 'recstream model verify "+m.Path+"'; until a good model is at model.path, the tiers below answer")
	case m.SHA256 != "" && m.SHA256 != loaded.Ref.SHA256:
		return failed(checkOfModel, fmt.Errorf("%s has the SHA-256 %s", m.Path, loaded.Ref.SHA256),
			"put the file there whose hash is model.sha256, or change that")
	}
	return finding{Check: checkOfModel, OK: true, Detail: m.Path + ": " + treesOf(loaded)}
}

func treesOf(m *model.Model) string {
	return counted(m.Forest().NumTrees(), "tree") + ", sha256 " + m.Ref.SHA256[:12]
}

// checkModels looks at what the database wants to be in force: the active model, and those of running experiments.
func checkModels(ctx context.Context, db *postgres.Database, cfg config.Config) []finding {
	active, err := db.ActiveModel(ctx)
	if err != nil {
		return []finding{failed(checkOfModel, err, "run 'recstream migrate up'")}
	}
	experiments, err := db.Experiments(ctx)
	if err != nil {
		return []finding{failed(checkOfExperiment, err, "run 'recstream migrate up'")}
	}
	experiments = slices.DeleteFunc(experiments, func(e postgres.Experiment) bool { return !e.Running })
	switch {
	case cfg.Model.Path != "" || cfg.Model.Store == "" && active == nil && len(experiments) == 0:
		return []finding{checkModelFile(cfg.Model)}
	case cfg.Model.Store == "":
		return []finding{checkUnused(active, experiments)}
	}
	store := model.Store{Dir: cfg.Model.Store}
	findings := []finding{checkActive(store, active)}
	for _, e := range experiments {
		findings = append(findings, checkExperiment(cfg, e))
	}
	return findings
}

// checkUnused is about models in force that this configuration cannot have.
func checkUnused(active *postgres.ModelChange, experiments []postgres.Experiment) finding {
	var what string
	if active != nil {
		what = labelOf(active.To) + " is active"
	} else {
		what = "experiment " + experiments[0].Name + " is running"
	}
	return failed(checkOfModel, errors.New(what+", but model.store is not set"),
		"set model.store or RECSTREAM_MODEL_STORE to the directory of the bundles; until then the tiers below a model answer")
}

func checkActive(store model.Store, active *postgres.ModelChange) finding {
	if active == nil {
		return finding{Check: checkOfModel, OK: true, Detail: "none is active: the tiers below a model answer",
			ToDo: "run 'recstream model activate NAME@VERSION' to have one"}
	}
	label := labelOf(active.To)
	opened, err := openPinned(store, label, active.To.SHA256)
	if err != nil {
		return failed(checkOfModel, err, bundleHint(err, "put the bundle there that was activated, or activate another version"))
	}
	return finding{Check: checkOfModel, OK: true, Detail: label + " is active: " + treesOf(opened)}
}

// checkExperiment looks at all that an experiment wants to be in force here.
func checkExperiment(cfg config.Config, e postgres.Experiment) finding {
	var x experiment.Experiment
	if err := json.Unmarshal(e.Spec, &x); err != nil {
		return failed(checkOfExperiment, fmt.Errorf("%s: %w", e.Name, err), "stop it, and start it anew")
	}
	if err := errors.Join(x.Validate(), pinVariants(cfg, &x)); err != nil {
		return failed(checkOfExperiment, fmt.Errorf("%s: %w", e.Name, err),
			bundleHint(err, "mend what it names, or run 'recstream experiment stop "+e.Name+"'"))
	}
	detail := e.Name + ": every variant has the active model"
	if used := labels(&x); len(used) > 0 {
		detail = e.Name + ": " + strings.Join(used, ", ")
	}
	return finding{Check: checkOfExperiment, OK: true, Detail: detail}
}

// labels are the models that an experiment names, each once.
func labels(x *experiment.Experiment) (list []string) {
	for _, v := range slices.Concat(x.Variants, x.Shadows) {
		if v.Model != "" && !slices.Contains(list, v.Model) {
			list = append(list, v.Model)
		}
	}
	return list
}

// bundleHint says what to do where a bundle is missing, and otherwise what another trouble asks for.
func bundleHint(err error, other string) string {
	if errors.Is(err, errNotStored) {
		return "put it there, by building it or by copying its directory; 'recstream model list' prints what is there"
	}
	return other
}
