package explain

import (
	"cmp"
	"math"
	"slices"

	"recstream/schemas"
	"recstream/scoring/feature"
	"recstream/scoring/forest"
	"recstream/scoring/model"
)

// Contributor finds the features that count most in a model's raw score of an item. It has buffers, so it is for
// one goroutine at a time.
type Contributor struct {
	explainer *forest.Explainer
	features  []feature.Feature // in the model's order
	values    []float64         // SHAP values of the last row, and the expected score
	order     []int             // of features
}

// NewContributor prepares explanations of m. The error says why the forest cannot be explained: its file does not
// say how much of the training data reached each leaf, as with ONNX, or its paths are too long.
func NewContributor(m *model.Model) (*Contributor, error) {
	explainer, err := m.Forest().NewExplainer()
	if err != nil {
		return nil, err
	}
	c := &Contributor{explainer: explainer, features: feature.Default().Features} // those of a plain file
	if manifest := m.Manifest(); manifest != nil {
		c.features = manifest.Features
	}
	c.values = make([]float64, len(c.features)+1)
	return c, nil
}

// Strongest returns the n features with the largest contributions, up or down, to the raw score of row x, in the
// model's order of features; the strongest first, of equal ones the one that the model names first. What contributes
// nothing is left out, so there can be fewer. Each value of a one-hot group is a feature of its own.
//
// Contributions are SHAP values, in the units of the raw score: see [forest.Explainer]. It panics unless x has as many
// values as the model has features.
func (c *Contributor) Strongest(x []float64, n int) []schemas.Contribution {
	c.explainer.Contributions(x, c.values)
	c.order = c.order[:0]
	for i := range c.features {
		if c.values[i] != 0 {
			c.order = append(c.order, i)
		}
	}
	slices.SortFunc(c.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(math.Abs(c.values[b]), math.Abs(c.values[a])), cmp.Compare(a, b))
	})
	var strongest []schemas.Contribution
	for _, i := range c.order[:min(max(n, 0), len(c.order))] {
		f := &c.features[i]
		strongest = append(strongest, schemas.Contribution{
			Feature: f.Name, Label: Label(f, x[i]), Value: finite(x[i]), Contribution: c.values[i],
		})
	}
	return strongest
}

// finite returns a copy of v, nil where it is NaN or infinite, which JSON does not have.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
