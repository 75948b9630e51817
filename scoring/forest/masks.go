package forest

import (
	"context"
	"math"
	"math/bits"
)

// masks evaluates with a mask for each word and item: the leaves that the item's own features do not rule out.
// A request rules out others, once for all candidates, and so do the pair features of a candidate, by a table.
// The first leaf that is left in all of them is the one that the candidate falls into. So a candidate costs, for
// each tree, the load of a mask, an AND, a count of zeros, and a leaf to add.
//
// W is a mask, and F the precision of the sum. Tried without gain: eight candidates at once, two trees in a mask,
// trees in blocks, reading ahead in the next candidates' masks.
type masks[W uint32 | uint64, F float32 | float64] struct {
	*Evaluator
	cuts   *cuts
	start  F
	leaves [][65]F // by word
	item   []W     // item by item, a mask for each word
	bins   []bins
	pair   [][]W // by pair feature; bin by bin, a mask for each word
}

// newMasks computes the masks of all items and of all bins of the pair features.
func newMasks[W uint32 | uint64, F float32 | float64](ctx context.Context, e *Evaluator, words []word, s *cuts, b []bins) (*masks[W, F], error) {
	m := &masks[W, F]{Evaluator: e, cuts: s, start: F(e.forest.bias[0]), leaves: leafValues[F](e.forest, words), bins: b}
	m.item = make([]W, e.numItems*len(words))
	err := inBlocks(ctx, e.numItems, func(first, last int) {
		row, wide := make([]float64, len(e.forest.features)), make([]uint64, len(words))
		for i := first; i < last; i++ {
			e.fillItem(row, i)
			s.fill(wide, e.item, row)
			narrow(m.item[i*len(words):], wide)
		}
	})
	if err != nil {
		return nil, err
	}
	wide := make([]uint64, len(words))
	for i, feature := range e.pair {
		table := make([]W, b[i].len()*len(words))
		for bin := range b[i].len() {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			setAll(wide)
			s.apply(feature, b[i].value(bin), wide)
			narrow(table[bin*len(words):], wide)
		}
		m.pair = append(m.pair, table)
	}
	return m, nil
}

// narrow copies masks. Where those copied to have 32 bits, no word has more leaves.
func narrow[W uint32 | uint64](to []W, from []uint64) {
	to = to[:len(from)]
	for i, mask := range from {
		to[i] = W(mask)
	}
}

// leafValues are the leaf values of each word. A place without a leaf holds minus zero, which changes no sum:
// that is what the words of a large tree add that the exit leaf is not in.
func leafValues[F float32 | float64](f *Forest, words []word) [][65]F {
	values := make([][65]F, len(words))
	for i, w := range words {
		table := &values[i]
		for j := range table {
			table[j] = F(math.Copysign(0, -1))
		}
		for j, leaf := range w.leaves {
			table[j] = F(f.trees[w.tree].leaves[leaf])
		}
	}
	return values
}

// maskScorer scores with masks.
type maskScorer[W uint32 | uint64, F float32 | float64] struct {
	*masks[W, F]
	wide    []uint64 // the request's masks as cuts make them
	request []W      // and as they are compared
	first   []W      // masks of pairs, where there are several pair features
	second  []W
}

func (m *masks[W, F]) newScorer() scorer {
	n := len(m.leaves)
	s := &maskScorer[W, F]{masks: m, wide: make([]uint64, n), request: make([]W, n)}
	if len(m.Evaluator.pair) > 1 {
		s.first, s.second = make([]W, n), make([]W, n)
	}
	return s
}

