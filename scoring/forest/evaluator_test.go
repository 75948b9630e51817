package forest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// mixedForest has trees of every kind: of one leaf or many, with all ways to treat what is missing, with
// categories, and with thresholds at the values where decisions are delicate.
func mixedForest(t testing.TB, r *rand.Rand, numFeatures, trees, maxLeaves int) *Forest {
	t.Helper()
	f := &Forest{
		features: make([]string, numFeatures), outputs: 1, divisor: 1, bias: []float64{r.NormFloat64()},
		numbers: numbers{singleInputs: r.IntN(2) == 0, singleSums: r.IntN(2) == 0},
	}
	if r.IntN(3) == 0 {
		f.divisor = float64(trees) + 0.1
	}
	missing := r.IntN(3)
	for range trees {
		d := draft{}
		leaves := 1 + r.IntN(maxLeaves)
		d.grow(r, leaves, func() node {
			n := node{feature: int32(r.IntN(numFeatures)), threshold: delicate(r), missingLeft: r.IntN(2) == 0}
			n.zeroMissing = missing > 0 && r.IntN(2) == 0
			if r.IntN(8) == 0 {
				n.categories, n.setRight = randomSet(r), r.IntN(2) == 0
			}
			return n
		})
		tr, err := d.finish(numFeatures)
		if err != nil {
			t.Fatal(err)
		}
		f.trees = append(f.trees, tr)
	}
	return f
}

// grow makes a tree of the given number of leaves, splitting one leaf after the other at random.
func (d *draft) grow(r *rand.Rand, leaves int, split func() node) {
	d.nodes, d.leaves = nil, []float64{r.NormFloat64()}
	parents := []*int32{nil} // of each leaf: where its number is to be found
	d.nodes = make([]node, 0, leaves)
	for len(d.leaves) < leaves {
		at := r.IntN(len(d.leaves))
		n := split()
		n.left, n.right = ^int32(at), ^int32(len(d.leaves))
		d.nodes = append(d.nodes, n)
		added := &d.nodes[len(d.nodes)-1]
		if parents[at] != nil {
			*parents[at] = int32(len(d.nodes) - 1)
		}
		parents[at] = &added.left
		parents = append(parents, &added.right)
		d.leaves = append(d.leaves, r.NormFloat64())
	}
}

func randomSet(r *rand.Rand) *set {
	s := make(set, 1+r.IntN(2))
	for i := range s {
		s[i] = r.Uint64() & r.Uint64()
	}
	return &s
}

// delicate values are those around which implementations differ, and some others.
func delicate(r *rand.Rand) float64 {
	some := []float64{
		0, math.Copysign(0, -1), -math.SmallestNonzeroFloat64, zeroThreshold, -zeroThreshold, math.Nextafter(zeroThreshold, 1),
		math.Nextafter(-zeroThreshold, -1), math.Inf(1), math.Inf(-1), 1e-40, 0.1, float64(float32(0.1)), -0.5,
		-1, math.Nextafter(-1, 0), 1, 2, 2.5, 3, 63, 64, 127, 128, 1e300, -1e300,
	}
	if i := r.IntN(2 * len(some)); i < len(some) {
		return some[i]
	}
	return math.Round(r.NormFloat64()*40) / 20
}

func delicateRow(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = delicate(r)
		if r.IntN(6) == 0 {
			x[i] = math.NaN()
		} else if r.IntN(4) == 0 {
			x[i] = float64(r.IntN(140)) + 0.5*float64(r.IntN(2))
		}
	}
	return x
}

// scene is an evaluator's input: a catalogue and a request with candidates.
type scene struct {
	forest     *Forest
	parts      []Part
	items      []float64
	numItems   int
	x          []float64
	candidates []int32
	pairs      []float64
}

func randomScene(r *rand.Rand, f *Forest, parts []Part, numItems, candidates int) *scene {
	s := &scene{forest: f, parts: parts, numItems: numItems, x: delicateRow(r, len(parts))}
	s.items = delicateRow(r, numItems*s.count(PartItem))
	s.pairs = delicateRow(r, candidates*s.count(PartPair))
	for range candidates {
		s.candidates = append(s.candidates, int32(r.IntN(numItems)))
	}
	return s
}

// count is the number of features of a part.
func (s *scene) count(p Part) int {
	n := 0
	for _, q := range s.parts {
		if p == q {
			n++
		}
	}
	return n
}

