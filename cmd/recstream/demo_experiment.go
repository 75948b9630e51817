package main

import (
	"context"
	"encoding/json"
	"fmt"

	"recstream/internal/demo"
	"recstream/internal/postgres"
	"recstream/internal/upkeep"
	"recstream/schemas"
	"recstream/scoring/experiment"
	"recstream/scoring/model"
)

// What the demo has active, and the experiment that it runs.
const (
	demoModel   = "films"
	demoVersion = "1"
	demoActor   = "demo"
)

var demoExperiment = experiment.Experiment{
	Name: "new-ranker",
	Variants: []experiment.Variant{
		{Name: "control", Weight: 0.5}, // the active model
		{Name: "candidate", Weight: 0.5, Model: demoModel + "@2"},
	},
	Shadows: []experiment.Variant{{Name: "next", Model: demoModel + "@3"}},
}

// deploy writes the demo's models into the store, makes one the active one and starts the experiment.
func (s *demoStack) deploy(ctx context.Context) error {
	if err := demo.WriteStore(s.cfg.Model.Store); err != nil {
		return err
	}
	active, err := model.Store{Dir: s.cfg.Model.Store}.Open(demoModel, demoVersion)
	if err != nil {
		return err
	}
	db := s.pipeline.database
	if active.Ref.ID, err = db.RegisterModel(ctx, active.Ref, upkeep.InfoOf(active)); err != nil {
		return err
	}
	_, err = db.ChangeModel(ctx, 0, postgres.ModelChange{Actor: demoActor, Action: postgres.ActionActivate,
		To: &active.Ref, Why: "the demo begins"})
	if err != nil {
		return err
	}
	spec, err := json.Marshal(demoExperiment)
	if err != nil {
		return err
	}
	return db.StartExperiment(ctx, demoExperiment.Name, spec, demoActor, "are more genres worth it?")
}

// variantCounts returns how many of the requests each variant has to decide, by its name and its model's version.
func variantCounts(requests []schemas.Request) map[demoArm]int {
	counts := map[demoArm]int{}
	for i := range requests {
		arm := demoArm{Version: demoVersion}
		if v, ok := demoExperiment.Assign(requests[i].UserID); ok && v >= 0 {
			arm.Variant = demoExperiment.Variants[v].Name
			if _, version, ok := model.SplitName(demoExperiment.Variants[v].Model); ok {
				arm.Version = version
			}
		}
		counts[arm]++
	}
	return counts
}

// demoArm is who decided: a variant, "" outside of the experiment, with a version of the model.
type demoArm struct{ Variant, Version string }

func (a demoArm) String() string {
	return fmt.Sprintf("variant %q with %s@%s", a.Variant, demoModel, a.Version)
}
