package forest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// exactTolerance is how far a contribution may be from one computed otherwise, relative to values beyond 1.
const exactTolerance = 1e-12

// grow makes a tree by splitting random leaves. Its covers are whole numbers, some of them 0, and its splits are of
// all kinds.
func grow(r *rand.Rand, leaves, features int) draft {
	type place struct {
		node  int
		right bool
	}
	d := draft{leaves: []float64{r.NormFloat64()}, cover: []float64{float64(r.IntN(5000))}}
	places := []place{{node: -1}} // by leaf
	for len(d.leaves) < leaves {
		leaf, id := r.IntN(len(d.leaves)), len(d.nodes)
		if p := places[leaf]; p.node >= 0 {
			child := &d.nodes[p.node].left
			if p.right {
				child = &d.nodes[p.node].right
			}
			*child = int32(id)
		}
		d.nodes = append(d.nodes, randomSplit(r, features, leaf, len(d.leaves)))
		toLeft := math.Floor(d.cover[leaf] * r.Float64())
		d.cover = append(d.cover, d.cover[leaf]-toLeft)
		d.cover[leaf] = toLeft
		d.leaves = append(d.leaves, r.NormFloat64())
		places[leaf] = place{id, false}
		places = append(places, place{id, true})
	}
	return d
}

func randomSplit(r *rand.Rand, features, left, right int) node {
	n := node{
		feature:     int32(r.IntN(features)),
		threshold:   r.NormFloat64(),
		left:        ^int32(left),
		right:       ^int32(right),
		missingLeft: r.IntN(2) == 0,
		zeroMissing: r.IntN(8) == 0,
	}
	if r.IntN(4) == 0 {
		n.categories, n.setRight = &set{r.Uint64N(4)}, r.IntN(2) == 0
	}
	return n
}

// randomForest has trees of 1 up to leaves leaves.
func randomForest(tb testing.TB, r *rand.Rand, trees, leaves, features, outputs int) *Forest {
	tb.Helper()
	f := &Forest{features: make([]string, features), outputs: outputs, bias: make([]float64, outputs), divisor: 1}
	for i := range trees {
		d := grow(r, 1+r.IntN(leaves), features)
		d.output = i % outputs
		plant(tb, f, &d)
	}
	return f
}

// plant adds a tree.
func plant(tb testing.TB, f *Forest, d *draft) {
	tb.Helper()
	t, err := d.finish(len(f.features))
	if err != nil {
		tb.Fatal(err)
	}
	f.trees = append(f.trees, t)
}

// randomRow has zeros, categories and missing values among its numbers.
func randomRow(r *rand.Rand, features int) []float64 {
	x := make([]float64, features)
	for i := range x {
		x[i] = [...]float64{r.NormFloat64(), r.NormFloat64(), 0, 1, math.NaN()}[r.IntN(5)]
	}
	return x
}

func explain(tb testing.TB, f *Forest, x []float64) []float64 {
	tb.Helper()
	e, err := f.NewExplainer()
	if err != nil {
		tb.Fatal(err)
	}
	dst := make([]float64, f.outputs*(len(f.features)+1))
	e.Contributions(x, dst)
	return dst
}

// shapley computes the contributions to row x by definition, from the values of all sets of features.
func shapley(t *tree, x []float64) []float64 {
	values := make([]float64, 1<<len(x))
	for known := range values {
		values[known] = t.valueOf(known, x)
	}
	phi := append(make([]float64, len(x)), values[0])
	for known, v := range values {
		size := 0
		for i := range x {
			size += known >> i & 1
		}
		for i := range x {
			if known>>i&1 == 0 {
				// size!·(n-size-1)!/n! is 1/(n·C(n-1, size))
				phi[i] += (values[known|1<<i] - v) / (float64(len(x)) * binomial(len(x)-1, size))
			}
		}
	}
	return phi
}

// valueOf is what the tree is expected to give where the known features are those of x.
func (t *tree) valueOf(known int, x []float64) float64 {
	var below func(child int32) float64
	below = func(child int32) float64 {
		if child < 0 {
			return t.leaves[^child]
		}
		n := &t.nodes[child]
		switch {
		case known>>n.feature&1 == 0:
			shares := t.shares(n)
			return shares[0]*below(n.left) + shares[1]*below(n.right)
		case n.goesLeft(x[n.feature]):
			return below(n.left)
		}
		return below(n.right)
	}
	if len(t.nodes) == 0 {
		return t.leaves[0]
	}
	return below(0)
}

