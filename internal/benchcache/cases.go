package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/feature"
	"recstream/scoring/forest"
	"recstream/scoring/model"
	"recstream/scoring/similarity"
)

// cases are what is measured: the caches that there are, then those that are left out.
func (w *world) cases(ctx context.Context) ([]comparison, error) {
	defaults, blended := scoring.DefaultParams(), scoring.DefaultParams()
	blended.Rank.Weights.Popularity, blended.Rank.Diversity.Strength = 0.1, 0.3
	blended.Rank.Caps.Genre, blended.Rank.Caps.Franchise = 4, 1
	excluding := slices.Clone(w.requests)
	for i := range excluding {
		excluding[i].Exclude = []string{w.catalog.Item(0).ID}
	}
	list := []comparison{{name: "candidates"}, {name: "scores"}, {name: "answers"}, {name: "answers_blended"},
		{name: "answers_personal"}, {name: "answers_not_plain"}, {name: "left_out_masks"}, {name: "left_out_similar"},
		{name: "explained_always"}, {name: "explained_1_percent"}}
	return list, errors.Join(
		w.candidates(ctx, &list[0]),
		w.switched(ctx, &list[1], w.context, defaults, w.requests, scoring.CacheScores, scoring.CacheAnswers),
		w.switched(ctx, &list[2], w.context, defaults, w.requests, scoring.CacheAnswers),
		w.switched(ctx, &list[3], w.context, blended, w.requests, scoring.CacheAnswers),
		w.switched(ctx, &list[4], w.personal, defaults, w.requests, scoring.CacheAnswers),
		w.switched(ctx, &list[5], w.context, defaults, excluding, scoring.CacheAnswers),
		w.masks(ctx, &list[6]),
		w.similar(ctx, &list[7]),
		w.explained(ctx, &list[8], 1),
		w.explained(ctx, &list[9], 0.01),
	)
}

// switched compares an engine without the caches off with one that has the first of them.
func (w *world) switched(ctx context.Context, c *comparison, m *model.Model, p scoring.Params, requests []schemas.Request, off ...scoring.Cache) error {
	with, err := w.engine(ctx, m, p, off[1:]...)
	if err != nil {
		return err
	}
	without, err := w.engine(ctx, m, p, off...)
	if err != nil {
		return err
	}
	if err := same(with, without, requests); err != nil {
		return err
	}
	c.bytes = func() int64 {
		for _, s := range with.Caches() {
			if s.Name == string(off[0]) {
				return s.Bytes
			}
		}
		return 0
	}
	if c.with, err = decider(with, requests); err != nil {
		return err
	}
	c.without, err = decider(without, requests)
	return err
}

// explained compares decisions of which none is explained with those of which a share is, everything that can be said
// of an explanation included: terms, contributions, reasons, and what was dropped.
func (w *world) explained(ctx context.Context, c *comparison, share float64) error {
	kept := scoring.DefaultParams()
	kept.Explain.Keep, kept.Explain.SampleRate = scoring.KeepSampled, share
	without, err := w.engine(ctx, w.context, scoring.DefaultParams(), scoring.CacheAnswers)
	if err != nil {
		return err
	}
	with, err := w.engine(ctx, w.context, kept, scoring.CacheAnswers)
	if err != nil {
		return err
	}
	c.bytes = func() int64 { return 0 }
	requests := make([]schemas.Request, int(100/share)) // the sample is by id: about 100 are explained
	for i := range requests {
		requests[i] = w.requests[i%len(w.requests)]
		requests[i].RequestID = fmt.Sprint("request-", i)
	}
	if c.without, err = decider(without, requests); err != nil {
		return err
	}
	c.with, err = decider(with, requests)
	return err
}

// candidates compares the lists of each context with filtering at each request.
func (w *world) candidates(ctx context.Context, c *comparison) error {
	e, err := w.engine(ctx, w.context, scoring.DefaultParams(), scoring.CacheAnswers)
	if err != nil {
		return err
	}
	c.bytes = func() (sum int64) {
		for _, every := range contexts() {
			sum += 4 * int64(len(w.catalog.InContext(every)))
		}
		return sum
	}
	var list []int32
	for i := range w.requests {
		if list = w.filter(list[:0], w.requests[i].Context); !slices.Equal(list, w.catalog.InContext(w.requests[i].Context)) {
			return errDiffer
		}
	}
	next := 0
	c.part = func() error {
		list = w.filter(list[:0], w.requests[next%len(w.requests)].Context)
		next++
		return nil
	}
	c.with, err = decider(e, w.requests)
	return err
}

// masks finds out what it takes to make the request's part of an evaluation, a mask for each tree, where scores are not
// remembered: more than that no memory of masks can spare.
func (w *world) masks(ctx context.Context, c *comparison) error {
	e, err := w.engine(ctx, w.context, scoring.DefaultParams(), scoring.CacheScores, scoring.CacheAnswers)
	if err != nil {
		return err
	}
	features := w.context.Features()
	var items []float64
	row := make([]float64, features.NumItems())
	for i := range w.catalog.Items() {
		features.Item(row, w.catalog.Item(int32(i)))
		items = append(items, row...)
	}
	var parts []forest.Part
	for _, p := range features.Parts() {
		parts = append(parts, forest.Part(p))
	}
	evaluator, err := forest.NewEvaluator(ctx, w.context.Forest(), parts, items, w.catalog.Len(), forest.Options{})
	if err != nil {
		return err
	}
	scorer := evaluator.NewScorer()
	var in feature.Inputs
	x, next := make([]float64, len(parts)), 0
	c.part = func() error {
		features.Prepare(&in, &w.requests[next%len(w.requests)], nil)
		features.Request(x, &in)
		scorer.Score(x, nil, nil, nil)
		next++
		return nil
	}
	c.bytes = func() int64 { return int64(schemas.NumContexts) * int64(w.context.Forest().NumTrees()) * 8 }
	c.without, err = decider(e, w.requests)
	return err
}

// similar finds out what the likeness of all candidates to one item takes where no model answers: more than that no
// list of similar items can spare.
func (w *world) similar(ctx context.Context, c *comparison) error {
	e, err := w.engine(ctx, nil, scoring.DefaultParams())
	if err != nil {
		return err
	}
	requests := slices.Clone(w.requests)
	likes := make([]int32, len(requests))
	for i := range requests {
		likes[i] = int32(i * 83 % w.catalog.Len())
		requests[i].SimilarTo = w.catalog.Item(likes[i]).ID
	}
	index := similarity.New(w.catalog.Items())
	var taste similarity.Taste
	raw, next := make([]float64, w.catalog.Len()), 0
	c.part = func() error {
		k := next % len(requests)
		taste.Reset(index)
		taste.Add(likes[k], 1)
		for n, i := range w.catalog.InContext(requests[k].Context) {
			raw[n] = taste.Similarity(i)
		}
		next++
		return nil
	}
	c.bytes = func() int64 { return int64(w.catalog.Len()) * int64(w.catalog.Len()) * 4 } // a float32 for each two
	c.without, err = decider(e, requests)
	return err
}
