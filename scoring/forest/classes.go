package forest

import (
	"context"
	"math"
	"math/bits"
)

// classes evaluates with a byte for each column and item: the item's class. A request finds the leaf value of each
// class, once for all candidates. So a candidate costs, for each column, a byte and the value to add that it stands
// for: half the work of masks, and a quarter of their memory or less, which is what large catalogues wait for.
// F is the precision of the sum.
type classes[F float32 | float64] struct {
	*Evaluator
	cuts    *cuts // by the request's features
	start   F
	columns []column
	leaves  [][65]F  // by column; the last one is for no leaf, minus zero, which changes no sum
	words   int      // of an item: eight columns each
	item    []uint64 // item by item, the classes, the first of a word in its lowest byte
}

// tableSize is the length of the tables of the eight columns of a word.
const tableSize = 8 * maxClasses

// newClasses finds the classes of all items.
func newClasses[F float32 | float64](ctx context.Context, e *Evaluator, columns []column) (*classes[F], error) {
	c := &classes[F]{Evaluator: e, start: F(e.forest.bias[0]), columns: columns, words: (len(columns) + 7) / 8}
	words := make([]word, len(columns))
	c.leaves = make([][65]F, len(columns))
	for i, column := range columns {
		words[i] = column.word
		for j, leaf := range column.leaves {
			c.leaves[i][j] = F(e.forest.trees[column.tree].leaves[leaf])
		}
		c.leaves[i][64] = F(math.Copysign(0, -1))
		e.bytes += 8 * int64(len(column.classes)+len(c.leaves[i]))
	}
	c.cuts = cutsOf(e.forest, words, false, e.request)
	e.bytes += c.cuts.bytes
	c.item = make([]uint64, e.numItems*c.words)
	if err := c.classify(ctx, words); err != nil {
		return nil, err
	}
	return c, nil
}

// classify finds the class of each item in each column by what its features leave.
func (c *classes[F]) classify(ctx context.Context, words []word) error {
	byItems := cutsOf(c.forest, words, true, c.Evaluator.item)
	index := make([]map[uint64]uint8, len(c.columns))
	for i, column := range c.columns {
		index[i] = make(map[uint64]uint8, len(column.classes))
		for class, mask := range column.classes {
			index[i][mask] = uint8(class)
		}
	}
	return inBlocks(ctx, c.numItems, func(first, last int) {
		row, masks := make([]float64, len(c.forest.features)), make([]uint64, len(words))
		for item := first; item < last; item++ {
			c.fillItem(row, item)
			byItems.fill(masks, c.Evaluator.item, row)
			classes := c.item[item*c.words:][:c.words]
			for i, mask := range masks {
				class := index[i][mask&words[i].all()]
				classes[i/8] |= uint64(class) << (i % 8 * 8)
			}
		}
	})
}

// classScorer scores with classes.
type classScorer[F float32 | float64] struct {
	*classes[F]
	masks  []uint64 // by column, the leaves that the request leaves
	tables []F      // by column, the values of all classes
	sums   [64]F    // of as many candidates: what they need stays in the cache
}

func (c *classes[F]) newScorer() scorer {
	s := &classScorer[F]{classes: c, masks: make([]uint64, len(c.columns)), tables: make([]F, c.words*tableSize)}
	for i := len(c.columns) * maxClasses; i < len(s.tables); i++ {
		s.tables[i] = F(math.Copysign(0, -1))
	}
	return s
}

func (s *classScorer[F]) score(x []float64, candidates []int32, _, out []float64) {
	s.cuts.fill(s.masks, s.request, x)
	s.fillTables()
	for len(candidates) > 0 {
		n := min(len(s.sums), len(candidates))
		s.sum(candidates[:n])
		for i, sum := range s.sums[:n] {
			out[i] = float64(sum)
		}
		candidates, out = candidates[n:], out[n:]
	}
}

// fillTables finds the value of each class for the request.
func (s *classScorer[F]) fillTables() {
	for i := range s.columns {
		classes, leaves, mask := s.columns[i].classes, &s.leaves[i], s.masks[i]
		table := s.tables[i*maxClasses:][:len(classes)]
		for class, left := range classes {
			table[class] = leaves[bits.TrailingZeros64(left&mask)]
		}
	}
}

// sum adds up the values of candidates, word after word. The sums of different candidates do not wait for each
// other, and the processor works on several at once.
func (s *classScorer[F]) sum(candidates []int32) {
	sums := s.sums[:len(candidates)]
	for i := range sums {
		sums[i] = s.start
	}
	for w := range s.words {
		items, table := s.item[w:], (*[tableSize]F)(s.tables[w*tableSize:])
		for i, item := range candidates {
			classes, sum := items[int(item)*s.words], sums[i]
			sum += table[uint8(classes)]
			classes >>= 8
			sum += table[maxClasses+int(uint8(classes))]
			classes >>= 8
			sum += table[2*maxClasses+int(uint8(classes))]
			classes >>= 8
			sum += table[3*maxClasses+int(uint8(classes))]
			classes >>= 8
			sum += table[4*maxClasses+int(uint8(classes))]
			classes >>= 8
			sum += table[5*maxClasses+int(uint8(classes))]
			classes >>= 8
			sum += table[6*maxClasses+int(uint8(classes))]
			classes >>= 8
			sum += table[7*maxClasses+int(uint8(classes))]
			sums[i] = sum
		}
	}
}
