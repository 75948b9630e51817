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
	count := func(p Part) (n int) {
		for _, q := range parts {
			if p == q {
				n++
			}
		}
		return n
	}
	s.items = delicateRow(r, numItems*count(PartItem))
	s.pairs = delicateRow(r, candidates*count(PartPair))
	for range candidates {
		s.candidates = append(s.candidates, int32(r.IntN(numItems)))
	}
	return s
}

// raw is what Forest.Raw gives for the row of candidate i, put together here on its own.
func (s *scene) raw(i int) float64 {
	row := slices.Clone(s.x)
	item, pair := 0, 0
	var items, pairs int
	for _, p := range s.parts {
		switch p {
		case PartItem:
			items++
		case PartPair:
			pairs++
		}
	}
	for j, p := range s.parts {
		switch p {
		case PartItem:
			row[j] = s.items[int(s.candidates[i])*items+item]
			item++
		case PartPair:
			row[j] = s.pairs[i*pairs+pair]
			pair++
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
				for round := range 25 {
					f := mixedForest(t, r, 1+r.IntN(12), r.IntN(12), leaves)
					parts := make([]Part, len(f.features))
					for i := range parts {
						parts[i] = layout(r)
					}
					s := randomScene(r, f, parts, 1+r.IntN(600), r.IntN(40))
					opts := Options{MaxBytes: []int64{0, 0, 1, 20_000}[round%4]}
					e := s.evaluator(t, opts)
					seen[e.Method()]++
					scorer := e.NewScorer()
					for range 4 {
						s.x = delicateRow(r, len(parts))
						s.check(t, scorer)
					}
				}
			})
		}
	}
	for _, m := range []Method{MethodMasks32, MethodMasks64, MethodMasksWide, MethodQuickScorer} {
		if seen[m] < 20 {
			t.Errorf("method %s was tried %d times only", m, seen[m])
		}
	}
}

func TestBudgetPicksTheMethod(t *testing.T) {
	for _, c := range []struct {
		name     string
		leaves   int
		maxBytes int64
		want     Method
	}{
		{"small trees", 31, 0, MethodMasks32},
		{"medium trees", 63, 0, MethodMasks64},
		{"large trees", 200, 0, MethodMasksWide},
		{"just enough", 31, 1000 * 10 * 4, MethodMasks32},
		{"one byte less", 31, 1000*10*4 - 1, MethodQuickScorer},
		{"next to nothing", 200, 1, MethodQuickScorer},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := benchScene(t, 10, c.leaves, 1000, 10)
			e := s.evaluator(t, Options{MaxBytes: c.maxBytes})
			if e.Method() != c.want {
				t.Errorf("method %s, want %s", e.Method(), c.want)
			}
			if e.Bytes() <= 0 {
				t.Errorf("%d bytes", e.Bytes())
			}
		})
	}
}

func TestScoreAllocatesNothing(t *testing.T) {
	for _, parts := range [][]Part{{PartRequest, PartItem}, {PartRequest, PartItem, PartPair}, {PartItem, PartPair, PartPair}} {
		r := rand.New(rand.NewPCG(3, 3))
		for _, leaves := range []int{30, 60, 150} {
			f := mixedForest(t, r, len(parts), 9, leaves)
			s := randomScene(r, f, parts, 100, 33)
			for _, maxBytes := range []int64{0, 1} {
				scorer, out := s.evaluator(t, Options{MaxBytes: maxBytes}).NewScorer(), make([]float64, len(s.candidates))
				if n := testing.AllocsPerRun(10, func() { scorer.Score(s.x, s.candidates, s.pairs, out) }); n != 0 {
					t.Errorf("%d leaves, parts %v, %d bytes: %v allocations", leaves, parts, maxBytes, n)
				}
			}
		}
	}
}

func TestScorersAreIndependent(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	f := mixedForest(t, r, 6, 20, 40)
	parts := []Part{PartRequest, PartItem, PartPair, PartItem, PartRequest, PartItem}
	for _, maxBytes := range []int64{0, 1} {
		e := randomScene(r, f, parts, 50, 0).evaluator(t, Options{MaxBytes: maxBytes})
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
