package forest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The bits of a split's decision type.
const (
	lgbCategorical  = 1 << 0
	lgbDefaultLeft  = 1 << 1 // where missing values go
	lgbMissingShift = 2      // from here two bits: what is missing
	lgbMissingZero  = 1      // zero and NaN
	lgbMissingNaN   = 2      // NaN; with neither, NaN is taken for zero
	lgbMaxDecision  = lgbCategorical | lgbDefaultLeft | lgbMissingNaN<<lgbMissingShift
)

// lgbTreeKeys are the keys of a tree. Those after is_linear belong to linear trees, which are refused.
var lgbTreeKeys = []string{
	"Tree", "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child",
	"right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight",
	"internal_count", "cat_boundaries", "cat_threshold", "shrinkage",
	"is_linear", "leaf_const", "num_features", "leaf_features", "leaf_coeff",
}

// parseLGBTree reads and verifies tree i, and counts its splits that gain something by feature.
func parseLGBTree(i int, text string, splits []int) (tree, error) {
	// A block is its lines and two blank ones; a size that is off by a byte shows here or in the next one.
	text, ok := strings.CutSuffix(text, "\n\n\n")
	if !ok || !strings.HasPrefix(text, fmt.Sprintf("Tree=%d\n", i)) {
		return tree{}, treeFault(i, "tree_sizes", "the tree is not where it should be: the file is cut short or was edited")
	}
	b, err := parseLGBBlock(i, text, lgbTreeKeys)
	if err != nil {
		return tree{}, err
	}
	if linear, ok := b.values["is_linear"]; ok && linear != "0" {
		return tree{}, b.fault("is_linear", "linear trees are not supported: train with linear_tree=false")
	}
	leaves, err := strconv.Atoi(b.values["num_leaves"])
	if err != nil || leaves < 1 || leaves > math.MaxInt32 {
		return tree{}, b.fault("num_leaves", "%q is no number of leaves", b.values["num_leaves"])
	}
	d := &draft{}
	if err := d.readLGBLeaves(b, leaves); err != nil {
		return tree{}, err
	}
	if err := d.readLGBSplits(b, leaves-1, splits); err != nil {
		return tree{}, err
	}
	t, err := d.finish(len(splits))
	if err != nil {
		return tree{}, b.fault("left_child, right_child", "%w", err) // all else is verified
	}
	return t, nil
}

func (d *draft) readLGBLeaves(b *lgbBlock, n int) (err error) {
	if d.leaves, err = parseLGBList(b, "leaf_value", n, parseDecimal); err != nil {
		return err
	}
	if n == 1 { // LightGBM before 4 gives a constant tree no count; any does
		d.cover = []float64{1}
		return nil
	}
	counts, err := parseLGBList(b, "leaf_count", n, within(0, math.MaxInt32))
	for _, c := range counts {
		d.cover = append(d.cover, float64(c))
	}
	return err
}

// lgbSplits are the arrays of a tree's n splits.
type lgbSplits struct {
	feature, decision, left, right []int32
	threshold, gain                []float64
}

func parseLGBSplits(b *lgbBlock, n, numFeatures int) (s lgbSplits, err error) {
	for _, array := range []struct {
		key       string
		dst       *[]int32
		low, high int
	}{
		{"split_feature", &s.feature, 0, numFeatures - 1},
		{"decision_type", &s.decision, 0, lgbMaxDecision},
		{"left_child", &s.left, -n - 1, n - 1},
		{"right_child", &s.right, -n - 1, n - 1},
	} {
		if *array.dst, err = parseLGBList(b, array.key, n, within(array.low, array.high)); err != nil {
			return s, err
		}
	}
	if s.threshold, err = parseLGBList(b, "threshold", n, parseThreshold); err != nil {
		return s, err
	}
	if s.gain, err = parseLGBList(b, "split_gain", n, parseAny); err != nil {
		return s, err
	}
	return s, checkLGBStatistics(b, n)
}

