package rank

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// calibrationTolerance is for the log odds, which we and numpy compute in different ways.
const calibrationTolerance = 1e-12

// Calibrated predictions are those of scikit-learn: testdata/make_calibration.py makes them.
func TestCalibrationIsThatOfScikitLearn(t *testing.T) {
	text, err := os.ReadFile("testdata/calibration.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Slope, Intercept float64
		P, Calibrated    []float64
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) != 5 {
		t.Fatalf("%d cases, error %v", len(cases), err)
	}
	for _, c := range cases {
		for i, p := range c.P {
			if got := (Calibration{c.Slope, c.Intercept}).of(p); !(math.Abs(got-c.Calibrated[i]) <= calibrationTolerance*c.Calibrated[i]) {
				t.Errorf("slope %v, intercept %v: %v becomes %v, scikit-learn has %v", c.Slope, c.Intercept, p, got, c.Calibrated[i])
			}
		}
	}
}