func binomial(n, k int) float64 {
	c := 1.0
	for i := range k {
		c *= float64(n-i) / float64(i+1)
	}
	return c
}

func TestContributionsAreShapleyValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 400 {
		f := randomForest(t, r, 1, 40, 1+r.IntN(8), 1)
		for range 4 {
			x := randomRow(r, len(f.features))
			got, want := explain(t, f, x), shapley(&f.trees[0], x)
			for i := range want {
				if !closeTo(got[i], want[i], exactTolerance) {
					t.Fatalf("contribution %d to %v is %v, want %v; the tree: %+v", i, x, got[i], want[i], f.trees[0])
				}
			}
		}
	}
}

func TestContributionsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, c := range []struct {
		name                             string
		trees, leaves, features, outputs int
		adjust                           func(*Forest)
	}{
		{"one output", 50, 31, 40, 1, nil},
		{"three outputs", 60, 31, 10, 3, nil},
		{"bias", 5, 8, 4, 2, func(f *Forest) { f.bias = []float64{0.5, -3} }},
		{"averaged", 10, 20, 6, 1, func(f *Forest) { f.divisor, f.bias = 10, []float64{1} }},
		{"float32 inputs", 50, 63, 5, 1, func(f *Forest) { f.numbers.singleInputs = true }},
		{"constant trees", 20, 1, 3, 1, nil},
		{"no trees", 0, 1, 3, 2, func(f *Forest) { f.bias = []float64{1, 2} }},
		{"large trees", 3, 4000, 300, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := randomForest(t, r, c.trees, c.leaves, c.features, c.outputs)
			if c.adjust != nil {
				c.adjust(f)
			}
			for range 20 {
				checkSum(t, f, randomRow(r, c.features), exactTolerance)
			}
		})
	}
}

// checkSum explains a row and compares the sums with the raw scores.
func checkSum(t *testing.T, f *Forest, x []float64, tolerance float64) {
	t.Helper()
	phi, raw := explain(t, f, x), make([]float64, f.outputs)
	f.Raw(x, raw)
	for output, want := range raw {
		sum := 0.0
		for _, v := range phi[output*(len(x)+1) : (output+1)*(len(x)+1)] {
			sum += v
		}
		if !closeTo(sum, want, tolerance*float64(1+len(f.trees))) {
			t.Fatalf("output %d: the contributions to %v add up to %v, want %v", output, x, sum, want)
		}
	}
}

// A row is explained as its float32 would be, on either side of a threshold.
func TestContributionsOfSingleInputs(t *testing.T) {
	d := draft{
		nodes:  []node{{threshold: float64(float32(0.1)), left: ^0, right: ^1}},
		leaves: []float64{-1, 1}, cover: []float64{1, 1},
	}
	f := &Forest{features: []string{"a"}, outputs: 1, bias: []float64{0}, divisor: 1}
	plant(t, f, &d)
	x := []float64{math.Nextafter(float64(float32(0.1)), 1)}
	for single, want := range map[bool]float64{false: 1, true: -1} {
		f.numbers.singleInputs = single
		if got := explain(t, f, x); got[0] != want {
			t.Errorf("float32 inputs %v: the contribution is %v, want %v", single, got[0], want)
		}
	}
}

func TestUnusedFeaturesContributeNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	f := randomForest(t, r, 20, 31, 6, 1)
	f.features = make([]string, 9)
	for range 50 {
		for i, v := range explain(t, f, randomRow(r, 9))[6:9] {
			if v != 0 {
				t.Fatalf("feature %d contributes %v", 6+i, v)
			}
		}
	}
}

// chain is a tree of which feature i%features decides at depth i: half of the cover goes on, to the left, and half
// ends in a leaf of 0. The leaf at the end is 1.
func chain(splits, features int) draft {
	d := draft{leaves: make([]float64, splits+1), cover: make([]float64, splits+1)}
	d.leaves[0], d.cover[0] = 1, math.Exp2(-float64(splits))
	for i := range splits {
		next := int32(i + 1)
		if i == splits-1 {
			next = ^0
		}
		d.nodes = append(d.nodes, node{feature: int32(i % features), left: next, right: ^int32(i + 1)})
		d.cover[i+1] = math.Exp2(-float64(i + 1))
	}
	return d
}