func (s *maskScorer[W, F]) score(x []float64, candidates []int32, pairs, out []float64) {
	s.cuts.fill(s.wide, s.Evaluator.request, x)
	narrow(s.request, s.wide)
	if len(s.bins) > 0 {
		s.scorePairs(candidates, pairs, out)
		return
	}
	for len(candidates) >= 4 {
		a, b, c, d := s.row(candidates[0]), s.row(candidates[1]), s.row(candidates[2]), s.row(candidates[3])
		sa, sb, sc, sd := sum4(s.start, s.request, s.leaves, a, b, c, d)
		out[0], out[1], out[2], out[3] = float64(sa), float64(sb), float64(sc), float64(sd)
		candidates, out = candidates[4:], out[4:]
	}
	for i, item := range candidates {
		a := s.row(item)
		sum, _ := sum2(s.start, s.request, s.leaves, a, a, a, a)
		out[i] = float64(sum)
	}
}

// scorePairs scores candidates that have values of their own, two at a time.
func (s *maskScorer[W, F]) scorePairs(candidates []int32, pairs, out []float64) {
	width := len(s.bins)
	for i := 0; i < len(candidates); i += 2 {
		j := min(i+1, len(candidates)-1)
		a, b := s.row(candidates[i]), s.row(candidates[j])
		pa := s.pairMask(s.first, pairs[i*width:(i+1)*width])
		pb := s.pairMask(s.second, pairs[j*width:(j+1)*width])
		sa, sb := sum2(s.start, s.request, s.leaves, a, b, pa, pb)
		out[i], out[j] = float64(sa), float64(sb)
	}
}

// pairMask is the mask that the pair features leave. It may be in buffer.
func (s *maskScorer[W, F]) pairMask(buffer []W, x []float64) []W {
	mask := s.binMask(0, x[0])
	for i := 1; i < len(x); i++ {
		other := s.binMask(i, x[i])[:len(buffer)]
		mask = mask[:len(buffer)]
		for t := range buffer {
			buffer[t] = mask[t] & other[t]
		}
		mask = buffer
	}
	return mask
}

// binMask is the mask that the value x of one pair feature leaves.
func (s *maskScorer[W, F]) binMask(i int, x float64) []W {
	bin := s.bins[i].of(s.cuts.round(x))
	return s.pair[i][bin*len(s.leaves):][:len(s.leaves)]
}

// row is the mask that the item's features leave.
func (m *masks[W, F]) row(item int32) []W {
	return m.item[int(item)*len(m.leaves):][:len(m.leaves)]
}

// sum4 adds up the leaves of four candidates: their additions wait for each other less than those of one. The
// slices have one length, which spares the checks of bounds.
func sum4[W uint32 | uint64, F float32 | float64](start F, request []W, leaves [][65]F, a, b, c, d []W) (sa, sb, sc, sd F) {
	sa, sb, sc, sd = start, start, start, start
	n := len(request)
	leaves, a, b, c, d = leaves[:n], a[:n], b[:n], c[:n], d[:n]
	for t, r := range request {
		leaf := &leaves[t]
		sa += leaf[first(a[t]&r)]
		sb += leaf[first(b[t]&r)]
		sc += leaf[first(c[t]&r)]
		sd += leaf[first(d[t]&r)]
	}
	return sa, sb, sc, sd
}

// sum2 adds up the leaves of two candidates, a and b, with pair masks.
func sum2[W uint32 | uint64, F float32 | float64](start F, request []W, leaves [][65]F, a, b, pairA, pairB []W) (sa, sb F) {
	sa, sb = start, start
	n := len(request)
	leaves, a, b, pairA, pairB = leaves[:n], a[:n], b[:n], pairA[:n], pairB[:n]
	for t, r := range request {
		leaf := &leaves[t]
		sa += leaf[first(a[t]&r&pairA[t])]
		sb += leaf[first(b[t]&r&pairB[t])]
	}
	return sa, sb
}

// first is the place of the lowest bit, or 64 where there is none. The tables of leaves have that place too, which
// spares a check of bounds. To count in 32 bits is half as fast: the compiler sets bit 32 first, with an instruction
// that waits for the same unit as the count itself, which does one a cycle.
func first[W uint32 | uint64](mask W) int { return bits.TrailingZeros64(uint64(mask)) }
