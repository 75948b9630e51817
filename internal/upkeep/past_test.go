package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"recstream/internal/config"
	"recstream/internal/logbook"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/catalog"
	"recstream/scoring/experiment"
	"recstream/scoring/model"
	"recstream/scoring/profile"
)

// instance is an instance as far as it decides, with a real database.
type instance struct {
	*rand.Rand
	t        *testing.T
	db       *postgres.Database
	models   model.Store
	engine   *scoring.Engine
	follow   []func(context.Context) error
	past     map[string]*scoring.Engine // made again
	now      time.Time
	requests []schemas.Request
	heard    int64
}

func newInstance(t *testing.T, db *postgres.Database) *instance {
	i := &instance{Rand: rand.New(rand.NewPCG(3, 4)), t: t, db: db, engine: newEngine(t), past: map[string]*scoring.Engine{},
		now: time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)}
	log := new(logbook.Book).Logger()
	d := &Deployment{Models: model.Store{Dir: t.TempDir()}, Store: db, Engine: i.engine, Log: log}
	i.models = d.Models
	params := &Params{Text: config.FormatScoring(scoring.DefaultParams()), Store: db, Engine: i.engine, Log: log}
	c := &Catalog{Store: db, Engine: i.engine, Log: log}
	i.follow = []func(context.Context) error{params.Refresh, c.Refresh, d.Refresh}
	for version, path := range map[string]string{"1": goodModel, "2": other} {
		bundle(t, d, version, path)
	}
	return i
}

// activate chooses a version of the model.
func (i *instance) activate(version string) {
	m, err := i.models.Open("films", version)
	must(i.t, err)
	id, err := i.db.RegisterModel(i.t.Context(), m.Ref, InfoOf(m))
	must(i.t, err)
	before := int64(0)
	if last, err := i.db.ActiveModel(i.t.Context()); err == nil && last != nil {
		before = last.ID
	}
	ref := m.Ref
	ref.ID = id
	_, err = i.db.ChangeModel(i.t.Context(), before, postgres.ModelChange{Actor: "a", Action: postgres.ActionActivate, To: &ref, Why: "w"})
	must(i.t, err)
}

// try runs an experiment with parameters and a model of its own.
func (i *instance) try() {
	spec, err := json.Marshal(experiment.Experiment{Name: "ab", Variants: []experiment.Variant{{Name: "a"},
		{Name: "b", Model: "films@2", Params: "max_items: 2\nrank:\n  weights:\n    affinity: 0.5\n"}}})
	must(i.t, err)
	must(i.t, i.db.StartExperiment(i.t.Context(), "ab", spec, "a", "w"))
}

// change changes the catalogue, some users, and now and then the model.
func (i *instance) change(round int, l *postgres.FeedbackLedger) {
	var items []schemas.Item
	for range 1 + i.IntN(30) {
		items = append(items, schemas.Item{ID: fmt.Sprint("film-", i.IntN(40)), Title: fmt.Sprint("Film ", i.IntN(1000)), AddedAt: i.now,
			Genres: []string{"Comedy", "Drama", "Action"}[i.IntN(3):], Year: float64(1950 + i.IntN(70)), DurationMin: float64(60 + i.IntN(120))})
	}
	must(i.t, i.db.ImportItems(i.t.Context(), items, nil))
	if round%8 == 0 {
		i.activate(fmt.Sprint(1 + round/8%2))
	}
	if round == 5 {
		i.try()
	}
	for _, f := range i.follow {
		must(i.t, f(i.t.Context()))
	}
	b := schemas.FeedbackBatch{Topic: "feedback", From: i.heard, ReceivedAt: i.now}
	for range 8 {
		b.Events = append(b.Events, schemas.FeedbackEvent{Offset: i.heard, Feedback: &schemas.Feedback{RequestID: "r", UserID: fmt.Sprint("user ", i.IntN(6)),
			ItemID: fmt.Sprint("film-", i.IntN(40)), Action: schemas.ActionPlay, At: i.now.Add(time.Duration(round) * time.Minute)}})
		i.heard++
	}
	b.Next = i.heard
	must(i.t, l.Record(i.t.Context(), b))
}

