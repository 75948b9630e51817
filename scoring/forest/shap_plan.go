package forest

// maxPath is how many features the splits of one path may have between them. It bounds the memory of an Explainer.
const maxPath = 256

// plan is what the explanation of a tree needs beside the row.
type plan struct {
	output  int
	splits  []split   // the inner ones, parents first, and then the twigs, whose children are both leaves
	inner   int       // how many are inner
	slots   int       // the splits, and the leaves of inner ones
	values  []float64 // of leaves: those of inner splits, in the order of their slots, then those of twigs
	weights []lanes   // of the points, by group
}

// split is one split of a plan.
type split struct {
	node  *node
	turns [3]turn // by way: the row goes left, right, or the feature is unknown
	above int32   // the nearest split above on the same feature; -1 where there is none
	side  uint8   // the way that leads from there to here
}

// The ways through a split; unknown is that of a row which would not have come here if the feature were known.
const (
	left = iota
	right
	unknown
)

// origin is where a node stands among those above it on the same feature.
type origin struct {
	above    int32 // the nearest one, -1 where there is none
	side     uint8 // the way that leads from there to here
	features int   // how many features the path has up to here, this node's included
}

// lineage finds the origin of every node, and the largest number of features on a path. Nodes stand depth first: the
// last one on a feature, if this node is not below it, is below none to come, and gives way to its own origin. The
// buffer last has -1 for each feature, before and after.
func (t *tree) lineage(last []int32) (origins []origin, longest int) {
	origins = make([]origin, len(t.nodes))
	for i := range t.nodes {
		n, o := &t.nodes[i], &origins[i]
		o.above = last[n.feature]
		for o.above >= 0 && t.nodes[o.above].last <= n.first {
			o.above = origins[o.above].above
		}
		if o.above < 0 {
			o.features++
		} else if t.nodes[o.above].middle <= n.first {
			o.side = right
		}
		last[n.feature] = int32(i)
		for _, child := range [...]int32{n.left, n.right} {
			if child >= 0 {
				origins[child].features = o.features
			}
		}
		longest = max(longest, o.features)
	}
	for i := range t.nodes {
		last[t.nodes[i].feature] = -1
	}
	return origins, longest
}

// noSplits is the buffer that lineage needs.
func (f *Forest) noSplits() []int32 {
	last := make([]int32, len(f.features))
	for i := range last {
		last[i] = -1
	}
	return last
}

// shares are the parts of n's cover that its left and its right child have. A cover of 0 is taken as one that
// vanishes, the same for each leaf, so that the parts are those of the leaves. (LightGBM divides by it, and explains with NaN.)
func (t *tree) shares(n *node) [2]float64 {
	if n.cover > 0 {
		_, _, toLeft := t.below(n.left)
		_, _, toRight := t.below(n.right)
		return [2]float64{toLeft / n.cover, toRight / n.cover}
	}
	leaves := float64(n.last - n.first)
	return [2]float64{float64(n.middle-n.first) / leaves, float64(n.last-n.middle) / leaves}
}

// expected is the mean of the leaves, weighted by their covers.
func (t *tree) expected() float64 {
	if len(t.nodes) == 0 {
		return t.leaves[0]
	}
	total := t.nodes[0].cover
	sum := 0.0
	for i, v := range t.leaves {
		if total > 0 {
			sum += t.cover[i] / total * v
		} else {
			sum += v / float64(len(t.leaves))
		}
	}
	return sum
}
