package forest

import "math/bits"

// quickScorer evaluates without masks of items: the request's part of the cuts is applied once a request, those
// of items and pairs for each candidate.
type quickScorer struct {
	*Evaluator
	words []word
	cuts  *cuts
}

func (q *quickScorer) newScorer() scorer {
	return &quickScorerScorer{q, make([]uint64, len(q.words)), make([]uint64, len(q.words))}
}

// quickScorerScorer has the masks of a request and of a candidate.
type quickScorerScorer struct {
	*quickScorer
	base, mask []uint64
}

func (s *quickScorerScorer) score(x []float64, candidates []int32, pairs, out []float64) {
	s.cuts.fill(s.base, s.request, x)
	for i, candidate := range candidates {
		copy(s.mask, s.base)
		for j, feature := range s.item {
			s.cuts.apply(feature, s.cuts.round(s.items[int(candidate)*len(s.item)+j]), s.mask)
		}
		for j, feature := range s.pair {
			s.cuts.apply(feature, s.cuts.round(pairs[i*len(s.pair)+j]), s.mask)
		}
		if s.single {
			out[i] = float64(sumLeaves[float32](s.forest, s.words, s.mask))
		} else {
			out[i] = sumLeaves[float64](s.forest, s.words, s.mask)
		}
	}
}

// sumLeaves adds up the leaves that masks leave. A word that has none is of a large tree.
func sumLeaves[F float32 | float64](f *Forest, words []word, masks []uint64) F {
	sum := F(f.bias[0])
	for i, w := range words {
		if at := bits.TrailingZeros64(masks[i]); at < len(w.leaves) {
			sum += F(f.trees[w.tree].leaves[w.leaves[at]])
		}
	}
	return sum
}