// raw is what Forest.Raw gives for the row of candidate i, put together here on its own.
func (s *scene) raw(i int) float64 {
	row := slices.Clone(s.x)
	items, pairs := s.items[int(s.candidates[i])*s.count(PartItem):], s.pairs[i*s.count(PartPair):]
	for j, p := range s.parts {
		if p == PartItem {
			row[j], items = items[0], items[1:]
		} else if p == PartPair {
			row[j], pairs = pairs[0], pairs[1:]
		}
	}
	out := []float64{0}
	s.forest.Raw(row, out)
	return out[0]
}

func (s *scene) evaluator(t testing.TB, opts Options) *Evaluator {
	t.Helper()
	e, err := NewEvaluator(t.Context(), s.forest, s.parts, s.items, s.numItems, opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// check compares the scores of the scene's request bit for bit with Forest.Raw.
func (s *scene) check(t testing.TB, scorer *Scorer) {
	out := make([]float64, len(s.candidates))
	scorer.Score(s.x, s.candidates, s.pairs, out)
	for i := range out {
		if want := s.raw(i); math.Float64bits(out[i]) != math.Float64bits(want) {
			t.Errorf("candidate %d: %v, Raw gives %v", i, out[i], want)
			return
		}
	}
}

// evaluators are those of all methods that there are for the scene.
func (s *scene) evaluators(t testing.TB) []*Evaluator {
	t.Helper()
	var all []*Evaluator
	add := func(prepare func(*Evaluator) error) {
		e, err := newEvaluator(s.forest, s.parts, s.items, s.numItems)
		if err == nil {
			err = prepare(e)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	words := wordsOf(s.forest)
	add(func(e *Evaluator) error { e.prepareQuickScorer(words); return nil })
	add(func(e *Evaluator) error { return e.prepareMasks(t.Context(), words, binsOf(s.forest, e.pair)) })
	if len(s.pairs) == 0 && !slices.Contains(s.parts, PartPair) {
		add(func(e *Evaluator) error {
			return e.prepareClasses(t.Context(), columnsOf(s.forest, e.item))
		})
		add(func(e *Evaluator) error {
			return e.prepareBoth(t.Context(), words, columnsOf(s.forest, e.item), 20)
		})
	}
	return all
}

func TestScoreEqualsRaw(t *testing.T) {
	layouts := map[string]func(r *rand.Rand) Part{
		"all-request":  func(*rand.Rand) Part { return PartRequest },
		"all-item":     func(*rand.Rand) Part { return PartItem },
		"all-pair":     func(*rand.Rand) Part { return PartPair },
		"request-item": func(r *rand.Rand) Part { return Part(r.IntN(2)) },
		"mixed":        func(r *rand.Rand) Part { return Part(r.IntN(3)) },
		"few-pairs":    func(r *rand.Rand) Part { return Part(r.IntN(11) / 5) },
	}
	seen := map[Method]int{}
	for name, layout := range layouts {
		for _, leaves := range []int{1, 8, 32, 64, 65, 200} {
			t.Run(fmt.Sprintf("%s/%d", name, leaves), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(leaves), 5))
				for range 25 {
					f := mixedForest(t, r, 1+r.IntN(12), r.IntN(12), leaves)
					parts := make([]Part, len(f.features))
					for i := range parts {
						parts[i] = layout(r)
					}
					s := randomScene(r, f, parts, 1+r.IntN(300), r.IntN(100))
					for _, e := range s.evaluators(t) {
						seen[e.Method()]++
						scorer := e.NewScorer()
						for range 3 {
							s.x = delicateRow(r, len(parts))
							s.check(t, scorer)
						}
						if t.Failed() {
							t.Fatal(e.Method())
						}
					}
				}
			})
		}
	}
	for _, m := range []Method{
		MethodMasks32, MethodMasks64, MethodMasksWide, MethodClasses, MethodQuickScorer,
		MethodMasks32Classes, MethodMasks64Classes, MethodMasksWideClasses,
	} {
		if seen[m] < 20 {
			t.Errorf("method %s was tried %d times only", m, seen[m])
		}
	}
}

func TestBudgetPicksTheMethod(t *testing.T) {
	const items, trees = 1000, 10
	for _, c := range []struct {
		name     string
		leaves   int
		pair     bool
		maxBytes int64
		want     Method
	}{
		{"tiny trees", 4, false, 0, MethodClasses},
		{"small trees", 20, false, 0, MethodMasks32Classes},
		{"only one of two fits", 20, false, items * trees * 4, MethodMasks32},
		{"only the smaller fits", 20, false, items*trees*4 - 1, MethodClasses},
		{"pairs", 20, true, 0, MethodMasks32},
		{"pairs, without memory", 20, true, items * trees * 4, MethodQuickScorer},
		{"medium trees", 63, false, 0, MethodMasks64},
		{"large trees", 200, false, 0, MethodMasksWide},
		{"large trees and pairs", 200, true, 0, MethodMasksWide},
		{"next to nothing", 20, false, 1, MethodQuickScorer},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := benchScene(t, trees, c.leaves, items, 10)
			if c.pair {
				s.parts[0] = PartPair
				s.pairs = make([]float64, len(s.candidates))
			}
			e := s.evaluator(t, Options{MaxBytes: c.maxBytes})
			if e.Method() != c.want {
				t.Errorf("method %s, want %s", e.Method(), c.want)
			}
			if e.Bytes() <= 0 {
				t.Errorf("%d bytes", e.Bytes())
			}
			s.check(t, e.NewScorer())
		})
	}
}

