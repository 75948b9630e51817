package forest

import (
	"errors"
	"fmt"
	"math"
)

// tree is one decision tree. Its root is nodes[0], or leaves[0] where there are no nodes.
type tree struct {
	output int32
	nodes  []node    // parents before their children
	leaves []float64 // values, from left to right
	// cover is how much training data reached each leaf: LightGBM's counts, XGBoost's sums of hessians. It
	// is nil where the file does not say; then the tree cannot be explained.
	cover []float64
}

// node is an inner node. A child c ≥ 0 is nodes[c], a negative one is leaves[^c].
type node struct {
	threshold   float64 // a value ≤ threshold goes left
	categories  *set    // of a categorical split: a value in the set goes left; nil for a numerical one
	feature     int32   // index
	left, right int32   //
	missingLeft bool    // where NaN goes, and what else is missing
	zeroMissing bool    // values within ±zeroThreshold are missing too
	setRight    bool    // a value in the set goes right, not left
	first       int32   // the leaves below are first up to last,
	middle      int32   // those below the left child first up to middle
	last        int32   //
	cover       float64 // of the leaves below
}

// zeroThreshold is up to where LightGBM takes a value for zero: 1e-35 as a float32.
const zeroThreshold = float64(float32(1e-35))

// goesLeft decides for the value x.
func (n *node) goesLeft(x float64) bool {
	if x != x || n.zeroMissing && -zeroThreshold <= x && x <= zeroThreshold {
		return n.missingLeft
	}
	if n.categories == nil {
		return x <= n.threshold
	}
	if n.setRight { // XGBoost's, where -0.5 is no category; elsewhere it is category 0
		return x < 0 || !n.categories.contains(x)
	}
	return n.categories.contains(x)
}

// leaf returns the leaf that row x falls into.
func (t *tree) leaf(x []float64, single bool) int32 {
	if len(t.nodes) == 0 {
		return 0
	}
	at := int32(0)
	for at >= 0 {
		n := &t.nodes[at]
		v := x[n.feature]
		if single {
			v = float64(float32(v))
		}
		if n.goesLeft(v) {
			at = n.left
		} else {
			at = n.right
		}
	}
	return ^at
}

// set is a set of categories, a bit each.
type set []uint64

// maxCategory is the largest category that a set may hold.
const maxCategory = 1<<24 - 1

// contains reports whether x, without its fraction, is in the set.
func (s set) contains(x float64) bool {
	if !(x > -1 && x < float64(len(s)*64)) {
		return false
	}
	c := uint(int(x))
	return s[c/64]&(1<<(c%64)) != 0
}

// draft is a tree as a reader found it: nodes and leaves in any order, root first, with children that may point
// anywhere. Of a node the fields first, middle, last and cover are not set yet.
type draft struct {
	output int
	nodes  []node
	leaves []float64
	cover  []float64 // by leaf, or nil
}

// finish verifies the draft: every index in range, every node and every leaf reached once, every leaf a finite
// number. It returns the tree with its parts in order. The reader vouches for categories and for output.
func (d *draft) finish(numFeatures int) (tree, error) {
	switch {
	case len(d.leaves) == 0:
		return tree{}, errors.New("there are no leaves")
	case len(d.leaves) != len(d.nodes)+1:
		return tree{}, fmt.Errorf("%d inner nodes need %d leaves, there are %d", len(d.nodes), len(d.nodes)+1, len(d.leaves))
	case d.cover != nil && len(d.cover) != len(d.leaves):
		return tree{}, fmt.Errorf("%d leaves have %d covers", len(d.leaves), len(d.cover))
	}
	for i, v := range d.leaves {
		if !isFinite(v) {
			return tree{}, fmt.Errorf("leaf %d is %v", i, v)
		}
	}
	for i, c := range d.cover {
		if !isFinite(c) || c < 0 {
			return tree{}, fmt.Errorf("the cover of leaf %d is %v", i, c)
		}
	}
	for i := range d.nodes {
		if err := d.checkNode(&d.nodes[i], numFeatures); err != nil {
			return tree{}, fmt.Errorf("node %d: %w", i, err)
		}
	}
	t := tree{output: int32(d.output), nodes: make([]node, 0, len(d.nodes)), leaves: make([]float64, 0, len(d.leaves))}
	if d.cover != nil {
		t.cover = make([]float64, 0, len(d.cover))
	}
	if err := d.arrange(&t); err != nil {
		return tree{}, err
	}
	t.measure()
	return t, nil
}

