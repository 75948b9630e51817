package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"recstream/internal/catalogfile"
	"recstream/internal/demo"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/catalog"
	"recstream/scoring/model"
)

var now = time.Date(2026, 5, 1, 20, 0, 0, 0, time.UTC)

// limit is how many items a request asks for.
const limit = 10

// world is the demo's: its films, its models, and requests for each of the contexts in which all is known.
type world struct {
	catalog  *catalog.Snapshot
	rules    catalog.Rules
	context  *model.Model // knows context and item
	personal *model.Model // knows the user too
	requests []schemas.Request
}

func newWorld() (*world, error) {
	items, problems, err := catalogfile.Read(bytes.NewReader(demo.Catalog), catalogfile.CSV)
	if err != nil || len(problems) > 0 {
		return nil, fmt.Errorf("read the demo's catalogue: %v %w", problems, err)
	}
	w := &world{rules: catalog.DefaultRules()}
	if w.catalog, err = catalog.New(items, 1, w.rules); err != nil {
		return nil, err
	}
	if err := w.openModels(); err != nil {
		return nil, fmt.Errorf("open the demo's models: %w", err)
	}
	for _, c := range contexts() {
		if c.Mood != schemas.MoodUnknown && c.GroupSize != schemas.GroupUnknown && c.SessionLength != schemas.SessionUnknown {
			w.requests = append(w.requests, schemas.Request{RequestID: "r", Context: c, Limit: limit, Diversity: math.NaN(), RequestedAt: now})
		}
	}
	return w, nil
}

// contexts are all that there are.
func contexts() (list []schemas.Context) {
	for m := range schemas.NumMoods {
		for g := range schemas.NumGroupSizes {
			for l := range schemas.NumSessionLengths {
				list = append(list, schemas.Context{Mood: m, GroupSize: g, SessionLength: l})
			}
		}
	}
	return list
}

func (w *world) openModels() error {
	dir, err := os.MkdirTemp("", "benchcache-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store := filepath.Join(dir, "store")
	if err := demo.WriteStore(store); err != nil {
		return err
	}
	if w.context, err = (model.Store{Dir: store}).Open("films", "1"); err != nil {
		return err
	}
	w.personal, err = (model.Store{Dir: store}).Open("films", "3")
	return err
}

// meanCandidates is that of the requests.
func (w *world) meanCandidates() float64 {
	n := 0
	for i := range w.requests {
		n += len(w.catalog.InContext(w.requests[i].Context))
	}
	return float64(n) / float64(len(w.requests))
}

// engine returns an engine that decides with a model; nil is none.
func (w *world) engine(ctx context.Context, m *model.Model, params scoring.Params, without ...scoring.Cache) (*scoring.Engine, error) {
	e, err := scoring.New(params, scoring.Options{Without: without})
	if err != nil {
		return nil, err
	}
	if err := e.SetCatalog(ctx, w.catalog); err != nil {
		return nil, err
	}
	if err := e.Deploy(ctx, scoring.Deployment{Model: m}); err != nil {
		return nil, err
	}
	return e, nil
}

// decider returns a function that decides the requests one after the other, once each has been decided.
func decider(e *scoring.Engine, requests []schemas.Request) (func() error, error) {
	s := e.NewScorer()
	if err := s.Begin(); err != nil {
		return nil, err
	}
	var d schemas.Decision
	next := 0
	decide := func() error {
		req := &requests[next]
		if next++; next == len(requests) {
			next = 0
		}
		return s.Decide(req, nil, &d)
	}
	for range requests {
		if err := decide(); err != nil {
			return nil, err
		}
	}
	return decide, nil
}

// errDiffer says that there is nothing to measure.
var errDiffer = errors.New("the decisions with the cache are not those without")

// same refuses to measure where two engines do not decide alike, each request twice.
func same(a, b *scoring.Engine, requests []schemas.Request) error {
	s, t := a.NewScorer(), b.NewScorer()
	for i := range 2 * len(requests) {
		var x, y schemas.Decision
		req := &requests[i%len(requests)]
		if err := errors.Join(s.Decide(req, nil, &x), t.Decide(req, nil, &y)); err != nil {
			return err
		}
		if len(x.Items) == 0 || x.Tier != y.Tier || !slices.Equal(x.Items, y.Items) {
			return errDiffer
		}
	}
	return nil
}
