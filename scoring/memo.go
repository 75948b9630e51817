package scoring

import (
	"math"
	"sync/atomic"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/feature"
)

// memo remembers the predictions of one model over one catalogue. The features depend on nothing but the
// context and the item, so there are only schemas.NumContexts predictions an item, each made when it is
// first wanted; after that a candidate costs one load.
//
// It takes 8 bytes for each item and each context that was asked for: 2 MB for 3,200 items in all 80
// contexts, 64 MB for 100,000. Goroutines share it without locks. Two may make the same prediction at the
// same time; they store the same bits.
type memo struct {
	model   predictor
	catalog *catalog.Snapshot
	columns [schemas.NumContexts]atomic.Pointer[column]
}

// column holds the predictions of one context, by item, encoded: the complement of a float's bits.
type column []atomic.Uint64

// unmade is what a column has where no prediction was made yet. It is the zero value, and stands for a NaN
// that encode never gives.
const unmade = 0

func newMemo(m predictor, c *catalog.Snapshot) *memo {
	return &memo{model: m, catalog: c}
}

// column returns the predictions of context c, and makes room for them the first time.
func (m *memo) column(c schemas.Context) column {
	p := &m.columns[c.Index()]
	if col := p.Load(); col != nil {
		return *col
	}
	fresh := make(column, m.catalog.Len())
	if p.CompareAndSwap(nil, &fresh) {
		return fresh
	}
	return *p.Load()
}

// fill makes and remembers the prediction for item i; x has the context's part of the features. A
// prediction that is NaN or infinite is remembered as well. It panics if the model does.
func (m *memo) fill(col column, i int32, x []float64) float64 {
	copy(x[feature.NumRequest:], m.catalog.Features(i))
	p := m.model.Probability(x)
	col[i].Store(encode(p))
	return p
}

// encode returns the bits to store for p; decode is its inverse, but for the payload of a NaN.
func encode(p float64) uint64 {
	if math.IsNaN(p) {
		p = math.NaN() // one NaN for all, and not the one of all ones
	}
	return ^math.Float64bits(p)
}

func decode(bits uint64) float64 { return math.Float64frombits(^bits) }
