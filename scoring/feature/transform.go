package feature

import (
	"fmt"
	"math"
	"slices"
)

// TransformKind names a transform.
type TransformKind string

// The transforms. Each computes in float64 what the named function or class of numpy or scikit-learn
// computes, in its order of operations: to the bit, but for log1p, whose last bit is the C library's.
const (
	TransformClip        TransformKind = "clip"        // numpy.clip; min, max, or one of them
	TransformLog1p       TransformKind = "log1p"       // numpy.log1p, ln(1+x); missing for x <= -1
	TransformStandardise TransformKind = "standardise" // StandardScaler, (x-mean)/scale; mean is mean_, scale is scale_
	TransformMinMax      TransformKind = "min_max"     // MinMaxScaler to 0..1, not clipped; min is data_min_, max is data_max_
	TransformQuantile    TransformKind = "quantile"    // QuantileTransformer, uniform; quantiles is its quantiles_
)

// Transform is one step from a known value to what the model sees, with its fitted parameters. Those that
// its kind does not use must be left out.
type Transform struct {
	Kind      TransformKind `yaml:"kind" json:"kind"`
	Min       *float64      `yaml:"min,omitempty" json:"min,omitempty"`
	Max       *float64      `yaml:"max,omitempty" json:"max,omitempty"`
	Mean      *float64      `yaml:"mean,omitempty" json:"mean,omitempty"`
	Scale     *float64      `yaml:"scale,omitempty" json:"scale,omitempty"` // more than 0
	Quantiles []float64     `yaml:"quantiles,omitempty" json:"quantiles,omitempty"`
}

// step is a transform, verified. NaN goes through every step.
type step func(float64) float64

// compile returns t's step, or the parameter at fault and why.
func (t *Transform) compile() (s step, field, detail string) {
	if field, detail = t.checkParameters(); detail != "" {
		return nil, field, detail
	}
	switch t.Kind {
	case TransformClip:
		return t.clip()
	case TransformStandardise:
		return t.standardise()
	case TransformMinMax:
		return t.minMax()
	case TransformQuantile:
		return t.quantile()
	default:
		return math.Log1p, "", ""
	}
}

// uses lists what each kind takes.
var uses = map[TransformKind][]string{
	TransformClip: {"min", "max"}, TransformLog1p: nil, TransformStandardise: {"mean", "scale"},
	TransformMinMax: {"min", "max"}, TransformQuantile: {"quantiles"},
}

// checkParameters refuses an unknown kind, numbers that are not finite, and parameters of another kind.
func (t *Transform) checkParameters() (field, detail string) {
	used, known := uses[t.Kind]
	if !known {
		return "kind", fmt.Sprintf("%q is none of clip, log1p, standardise, min_max, quantile", t.Kind)
	}
	for _, p := range []struct {
		name  string
		value *float64
	}{{"min", t.Min}, {"max", t.Max}, {"mean", t.Mean}, {"scale", t.Scale}} {
		switch {
		case p.value == nil:
		case !slices.Contains(used, p.name):
			return p.name, fmt.Sprintf("%s takes none; leave it out", t.Kind)
		case !isFinite(*p.value):
			return p.name, "must be a finite number"
		}
	}
	if len(t.Quantiles) > 0 && t.Kind != TransformQuantile {
		return "quantiles", fmt.Sprintf("%s takes none; leave it out", t.Kind)
	}
	return "", ""
}

func (t *Transform) clip() (s step, field, detail string) {
	low, high := math.Inf(-1), math.Inf(1)
	if t.Min == nil && t.Max == nil {
		return nil, "min", "clip needs min, max or both"
	}
	if t.Min != nil {
		low = *t.Min
	}
	if t.Max != nil {
		high = *t.Max
	}
	if low > high {
		return nil, "min", "is more than max"
	}
	return func(x float64) float64 { return min(max(x, low), high) }, "", ""
}

func (t *Transform) standardise() (s step, field, detail string) {
	if t.Mean == nil {
		return nil, "mean", "is missing"
	}
	if t.Scale == nil {
		return nil, "scale", "is missing"
	}
	mean, scale := *t.Mean, *t.Scale
	if scale <= 0 {
		return nil, "scale", "must be more than 0; scikit-learn has 1 for a constant column"
	}
	return func(x float64) float64 { return (x - mean) / scale }, "", ""
}

// minMax computes x·scale + shift, with scale = 1/(max-min) and shift = -min·scale, as MinMaxScaler does;
// like there, a constant column has the range 1.
func (t *Transform) minMax() (s step, field, detail string) {
	if t.Min == nil {
		return nil, "min", "is missing"
	}
	if t.Max == nil {
		return nil, "max", "is missing"
	}
	width := *t.Max - *t.Min
	if width < 0 || !isFinite(width) {
		return nil, "max", "must not be less than min, nor further away than numbers reach"
	}
	if width < 10*epsilon {
		width = 1
	}
	scale := 1 / width
	shift := 0 - *t.Min*scale
	// The conversion keeps compilers from fusing the two operations, which would round otherwise.
	return func(x float64) float64 { return float64(x*scale) + shift }, "", ""
}

// epsilon is the distance from 1 to the next float64. MinMaxScaler takes a range below ten times that for
// a constant column.
const epsilon = 0x1p-52

func (t *Transform) quantile() (s step, field, detail string) {
	q := slices.Clone(t.Quantiles)
	if len(q) < 2 {
		return nil, "quantiles", "must be at least 2"
	}
	for i, v := range q {
		if !isFinite(v) {
			return nil, fmt.Sprintf("quantiles[%d]", i), "must be a finite number"
		}
		if i > 0 && v < q[i-1] {
			return nil, fmt.Sprintf("quantiles[%d]", i), "is less than the one before it"
		}
	}
	return quantiles{q, references(len(q))}.apply, "", ""
}

// references are n levels from 0 to 1, as numpy.linspace rounds them.
func references(n int) []float64 {
	refs := make([]float64, n)
	step := 1 / float64(n-1)
	for i := range refs {
		refs[i] = float64(i) * step
	}
	refs[n-1] = 1
	return refs
}

// quantiles maps a value to its level among the values that the transform was fitted on.
type quantiles struct{ values, levels []float64 }

// apply is the mean of interpolating upwards and downwards, which differ where quantiles are equal: a value
// that was frequent gets the middle of its levels.
func (q quantiles) apply(x float64) float64 {
	last := len(q.values) - 1
	switch {
	case math.IsNaN(x):
		return x
	case x <= q.values[0]:
		return 0
	case x >= q.values[last]:
		return 1
	}
	above, equal := slices.BinarySearch(q.values, x) // the first that is not below x
	if !equal {
		return 0.5 * (q.between(above-1, x) + q.beforehand(above, x))
	}
	end := above
	for q.values[end] == x {
		end++
	}
	return 0.5 * (q.levels[end-1] + q.levels[above])
}

// between interpolates from quantile i upwards.
func (q quantiles) between(i int, x float64) float64 {
	return float64(q.slope(i)*(x-q.values[i])) + q.levels[i]
}

// beforehand interpolates from quantile i downwards.
func (q quantiles) beforehand(i int, x float64) float64 {
	return q.levels[i] - float64(q.slope(i-1)*(q.values[i]-x))
}

// slope is that from quantile i to the next.
func (q quantiles) slope(i int) float64 {
	return (q.levels[i+1] - q.levels[i]) / (q.values[i+1] - q.values[i])
}

// isFinite is false for NaN and the infinities, whose difference from themselves is NaN.
func isFinite(v float64) bool { return v-v == 0 }
