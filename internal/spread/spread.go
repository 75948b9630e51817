// Package spread takes the rounds of a benchmark in turns, and sums them up.
package spread

import (
	"math"
	"slices"
)

// Spread is the median of some values with the least and the largest.
type Spread struct{ Median, Least, Largest float64 }

// Of returns the spread of values; the median of an even number is the mean of the middle two, that of none is
// NaN.
func Of(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return Spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}
