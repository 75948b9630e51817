package fallback

import (
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// maxSample is how many predictions of one decision are counted at the most.
const maxSample = 16

// Drift compares a model's predictions with those of its training, window by window. All methods are safe for
// concurrent use, and none allocates.
type Drift struct {
	params   DriftParams
	bounds   []float64 // between the bins, ascending
	expected []float64 // in each bin, of the training

	calls atomic.Uint64 // of Observe
	psi   atomic.Uint64 // bits of the last full window's index

	mu     sync.Mutex
	actual []float64 // in each bin, of the window that is being filled
	filled int       // their sum
}

// NewDrift returns the comparison with the histogram of the training's predictions, as a bundle's profile has it:
// edges ascend and are one more than counts, of which bin i has those of edges[i] up to, but not with, edges[i+1]; or
// one of each, where the training knew one prediction only. That finds no drift, as nothing is outside of its bin.
// Without counts, or with a window of 0, nothing is compared. The slices are copied. The parameters are valid.
func NewDrift(edges []float64, counts []int, p DriftParams) *Drift {
	d := &Drift{params: p, actual: make([]float64, len(counts))}
	for _, n := range counts {
		d.expected = append(d.expected, float64(n))
	}
	if len(counts) > 1 {
		d.bounds = slices.Clone(edges[1:len(counts)])
	}
	d.psi.Store(math.Float64bits(math.NaN()))
	return d
}

// Observe counts predictions of one decision, at most 16, spread evenly over all; from call to call others. The
// outer bins take what lies outside of the histogram, and NaN is not counted. predict makes a prediction of a raw
// score, on the scale of the edges; nil means that raw has predictions.
//
// The call that fills a window compares it, which takes less than a microsecond.
func (d *Drift) Observe(raw []float64, predict func(raw float64) float64) {
	if d.params.Window == 0 || len(d.expected) == 0 || len(raw) == 0 {
		return
	}
	step := (len(raw) + maxSample - 1) / maxSample
	first := int(d.calls.Add(1) % uint64(step))
	var sample [maxSample]int
	n := 0
	for i := first; i < len(raw); i += step {
		v := raw[i]
		if predict != nil {
			v = predict(v)
		}
		if v == v {
			sample[n] = d.bin(v)
			n++
		}
	}
	d.count(sample[:n])
}

// bin returns the bin that a prediction falls into: as many bounds are not above it.
func (d *Drift) bin(v float64) int {
	return sort.Search(len(d.bounds), func(i int) bool { return d.bounds[i] > v })
}

// count counts one prediction in each of the bins.
func (d *Drift) count(bins []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range bins {
		d.actual[i]++
		if d.filled++; d.filled == d.params.Window {
			d.psi.Store(math.Float64bits(PSI(d.expected, d.actual)))
			clear(d.actual)
			d.filled = 0
		}
	}
}

// PSI returns the population stability index of the last full window; NaN before the first.
func (d *Drift) PSI() float64 { return math.Float64frombits(d.psi.Load()) }

// Exceeded reports whether PSI is above DriftParams.MaxPSI: the model is not to be trusted.
func (d *Drift) Exceeded() bool { return d.PSI() > d.params.MaxPSI }
