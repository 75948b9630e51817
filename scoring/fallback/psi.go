package fallback

import "math"

// What stands for an empty bin. Both numbers are Evidently's.
const (
	emptyShare = 0.0001 // where no bin that holds anything has a share as small as that
	emptyPart  = 1e-6   // else this part of the smallest share
)

// PSI returns the population stability index of two distributions, given by what each bin holds: counts, or anything
// in proportion to them; not negative. With e and a the shares of a bin it is the sum over the bins of
//
//	(a - e)·ln(a/e)
//
// It is 0 for equal shares, never negative, and the same both ways. By N. Siddiqi, Credit Risk Scorecards (2006), it
// is small below 0.1 and large above 0.25; the formula is the divergence J of S. Kullback and R. A. Leibler, On
// Information and Sufficiency (1951).
//
// The logarithm has no value for an empty bin. As in Evidently, each distribution's empty bins get the share 0.0001,
// or, where its smallest share is no larger than that, a millionth of it; the others stay as they are.
//
// The bins of both are the same, so their numbers are equal. The index is NaN where either holds nothing at all.
func PSI(expected, actual []float64) float64 {
	e, a := sharesOf(expected), sharesOf(actual)
	sum := 0.0
	for i := range expected {
		x, y := e.of(expected[i]), a.of(actual[i])
		sum += (y - x) * math.Log(y/x)
	}
	return sum
}

// shares turn what a bin holds into its share.
type shares struct {
	total float64
	empty float64 // the share of an empty bin
}

func sharesOf(bins []float64) shares {
	total, least := 0.0, math.Inf(1)
	for _, held := range bins {
		total += held
		if held > 0 {
			least = min(least, held)
		}
	}
	s := shares{total: total, empty: emptyShare}
	if least/total <= emptyShare {
		s.empty = least / total * emptyPart
	}
	return s
}

// of returns the share of a bin; NaN where all are empty.
func (s shares) of(held float64) float64 {
	if held == 0 && s.total > 0 {
		return s.empty
	}
	return held / s.total
}
