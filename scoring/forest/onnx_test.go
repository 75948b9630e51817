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
	checkOracle(t, c, rawTolerance, predTolerance)
}
