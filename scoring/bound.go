package scoring

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/feature"
	"recstream/scoring/forest"
	"recstream/scoring/model"
)

// boundModel is a model over the items of a catalogue: everything that can be made of the two beforehand.
type boundModel struct {
	model    *model.Model
	ref      *schemas.ModelRef
	features *feature.Extractor
	memo     *memo // nil where predictions depend on more than context and item
	predict  func(raw float64) float64
	newRater func() rater
	raters   sync.Pool // of rater: they go with the model, whoever used them
	info     Evaluator
	decided  atomic.Uint64 // decisions, to pick those that are verified
	answered atomic.Bool   // a decision was made with it
}

// Evaluator says how a model is evaluated over the catalogue in force.
type Evaluator struct {
	Model      schemas.ModelRef
	Method     forest.Method
	Bytes      int64 // of memory that it takes
	Remembered bool  // scores are remembered by context and item
}

// trained is how predictions were distributed in the model's training, nil where that is not known.
func (b *boundModel) trained() *model.Histogram {
	if b.model == nil || b.model.Manifest() == nil || b.model.Manifest().Profile == nil {
		return nil
	}
	h := &b.model.Manifest().Profile.Score
	if len(h.Counts) == 0 {
		return nil
	}
	return h
}

// rater returns a rater that nobody uses.
func (b *boundModel) rater() rater {
	if r, ok := b.raters.Get().(rater); ok {
		return r
	}
	return b.newRater()
}

// rater makes raw scores, for one goroutine at a time; see forest.Scorer.
type rater interface {
	Score(x []float64, candidates []int32, pairs, out []float64)
}

func bind(ctx context.Context, m *model.Model, c *catalog.Snapshot, opts *Options) (*boundModel, error) {
	b := &boundModel{model: m, ref: &m.Ref, features: m.Features(), predict: m.Prediction}
	items := make([]float64, 0, c.Len()*b.features.NumItems())
	for i := range c.Items() {
		at := len(items)
		items = items[:at+b.features.NumItems()]
		b.features.Item(items[at:], c.Item(int32(i)))
	}
	evaluator, err := forest.NewEvaluator(ctx, m.Forest(), forestParts(b.features.Parts()), items, c.Len(), forest.Options{MaxBytes: opts.MaxBytes})
	if err != nil {
		return nil, fmt.Errorf("model %s %s: %w", m.Ref.Name, m.Ref.Version, err)
	}
	b.newRater = func() rater { return evaluator.NewScorer() }
	remembered := b.features.ContextOnly() && !slices.Contains(opts.Without, CacheScores)
	b.info = Evaluator{Model: m.Ref, Method: evaluator.Method(), Bytes: evaluator.Bytes(), Remembered: remembered}
	if remembered {
		b.memo = newMemo(c.Len())
	}
	return b, nil
}

func forestParts(parts []feature.Part) []forest.Part {
	list := make([]forest.Part, len(parts))
	for i, p := range parts {
		list[i] = forest.Part(p) // their values are alike
	}
	return list
}
