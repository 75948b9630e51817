package fallback_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"recstream/scoring/fallback"
)

// psiTolerance is how far from Evidently's index ours may be, of one that is 1 or less; of a larger one in proportion.
const psiTolerance = 1e-12

// testdata/make_psi.py makes the file.
func TestPSIEqualsEvidently(t *testing.T) {
	text, err := os.ReadFile("testdata/psi.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name             string
		Expected, Actual []float64
		PSI              float64
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 20 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, tt := range cases {
		t.Run(tt.Name, func(t *testing.T) {
			got := fallback.PSI(tt.Expected, tt.Actual)
			if !near(got, tt.PSI) {
				t.Errorf("got %v, Evidently has %v", got, tt.PSI)
			}
		})
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= psiTolerance*max(1, math.Abs(b)) }

// The index is never negative, the same both ways, and the same for counts as for shares.
func TestPSIProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	for range 1000 {
		n := 1 + rng.IntN(20)
		e, a, scaled := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range n {
			e[i], a[i] = float64(rng.IntN(50)), float64(rng.IntN(50))
		}
		e[rng.IntN(n)], a[rng.IntN(n)] = 1, 1 // neither is empty
		for i := range n {
			scaled[i] = a[i] / 7
		}
		got := fallback.PSI(e, a)
		if !(got >= 0) || !near(fallback.PSI(a, e), got) || fallback.PSI(e, e) != 0 {
			t.Fatalf("%v and %v: %v one way, %v the other", e, a, got, fallback.PSI(a, e))
		}
		if s := fallback.PSI(e, scaled); !near(s, got) {
			t.Fatalf("%v and %v: %v of counts, %v of shares", e, a, got, s)
		}
	}
}

func TestPSIOfNothing(t *testing.T) {
	tests := map[string]struct{ expected, actual []float64 }{
		"nothing expected": {[]float64{0, 0}, []float64{1, 2}},
		"nothing actual":   {[]float64{1, 2}, []float64{0, 0}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := fallback.PSI(tt.expected, tt.actual); !math.IsNaN(got) {
				t.Errorf("got %v", got)
			}
		})
	}
}
