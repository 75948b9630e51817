package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"recstream/internal/config"
	"recstream/internal/logbook"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring/experiment"
	"recstream/scoring/feature"
	"recstream/scoring/model"
)

// desk is where a test says which model is active and which experiments run.
type desk struct {
	registry
	version     int
	active      *postgres.ModelChange
	previous    *schemas.ModelRef
	experiments []postgres.Experiment
	served      []int64
	looks       int
	configs     map[string]string
	fail        error
}

func (d *desk) SaveConfig(_ context.Context, version, text string) error {
	if d.configs == nil {
		d.configs = map[string]string{}
	}
	d.configs[version] = text
	return d.fail
}

func (d *desk) DeploymentVersion(context.Context) (string, error) {
	return fmt.Sprint(d.version), d.fail
}

func (d *desk) ActiveModel(context.Context) (*postgres.ModelChange, error) {
	d.looks++
	return d.active, d.fail
}

func (d *desk) PreviousModel(context.Context) (*schemas.ModelRef, error) { return d.previous, d.fail }

func (d *desk) Experiments(context.Context) ([]postgres.Experiment, error) {
	return d.experiments, d.fail
}

func (d *desk) MarkServed(_ context.Context, change int64) error {
	if d.fail != nil {
		return d.fail
	}
	d.served = append(d.served, change)
	if d.active.ID == change {
		d.active.ServedAt = time.Unix(1, 0)
	}
	return nil
}

// activate makes a version of the model films the active one, by the hash that its bundle is to have.
func (d *desk) activate(t *testing.T, version, path string) {
	t.Helper()
	d.version++
	d.active = &postgres.ModelChange{ID: int64(d.version), To: &schemas.ModelRef{Name: "films", Version: version, SHA256: bundleSum(t, version, path)}}
}

func (d *desk) run(t *testing.T, x experiment.Experiment) {
	t.Helper()
	d.version++
	spec, err := json.Marshal(x)
	must(t, err)
	d.experiments = append(d.experiments, postgres.Experiment{Name: x.Name, Spec: spec, Running: true})
}

// newDeployment is a deployment upkeep over an empty store and an engine with two films.
func newDeployment(t *testing.T) (*Deployment, *desk, *logbook.Book) {
	t.Helper()
	f := newFixture(t)
	store := &desk{}
	return &Deployment{Models: model.Store{Dir: t.TempDir()}, Store: store, Engine: f.Engine, Interval: time.Hour, Log: f.book.Logger()}, store, f.book
}

// bundleSum is the hash of a bundle of the model films.
func bundleSum(t *testing.T, version, path string) string {
	t.Helper()
	text, err := manifest(t, version, path).Encode()
	must(t, err)
	return model.Digest(text)
}

func manifest(t *testing.T, version, path string) *model.Manifest {
	t.Helper()
	data := read(t, path)
	plain, err := model.Parse("films", data)
	must(t, err)
	return &model.Manifest{Name: "films", Version: version, File: "model.txt", Format: string(plain.Forest().Format()),
		Objective: plain.Forest().Objective(), SHA256: model.Digest(data), Features: feature.Default().Features}
}

// bundle puts a bundle of the model film's file into the store.
func bundle(t *testing.T, d *Deployment, version, path string) {
	t.Helper()
	data := read(t, path)
	text, err := manifest(t, version, path).Encode()
	must(t, err)
	dir := d.Models.Path("films", version)
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "model.txt"), data, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, model.ManifestFile), text, 0o600))
}

// answer is the tier, the model's version and the reasons of the engine's decision.
func answer(t *testing.T, d *Deployment) string {
	t.Helper()
	got := decide(t, d.Engine)
	version := "-"
	if got.Model != nil {
		version = got.Model.Version
	}
	return fmt.Sprint(got.Tier, " ", version, " ", got.Degraded)
}

