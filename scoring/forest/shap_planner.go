package forest

// NewExplainer prepares explanations, for one goroutine at a time. The error is that of Explainable.
func (f *Forest) NewExplainer() (*Explainer, error) {
	if err := f.Explainable(); err != nil {
		return nil, err
	}
	b := planner{
		Explainer: &Explainer{forest: f, base: make([]float64, f.outputs*(len(f.features)+1))},
		last:      f.noSplits(),
		rules:     make(map[int]*rule),
	}
	for output, v := range f.bias {
		*b.expectation(output) = v / f.divisor
	}
	for i := range f.trees {
		t := &f.trees[i]
		*b.expectation(int(t.output)) += t.expected() / f.divisor
		if len(t.nodes) > 0 {
			b.add(t)
		}
	}
	b.makeBuffers()
	return b.Explainer, nil
}

// planner makes an Explainer.
type planner struct {
	*Explainer
	last  []int32       // for lineage
	rules map[int]*rule // by number of groups
}

// rule is a quadrature in groups of lanes, with the curves that all trees share.
type rule struct {
	points, weights  []lanes
	ordinary, absent int32 // curves: of a feature that the path meets first, and of an unknown one
}

// expectation is where the expected value of an output stands.
func (b *planner) expectation(output int) *float64 {
	return &b.base[(output+1)*(len(b.forest.features)+1)-1]
}

// add plans a tree.
func (b *planner) add(t *tree) {
	origins, longest := t.lineage(b.last)
	r := b.rule(longest)
	l := newLayout(t)
	p := plan{
		output:  int(t.output),
		splits:  make([]split, len(t.nodes)),
		inner:   l.inner,
		slots:   l.slots,
		values:  make([]float64, len(t.leaves)),
		weights: r.weights,
	}
	for leaf, v := range t.leaves {
		p.values[l.values[leaf]] = v / b.forest.divisor
	}
	met := make([]float64, len(t.nodes)) // z in the documentation of Explainer
	for i := range t.nodes {
		n, o := &t.nodes[i], &origins[i]
		above, known := int32(-1), r.ordinary
		met[i] = 1
		if o.above >= 0 {
			above = l.splits[o.above]
			met[i] = met[o.above] * t.shares(&t.nodes[o.above])[o.side]
			known = b.repeated(r, met[i])
		}
		shares := t.shares(n)
		toLeft, toRight := l.child(n, n.left), l.child(n, n.right)
		p.splits[l.splits[i]] = split{node: n, above: above, side: o.side, turns: [3]turn{
			left:    {toLeft, toRight, known, n.feature, met[i] * shares[right]},
			right:   {toRight, toLeft, known, n.feature, met[i] * shares[left]},
			unknown: {toLeft, toRight, r.absent, n.feature, shares[right]},
		}}
	}
	b.plans = append(b.plans, p)
}

// rule returns the quadrature for paths with up to that many features. The integrand has a factor for each feature
// but one, so n points do for 2n features.
func (b *planner) rule(features int) *rule {
	const width = len(lanes{})
	groups := (features + 2*width - 1) / (2 * width)
	if r := b.rules[groups]; r != nil {
		return r
	}
	q := newQuadrature(groups * width)
	r := &rule{points: make([]lanes, groups), weights: make([]lanes, groups)}
	for i := range q.points {
		r.points[i/width][i%width], r.weights[i/width][i%width] = q.points[i], q.weights[i]
	}
	r.ordinary = b.draw(r, func(t float64) (stray, gain float64) { return 1 - t, 1 })
	r.absent = b.draw(r, func(float64) (stray, gain float64) { return 1, 0 })
	b.rules[groups] = r
	return r
}

// repeated draws the curve of a feature that the path has met before, with the product z of the shares.
func (b *planner) repeated(r *rule, z float64) int32 {
	return b.draw(r, func(t float64) (stray, gain float64) {
		p := t + z*(1-t)
		return (1 - t) / p, 1 / (p * p)
	})
}

// draw appends a curve for each group of a rule, and returns the index of the first.
func (b *planner) draw(r *rule, at func(t float64) (stray, gain float64)) int32 {
	first := int32(len(b.curves))
	for _, points := range r.points {
		var c curve
		for i, t := range points {
			c.stray[i], c.gain[i] = at(t)
		}
		b.curves = append(b.curves, c)
	}
	return first
}

// makeBuffers makes them for the largest plan.
func (b *planner) makeBuffers() {
	splits, slots := 0, 0
	for i := range b.plans {
		splits, slots = max(splits, len(b.plans[i].splits)), max(slots, b.plans[i].slots)
	}
	b.ways, b.turns = make([]uint8, splits), make([]turn, splits)
	b.reach, b.value = make([]lanes, slots), make([]lanes, slots)
}

// layout is where the nodes and the leaves of a tree stand in a plan: twigs and their leaves from the end.
type layout struct {
	splits []int32 // by node
	values []int32 // by leaf
	inner  int     // how many splits are inner
	slots  int
}

func newLayout(t *tree) *layout {
	l := &layout{splits: make([]int32, len(t.nodes)), values: make([]int32, len(t.leaves))}
	values, twig, twigValue := 0, len(t.nodes), len(t.leaves)
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.isTwig() {
			twig, twigValue = twig-1, twigValue-2
			l.splits[i], l.values[n.first], l.values[n.middle] = int32(twig), int32(twigValue), int32(twigValue+1)
			continue
		}
		l.splits[i] = int32(l.inner)
		l.inner++
		for _, child := range [...]int32{n.left, n.right} {
			if child < 0 {
				l.values[^child] = int32(values)
				values++
			}
		}
	}
	l.slots = len(t.nodes) + values
	return l
}

// isTwig reports whether both children are leaves.
func (n *node) isTwig() bool { return n.left < 0 && n.right < 0 }

// child is what a turn of node n says of its child.
func (l *layout) child(n *node, child int32) int32 {
	switch {
	case child >= 0:
		return l.splits[child]
	case n.isTwig():
		return l.values[^child]
	}
	return int32(len(l.splits)) + l.values[^child]
}