// decide decides ten requests and stores the decisions.
func (i *instance) decide(l *postgres.Ledger) {
	b := schemas.Batch{Topic: "requests", From: int64(len(i.requests))}
	s, about := i.engine.NewScorer(), map[string]*schemas.Profile{}
	for range 10 {
		req := schemas.Request{RequestID: fmt.Sprint("request ", len(i.requests)), UserID: fmt.Sprint("user ", i.IntN(8)), Explain: i.IntN(2) == 0,
			RequestedAt: i.now.Add(time.Hour), ExcludeSeen: i.IntN(2) == 0, Limit: 5, Context: schemas.Context{Mood: schemas.Mood(i.IntN(3))}}
		must(i.t, i.db.Profiles(i.t.Context(), []string{req.UserID}, about))
		d := &schemas.Decision{ScoredAt: i.now, Source: schemas.Source{Topic: "requests", Offset: int64(len(i.requests))}}
		must(i.t, s.Decide(&req, about[req.UserID], d))
		b.Decisions, i.requests = append(b.Decisions, d), append(i.requests, req)
	}
	b.Next = int64(len(i.requests))
	must(i.t, l.Record(i.t.Context(), b))
}

// engineOf makes the engine of a stored decision, from what the database and the store of models have.
func (i *instance) engineOf(stored *schemas.Decision) *scoring.Engine {
	key := fmt.Sprint(stored.ConfigVersion, stored.CatalogVersion, *stored.Model)
	if e := i.past[key]; e != nil {
		return e
	}
	text, ok, err := i.db.ConfigText(i.t.Context(), stored.ConfigVersion)
	if err != nil || !ok {
		i.t.Fatalf("parameters %s: kept %t, error %v", stored.ConfigVersion, ok, err)
	}
	params, err := config.ParseScoring("stored", []byte(text))
	must(i.t, err)
	engine, err := scoring.New(params, scoring.Options{})
	must(i.t, err)
	m, err := i.models.Open(stored.Model.Name, stored.Model.Version)
	must(i.t, err)
	m.Ref = *stored.Model
	items, err := i.db.CatalogAt(i.t.Context(), stored.CatalogVersion)
	must(i.t, err)
	snapshot, err := catalog.New(items, stored.CatalogVersion, params.Rules)
	must(i.t, err)
	must(i.t, errors.Join(engine.Deploy(i.t.Context(), scoring.Deployment{Model: m}), engine.SetCatalog(i.t.Context(), snapshot)))
	i.past[key] = engine
	return engine
}

// again makes a stored decision again.
func (i *instance) again(req *schemas.Request, stored *schemas.Decision) *schemas.Decision {
	key := schemas.ProfileKey{UserID: stored.UserID, Version: stored.ProfileVersion}
	known, err := i.db.ProfilesAt(i.t.Context(), []schemas.ProfileKey{key})
	must(i.t, err)
	got := &schemas.Decision{ScoredAt: stored.ScoredAt, Source: stored.Source}
	must(i.t, i.engineOf(stored).NewScorer().Redecide(req, known[key], stored, got))
	return got
}

// Everything that a decision names can be had again from where it is kept, and makes the decision again.
func TestDecisionsAreMadeAgainFromWhatIsKept(t *testing.T) {
	db := openDatabase(t)
	i := newInstance(t, db)
	_, _, err := db.MaintainPartitions(t.Context(), i.now, postgres.Partitions{})
	must(t, err)
	ledger := postgres.NewLedger(db, "g", time.Hour)
	must(t, ledger.MoveFence(t.Context(), "requests", 0, -1, 0))
	apply := func(p *schemas.Profile, f *schemas.Feedback) {
		profile.Apply(p, f, i.engine.Item(f.ItemID), profile.DefaultHalfLife)
	}
	feedback := postgres.NewFeedbackLedger(db, "f", apply, profile.Preference, time.Hour)
	must(t, feedback.MoveFence(t.Context(), "feedback", 0, -1, 0))
	for round := range 24 {
		i.change(round, feedback)
		i.decide(ledger)
	}
	kinds := map[string]bool{}
	for n := range i.requests {
		stored, err := db.Decision(t.Context(), i.requests[n].RequestID)
		must(t, err)
		if stored.Model == nil {
			t.Fatalf("no model has made %+v", stored)
		}
		got := i.again(&i.requests[n], stored)
		if a, b := string(schemas.AppendResult(nil, got)), string(schemas.AppendResult(nil, stored)); a != b || got.ProfileVersion != stored.ProfileVersion {
			t.Fatalf("%s, profile %d\nis not\n%s, profile %d", a, got.ProfileVersion, b, stored.ProfileVersion)
		}
		kinds["model "+stored.Model.Version] = true
		kinds["parameters "+stored.ConfigVersion] = true
		kinds[fmt.Sprint("profile ", stored.ProfileVersion > 0)] = true
	}
	if len(kinds) != 6 {
		t.Errorf("decisions of %v; want two models, two sets of parameters, users who are known and users who are not", kinds)
	}
}