func TestDeploymentFollowsTheActiveModel(t *testing.T) {
	d, store, book := newDeployment(t)
	check := func(what, want string) {
		t.Helper()
		must(t, d.Refresh(t.Context()))
		if got := answer(t, d); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("nothing active", "popular - [model_missing previous_missing no_history]")
	bundle(t, d, "1", goodModel)
	bundle(t, d, "2", other)
	store.activate(t, "1", goodModel)
	check("activated", "model 1 []")
	store.activate(t, "2", other)
	check("the next", "model 2 []")
	if !slices.Equal(store.served, []int64{1}) {
		t.Errorf("served %v before the second has answered", store.served)
	}
	check("and once more", "model 2 []")
	if !slices.Equal(store.served, []int64{1, 2}) {
		t.Errorf("served %v", store.served)
	}
	looks := store.looks
	check("no change", "model 2 []")
	if store.looks != looks {
		t.Error("without a change the store was asked for more than its version")
	}
	store.activate(t, "3", other)
	check("a bundle that is not there: the old one serves on", "previous_model 2 [model_missing]")
	check("and once more", "previous_model 2 [model_missing]")
	if n := book.Count("bundle refused"); n != 1 {
		t.Errorf("the refusal was logged %d times", n)
	}
	if slices.Contains(store.served, int64(store.version)) {
		t.Error("a model that does not serve was marked as serving")
	}
	bundle(t, d, "3", goodModel)
	check("there, with another hash", "previous_model 2 [model_load_failed]")
	bundle(t, d, "3", other)
	check("there at last", "model 3 []")
}

// An instance that starts while the active bundle is broken takes up the last that served well.
func TestDeploymentStartsWithThePreviousModel(t *testing.T) {
	d, store, _ := newDeployment(t)
	bundle(t, d, "1", goodModel)
	store.previous = &schemas.ModelRef{Name: "films", Version: "1", SHA256: bundleSum(t, "1", goodModel)}
	store.activate(t, "2", other)
	must(t, d.Refresh(t.Context()))
	if got := answer(t, d); got != "previous_model 1 [model_missing]" {
		t.Error(got)
	}
}

func TestDeploymentRunsExperiments(t *testing.T) {
	d, store, book := newDeployment(t)
	bundle(t, d, "1", goodModel)
	bundle(t, d, "2", other)
	store.activate(t, "1", goodModel)
	store.run(t, experiment.Experiment{Name: "ab", Variants: []experiment.Variant{{Name: "a", Model: "films@2", Params: "max_items: 1"}},
		Shadows: []experiment.Variant{{Name: "s", Model: "films@9"}}})
	store.experiments = append(store.experiments, postgres.Experiment{Name: "broken", Spec: []byte("{"), Running: true}, postgres.Experiment{Name: "old", Spec: []byte("{}")})
	must(t, d.Refresh(t.Context()))
	s := d.Engine.NewScorer()
	must(t, s.Begin())
	var got schemas.Decision
	must(t, s.Decide(&schemas.Request{RequestID: "r", UserID: "ada"}, nil, &got))
	if got.Experiment == nil || got.Experiment.Variant != "a" || got.Model == nil || got.Model.Version != "2" || len(got.Items) != 1 {
		t.Errorf("the variant decides %+v", got)
	}
	// What the decision names can be looked up, and is what it was made with.
	params, err := config.ParseScoring("stored", []byte(store.configs[got.ConfigVersion]))
	if err != nil || params.Version() != got.ConfigVersion || params.MaxItems != 1 {
		t.Errorf("parameters %s are stored as version %s, error %v", got.ConfigVersion, params.Version(), err)
	}
	if s.NumShadows("ada") != 1 || book.Count("films@9") != 1 || book.Count("broken") != 1 {
		t.Errorf("%d shadows, log %s", s.NumShadows("ada"), book)
	}
	must(t, s.Shadow(0, &schemas.Request{RequestID: "r", UserID: "ada"}, nil, &got))
	if got.Tier != schemas.TierPopular || got.Degraded[0] != schemas.ReasonModelMissing {
		t.Errorf("a shadow without its model decides %+v", got)
	}
	store.experiments, store.version = nil, store.version+1
	must(t, d.Refresh(t.Context()))
	if got := answer(t, d); got != "model 1 []" {
		t.Errorf("after the experiment: %s", got)
	}
}

func TestDeploymentKeepsWhatServesWhileTheStoreIsAway(t *testing.T) {
	d, store, _ := newDeployment(t)
	bundle(t, d, "1", goodModel)
	store.activate(t, "1", goodModel)
	must(t, d.Refresh(t.Context()))
	store.fail = errors.New("away")
	if err := d.Refresh(t.Context()); !errors.Is(err, store.fail) {
		t.Errorf("error %v", err)
	}
	if got := answer(t, d); got != "model 1 []" {
		t.Error(got)
	}
}

// A bundle that may not be read is looked at again, though nothing about it seems to change.
func TestDeploymentAsksAgainForAnUnreadableBundle(t *testing.T) {
	d, store, _ := newDeployment(t)
	bundle(t, d, "1", goodModel)
	path := filepath.Join(d.Models.Path("films", "1"), "model.txt")
	must(t, os.Rename(path, path+".away"))
	must(t, os.Mkdir(path, 0o755)) // root may read all but this
	store.activate(t, "1", goodModel)
	must(t, d.Refresh(t.Context()))
	if len(d.have.refused) != 1 {
		t.Fatalf("refused %v", d.have.refused)
	}
	must(t, os.Remove(path))
	must(t, os.Rename(path+".away", path))
	must(t, d.Refresh(t.Context()))
	if got := answer(t, d); got != "model 1 []" {
		t.Error(got)
	}
	if stamp := unreadableStamp(&fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}, "s"); stamp != "" {
		t.Errorf("a bundle without permission has the stamp %q", stamp)
	}
}
