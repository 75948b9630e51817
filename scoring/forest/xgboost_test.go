package forest

import (
	"math"
	"testing"
)

// xgboostTolerance is how far a prediction may be from XGBoost's, which works it out in float32; relative to
// it beyond 1.
const xgboostTolerance = 2e-7

func TestOracleXGBoost(t *testing.T) {
	for _, c := range smallCases(t, "xgboost") {
		t.Run(c.name, func(t *testing.T) { checkXGBoost(t, c) })
	}
}

func TestOracleXGBoostLarge(t *testing.T) {
	for _, c := range largeCases(t, "xgboost") {
		t.Run(c.name, func(t *testing.T) { checkXGBoost(t, c) })
	}
}

// checkXGBoost parses the model, and compares: raw scores bit for bit, predictions within xgboostTolerance.
func checkXGBoost(t *testing.T, c *oracleCase) {
	f, err := Parse(c.model)
	if err != nil {
		t.Fatal(err)
	}
	if f.NumFeatures() != c.features || f.NumOutputs() != c.outputs {
		t.Fatalf("%d features and %d outputs, want %d and %d", f.NumFeatures(), f.NumOutputs(), c.features, c.outputs)
	}
	out := make([]float64, c.outputs)
	for i := range c.rows {
		f.Raw(c.row(i), out)
		for k, want := range c.rawOf(i) {
			if math.Float64bits(out[k]) != math.Float64bits(want) {
				t.Fatalf("row %d: raw score %d is %v, want %v; row: %v", i, k, out[k], want, c.row(i))
			}
		}
		f.Transform(out)
		for k, want := range c.predOf(i) {
			if !closeTo(out[k], want, xgboostTolerance) {
				t.Fatalf("row %d: prediction %d is %v, want %v", i, k, out[k], want)
			}
		}
	}
}
