package replay

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
)

// RelativeAccuracy is how far a quantile of a Sketch may be from the exact one, as a share of it.
const RelativeAccuracy = 0.01

// Sketch keeps how values that are not negative are distributed, in bins whose bounds grow by a constant factor: the
// quantiles that it gives are within RelativeAccuracy of the exact ones, whatever the values. Sketches can be added.
// The bins are those of Masson, Rim, Lee: DDSketch, a fast and fully-mergeable quantile sketch (VLDB 2019), 2.1.
// The zero value is empty.
type Sketch struct {
	count int64
	zeros int64
	max   float64
	bins  map[int]int64 // bin i has the values from gamma^(i-1), exclusive, to gamma^i
}

var (
	gamma    = (1 + RelativeAccuracy) / (1 - RelativeAccuracy)
	logGamma = math.Log(gamma)
)

// Add adds a value. One that is not finite or negative counts as the largest number there is.
func (s *Sketch) Add(v float64) {
	if !(v >= 0 && v <= math.MaxFloat64) {
		v = math.MaxFloat64
	}
	s.count++
	s.max = max(s.max, v)
	if v == 0 {
		s.zeros++
		return
	}
	if s.bins == nil {
		s.bins = map[int]int64{}
	}
	s.bins[int(math.Ceil(math.Log(v)/logGamma))]++
}

// Merge adds what another sketch has.
func (s *Sketch) Merge(o *Sketch) {
	s.count, s.zeros, s.max = s.count+o.count, s.zeros+o.zeros, max(s.max, o.max)
	if s.bins == nil && len(o.bins) > 0 {
		s.bins = map[int]int64{}
	}
	for i, n := range o.bins {
		s.bins[i] += n
	}
}

// Count is the number of values.
func (s *Sketch) Count() int64 { return s.count }

// Max is the largest value, 0 without any. It is exact.
func (s *Sketch) Max() float64 { return s.max }

// Quantile returns the value of which a share q, 0 to 1, of the values is not larger: of the ordered values the one
// at place floor(q*(n-1)), as numpy's method "lower" has it. It is 0 without any.
func (s *Sketch) Quantile(q float64) float64 {
	place := int64(q * float64(s.count-1))
	if s.count == 0 || place < s.zeros {
		return 0
	}
	seen := s.zeros
	for _, i := range slices.Sorted(maps.Keys(s.bins)) {
		if seen += s.bins[i]; place < seen {
			// The middle of the bin in relative terms; no value is above the largest.
			return min(2*math.Exp(float64(i)*logGamma)/(gamma+1), s.max)
		}
	}
	return s.max
}

// clone returns a copy that shares nothing.
func (s *Sketch) clone() Sketch {
	c := *s
	c.bins = maps.Clone(s.bins)
	return c
}

// storedSketch is a sketch as it is kept between batches.
type storedSketch struct {
	Count int64      `json:"count"`
	Zeros int64      `json:"zeros"`
	Max   float64    `json:"max"`
	Bins  [][2]int64 `json:"bins,omitempty"` // index and count
}

// MarshalJSON writes all that there is.
func (s *Sketch) MarshalJSON() ([]byte, error) {
	stored := storedSketch{Count: s.count, Zeros: s.zeros, Max: s.max}
	for i, n := range s.bins {
		stored.Bins = append(stored.Bins, [2]int64{int64(i), n})
	}
	slices.SortFunc(stored.Bins, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	return json.Marshal(stored)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Sketch) UnmarshalJSON(text []byte) error {
	var stored storedSketch
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	*s = Sketch{count: stored.Count, zeros: stored.Zeros, max: stored.Max}
	for _, bin := range stored.Bins {
		if s.bins == nil {
			s.bins = map[int]int64{}
		}
		s.bins[int(bin[0])] = bin[1]
	}
	return nil
}
