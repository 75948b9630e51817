package forest

import (
	"context"
	"math"
	"math/bits"
)

// classes evaluates with a byte for each column and item: the item's class. A request finds the leaf value of each
// class, once for all candidates. So a candidate costs, for each column, a byte and the value to add that it stands
// for: less work than masks, and a quarter of their memory or less, which is what large catalogues wait for.
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
	tables []tables[F]
	rows   [blockOfSums]int // where the candidates' classes are
	sums   [blockOfSums]F   // of as many candidates: what they need stays in the cache
}

// tables are the values of all classes of the eight columns of a word. They are longer than needed: were they of a
// power of two, the processor's cache would hold few of them at once.
type tables[F float32 | float64] [8][maxClasses + 8]F

// blockOfSums is how many candidates are summed up at once, a multiple of four.
const blockOfSums = 64

func (c *classes[F]) newScorer() scorer {
	s := &classScorer[F]{classes: c, masks: make([]uint64, len(c.columns)), tables: make([]tables[F], c.words)}
	for i := len(c.columns); i < 8*c.words; i++ {
		s.tables[i/8][i%8][0] = F(math.Copysign(0, -1))
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
		table := s.tables[i/8][i%8][:len(classes)]
		for class, left := range classes {
			table[class] = leaves[bits.TrailingZeros64(left&mask)]
		}
	}
}

// sum adds up the values of candidates, word after word and four candidates at a time: their additions wait for
// each other less than those of one. Where there are fewer, the last one is added up again.
func (s *classScorer[F]) sum(candidates []int32) {
	n := (len(candidates) + 3) / 4 * 4
	sums, rows := s.sums[:n], s.rows[:n]
	for i := range rows {
		sums[i] = s.start
		rows[i] = int(candidates[min(i, len(candidates)-1)]) * s.words
	}
	for w := range s.tables {
		items, t := s.item[w:], &s.tables[w]
		for i := 0; i+4 <= len(sums); i += 4 {
			row, sum := (*[4]int)(rows[i:]), (*[4]F)(sums[i:])
			c0, c1, c2, c3 := items[row[0]], items[row[1]], items[row[2]], items[row[3]]
			s0, s1, s2, s3 := sum[0], sum[1], sum[2], sum[3]
			s0 += t[0][uint8(c0)]
			s1 += t[0][uint8(c1)]
			s2 += t[0][uint8(c2)]
			s3 += t[0][uint8(c3)]
			s0 += t[1][uint8(c0>>8)]
			s1 += t[1][uint8(c1>>8)]
			s2 += t[1][uint8(c2>>8)]
			s3 += t[1][uint8(c3>>8)]
			s0 += t[2][uint8(c0>>16)]
			s1 += t[2][uint8(c1>>16)]
			s2 += t[2][uint8(c2>>16)]
			s3 += t[2][uint8(c3>>16)]
			s0 += t[3][uint8(c0>>24)]
			s1 += t[3][uint8(c1>>24)]
			s2 += t[3][uint8(c2>>24)]
			s3 += t[3][uint8(c3>>24)]
			s0 += t[4][uint8(c0>>32)]
			s1 += t[4][uint8(c1>>32)]
			s2 += t[4][uint8(c2>>32)]
			s3 += t[4][uint8(c3>>32)]
			s0 += t[5][uint8(c0>>40)]
			s1 += t[5][uint8(c1>>40)]
			s2 += t[5][uint8(c2>>40)]
			s3 += t[5][uint8(c3>>40)]
			s0 += t[6][uint8(c0>>48)]
			s1 += t[6][uint8(c1>>48)]
			s2 += t[6][uint8(c2>>48)]
			s3 += t[6][uint8(c3>>48)]
			s0 += t[7][uint8(c0>>56)]
			s1 += t[7][uint8(c1>>56)]
			s2 += t[7][uint8(c2>>56)]
			s3 += t[7][uint8(c3>>56)]
			sum[0], sum[1], sum[2], sum[3] = s0, s1, s2, s3
		}
	}
}
