package fallback_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"recstream/scoring/fallback"
)

// quarters is a histogram of the numbers from 0 to 1.
var (
	quarters = []float64{0, 0.25, 0.5, 0.75, 1}
	trained  = []int{40, 30, 20, 10}
)

func params(window int) fallback.DriftParams {
	return fallback.DriftParams{Window: window, MaxPSI: 0.2}
}

// observeOneByOne makes each value a decision of its own, so that none is left out.
func observeOneByOne(d *fallback.Drift, values []float64) {
	for i := range values {
		d.Observe(values[i:i+1], nil)
	}
}

// repeated is a list that has each value so often.
func repeated(times []int, values ...float64) (list []float64) {
	for i, n := range times {
		for range n {
			list = append(list, values[i])
		}
	}
	return list
}

// same is equality under which NaN equals itself.
func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// A prediction counts in the bin that begins with it, and in an outer one if it is outside.
func TestDriftBins(t *testing.T) {
	below := math.Nextafter(0.5, 0)
	tests := map[string]struct {
		value float64
		want  []float64
	}{
		"first edge":     {0, []float64{100, 0, 0, 0}},
		"far below":      {math.Inf(-1), []float64{100, 0, 0, 0}},
		"below a bound":  {below, []float64{0, 100, 0, 0}},
		"on a bound":     {0.5, []float64{0, 0, 100, 0}},
		"last edge":      {1, []float64{0, 0, 0, 100}},
		"far above":      {math.Inf(1), []float64{0, 0, 0, 100}},
		"within the bin": {0.3, []float64{0, 100, 0, 0}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := fallback.NewDrift(quarters, trained, params(100))
			observeOneByOne(d, repeated([]int{100}, tt.value))
			if got, want := d.PSI(), fallback.PSI([]float64{40, 30, 20, 10}, tt.want); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// Windows follow one another without overlap: the index is that of the last full one, and drift that ends is over.
func TestDriftWindows(t *testing.T) {
	d := fallback.NewDrift(quarters, trained, params(100))
	like, other := repeated(trained, 0.1, 0.3, 0.6, 0.8), repeated([]int{10, 20, 30, 40}, 0.1, 0.3, 0.6, 0.8)
	different := fallback.PSI([]float64{40, 30, 20, 10}, []float64{10, 20, 30, 40})
	steps := []struct {
		name     string
		values   []float64
		want     float64
		exceeded bool
	}{
		{"not full", like[:99], math.NaN(), false},
		{"no number", repeated([]int{50}, math.NaN()), math.NaN(), false},
		{"full", like[99:], 0, false},
		{"another not full", other[:99], 0, false},
		{"another full", other[99:], different, true},
		{"a good one not full", like[:99], different, true},
		{"recovered", like[99:], 0, false},
	}
	for _, s := range steps {
		observeOneByOne(d, s.values)
		if got := d.PSI(); !same(got, s.want) || d.Exceeded() != s.exceeded {
			t.Fatalf("%s: index %v, want %v; exceeded %t", s.name, got, s.want, d.Exceeded())
		}
	}
}

func TestDriftComparesNothing(t *testing.T) {
	many := repeated([]int{1000}, 0.9)
	tests := map[string]struct {
		drift *fallback.Drift
		want  float64
	}{
		"no window":        {fallback.NewDrift(quarters, trained, fallback.DriftParams{MaxPSI: 0.2}), math.NaN()},
		"no histogram":     {fallback.NewDrift(nil, nil, params(100)), math.NaN()},
		"empty histogram":  {fallback.NewDrift(quarters, make([]int, 4), params(100)), math.NaN()},
		"one value of all": {fallback.NewDrift([]float64{0.5}, []int{70}, params(100)), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.drift.Observe(nil, nil)
			observeOneByOne(tt.drift, many)
			if got := tt.drift.PSI(); !same(got, tt.want) || tt.drift.Exceeded() {
				t.Errorf("index %v, exceeded %t", got, tt.drift.Exceeded())
			}
		})
	}
}

// Of a decision with many candidates a few are predicted, spread over all of them, and each has its turn.
func TestDriftSamples(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 31, 100, 1000, 10_007} {
		raw := make([]float64, n)
		for i := range raw {
			raw[i] = float64(i)
		}
		d := fallback.NewDrift(quarters, trained, params(100))
		seen, rounds := make([]int, n), (n+15)/16
		for range rounds {
			predicted := 0
			d.Observe(raw, func(v float64) float64 {
				predicted++
				seen[int(v)]++
				return 0
			})
			if predicted < min(n, 8) || predicted > 16 {
				t.Errorf("%d of %d were predicted", predicted, n)
			}
		}
		for i, times := range seen {
			if times != 1 {
				t.Fatalf("of %d, number %d had its turn %d times in %d rounds", n, i, times, rounds)
			}
		}
	}
}

// What many goroutines observe at once is counted once each: windows of what is the same whatever their order have
// the same index.
func TestDriftCountsConcurrently(t *testing.T) {
	const workers, windows = 8, 50
	like := repeated(trained, 0.1, 0.3, 0.6, 0.8)
	d := fallback.NewDrift(quarters, trained, params(workers*len(like)))
	var wrong atomic.Int64
	for range windows {
		together(workers, func(worker int) {
			rng := rand.New(rand.NewPCG(uint64(worker), 3))
			mine := slices.Clone(like)
			rng.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			for len(mine) > 0 {
				n := 1 + rng.IntN(min(16, len(mine)))
				d.Observe(mine[:n], nil)
				mine = mine[n:]
				if d.Exceeded() {
					wrong.Add(1)
				}
			}
		})
		if got := d.PSI(); got != 0 || wrong.Load() > 0 {
			t.Fatalf("index %v; exceeded %d times", got, wrong.Load())
		}
	}
}

func TestDriftAllocatesNothing(t *testing.T) {
	d := fallback.NewDrift(quarters, trained, params(100))
	raw := repeated([]int{500, 500}, 0.2, 0.7)
	allocations := testing.AllocsPerRun(100, func() {
		d.Observe(raw, math.Sqrt)
		d.Exceeded()
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// One operation is one decision of a thousand candidates.
func BenchmarkDriftObserve(b *testing.B) {
	edges, counts := make([]float64, 21), make([]int, 20)
	for i := range counts {
		edges[i+1], counts[i] = float64(i+1)/20, 100
	}
	raw := make([]float64, 1000)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range raw {
		raw[i] = rng.NormFloat64()
	}
	d := fallback.NewDrift(edges, counts, fallback.DefaultParams().Drift)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d.Observe(raw, func(v float64) float64 { return 1 / (1 + math.Exp(-v)) })
		}
	})
}

func BenchmarkPSI(b *testing.B) {
	expected, actual := make([]float64, 20), make([]float64, 20)
	for i := range expected {
		expected[i], actual[i] = 100, float64(10*i)
	}
	b.ReportAllocs()
	for b.Loop() {
		fallback.PSI(expected, actual)
	}
}
