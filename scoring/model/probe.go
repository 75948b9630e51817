package model

import (
	"errors"
	"fmt"
	"iter"

	"recstream/scoring/feature"
)

// Where the item part of a vector has its genre flags, its duration and its year.
const (
	genreStart = feature.NumRequest
	durationAt = feature.Num - 2
	yearAt     = feature.Num - 1
)

// The durations and years that probing combines; 0 is a missing one.
var (
	probeDurations = [...]float64{0, 20, 80, 95, 110, 130, 180, 300}
	probeYears     = [...]float64{0, 1930, 1965, 1985, 1995, 2005, 2015, 2024}
)

// probe predicts for some thousand made-up vectors, and refuses a model that gives a prediction which is
// not finite, or the same one every time: such a model ranks nothing.
func probe(m *Model) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("probe: panic: %v", v)
		}
	}()
	first, constant := m.Probability(make([]float64, feature.Num)), true
	for x := range probeVectors() {
		p := m.Probability(x)
		if !isFinite(p) {
			return errors.New("probe: a prediction is not finite")
		}
		constant = constant && p == first
	}
	if constant {
		return fmt.Errorf("probe: the model is constant: every prediction is %v", first)
	}
	return nil
}

// probeVectors yields each flag of the request with each genre, at durations and years of all sizes. It
// reuses one vector.
func probeVectors() iter.Seq[[]float64] {
	return func(yield func([]float64) bool) {
		x := make([]float64, feature.Num)
		for i := range feature.NumRequest * (durationAt - genreStart) {
			request, genre := i%feature.NumRequest, genreStart+i/feature.NumRequest
			x[request], x[genre] = 1, 1
			for j := range len(probeDurations) * len(probeYears) {
				x[durationAt] = probeDurations[j%len(probeDurations)]
				x[yearAt] = probeYears[j/len(probeDurations)]
				if !yield(x) {
					return
				}
			}
			x[request], x[genre] = 0, 0
		}
	}
}
