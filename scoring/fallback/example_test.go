package fallback_test

import (
	"fmt"
	"math"
	"time"

	"recstream/schemas"
	"recstream/scoring/fallback"
)

func ExampleBreaker() {
	p := fallback.BreakerParams{Window: 100, Failures: 2, Rest: 10 * time.Second, Probes: 1}
	b := fallback.NewBreaker(p, func(c fallback.Change) { fmt.Println(c.From, "to", c.To, c.Reason) })

	now := time.Date(2026, 1, 1, 20, 0, 0, 0, time.UTC)
	b.Failure(now, schemas.ReasonPanic)
	b.Failure(now, schemas.ReasonNonFiniteScore)
	fmt.Println(b.Allow(now.Add(9 * time.Second)))

	now = now.Add(10 * time.Second)
	if b.Allow(now) {
		b.Success(now)
	}
	// Output:
	// closed to open non_finite_score
	// false
	// open to half_open non_finite_score
	// half_open to closed
}

func ExampleDrift() {
	training := fallback.NewDrift([]float64{0, 0.5, 1}, []int{800, 200}, fallback.DriftParams{Window: 100, MaxPSI: 0.25})
	sigmoid := func(raw float64) float64 { return 1 / (1 + math.Exp(-raw)) }
	for range 50 {
		training.Observe([]float64{-1.5, 2.5}, sigmoid)
	}
	fmt.Printf("%.3f %t\n", training.PSI(), training.Exceeded())
	// Output: 0.416 true
}
