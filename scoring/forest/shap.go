package forest

import "fmt"

// An Explainer computes SHAP values of a forest: the path-dependent ones of Lundberg, Erion and Lee, "Consistent
// Individualized Feature Attribution for Tree Ensembles" (2018), which LightGBM's pred_contrib and XGBoost's
// pred_contribs give. The value of a set of features is what a tree is expected to give when the row decides at
// splits on these, and chance, in proportion to the covers, at all others; a feature's contribution is its Shapley
// value in this game.
//
// It is computed by Owen's integral (1972) rather than by sums over sets: the Shapley value of a feature is the
// integral, over t from 0 to 1, of what knowing it adds when each other feature is known with chance t. At a fixed t
// two passes over a tree do: reach, downwards, is the chance that the row comes to a node, and value, upwards, what
// is expected below it. At a split that sends the row to the child hot, away from the child cold,
//
//	reach(cold) = stray·reach    reach(hot) = (1-stray)·reach    value = (1-stray)·value(hot) + stray·value(cold)
//
// with stray = (1-t)·cover(cold)/cover, and its feature gains (cover(cold)/cover)·reach·(value(hot)-value(cold)).
// What is integrated is a polynomial in t, which quadrature integrates exactly. Everything is a mean of leaf values
// with positive weights, so nothing is lost in long paths. A tree costs its splits times its points; there are half
// as many points as features on its longest path.
//
// Where the path has met the split's feature before, always going the row's way, with the product z of the cover
// shares along these splits, the chance that the feature is unknown is no longer 1-t but z·(1-t)/p with
// p = t+z·(1-t), and the gain is z/p² times that above. Where the path once went the other way, the feature is
// unknown for sure: stray is the cover's share, and nothing is gained. So each split knows three sets of constants,
// and a row chooses one of them.
//
// An Explainer has buffers, so it is for one goroutine at a time.
type Explainer struct {
	forest *Forest
	plans  []plan    // of the trees with splits
	curves []curve   // of all plans
	base   []float64 // contributions without any split: the expected values

	ways  []uint8 // buffers for the largest tree: by split
	turns []turn  // by split
	reach []lanes // by slot
	value []lanes // by slot
}

// lanes are numbers for as many values of t. Six make one pass do for paths with up to twelve features, which the
// trees of most models stay below.
type lanes [6]float64

// curve is what a split needs for some values of t, but for its share of the cover.
type curve struct {
	stray lanes // times share: the chance that the row goes to the cold child
	gain  lanes // times share, reach and the difference of the values: the gain
}

// turn is how a row takes a split.
type turn struct {
	hot, cold int32 // slots of an inner split's children; of a twig's, indices into the plan's values
	curve     int32
	feature   int32
	share     float64
}

// Explainable returns nil where the forest can be explained. Otherwise the error is an *Error, which names the first
// tree at fault: the file does not say the covers, as with ONNX, or a path has more than 256 features.
func (f *Forest) Explainable() error {
	last := f.noSplits()
	for i := range f.trees {
		t := &f.trees[i]
		if len(t.nodes) > 0 && t.cover == nil {
			return f.unexplained(i, "the file does not say how much of the training data reached each leaf")
		}
		if _, longest := t.lineage(last); longest > maxPath {
			return f.unexplained(i, "a path has %d features; up to %d can be explained", longest, maxPath)
		}
	}
	return nil
}

func (f *Forest) unexplained(tree int, format string, args ...any) *Error {
	return &Error{Format: f.format, Tree: tree, Err: fmt.Errorf(format, args...)}
}

// Contributions writes, for each output, the contribution of each feature to the raw score of row x, and the
// expected raw score last: NumOutputs·(NumFeatures+1) values, in the units of Raw. For each output they add up to
// Raw within 1e-12 of the sum of the trees' largest leaves; within float32's precision where the trainer adds up in
// float32. A feature that no tree of the output splits on has exactly 0. It allocates nothing.
// It panics unless x has NumFeatures values and dst as many as it writes.
func (e *Explainer) Contributions(x, dst []float64) {
	features := len(e.forest.features)
	if len(x) != features || len(dst) != len(e.base) {
		panic(fmt.Sprintf("forest: %d features and %d contributions, not %d and %d", features, len(e.base), len(x), len(dst)))
	}
	copy(dst, e.base)
	for i := range e.plans {
		p := &e.plans[i]
		phi := dst[p.output*(features+1):][:features]
		e.decide(p, x)
		for group, weights := range p.weights {
			e.integrate(p, int32(group), weights, phi)
		}
	}
}

// decide sets the turns of row x in a tree.
func (e *Explainer) decide(p *plan, x []float64) {
	ways, turns := e.ways[:len(p.splits)], e.turns[:len(p.splits)]
	single := e.forest.numbers.singleInputs
	for i := range p.splits {
		s := &p.splits[i]
		way := uint8(unknown)
		if s.above < 0 || ways[s.above] == s.side {
			v := x[s.node.feature]
			if single {
				v = float64(float32(v))
			}
			way = s.node.way(v)
		}
		ways[i] = way
		turns[i] = s.turns[way]
	}
}

// way is the index of the turn of a split at value v: 0 to the left, 1 to the right.
func (n *node) way(v float64) uint8 {
	goesRight := v > n.threshold
	if n.categories != nil || n.zeroMissing || v != v {
		goesRight = !n.goesLeft(v)
	}
	w := uint8(left)
	if goesRight { // no jump: the compiler turns the condition into 0 or 1
		w = right
	}
	return w
}

// integrate adds to phi what a group of points contributes to the integrals of a tree.
func (e *Explainer) integrate(p *plan, group int32, weights lanes, phi []float64) {
	reach, value := e.reach[:p.slots], e.value[:p.slots]
	turns, curves := e.turns[:len(p.splits)], e.curves[group:]
	reach[0] = weights
	for i := range turns[:p.inner] {
		t := &turns[i]
		descend(t.share, &curves[t.curve], &reach[i], &reach[t.hot], &reach[t.cold])
	}
	for i := p.inner; i < len(turns); i++ {
		t := &turns[i]
		phi[t.feature] += twig(t.share, &curves[t.curve], &reach[i], &value[i], p.values[t.hot], p.values[t.cold])
	}
	for i, v := range p.values[:p.slots-len(turns)] {
		value[len(turns)+i] = lanes{v, v, v, v, v, v}
	}
	for i := p.inner - 1; i >= 0; i-- {
		t := &turns[i]
		phi[t.feature] += ascend(t.share, &curves[t.curve], &reach[i], &value[i], &value[t.hot], &value[t.cold])
	}
}

// descend sets the reach of a split's children.
func descend(share float64, c *curve, reach, hot, cold *lanes) {
	for i, r := range reach {
		stray := r * (share * c.stray[i])
		cold[i] = stray
		hot[i] = r - stray
	}
}

// twig sets the value of a split whose children are both leaves, and returns the gain.
func twig(share float64, c *curve, reach, value *lanes, hot, cold float64) float64 {
	gain := share * (hot - cold)
	sum := 0.0
	for i, r := range reach {
		value[i] = hot - gain*c.stray[i]
		sum += r * c.gain[i]
	}
	return gain * sum
}

// ascend sets the value of a split from those of its children, and returns the gain.
func ascend(share float64, c *curve, reach, value, hot, cold *lanes) float64 {
	sum := 0.0
	for i, r := range reach {
		difference := hot[i] - cold[i]
		value[i] = hot[i] - share*c.stray[i]*difference
		sum += r * c.gain[i] * difference
	}
	return share * sum
}
