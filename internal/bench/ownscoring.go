package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/dmitryikh/leaves"

	"recstream/internal/demo"
	"recstream/schemas"
	"recstream/scoring/feature"
)

// ownScorer is scoring as one writes it first: each candidate is looked up, its features are made, the model is
// asked, and everything is sorted.
type ownScorer struct {
	items    map[string]*schemas.Item
	trees    *leaves.Ensemble
	features *feature.Extractor
	model    *schemas.ModelRef
	version  string
}

// newOwnScorer loads the model and indexes the films by id.
func newOwnScorer(s *session) (*ownScorer, error) {
	// leaves knows the format's version 3; version 4 writes trees alike.
	text := bytes.Replace(demo.Model, []byte("version=v4"), []byte("version=v3"), 1)
	trees, err := leaves.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(text)), true)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	features, err := feature.New(feature.Default())
	if err != nil {
		return nil, err
	}
	o := &ownScorer{items: map[string]*schemas.Item{}, trees: trees, features: features, model: &s.model, version: s.engine.ConfigVersion()}
	for i := range s.items {
		o.items[s.items[i].ID] = &s.items[i]
	}
	return o, nil
}

// Begin does nothing: catalogue and model do not change.
func (o *ownScorer) Begin() error { return nil }

// End does nothing either.
func (o *ownScorer) End() {}

// NeedsProfile is false: the model's features are of the context and the film.
func (o *ownScorer) NeedsProfile(*schemas.Request) bool { return false }

// Decide scores all candidates of the request.
func (o *ownScorer) Decide(req *schemas.Request, _ *schemas.Profile, dst *schemas.Decision) error {
	var scored []schemas.ScoredItem
	var in feature.Inputs
	for _, id := range req.Candidates {
		it := o.items[id]
		if it == nil || it.Hidden || !it.ExpiresAt.IsZero() && !req.RequestedAt.Before(it.ExpiresAt) {
			continue
		}
		x := make([]float64, len(o.features.Names()))
		o.features.Prepare(&in, req, nil)
		o.features.Vector(x, &in, it)
		p := o.trees.PredictSingle(x, 0)
		scored = append(scored, schemas.ScoredItem{ItemID: id, Title: it.Title, Prediction: p, Score: p})
	}
	slices.SortFunc(scored, func(a, b schemas.ScoredItem) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ItemID, b.ItemID))
	})
	limit := cmp.Or(req.Limit, schemas.DefaultLimit)
	*dst = schemas.Decision{
		RequestID: req.RequestID, UserID: req.UserID, Context: req.Context, RequestedAt: req.RequestedAt,
		Tier: schemas.TierModel, Model: o.model, ConfigVersion: o.version, CatalogVersion: 1,
		Considered: len(scored), Items: scored[:min(limit, len(scored))],
	}
	return nil
}
