package scoring

import (
	"math"
	"sync/atomic"

	"recstream/schemas"
)

// memo remembers the raw scores of one model over one catalogue, for models whose features depend on nothing
// but the context and the item: then there are only schemas.NumContexts scores an item, each made when it is
// first wanted; after that a candidate costs one load.
//
// It takes 8 bytes for each item and each context that was asked for: 2 MB for 3,200 items in all 80
// contexts, 64 MB for 100,000. Goroutines share it without locks. Two may make the same score at the same
// time; they store the same bits.
type memo struct {
	items   int
	columns [schemas.NumContexts]atomic.Pointer[column]
}

// column holds the scores of one context, by item, encoded: the complement of a float's bits.
type column []atomic.Uint64

// unmade is what a column has where no score was made yet. It is the zero value, and stands for a NaN that
// encode never gives.
const unmade = 0

func newMemo(items int) *memo { return &memo{items: items} }

// column returns the scores of context c, and makes room for them the first time.
func (m *memo) column(c schemas.Context) column {
	p := &m.columns[c.Index()]
	if col := p.Load(); col != nil {
		return *col
	}
	fresh := make(column, m.items)
	if p.CompareAndSwap(nil, &fresh) {
		return fresh
	}
	return *p.Load()
}

// bytes is how much memory the columns take.
func (m *memo) bytes() (sum int64) {
	for i := range m.columns {
		if m.columns[i].Load() != nil {
			sum += 8 * int64(m.items)
		}
	}
	return sum
}

// read writes the remembered scores of the candidates to out, and returns those that have none, with their
// places in out; both lists are appended to what is given.
func (col column) read(candidates []int32, out []float64, missing, places []int32) (m, p []int32) {
	for n, i := range candidates {
		bits := col[i].Load()
		if bits == unmade {
			missing, places = append(missing, i), append(places, int32(n))
		}
		out[n] = decode(bits)
	}
	return missing, places
}

// encode returns the bits to store for p; decode is its inverse, but for the payload of a NaN.
func encode(p float64) uint64 {
	if math.IsNaN(p) {
		p = math.NaN() // one NaN for all, and not the one of all ones
	}
	return ^math.Float64bits(p)
}

func decode(bits uint64) float64 { return math.Float64frombits(^bits) }
