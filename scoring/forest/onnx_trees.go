package forest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// onnxEnsemble is the attributes of a tree ensemble: nodes as parallel arrays, and weights, which belong to
// leaves.
type onnxEnsemble struct {
	prefix   string // of the weights' attributes: "class_" or "target_"
	width    int    // number of features
	float32s bool   // thresholds are to stay float32 values
	outputs  int    // ids of weights are below it

	treeIDs, nodeIDs, featureIDs []int64
	trueIDs, falseIDs            []int64
	missing                      []int64 // 1 where NaN follows the true branch
	modes                        []string
	values                       []float64

	weightTrees, weightNodes, weightIDs []int64
	weights                             []float64
}

// onnxNodeKey names a node as the file does.
type onnxNodeKey struct{ tree, node int64 }

// onnxWeight is what a leaf adds to an output.
type onnxWeight struct {
	output int64
	leaf   int32
	value  float64
}

// onnxIndex knows where the file's nodes are.
type onnxIndex struct {
	starts   []int // of each tree its first node; and the end
	position map[onnxNodeKey]int32
	child    []int32 // of each node what a parent's left or right says: see node
}

const onnxLeaf = "LEAF"

// trees reads all trees. What a leaf adds to several outputs becomes one tree for each of them.
// It also returns how many trees the file has.
func (e *onnxEnsemble) trees() ([]tree, int, error) {
	if err := e.checkLengths(); err != nil {
		return nil, 0, err
	}
	x, err := e.index()
	if err != nil {
		return nil, 0, err
	}
	weights, err := e.weightsByTree(x)
	if err != nil {
		return nil, 0, err
	}
	var trees []tree
	for i := range weights {
		if trees, err = e.appendTrees(trees, x, i, weights[i]); err != nil {
			return nil, 0, err
		}
	}
	return trees, len(weights), nil
}

// checkLengths compares the parallel arrays.
func (e *onnxEnsemble) checkLengths() error {
	n, m := len(e.treeIDs), len(e.weightTrees)
	for _, array := range []struct {
		field string
		got   int
		want  int
	}{
		{"nodes_nodeids", len(e.nodeIDs), n},
		{"nodes_featureids", len(e.featureIDs), n},
		{"nodes_modes", len(e.modes), n},
		{"nodes_values", len(e.values), n},
		{"nodes_truenodeids", len(e.trueIDs), n},
		{"nodes_falsenodeids", len(e.falseIDs), n},
		{"nodes_missing_value_tracks_true", len(e.missing), n},
		{e.prefix + "nodeids", len(e.weightNodes), m},
		{e.prefix + "ids", len(e.weightIDs), m},
		{e.prefix + "weights", len(e.weights), m},
	} {
		if array.got != array.want {
			return fault(array.field, "%d entries, where the tree ids have %d", array.got, array.want)
		}
	}
	if n == 0 || n > math.MaxInt32 {
		return fault("nodes_treeids", "%d nodes cannot be read", n)
	}
	return nil
}

// index finds the trees, whose nodes stand together, and numbers each tree's inner nodes and leaves.
func (e *onnxEnsemble) index() (*onnxIndex, error) {
	n := len(e.treeIDs)
	x := &onnxIndex{position: make(map[onnxNodeKey]int32, n), child: make([]int32, n)}
	seen := map[int64]bool{}
	inner, leaves := int32(0), int32(0)
	for i, tree := range e.treeIDs {
		if i == 0 || tree != e.treeIDs[i-1] {
			if seen[tree] {
				return nil, treeFault(len(x.starts), "nodes_treeids", "the nodes of tree id %d do not stand together", tree)
			}
			seen[tree] = true
			x.starts = append(x.starts, i)
			inner, leaves = 0, 0
		}
		key := onnxNodeKey{tree, e.nodeIDs[i]}
		if _, twice := x.position[key]; twice {
			return nil, treeFault(len(x.starts)-1, "nodes_nodeids", "node id %d is there twice", key.node)
		}
		x.position[key] = int32(i)
		if e.modes[i] == onnxLeaf {
			x.child[i] = ^leaves
			leaves++
		} else {
			x.child[i] = inner
			inner++
		}
	}
	if len(x.starts) > maxTrees {
		return nil, fault("nodes_treeids", "%d trees are more than %d", len(x.starts), maxTrees)
	}
	x.starts = append(x.starts, n)
	return x, nil
}

