package forest

import (
	"cmp"
	"math"
	"slices"
)

// word is what a mask of up to 64 bits covers: leaves of one tree in ascending order, the lowest bit for the first.
// The words of a tree stand next to each other, and those of all trees in the order of the trees.
type word struct {
	tree   int32
	leaves []int32
}

// wordsOf divides the trees of f into words. A tree of more than 64 leaves takes several, each of which leaves its
// last bit free (see leafValues).
func wordsOf(f *Forest) []word {
	all := make([]int32, f.MaxLeaves())
	for i := range all {
		all[i] = int32(i)
	}
	var words []word
	for i := range f.trees {
		leaves := all[:len(f.trees[i].leaves)]
		if len(leaves) > 64 {
			for ; len(leaves) > 63; leaves = leaves[63:] {
				words = append(words, word{int32(i), leaves[:63]})
			}
		}
		if len(leaves) > 0 {
			words = append(words, word{int32(i), leaves})
		}
	}
	return words
}

// all is the mask of all leaves of the word.
func (w word) all() uint64 { return ^uint64(0) >> (64 - len(w.leaves)) }

// without is the mask of all leaves of the word but first up to last.
func (w word) without(first, last int32) uint64 {
	from, _ := slices.BinarySearch(w.leaves, first)
	to, _ := slices.BinarySearch(w.leaves, last)
	if from == to {
		return ^uint64(0)
	}
	return ^(^uint64(0) >> (64 - (to - from)) << from)
}

// cut is what one outcome of a node does to one word: it keeps some of its leaves.
type cut struct {
	threshold float64
	keep      uint64
	word      uint32
}

// cutGroup holds cuts that a single value of their feature decides: a value goes left where it is at most
// the threshold, once missing values are replaced as rule.ordered says. A categorical node is a group of its own.
type cutGroup struct {
	rule  *node
	right []cut // of nodes passed to the right, by ascending threshold
	left  []cut // of nodes passed to the left, by descending threshold
}

// apply clears, in the masks of all words, the leaves that x does not reach. It stops at the first threshold
// that does not matter, which is what makes QuickScorer quick (Lucchese et al., SIGIR 2015).
func (g *cutGroup) apply(x float64, masks []uint64) {
	v := g.rule.ordered(x)
	for i := range g.right {
		s := &g.right[i]
		if v <= s.threshold {
			break
		}
		masks[s.word] &= s.keep
	}
	for i := range g.left {
		s := &g.left[i]
		if !(v <= s.threshold) {
			break
		}
		masks[s.word] &= s.keep
	}
}

// ordered replaces x by a value that is at most any threshold where x goes left whatever the threshold, and by
// one that is at most none, NaN, where it goes right.
func (n *node) ordered(x float64) float64 {
	if n.categories == nil && x == x && !(n.zeroMissing && -zeroThreshold <= x && x <= zeroThreshold) {
		return x
	}
	if n.goesLeft(x) {
		return math.Inf(-1)
	}
	return math.NaN()
}

// cuts are the cuts of a forest, by feature.
type cuts struct {
	single   bool // values are rounded to float32
	features [][]cutGroup
	bytes    int64
}

// cutsOf prepares the cuts of f by the given features. Where a node is passed to the right, the leaves below its
// left child go, so that the exit leaf is the first that is left. Where masks are to be exact, which is to say that
// just the leaves that can be reached are left, the leaves below a right child go as well. So it is in any case in
// trees of several words: of all their words, only one may keep a leaf in the end.
func cutsOf(f *Forest, words []word, exact bool, features ...[]int32) *cuts {
	wanted := make([]bool, len(f.features))
	for _, feature := range slices.Concat(features...) {
		wanted[feature] = true
	}
	s := &cuts{single: f.numbers.singleInputs, features: make([][]cutGroup, len(f.features))}
	numerical := make(map[groupKey]int)
	for w := 0; w < len(words); {
		count := 1
		for w+count < len(words) && words[w+count].tree == words[w].tree {
			count++
		}
		t := &f.trees[words[w].tree]
		for i := range t.nodes {
			n := &t.nodes[i]
			if !wanted[n.feature] {
				continue
			}
			g := s.group(n, numerical)
			for j, word := range words[w : w+count] {
				g.right = appendCut(g.right, n, word.without(n.first, n.middle), w+j)
				if exact || count > 1 {
					g.left = appendCut(g.left, n, word.without(n.middle, n.last), w+j)
				}
			}
		}
		w += count
	}
	s.arrange()
	return s
}

func appendCut(to []cut, n *node, keep uint64, word int) []cut {
	if keep == ^uint64(0) {
		return to
	}
	threshold := n.threshold
	if n.categories != nil {
		threshold = 0 // any will do between what ordered gives
	}
	return append(to, cut{threshold, keep, uint32(word)})
}

// group is the group that n belongs to. numerical holds the places of those of numerical nodes.
func (s *cuts) group(n *node, numerical map[groupKey]int) *cutGroup {
	groups := &s.features[n.feature]
	key := groupKey{n.feature, n.zeroMissing, n.missingLeft}
	if at, ok := numerical[key]; ok && n.categories == nil {
		return &(*groups)[at]
	}
	if n.categories == nil {
		numerical[key] = len(*groups)
	}
	*groups = append(*groups, cutGroup{rule: n})
	return &(*groups)[len(*groups)-1]
}

// groupKey is what numerical nodes of one group have in common.
type groupKey struct {
	feature                  int32
	zeroMissing, missingLeft bool
}

// arrange puts the cuts of each group in order and counts their bytes.
func (s *cuts) arrange() {
	for _, groups := range s.features {
		for i := range groups {
			g := &groups[i]
			slices.SortFunc(g.right, func(a, b cut) int { return cmp.Compare(a.threshold, b.threshold) })
			slices.SortFunc(g.left, func(a, b cut) int { return cmp.Compare(b.threshold, a.threshold) })
			s.bytes += 56 + 24*int64(cap(g.right)+cap(g.left))
		}
	}
}

// round gives x the precision in which the trainer compares.
func (s *cuts) round(x float64) float64 {
	if s.single {
		return float64(float32(x))
	}
	return x
}

// apply clears the leaves that x, the rounded value of a feature, does not reach.
func (s *cuts) apply(feature int32, x float64, masks []uint64) {
	groups := s.features[feature]
	for i := range groups {
		groups[i].apply(x, masks)
	}
}

// fill sets the masks of all words to all leaves but those that row x does not reach by the given features.
func (s *cuts) fill(masks []uint64, features []int32, x []float64) {
	setAll(masks)
	for _, feature := range features {
		s.apply(feature, s.round(x[feature]), masks)
	}
}

// setAll sets masks to all leaves.
func setAll(masks []uint64) {
	for i := range masks {
		masks[i] = ^uint64(0)
	}
}