// With one split on each of n features, a row that comes to the end of the chain owes what it has over the expected
// value 2^-n to all features alike, by symmetry.
func TestContributionsOfLongPaths(t *testing.T) {
	for _, features := range []int{12, 13, 24, 25, 60, maxPath} {
		t.Run(fmt.Sprint(features), func(t *testing.T) {
			f := &Forest{features: make([]string, features), outputs: 1, bias: []float64{0}, divisor: 1}
			d := chain(features, features)
			plant(t, f, &d)
			want := 1 - math.Exp2(-float64(features))
			for i, got := range explain(t, f, make([]float64, features))[:features] {
				if !closeTo(got*float64(features), want, exactTolerance) {
					t.Fatalf("feature %d contributes %v, want %v", i, got, want/float64(features))
				}
			}
		})
	}
}

func TestExplainable(t *testing.T) {
	bare := chain(3, 3)
	bare.cover = nil
	leaf := draft{leaves: []float64{1}}
	for _, c := range []struct {
		name   string
		drafts []draft
		tree   int
		want   string // in the error, "" for none
	}{
		{"covers", []draft{chain(3, 3)}, 0, ""},
		{"a constant tree needs no covers", []draft{leaf, chain(3, 3)}, 0, ""},
		{"no covers", []draft{chain(3, 3), bare}, 1, "how much of the training data"},
		{"as many features as can be", []draft{chain(maxPath, maxPath)}, 0, ""},
		{"a long path of few features", []draft{chain(5000, 3)}, 0, ""},
		{"too many features on a path", []draft{chain(maxPath+1, maxPath+1)}, 0, "257 features"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &Forest{format: FormatONNX, features: make([]string, maxPath+1), outputs: 1, bias: []float64{0}, divisor: 1}
			for i := range c.drafts {
				plant(t, f, &c.drafts[i])
			}
			err := f.Explainable()
			_, alike := f.NewExplainer()
			if fmt.Sprint(err) != fmt.Sprint(alike) {
				t.Errorf("Explainable says %v, NewExplainer %v", err, alike)
			}
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			//nolint:errorlint // it is documented to be an *Error itself
			e, ok := err.(*Error)
			if !ok || e.Tree != c.tree || e.Format != FormatONNX || !strings.Contains(e.Error(), c.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestContributionsPanicOnWrongLengths(t *testing.T) {
	f := randomForest(t, rand.New(rand.NewPCG(4, 4)), 2, 4, 3, 2)
	e, err := f.NewExplainer()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		x, dst int
	}{{"short row", 2, 8}, {"long row", 4, 8}, {"short result", 3, 7}, {"long result", 3, 9}} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			e.Contributions(make([]float64, c.x), make([]float64, c.dst))
		})
	}
}

func TestQuadratureIsExact(t *testing.T) {
	for _, n := range []int{1, 2, 3, 6, 12, 50, 132} {
		q := newQuadrature(n)
		for degree := range 2 * n {
			sum := 0.0
			for i, x := range q.points {
				sum += q.weights[i] * math.Pow(x, float64(degree))
			}
			if want := 1 / float64(degree+1); !closeTo(sum/want, 1, 1e-13) {
				t.Errorf("%d points: the integral of t^%d is %v, want %v", n, degree, sum, want)
			}
		}
	}
}

func TestContributionsDoNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	f := randomForest(t, r, 10, 31, 40, 2)
	e, err := f.NewExplainer()
	if err != nil {
		t.Fatal(err)
	}
	x, dst := randomRow(r, 40), make([]float64, 2*41)
	if n := testing.AllocsPerRun(20, func() { e.Contributions(x, dst) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkContributions(b *testing.B) {
	for _, c := range []struct{ trees, leaves int }{{100, 31}, {300, 31}, {500, 63}} {
		b.Run(fmt.Sprintf("%dx%d", c.trees, c.leaves), func(b *testing.B) {
			const features = 40
			r := rand.New(rand.NewPCG(6, 6))
			f := randomForest(b, r, 0, 1, features, 1)
			for range c.trees {
				d := grow(r, c.leaves, features)
				plant(b, f, &d)
			}
			e, err := f.NewExplainer()
			if err != nil {
				b.Fatal(err)
			}
			rows := make([][]float64, 256)
			for i := range rows {
				rows[i] = randomRow(r, features)
			}
			dst := make([]float64, features+1)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e.Contributions(rows[i%len(rows)], dst)
			}
		})
	}
}
