package forest

import (
	"fmt"
	"math"
)

// A tree of an XGBoost model is a set of arrays with an element a node. A leaf has no left child (-1), and its
// value stands among the split conditions. The right child follows the left one. Nodes that pruning took
// out stay behind, marked by a feature number that none has.

const (
	deletedFeature = math.MaxInt32
	maxTreeNodes   = 1 << 26
	// maxSetWords bounds the memory of all sets of categories of a model: 128 MB.
	maxSetWords = 1 << 24
)

// xgboostNodes are the arrays of one tree.
type xgboostNodes struct {
	left, right, feature, condition, defaultLeft, hessian []float64

	sets []*set // by node, of categorical ones; nil where none of the tree is
}

// xgboostTrees reads the trees of a model.
type xgboostTrees struct {
	features int
	setWords int // that sets of categories may yet take
}

// draft reads tree number i and multiplies its leaves by weight.
func (r *xgboostTrees) draft(i int, o object, weight float32) (*draft, error) {
	if err := checkXGBoostTree(i, o); err != nil {
		return nil, err
	}
	n, err := r.nodes(o)
	if err != nil {
		return nil, err
	}
	places := n.places()
	if places[0] == deletedFeature {
		return nil, o.fault("split_indices", "the root is deleted")
	}
	d := &draft{cover: []float64{}}
	for at, place := range places {
		switch {
		case place == deletedFeature:
		case place < 0:
			err = n.addLeaf(d, at, weight)
		default:
			err = n.addNode(d, at, places, r.features)
		}
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

// checkXGBoostTree looks at what is said of the tree as a whole.
func checkXGBoostTree(i int, o object) error {
	param, err := o.object("tree_param")
	if err != nil {
		return err
	}
	if param.has("size_leaf_vector") {
		size, err := param.count("size_leaf_vector", math.MaxInt32)
		if err != nil {
			return err
		}
		if size > 1 {
			return param.fault("size_leaf_vector", "leaves of %d values are not supported: train with multi_strategy=one_output_per_tree", size)
		}
	}
	if o.has("id") {
		if id, err := o.count("id", maxTrees); err != nil || id != i {
			return o.fault("id", "the trees are not in order")
		}
	}
	return nil
}

// nodes reads a tree's arrays, which are all of the same length.
func (r *xgboostTrees) nodes(o object) (*xgboostNodes, error) {
	param, err := o.object("tree_param")
	if err != nil {
		return nil, err
	}
	count, err := param.count("num_nodes", maxTreeNodes)
	if err != nil {
		return nil, err
	}
	if count == 0 {
		return nil, param.fault("num_nodes", "a tree has a root at least")
	}
	n := &xgboostNodes{}
	for _, array := range []struct {
		key string
		dst *[]float64
	}{
		{"left_children", &n.left}, {"right_children", &n.right}, {"split_indices", &n.feature},
		{"split_conditions", &n.condition}, {"default_left", &n.defaultLeft}, {"sum_hessian", &n.hessian},
	} {
		if *array.dst, err = o.numbers(array.key); err != nil {
			return nil, err
		}
		if len(*array.dst) != count {
			return nil, o.fault(array.key, "%d elements for %d nodes", len(*array.dst), count)
		}
	}
	n.sets, err = r.sets(o, count)
	return n, err
}

// places numbers the nodes for the draft: inner nodes from 0, leaves from ^0, in their order. Deleted nodes
// have deletedFeature there.
func (n *xgboostNodes) places() []int32 {
	places := make([]int32, len(n.left))
	nodes, leaves := int32(0), int32(0)
	for i := range places {
		switch {
		case n.feature[i] == deletedFeature && n.defaultLeft[i] != 0:
			places[i] = deletedFeature
		case n.left[i] == -1:
			places[i] = ^leaves
			leaves++
		default:
			places[i] = nodes
			nodes++
		}
	}
	return places
}

func (n *xgboostNodes) addLeaf(d *draft, i int, weight float32) error {
	value := float64(float32(n.condition[i]) * weight)
	switch {
	case n.right[i] != -1:
		return fault("right_children", "node %d has a right child, but no left one", i)
	case !isFinite(value):
		return fault("split_conditions", "leaf %d is %v", i, value)
	case !(n.hessian[i] >= 0 && isFinite(n.hessian[i])):
		return fault("sum_hessian", "%v of leaf %d is no cover", n.hessian[i], i)
	}
	d.leaves = append(d.leaves, value)
	d.cover = append(d.cover, n.hessian[i])
	return nil
}

func (n *xgboostNodes) addNode(d *draft, i int, places []int32, features int) error {
	left, err := n.child(n.left[i], places)
	if err != nil {
		return fault("left_children", "node %d: %w", i, err)
	}
	if n.right[i] != n.left[i]+1 {
		return fault("right_children", "node %d: the right child %v does not follow the left one, %v", i, n.right[i], n.left[i])
	}
	right, err := n.child(n.right[i], places)
	if err != nil {
		return fault("right_children", "node %d: %w", i, err)
	}
	feature := n.feature[i]
	if !(feature >= 0 && feature < float64(features) && feature == math.Trunc(feature)) {
		return fault("split_indices", "node %d: feature %v is none of %d", i, feature, features)
	}
	d.nodes = append(d.nodes, node{
		feature: int32(feature), left: left, right: right, missingLeft: n.defaultLeft[i] != 0,
	})
	return n.split(&d.nodes[len(d.nodes)-1], i)
}

// split sets which values go left. Of a numerical split those below the threshold do, all numbers being
// float32, so those up to the next smaller float32. Of a categorical one those in the set go right.
func (n *xgboostNodes) split(dst *node, i int) error {
	condition := float32(n.condition[i])
	switch {
	case len(n.sets) > 0 && n.sets[i] != nil: // the condition means nothing then
		dst.categories, dst.setRight = n.sets[i], true
	case condition != condition:
		return fault("split_conditions", "node %d: the threshold is NaN", i)
	case math.IsInf(float64(condition), -1):
		dst.categories = &set{0} // the empty set: nothing is below, not even -Inf itself
	default:
		dst.threshold = float64(math.Nextafter32(condition, float32(math.Inf(-1))))
	}
	return nil
}

// child returns the place of node number at.
func (n *xgboostNodes) child(at float64, places []int32) (int32, error) {
	if !(at >= 1 && at < float64(len(places)) && at == math.Trunc(at)) {
		return 0, fmt.Errorf("child %v does not exist", at)
	}
	place := places[int(at)]
	if place == deletedFeature {
		return 0, fmt.Errorf("child %v is deleted", at)
	}
	return place, nil
}

// sets returns the sets of categories by node, nil where the tree has none. A node k that is listed
// in categories_nodes has the next categories_sizes[k] of the categories.
func (r *xgboostTrees) sets(o object, nodes int) ([]*set, error) {
	if !o.has("split_type") { // before 1.3
		return nil, nil
	}
	c, err := readXGBoostCategories(o)
	if err != nil {
		return nil, err
	}
	if len(c.kinds) != nodes {
		return nil, o.fault("split_type", "%d elements for %d nodes", len(c.kinds), nodes)
	}
	var sets []*set
	if len(c.nodes) > 0 {
		sets = make([]*set, nodes)
	}
	next, last := 0, -1
	for k, at := range c.nodes {
		if !(at > float64(last) && at < float64(nodes) && at == math.Trunc(at)) {
			return nil, o.fault("categories_nodes", "node %v does not exist, or is not in order", at)
		}
		last = int(at)
		if c.starts[k] != float64(next) {
			return nil, o.fault("categories_segments", "node %d starts at %v, not at %d", last, c.starts[k], next)
		}
		if size := c.sizes[k]; !(size >= 1 && size <= float64(len(c.all)-next) && size == math.Trunc(size)) {
			return nil, o.fault("categories_sizes", "node %d has %v categories", last, size)
		}
		end := next + int(c.sizes[k])
		if sets[last], err = r.set(c.all[next:end]); err != nil {
			return nil, o.fault("categories", "node %d: %w", last, err)
		}
		next = end
	}
	return sets, c.checkKinds(sets)
}

// xgboostCategories are the arrays of a tree's categorical splits.
type xgboostCategories struct {
	kinds                []float64 // by node: 1 of a categorical one, else 0
	nodes, starts, sizes []float64 // by categorical node
	all                  []float64
}

func readXGBoostCategories(o object) (c xgboostCategories, err error) {
	for _, array := range []struct {
		key string
		dst *[]float64
	}{
		{"split_type", &c.kinds}, {"categories_nodes", &c.nodes}, {"categories_segments", &c.starts},
		{"categories_sizes", &c.sizes}, {"categories", &c.all},
	} {
		if *array.dst, err = o.numbers(array.key); err != nil {
			return c, err
		}
	}
	if len(c.starts) != len(c.nodes) {
		return c, o.fault("categories_segments", "%d elements for %d nodes", len(c.starts), len(c.nodes))
	}
	if len(c.sizes) != len(c.nodes) {
		return c, o.fault("categories_sizes", "%d elements for %d nodes", len(c.sizes), len(c.nodes))
	}
	return c, nil
}

// checkKinds compares what kind of split each node is said to be with whether it has categories.
func (c *xgboostCategories) checkKinds(sets []*set) error {
	for i, kind := range c.kinds {
		has := len(sets) > 0 && sets[i] != nil
		if !(kind == 0 && !has || kind == 1 && has) {
			return fault("split_type", "node %d is of kind %v, and categories are given: %t", i, kind, has)
		}
	}
	return nil
}

// set makes a set of categories.
func (r *xgboostTrees) set(categories []float64) (*set, error) {
	largest := 0.0
	for _, c := range categories {
		if !(c >= 0 && c <= maxCategory && c == math.Trunc(c)) {
			return nil, fmt.Errorf("%v is no category", c)
		}
		largest = max(largest, c)
	}
	words := int(largest)/64 + 1
	if r.setWords -= words; r.setWords < 0 {
		return nil, fmt.Errorf("the sets of categories of all trees take more than %d MB", maxSetWords*8>>20)
	}
	s := make(set, words)
	for _, c := range categories {
		s[int(c)/64] |= 1 << (int(c) % 64)
	}
	return &s, nil
}
