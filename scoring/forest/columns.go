package forest

import "slices"

// column is a part of a tree for which there are few classes of items. Items are of one class if their own features
// leave the same leaves of the part. Class 0 is that of items that never get there.
type column struct {
	word
	classes []uint64 // by class, the leaves that are left
}

// Limits of a column.
const (
	maxClasses = 256 // so that a byte holds a class
	// Above a node that items do not decide, there is a class for each pair of classes below. From here on, the
	// two sides are better off in different columns: fewer classes to look at for a request weigh more than
	// another look-up for a candidate. Anything from 64 to 192 is about as good.
	maxProduct = 96
)

// columnsOf divides the trees of f into columns, given what features are the items' own.
func columnsOf(f *Forest, itemFeatures []int32) []column {
	isItem := make([]bool, len(f.features))
	for _, feature := range itemFeatures {
		isItem[feature] = true
	}
	var columns []column
	for i := range f.trees {
		p := partition{tree: &f.trees[i], number: int32(i), isItem: isItem}
		columns = p.divide(columns)
	}
	return columns
}

// partition divides one tree into columns.
type partition struct {
	tree   *tree
	number int32
	isItem []bool // by feature
	parts  []part // by node
}

// part is what is below a node, without what has a column of its own.
type part struct {
	classes, leaves int32
	carved          bool // has a column of its own
}

// divide appends the columns of the tree. It goes up from the leaves and carves out what has become too much.
func (p *partition) divide(columns []column) []column {
	nodes := p.tree.nodes
	if len(nodes) == 0 {
		return append(columns, p.column(^0))
	}
	p.parts = make([]part, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- { // children come after their parents
		n := &nodes[i]
		if p.join(n).classes > p.limit(n) {
			if larger := p.larger(n, func(q part) int32 { return q.classes }); p.below(larger).classes > 1 {
				columns = p.carve(columns, larger)
			}
		}
		if p.join(n).leaves > 64 {
			columns = p.carve(columns, p.larger(n, func(q part) int32 { return q.leaves }))
		}
		p.parts[i] = p.join(n)
	}
	return append(columns, p.column(0))
}

// carve gives the part of a child, which is a node, a column of its own.
func (p *partition) carve(columns []column, child int32) []column {
	columns = append(columns, p.column(child))
	p.parts[child].carved = true
	return columns
}

// below is the part of a child as its parent sees it.
func (p *partition) below(child int32) part {
	switch {
	case child < 0:
		return part{classes: 1, leaves: 1}
	case p.parts[child].carved:
		return part{classes: 1}
	}
	return p.parts[child]
}

// join is the part of a node: items go to one side, or there is something to say of both.
func (p *partition) join(n *node) part {
	l, r := p.below(n.left), p.below(n.right)
	if p.isItem[n.feature] {
		return part{classes: l.classes + r.classes, leaves: l.leaves + r.leaves}
	}
	return part{classes: l.classes * r.classes, leaves: l.leaves + r.leaves}
}

// larger is the child of n that has more of what size gives.
func (p *partition) larger(n *node, size func(part) int32) int32 {
	if size(p.below(n.right)) > size(p.below(n.left)) {
		return n.right
	}
	return n.left
}

func (p *partition) limit(n *node) int32 {
	if p.isItem[n.feature] {
		return maxClasses - 1
	}
	return maxProduct
}

// column is the column whose topmost part is that of child.
func (p *partition) column(child int32) column {
	c := column{word: word{tree: p.number}}
	c.leaves = p.appendLeaves(nil, child)
	c.classes = append([]uint64{0}, p.masks(child, c.leaves)...)
	return c
}

// appendLeaves appends the leaves of the part of child.
func (p *partition) appendLeaves(to []int32, child int32) []int32 {
	if child < 0 {
		return append(to, ^child)
	}
	n := &p.tree.nodes[child]
	for _, c := range [...]int32{n.left, n.right} {
		if p.below(c).leaves > 0 {
			to = p.appendLeaves(to, c)
		}
	}
	return to
}

// masks are what the classes of the part of child leave of leaves.
func (p *partition) masks(child int32, leaves []int32) []uint64 {
	if child < 0 {
		bit, _ := slices.BinarySearch(leaves, ^child)
		return []uint64{1 << bit}
	}
	n := &p.tree.nodes[child]
	sides := [2][]uint64{{0}, {0}}
	for i, c := range [...]int32{n.left, n.right} {
		if p.below(c).leaves > 0 {
			sides[i] = p.masks(c, leaves)
		}
	}
	if p.isItem[n.feature] {
		return append(sides[0], sides[1]...)
	}
	both := make([]uint64, 0, len(sides[0])*len(sides[1]))
	for _, l := range sides[0] {
		for _, r := range sides[1] {
			both = append(both, l|r)
		}
	}
	return both
}
