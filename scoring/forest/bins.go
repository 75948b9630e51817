package forest

import (
	"math"
	"slices"
)

// bins divides the values of one feature into those that no node of the forest tells apart. Bin 0 is NaN; bin i
// holds the values above bounds[i-2] up to and with bounds[i-1]; the last bin those above all bounds.
type bins struct {
	bounds []float64
}

// binsOf finds the bins of each feature that is asked for.
func binsOf(f *Forest, features []int32) []bins {
	all := make([]bins, len(features))
	place := make(map[int32]*bins, len(features))
	for i, feature := range features {
		place[feature] = &all[i]
	}
	for i := range f.trees {
		for j := range f.trees[i].nodes {
			n := &f.trees[i].nodes[j]
			if b := place[n.feature]; b != nil {
				b.bounds = n.appendBounds(b.bounds)
			}
		}
	}
	for i := range all {
		slices.Sort(all[i].bounds)
		all[i].bounds = slices.Compact(all[i].bounds)
	}
	return all
}

// appendBounds appends the values up to which, and above which, the node's decision may differ.
func (n *node) appendBounds(to []float64) []float64 {
	if n.zeroMissing {
		to = append(to, math.Nextafter(-zeroThreshold, -1), zeroThreshold)
	}
	if n.categories == nil {
		return append(to, n.threshold)
	}
	if n.setRight { // tells values below zero from category 0
		to = append(to, -math.SmallestNonzeroFloat64)
	}
	in := false
	for c := range len(*n.categories)*64 + 1 {
		if now := n.categories.contains(float64(c)); now != in {
			to, in = append(to, belowCategory(c)), now
		}
	}
	return to
}

// belowCategory is the largest value that comes before category c: fractions count for the category before, and
// those below zero for category 0.
func belowCategory(c int) float64 {
	if c == 0 {
		return -1
	}
	return math.Nextafter(float64(c), 0)
}

// len is the number of bins.
func (b *bins) len() int { return len(b.bounds) + 2 }

// of is the bin of x.
func (b *bins) of(x float64) int {
	if x != x {
		return 0
	}
	low, count := 0, len(b.bounds)
	for count > 0 {
		half := count / 2
		if b.bounds[low+half] < x {
			low, count = low+half+1, count-half-1
		} else {
			count = half
		}
	}
	return 1 + low
}

// value is one of the values in a bin.
func (b *bins) value(bin int) float64 {
	switch {
	case bin == 0:
		return math.NaN()
	case bin <= len(b.bounds):
		return b.bounds[bin-1]
	}
	return math.Inf(1)
}
