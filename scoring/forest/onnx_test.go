package forest

import (
	"strings"
	"testing"
)

// The tolerances, relative to values beyond 1. ONNX Runtime takes its exponentials in float32; scikit-learn
// divides the sums of a random forest where the file has weights that are divided already.
const (
	onnxFloatTolerance  = 1e-6
	onnxDoubleTolerance = 1e-12
)

func TestOracleONNXSmall(t *testing.T) { testOracleONNX(t, smallCases(t, "onnx")) }

func TestOracleONNXLarge(t *testing.T) { testOracleONNX(t, largeCases(t, "onnx")) }

func testOracleONNX(t *testing.T, cases []*oracleCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkONNX(t, c) })
	}
}

// checkONNX compares by what the model is: see testdata/oracle/onnx_vectors.py.
func checkONNX(t *testing.T, c *oracleCase) {
	t.Helper()
	kind, _, _ := strings.Cut(c.name, "-")
	rawTolerance, predTolerance := 0.0, onnxFloatTolerance
	switch {
	case kind == "double":
		rawTolerance, predTolerance = onnxDoubleTolerance, onnxDoubleTolerance
	case kind == "mixed", c.name == "float-average":
		rawTolerance = onnxFloatTolerance
	}
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
		compareONNX(t, "raw", i, out, c.rawOf(i), rawTolerance)
		f.Transform(out)
		compareONNX(t, "prediction", i, out, c.predOf(i), predTolerance)
		if t.Failed() {
			t.Fatalf("row %d: %v", i, c.row(i))
		}
	}
}

func compareONNX(t *testing.T, what string, row int, got, want []float64, tolerance float64) {
	t.Helper()
	for k := range want {
		if !closeTo(got[k], want[k], tolerance) {
			t.Errorf("row %d: %s %d is %v, want %v", row, what, k, got[k], want[k])
		}
	}
}