func TestScoreAllocatesNothing(t *testing.T) {
	for _, parts := range [][]Part{{PartRequest, PartItem}, {PartRequest, PartItem, PartPair}, {PartItem, PartPair, PartPair}} {
		r := rand.New(rand.NewPCG(3, 3))
		for _, leaves := range []int{30, 60, 150} {
			f := mixedForest(t, r, len(parts), 9, leaves)
			s := randomScene(r, f, parts, 100, 33)
			for _, e := range s.evaluators(t) {
				scorer, out := e.NewScorer(), make([]float64, len(s.candidates))
				if n := testing.AllocsPerRun(10, func() { scorer.Score(s.x, s.candidates, s.pairs, out) }); n != 0 {
					t.Errorf("%d leaves, parts %v, %s: %v allocations", leaves, parts, e.Method(), n)
				}
			}
		}
	}
}

func TestScorersAreIndependent(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	f := mixedForest(t, r, 6, 20, 40)
	parts := []Part{PartRequest, PartItem, PartRequest, PartItem, PartRequest, PartItem}
	for _, e := range randomScene(r, f, parts, 50, 0).evaluators(t) {
		var workers sync.WaitGroup
		for range 4 {
			s := randomScene(r, f, parts, 50, 30)
			s.items = e.items
			workers.Go(func() {
				scorer := e.NewScorer()
				for range 20 {
					s.check(t, scorer)
				}
			})
		}
		workers.Wait()
	}
}

func TestRow(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	f := mixedForest(t, r, 5, 3, 9)
	s := randomScene(r, f, []Part{PartPair, PartItem, PartRequest, PartItem, PartPair}, 7, 7)
	e := s.evaluator(t, Options{})
	row, out := make([]float64, 5), make([]float64, 1)
	for i, item := range s.candidates {
		e.Row(row, s.x, item, s.pairs[2*i:2*i+2])
		f.Raw(row, out)
		if want := s.raw(i); out[0] != want {
			t.Errorf("candidate %d: the row scores %v, want %v", i, out[0], want)
		}
	}
}

func TestNewEvaluatorRefuses(t *testing.T) {
	f := mixedForest(t, rand.New(rand.NewPCG(7, 7)), 2, 3, 9)
	two := *f
	two.outputs = 2
	good := []Part{PartRequest, PartItem}
	for _, c := range []struct {
		name     string
		forest   *Forest
		parts    []Part
		items    []float64
		numItems int
	}{
		{"two outputs", &two, good, make([]float64, 3), 3},
		{"too few parts", f, good[:1], make([]float64, 3), 3},
		{"unknown part", f, []Part{PartRequest, 7}, nil, 3},
		{"too few values", f, good, make([]float64, 2), 3},
		{"fewer than no items", f, good, nil, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if e, err := NewEvaluator(t.Context(), c.forest, c.parts, c.items, c.numItems, Options{}); err == nil {
				t.Errorf("accepted: %v", e.Method())
			}
		})
	}
}

func TestNewEvaluatorEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := benchScene(t, 5, 31, 1000, 1)
	for _, maxBytes := range []int64{0, 1} {
		_, err := NewEvaluator(ctx, s.forest, s.parts, s.items, s.numItems, Options{MaxBytes: maxBytes})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("budget %d: error %v", maxBytes, err)
		}
	}
}