// checkLGBStatistics checks the arrays that no prediction needs, since a damaged file is not to be trusted
// anywhere. Old files lack some.
func checkLGBStatistics(b *lgbBlock, n int) error {
	for key, n := range map[string]int{"leaf_weight": n + 1, "internal_value": n, "internal_weight": n, "internal_count": n} {
		if _, ok := b.values[key]; !ok {
			continue
		}
		if _, err := parseLGBList(b, key, n, parseAny); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) readLGBSplits(b *lgbBlock, n int, splits []int) error {
	if n == 0 {
		return nil
	}
	s, err := parseLGBSplits(b, n, len(splits))
	if err != nil {
		return err
	}
	sets, err := parseLGBSets(b)
	if err != nil {
		return err
	}
	d.nodes = make([]node, n)
	for i := range d.nodes {
		if d.nodes[i], err = s.node(i, sets); err != nil {
			return b.fault("threshold", "value %d: %w", i, err)
		}
		if s.gain[i] > 0 {
			splits[s.feature[i]]++
		}
	}
	return nil
}

// node makes split i. A categorical one sends the set that its threshold numbers to the left, and all else,
// missing values too, to the right.
func (s *lgbSplits) node(i int, sets []set) (node, error) {
	n := node{feature: s.feature[i], left: s.left[i], right: s.right[i], threshold: s.threshold[i]}
	if s.decision[i]&lgbCategorical != 0 {
		at := int(max(-1, min(n.threshold, math.MaxInt32)))
		if at < 0 || at >= len(sets) || float64(at) != n.threshold {
			return node{}, fmt.Errorf("%v is none of %d sets of categories", n.threshold, len(sets))
		}
		n.categories = &sets[at]
		return n, nil
	}
	n.threshold = lgbThreshold(n.threshold)
	n.missingLeft = s.decision[i]&lgbDefaultLeft != 0
	switch s.decision[i] >> lgbMissingShift {
	case lgbMissingZero:
		n.zeroMissing = true
	case lgbMissingNaN:
	default:
		n.missingLeft = 0 <= n.threshold
	}
	return n, nil
}

// lgbThreshold moves a threshold that is nearly zero to where it decides alike for all values that are:
// before LightGBM descends the trees, it takes each value within ±zeroThreshold for 0.
func lgbThreshold(t float64) float64 {
	switch {
	case 0 <= t && t < zeroThreshold:
		return zeroThreshold
	case -zeroThreshold <= t && t < 0:
		return math.Nextafter(-zeroThreshold, math.Inf(-1))
	}
	return t
}

// parseLGBSets reads the sets of categories, a bit each: set i is the words from boundary i to the next one.
func parseLGBSets(b *lgbBlock) ([]set, error) {
	num, err := strconv.Atoi(b.values["num_cat"])
	if err != nil || num < 0 || num > math.MaxInt32 {
		return nil, b.fault("num_cat", "%q is no number of sets of categories", b.values["num_cat"])
	}
	if num == 0 {
		return nil, nil
	}
	bounds, err := parseLGBList(b, "cat_boundaries", num+1, within(0, math.MaxInt32))
	if err != nil {
		return nil, err
	}
	words, err := parseLGBList(b, "cat_threshold", int(bounds[num]), parseWord)
	if err != nil {
		return nil, err
	}
	sets := make([]set, num)
	for i := range sets {
		from, to := int(bounds[i]), int(bounds[i+1])
		if i == 0 && from != 0 || from > to || to > len(words) {
			return nil, b.fault("cat_boundaries", "set %d has words %d to %d", i, from, to)
		}
		if (to-from)*32 > maxCategory+1 {
			return nil, b.fault("cat_boundaries", "set %d has categories beyond %d: number them more densely", i, maxCategory)
		}
		sets[i] = lgbSet(words[from:to])
	}
	return sets, nil
}

// lgbSet joins words of 32 bits, the lowest first.
func lgbSet(words []uint32) set {
	s := make(set, (len(words)+1)/2)
	for i, w := range words {
		s[i/2] |= uint64(w) << (32 * (i % 2))
	}
	return s
}
