package rank

import (
	"math"
	"math/rand/v2"
	"testing"
)

// After the first time a query allocates nothing, whatever is on.
func TestRankAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 0))
	w := newWorld(randomItems(rng, 2000), new(everything()))
	var queries []*Query
	for range 20 {
		queries = append(queries, w.randomQuery(rng))
	}
	var r Ranker
	var dst []Ranked
	var dropped []Drop
	use := func() {
		for _, q := range queries {
			dst = r.Rank(dst[:0], q)
			dropped = r.Dropped(dropped[:0], 50)
		}
	}
	use()
	if n := testing.AllocsPerRun(10, use); n != 0 {
		t.Errorf("%v allocations for %d queries", n, len(queries))
	}
}

// The bounds that spare predictions hold, however the raw numbers are spread.
func TestCeilings(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 0))
	spread := map[string]func() float64{
		"normal":         rng.NormFloat64,
		"all alike":      func() float64 { return 3 },
		"two":            func() float64 { return float64(rng.IntN(2)) },
		"far out":        func() float64 { return math.Ldexp(rng.Float64(), rng.IntN(2000)-1000) },
		"the whole span": func() float64 { return math.MaxFloat64 * float64(1-2*rng.IntN(2)) },
		"next to large":  func() float64 { return 1e15 + rng.Float64() },
	}
	for name, next := range spread {
		t.Run(name, func(t *testing.T) {
			p := everything()
			b := blend{plan: &Plan{params: p}, predict: sigmoid, calibrate: true}
			var c ceilings
			raw, bounds := make([]float64, 1000), make([]float64, 1000)
			for i := range raw {
				raw[i] = next()
			}
			c.write(bounds, raw, &b)
			for i, v := range raw {
				if base := b.base(sigmoid(v)); !(bounds[i] >= base) {
					t.Fatalf("the base of %v is %v, its bound %v", v, base, bounds[i])
				}
			}
		})
	}
}
