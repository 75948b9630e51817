package postgres

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
)

func TestModelChangesAreTheStateAndTheLog(t *testing.T) {
	db := newDatabase(t)
	ctx := deadline(t)
	models := registered(t, db, "a", "bb", "ccc")
	if c, err := db.ActiveModel(ctx); c != nil || err != nil {
		t.Fatalf("before the first change: %v, %v", c, err)
	}
	if p, err := db.PreviousModel(ctx); p != nil || err != nil {
		t.Fatalf("before the first change: previous %v, %v", p, err)
	}
	last := int64(0)
	activate := func(m schemas.ModelRef, served bool) {
		t.Helper()
		before, err := db.DeploymentVersion(ctx)
		must(t, err)
		last, err = db.ChangeModel(ctx, last, ModelChange{Actor: "ada", Action: ActionActivate, To: &m, Why: "better"})
		must(t, err)
		if after, err := db.DeploymentVersion(ctx); err != nil || after == before {
			t.Errorf("version %q before and %q after, error %v", before, after, err)
		}
		if served {
			must(t, db.MarkServed(ctx, last))
		}
	}
	activate(models[0], true)
	activate(models[1], true)
	activate(models[1], true)
	activate(models[2], false)
	c, err := db.ActiveModel(ctx)
	must(t, err)
	if c.ID != last || *c.To != models[2] || *c.From != models[1] || c.Actor != "ada" || c.Why != "better" || !c.ServedAt.IsZero() || time.Since(c.At) > time.Minute {
		t.Errorf("active %+v from %v to %v", c, c.From, c.To)
	}
	if p, err := db.PreviousModel(ctx); err != nil || *p != models[1] {
		t.Errorf("previous %v, error %v", p, err)
	}
	activate(models[1], true)
	if p, err := db.PreviousModel(ctx); err != nil || *p != models[0] {
		t.Errorf("previous %v, error %v: one that never served is none", p, err)
	}
	list, err := db.ModelChanges(ctx, 10)
	must(t, err)
	if len(list) != 5 || list[4].From != nil || *list[4].To != models[0] || list[4].ServedAt.IsZero() {
		t.Errorf("changes %+v", list)
	}
	last, err = db.ChangeModel(ctx, last, ModelChange{Actor: "ada", Action: ActionRollback, To: &models[0], Why: "worse"})
	must(t, err)
	must(t, db.MarkServed(ctx, last))
	if p, err := db.PreviousModel(ctx); err != nil || p != nil {
		t.Errorf("previous %v, error %v: what was rolled back from is none", p, err)
	}
	activate(models[1], true)
	activate(models[2], false)
	if p, err := db.PreviousModel(ctx); err != nil || p == nil || *p != models[1] {
		t.Errorf("previous %v, error %v: activated again, it is one", p, err)
	}
	if _, err := db.ChangeModel(ctx, last-1, ModelChange{Actor: "bob", Action: ActionRollback, To: &models[0]}); !errors.Is(err, ErrModelChanged) {
		t.Errorf("a change from an old state: error %v", err)
	}
}

// The same numbers in another database are another version.
func TestDeploymentVersionKnowsTheDatabase(t *testing.T) {
	var versions []string
	for _, name := range []string{"a", "bb"} {
		db := newDatabase(t)
		m := registered(t, db, name)[0]
		_, err := db.ChangeModel(deadline(t), 0, ModelChange{Actor: "ada", Action: ActionActivate, To: &m})
		must(t, err)
		version, err := db.DeploymentVersion(deadline(t))
		must(t, err)
		versions = append(versions, version)
	}
	if versions[0] == versions[1] {
		t.Errorf("both have the version %q", versions[0])
	}
}

func TestExperimentsStartAndStop(t *testing.T) {
	db := newDatabase(t)
	ctx := deadline(t)
	spec := []byte(`{"name": "ab"}`)
	if err := db.StopExperiment(ctx, "ab", "ada", ""); !errors.Is(err, ErrExperimentStopped) {
		t.Errorf("stopped before it began: %v", err)
	}
	must(t, db.StartExperiment(ctx, "ab", spec, "ada", "try"))
	if err := db.StartExperiment(ctx, "ab", []byte(`{"other": 1}`), "bob", ""); !errors.Is(err, ErrExperimentRunning) {
		t.Errorf("started twice: %v", err)
	}
	list, err := db.Experiments(ctx)
	must(t, err)
	if len(list) != 1 || list[0].Name != "ab" || !list[0].Running || string(list[0].Spec) != string(spec) {
		t.Errorf("experiments %+v", list)
	}
	before, err := db.DeploymentVersion(ctx)
	must(t, err)
	must(t, db.StopExperiment(ctx, "ab", "ada", "enough"))
	if after, err := db.DeploymentVersion(ctx); err != nil || after == before {
		t.Errorf("version %q after the stop, error %v", after, err)
	}
	must(t, db.StartExperiment(ctx, "ab", []byte(`{"name": "ab", "seed": "s"}`), "ada", "again"))
	got := queryRows[string](t, db, `SELECT concat_ws('|', actor, name, action, spec->>'seed', why) FROM experiment_changes ORDER BY id`)
	if want := []string{"ada|ab|start|try", "ada|ab|stop|enough", "ada|ab|start|s|again"}; !slices.Equal(got, want) {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestShadowsAreStoredOnceAndDropped(t *testing.T) {
	db := newDatabase(t)
	ctx := deadline(t)
	m := registered(t, db, "m")[0]
	var list []*schemas.Decision
	for i := range 3 {
		d := decision(fmt.Sprint("r", i), noon.Add(time.Duration(i)*time.Hour))
		d.Experiment = &schemas.ExperimentRef{Name: "ab", Variant: "s"}
		d.Model = &m
		d.Degraded = nil // as a scorer leaves it where the model answers
		d.Items = []schemas.ScoredItem{{ItemID: "a", Prediction: 0.5, Score: 0.5}, {ItemID: "b", Prediction: math.NaN(), Score: 1}}
		list = append(list, d)
	}
	must(t, db.RecordShadows(ctx, list))
	must(t, db.RecordShadows(ctx, list[:2])) // decided again
	got := queryRows[string](t, db, `SELECT concat_ws('|', request_id, experiment, variant, model_id, item_ids, predictions, scores) FROM shadow_decisions ORDER BY 1`)
	if len(got) != 3 || got[0] != fmt.Sprintf("r0|ab|s|%d|{a,b}|{0.5,NULL}|{0.5,1}", m.ID) {
		t.Errorf("rows %q", got)
	}
	n, err := db.DropShadows(ctx, noon.Add(time.Hour))
	must(t, err)
	if n != 1 || len(queryRows[string](t, db, `SELECT request_id FROM shadow_decisions`)) != 2 {
		t.Errorf("%d rows dropped", n)
	}
}
