package forest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// benchScene has 20 features of a request and 20 of an item, and trees that grow as LightGBM's do: the leaf that
// holds the most data is split next, at a value within what reaches it, and a few features are used most.
func benchScene(t testing.TB, trees, leaves, numItems, candidates int) *scene {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(trees), uint64(leaves)))
	const request, item = 20, 20
	f := &Forest{features: make([]string, request+item), outputs: 1, bias: []float64{0}, divisor: 1}
	for range trees {
		d := leafWise(r, leaves, request+item)
		tr, err := d.finish(request + item)
		if err != nil {
			t.Fatal(err)
		}
		f.trees = append(f.trees, tr)
	}
	s := &scene{forest: f, numItems: numItems, parts: make([]Part, request+item), x: make([]float64, request+item)}
	for i := range item {
		s.parts[request+i] = PartItem
	}
	s.items = make([]float64, numItems*item)
	for i := range s.items {
		s.items[i] = r.Float64()
	}
	s.request(r, candidates)
	return s
}

// request draws another request.
func (s *scene) request(r *rand.Rand, candidates int) {
	s.x = make([]float64, len(s.parts))
	for i := range s.x {
		s.x[i] = r.Float64()
	}
	s.candidates = make([]int32, candidates)
	for i := range s.candidates {
		s.candidates[i] = int32(r.IntN(s.numItems))
	}
}

// region is a leaf that may be split: the box of the unit cube that reaches it.
type region struct {
	low, high []float64
	gain      float64
}

func leafWise(r *rand.Rand, leaves, features int) draft {
	whole := region{make([]float64, features), slices.Repeat([]float64{1}, features), 1}
	open := []region{whole}
	d := draft{leaves: []float64{r.NormFloat64()}}
	parents := make([]*int32, 1, leaves)
	d.nodes = make([]node, 0, leaves)
	for len(open) < leaves {
		best := slices.MaxFunc(open, func(a, b region) int { return cmp.Compare(a.gain, b.gain) })
		at := slices.IndexFunc(open, func(g region) bool { return g.gain == best.gain })
		n := node{left: ^int32(at), right: ^int32(len(open))}
		n.feature = int32(r.Float64()*r.Float64()*float64(features)/2) + int32(r.IntN(2)*features/2)
		n.threshold = best.low[n.feature] + (0.1+0.8*r.Float64())*(best.high[n.feature]-best.low[n.feature])
		left, right := best, best
		left.high, right.low = slices.Clone(best.high), slices.Clone(best.low)
		left.high[n.feature], right.low[n.feature] = n.threshold, n.threshold
		share := (n.threshold - best.low[n.feature]) / (best.high[n.feature] - best.low[n.feature])
		left.gain, right.gain = best.gain*share*(0.5+r.Float64()), best.gain*(1-share)*(0.5+r.Float64())
		d.nodes = append(d.nodes, n)
		added := &d.nodes[len(d.nodes)-1]
		if parents[at] != nil {
			*parents[at] = int32(len(d.nodes) - 1)
		}
		parents[at], parents = &added.left, append(parents, &added.right)
		open[at], open = left, append(open, right)
		d.leaves = append(d.leaves, r.NormFloat64())
	}
	return d
}

func BenchmarkScore(b *testing.B) {
	for _, model := range []struct{ trees, leaves int }{{100, 31}, {300, 31}, {500, 63}} {
		for _, items := range []int{5_000, 100_000} {
			b.Run(fmt.Sprintf("%dx%d/%dk", model.trees, model.leaves, items/1000), func(b *testing.B) {
				s := benchScene(b, model.trees, model.leaves, items, 0)
				e := s.evaluator(b, Options{})
				for _, candidates := range []int{200, 1000} {
					b.Run(fmt.Sprint(candidates), func(b *testing.B) { s.bench(b, e, candidates) })
				}
			})
		}
	}
}

// bench scores one request after the other, of 64 that take turns.
func (s *scene) bench(b *testing.B, e *Evaluator, candidates int) {
	r := rand.New(rand.NewPCG(8, 8))
	var requests [64]scene
	for i := range requests {
		requests[i] = *s
		requests[i].request(r, candidates)
	}
	scorer, out := e.NewScorer(), make([]float64, candidates)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		q := &requests[i%len(requests)]
		scorer.Score(q.x, q.candidates, nil, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*candidates), "ns/candidate")
	b.ReportMetric(float64(e.Bytes())/1e6, "MB")
}

func BenchmarkNewEvaluator(b *testing.B) {
	for _, model := range []struct{ trees, leaves int }{{100, 31}, {500, 63}} {
		b.Run(fmt.Sprintf("%dx%d", model.trees, model.leaves), func(b *testing.B) {
			s := benchScene(b, model.trees, model.leaves, 5_000, 0)
			for b.Loop() {
				s.evaluator(b, Options{})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*s.numItems), "ns/item")
		})
	}
}
