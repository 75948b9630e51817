package rounds

import (
	"fmt"
	"math"
	"slices"
)

// Spread is the median of some values with the least and the largest.
type Spread struct{ Median, Least, Largest float64 }

// SpreadOf returns the spread of values; the median of an even number is the mean of the middle two, that of none is
// NaN.
func SpreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return Spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// Ratio returns the spread of a divided by b, round by round: both were measured within the same second, whatever
// else the machine did.
func Ratio(a, b []float64) Spread {
	values := make([]float64, len(b))
	for i := range values {
		values[i] = a[i] / b[i]
	}
	return SpreadOf(values)
}

// Text returns the median (least–largest) with so many digits.
func (s Spread) Text(digits int) string {
	return fmt.Sprintf("%.*g (%.*g–%.*g)", digits, s.Median, digits, s.Least, digits, s.Largest)
}