// weightsByTree gives each weight to its leaf.
func (e *onnxEnsemble) weightsByTree(x *onnxIndex) ([][]onnxWeight, error) {
	byTree := make([][]onnxWeight, len(x.starts)-1)
	for j, value := range e.weights {
		key := onnxNodeKey{e.weightTrees[j], e.weightNodes[j]}
		at, ok := x.position[key]
		if !ok || x.child[at] >= 0 {
			return nil, fault(e.prefix+"nodeids", "weight %d is of node %d of tree id %d, which is no leaf", j, key.node, key.tree)
		}
		i, exact := slices.BinarySearch(x.starts, int(at))
		if !exact {
			i--
		}
		if id := e.weightIDs[j]; id < 0 || id >= int64(e.outputs) {
			return nil, treeFault(i, e.prefix+"ids", "weight %d is of output %d, there are %d", j, id, e.outputs)
		}
		byTree[i] = append(byTree[i], onnxWeight{e.weightIDs[j], ^x.child[at], value})
	}
	return byTree, nil
}

// appendTrees reads tree i of the file, with its weights.
func (e *onnxEnsemble) appendTrees(trees []tree, x *onnxIndex, i int, weights []onnxWeight) ([]tree, error) {
	d := draft{}
	leaves := 0
	for at := x.starts[i]; at < x.starts[i+1]; at++ {
		if x.child[at] < 0 {
			leaves++
			continue
		}
		n, err := e.node(x, i, at)
		if err != nil {
			return nil, err
		}
		d.nodes = append(d.nodes, n)
	}
	slices.SortFunc(weights, func(a, b onnxWeight) int {
		return cmp.Or(cmp.Compare(a.output, b.output), cmp.Compare(a.leaf, b.leaf))
	})
	if len(weights) == 0 || leaves == 0 || len(weights)%leaves != 0 {
		return nil, treeFault(i, e.prefix+"weights", "%d weights do not fit %d leaves", len(weights), leaves)
	}
	for ; len(weights) > 0; weights = weights[leaves:] {
		t, err := d.withWeights(weights[:leaves], e.width)
		if err != nil {
			return nil, treeFault(i, "", "%w", err)
		}
		trees = append(trees, t)
	}
	if len(trees) > maxTrees {
		return nil, fault("nodes_treeids", "these are more than %d trees, of all outputs together", maxTrees)
	}
	return trees, nil
}

// withWeights finishes the draft with one weight for each leaf, all of one output.
func (d *draft) withWeights(weights []onnxWeight, numFeatures int) (tree, error) {
	d.output = int(weights[0].output)
	d.leaves = make([]float64, len(weights))
	for leaf, w := range weights {
		if int(w.leaf) != leaf || int(w.output) != d.output {
			return tree{}, fmt.Errorf("output %d needs one weight of each of the %d leaves", d.output, len(weights))
		}
		d.leaves[leaf] = w.value
	}
	return d.finish(numFeatures)
}

// node reads the inner node at a position, of tree i. A row goes the true branch when its value compares with
// the threshold as the mode says; for LT and GTE that is turned round to ≤ with the number before it.
func (e *onnxEnsemble) node(x *onnxIndex, i, at int) (node, error) {
	feature, threshold := e.featureIDs[at], e.values[at]
	if feature < 0 || feature >= int64(e.width) {
		return node{}, treeFault(i, "nodes_featureids", "feature %d is none of %d", feature, e.width)
	}
	whenTrue, err := e.childOf(x, i, at, "nodes_truenodeids", e.trueIDs[at])
	if err != nil {
		return node{}, err
	}
	whenFalse, err := e.childOf(x, i, at, "nodes_falsenodeids", e.falseIDs[at])
	if err != nil {
		return node{}, err
	}
	n := node{threshold: threshold, feature: int32(feature), left: whenTrue, right: whenFalse}
	n.missingLeft = e.missing[at] != 0
	switch mode := e.modes[at]; mode {
	case "BRANCH_LEQ", "BRANCH_GT":
	case "BRANCH_LT", "BRANCH_GTE":
		if math.IsInf(threshold, -1) {
			return node{}, treeFault(i, "nodes_values", "no value is below the threshold -Inf")
		}
		n.threshold = e.before(threshold)
	default:
		return node{}, treeFault(i, "nodes_modes", "the mode %q is not supported", mode)
	}
	if e.modes[at] == "BRANCH_GT" || e.modes[at] == "BRANCH_GTE" {
		n.left, n.right, n.missingLeft = n.right, n.left, !n.missingLeft
	}
	return n, nil
}

// before is the largest number below v, in the precision of the comparison.
func (e *onnxEnsemble) before(v float64) float64 {
	if e.float32s {
		return float64(math.Nextafter32(float32(v), float32(math.Inf(-1))))
	}
	return math.Nextafter(v, math.Inf(-1))
}

// childOf finds the child of the node at a position; it is in the same tree.
func (e *onnxEnsemble) childOf(x *onnxIndex, i, at int, field string, id int64) (int32, error) {
	child, ok := x.position[onnxNodeKey{e.treeIDs[at], id}]
	if !ok {
		return 0, treeFault(i, field, "node %d has the child %d, which does not exist", e.nodeIDs[at], id)
	}
	return x.child[child], nil
}
