package model

import (
	"recstream/schemas"
	"recstream/scoring/feature"
	"recstream/scoring/forest"
)

// Model is a loaded model that passed the gates. It does not change, so any number of goroutines may use it.
type Model struct {
	// Ref names the model. A caller may complete it before the model is shared.
	Ref schemas.ModelRef

	forest   *forest.Forest
	features *feature.Extractor
	manifest *Manifest // nil for a plain file
	opinion  Opinion
}

// Forest is the model's trees.
func (m *Model) Forest() *forest.Forest { return m.forest }

// Features makes the model's rows.
func (m *Model) Features() *feature.Extractor { return m.features }

// Manifest is the bundle's, nil for a plain file. It must not be changed.
func (m *Model) Manifest() *Manifest { return m.manifest }

// SecondOpinion says what became of the comparison with another evaluator.
func (m *Model) SecondOpinion() Opinion { return m.opinion }

// Prediction is what the model's objective makes of a raw score: the probability of the positive class for a
// classifier; for other objectives a number on the scale of what was learned.
func (m *Model) Prediction(raw float64) float64 {
	out := [1]float64{raw}
	m.forest.Transform(out[:])
	return out[0]
}

// Raw returns the raw score of row x, in the order of the model's features; a missing value is NaN. It panics
// unless x has as many values.
func (m *Model) Raw(x []float64) float64 {
	var out [1]float64
	m.forest.Raw(x, out[:])
	return out[0]
}
