package forest

import (
	"context"
	"fmt"
)

// Part says when the value of a feature is known.
type Part uint8

// The parts.
const (
	PartRequest Part = iota // once a request
	PartItem                // once a catalogue
	PartPair                // for each candidate of each request
)

// DefaultMaxBytes is what an Evaluator may take unless Options say otherwise: 1 GiB.
const DefaultMaxBytes = 1 << 30

// Options bound an Evaluator.
type Options struct {
	// MaxBytes bounds what is computed for each item and for each bin of a pair feature; 0 is DefaultMaxBytes.
	// Within it, the fastest method is taken. The least, MethodQuickScorer, computes nothing of that kind.
	MaxBytes int64
}

// Evaluator scores the items of one catalogue with one forest, bit for bit as Forest.Raw does, and many times
// faster. It does not change, so any number of goroutines may use it, each with a Scorer of its own.
type Evaluator struct {
	forest   *Forest
	items    []float64 // row by row
	numItems int
	single   bool    // sums are float32
	request  []int32 // features of PartRequest, in order
	item     []int32 // of PartItem
	pair     []int32 // of PartPair
	method   Method
	bytes    int64
	engine   engine
}

// NewEvaluator prepares f, which must have one output, to score numItems items.
//
// parts is the part of each feature. items holds the values of the PartItem features, row by row and in the
// features' order; the evaluator keeps it, so it must not be changed. The end of ctx ends a long preparation.
func NewEvaluator(ctx context.Context, f *Forest, parts []Part, items []float64, numItems int, opts Options) (*Evaluator, error) {
	e, err := newEvaluator(f, parts, items, numItems)
	if err != nil {
		return nil, err
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = DefaultMaxBytes
	}
	if err := e.prepare(ctx, opts.MaxBytes); err != nil {
		return nil, fmt.Errorf("prepare %d items: %w", numItems, err)
	}
	return e, nil
}

// newEvaluator is an evaluator that is not prepared yet.
func newEvaluator(f *Forest, parts []Part, items []float64, numItems int) (*Evaluator, error) {
	e := &Evaluator{forest: f, items: items, numItems: numItems}
	e.single = f.numbers.singleSums && len(f.trees) > 0 // without trees, the bias is the score as it is
	if f.outputs != 1 {
		return nil, fmt.Errorf("an evaluator takes a forest of one output, not of %d", f.outputs)
	}
	if len(parts) != len(f.features) {
		return nil, fmt.Errorf("%d features have %d parts", len(f.features), len(parts))
	}
	for i, p := range parts {
		switch p {
		case PartRequest:
			e.request = append(e.request, int32(i))
		case PartItem:
			e.item = append(e.item, int32(i))
		case PartPair:
			e.pair = append(e.pair, int32(i))
		default:
			return nil, fmt.Errorf("feature %q: part %d does not exist", f.features[i], p)
		}
	}
	if numItems < 0 || len(items) != numItems*len(e.item) {
		return nil, fmt.Errorf("%d items of %d features have %d values", numItems, len(e.item), len(items))
	}
	return e, nil
}

// Method says how the evaluator works.
func (e *Evaluator) Method() Method { return e.method }

// Bytes is the memory that the evaluator takes beside the forest and the values of the items.
func (e *Evaluator) Bytes() int64 { return e.bytes }

// Row assembles the full row of an item in dst, which has a value for each feature: the PartRequest features
// from x, itself a full row, the PartItem features from the catalogue and the PartPair features from pair.
func (e *Evaluator) Row(dst, x []float64, item int32, pair []float64) {
	for _, feature := range e.request {
		dst[feature] = x[feature]
	}
	e.fillItem(dst, int(item))
	for i, feature := range e.pair {
		dst[feature] = pair[i]
	}
}

// fillItem sets the PartItem features of a full row.
func (e *Evaluator) fillItem(row []float64, item int) {
	values := e.items[item*len(e.item):][:len(e.item)]
	for i, feature := range e.item {
		row[feature] = values[i]
	}
}

// NewScorer makes a Scorer.
func (e *Evaluator) NewScorer() *Scorer {
	return &Scorer{divisor: e.forest.divisor, scorer: e.engine.newScorer()}
}

// Scorer is an Evaluator with the buffers of one goroutine.
type Scorer struct {
	divisor float64
	scorer  scorer
}

// Score writes the raw score of each candidate, the index of an item, to out. x is a full row, of which only the
// PartRequest features are read. pairs holds the values of the PartPair features, candidate by candidate and in
// the features' order; nil where there are none. Score allocates nothing. It panics where a candidate is no item
// and where a slice is too short.
func (s *Scorer) Score(x []float64, candidates []int32, pairs, out []float64) {
	out = out[:len(candidates)]
	s.scorer.score(x, candidates, pairs, out)
	if s.divisor != 1 {
		for i := range out {
			out[i] /= s.divisor
		}
	}
}