func (d *draft) checkNode(n *node, numFeatures int) error {
	if n.feature < 0 || int(n.feature) >= numFeatures {
		return fmt.Errorf("feature %d is none of %d", n.feature, numFeatures)
	}
	if n.categories == nil && math.IsNaN(n.threshold) {
		return errors.New("the threshold is NaN")
	}
	for _, child := range [...]int32{n.left, n.right} {
		if child >= int32(len(d.nodes)) || child < 0 && ^child >= int32(len(d.leaves)) {
			return fmt.Errorf("child %d does not exist", child)
		}
	}
	return nil
}

// arrange copies what the root reaches into t, depth first and left before right, so that parents come before
// children and leaves stand from left to right. What is reached twice is a cycle or a shared branch.
func (d *draft) arrange(t *tree) error {
	if len(d.nodes) == 0 {
		t.leaves, t.cover = append(t.leaves, d.leaves...), append(t.cover, d.cover...)
		return nil
	}
	type visit struct {
		child  int32 // in the draft
		parent int32 // in t, -1 for the root
		right  bool  // which child of the parent
	}
	seenNode, seenLeaf := make([]bool, len(d.nodes)), make([]bool, len(d.leaves))
	for todo := []visit{{child: 0, parent: -1}}; len(todo) > 0; {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		var at int32
		if v.child < 0 {
			leaf := ^v.child
			if seenLeaf[leaf] {
				return fmt.Errorf("leaf %d is reached twice", leaf)
			}
			seenLeaf[leaf] = true
			at = ^int32(len(t.leaves))
			t.leaves = append(t.leaves, d.leaves[leaf])
			if d.cover != nil {
				t.cover = append(t.cover, d.cover[leaf])
			}
		} else {
			if seenNode[v.child] {
				return fmt.Errorf("node %d is reached twice: the tree has a cycle or a shared branch", v.child)
			}
			seenNode[v.child] = true
			at = int32(len(t.nodes))
			n := d.nodes[v.child]
			t.nodes = append(t.nodes, n)
			todo = append(todo, visit{n.right, at, true}, visit{n.left, at, false})
		}
		switch {
		case v.parent < 0:
		case v.right:
			t.nodes[v.parent].right = at
		default:
			t.nodes[v.parent].left = at
		}
	}
	if len(t.leaves) != len(d.leaves) {
		return fmt.Errorf("only %d of %d leaves are reached", len(t.leaves), len(d.leaves))
	}
	return nil
}

// measure sets each node's leaves and cover. Children come after their parents, so it goes backwards.
func (t *tree) measure() {
	for i := len(t.nodes) - 1; i >= 0; i-- {
		n := &t.nodes[i]
		leftFirst, leftLast, leftCover := t.below(n.left)
		_, rightLast, rightCover := t.below(n.right)
		n.first, n.middle, n.last = leftFirst, leftLast, rightLast
		n.cover = leftCover + rightCover
	}
}

// below returns the leaves below a child, first up to last, and their cover.
func (t *tree) below(child int32) (first, last int32, cover float64) {
	if child >= 0 {
		n := &t.nodes[child]
		return n.first, n.last, n.cover
	}
	leaf := ^child
	if t.cover != nil {
		cover = t.cover[leaf]
	}
	return leaf, leaf + 1, cover
}

// isFinite is false for NaN and the infinities, whose difference from themselves is NaN.
func isFinite(v float64) bool { return v-v == 0 }
