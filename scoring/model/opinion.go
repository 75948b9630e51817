package model

import (
	"bufio"
	"bytes"
	"fmt"
	"math"

	"github.com/dmitryikh/leaves"

	"recstream/scoring/forest"
)

// Opinion says what another evaluator, leaves, makes of a model.
type Opinion struct {
	Rows    int    // how many rows it scored alike; 0 if it was not asked
	Skipped string // why it was not asked
}

// String is the opinion as a sentence.
func (o Opinion) String() string {
	if o.Skipped != "" {
		return o.Skipped
	}
	return fmt.Sprintf("leaves scores %d rows alike", o.Rows)
}

// askLeaves compares raw scores with those of leaves on the golden rows and on rows. leaves reads LightGBM's
// files only, up to v3, and is given only what package forest has verified.
func (m *Model) askLeaves(data []byte, rows [][]float64) (Opinion, error) {
	if m.forest.Format() != forest.FormatLightGBM {
		return Opinion{Skipped: "leaves does not read " + string(m.forest.Format())}, nil
	}
	other, err := loadLeaves(data)
	if err != nil {
		return Opinion{Skipped: "leaves cannot read it: " + err.Error()}, nil
	}
	if other.NFeatures() != m.forest.NumFeatures() || other.NEstimators() != m.forest.NumTrees() {
		return Opinion{}, fmt.Errorf("leaves reads %d features and %d trees, not %d and %d",
			other.NFeatures(), other.NEstimators(), m.forest.NumFeatures(), m.forest.NumTrees())
	}
	all := rows
	if m.manifest != nil {
		for _, g := range m.manifest.Golden {
			all = append(all, g.Row)
		}
	}
	scale := 1.0
	if bytes.Contains(data, []byte("\naverage_output")) {
		scale = float64(m.forest.NumTrees()) // of a random forest: LightGBM's raw score is the sum, leaves' the mean
	}
	n, categorical := 0, m.forest.Categorical()
	for _, row := range all {
		ours, theirs := m.Raw(row), scale*rawOfLeaves(other, row)
		if math.Abs(ours-theirs) <= tolerance64*(1+math.Abs(ours)) {
			n++
		} else if !misread(row, categorical) {
			return Opinion{}, fmt.Errorf("second opinion: the raw score is %v, leaves says %v for %v", ours, theirs, row)
		}
	}
	return Opinion{Rows: n}, nil
}

// loadLeaves loads a verified LightGBM file into leaves. Since v3 the trees are written alike, so the header of
// a v4 file is changed for one that leaves accepts. A panic there is one more way not to read a file.
func loadLeaves(data []byte) (e *leaves.Ensemble, err error) {
	defer func() {
		if v := recover(); v != nil {
			e, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	old := bytes.Replace(data, []byte("\nversion=v4\n"), []byte("\nversion=v3\n"), 1)
	return leaves.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(old)), false)
}

// rawOfLeaves is leaves' raw score, NaN where it panics.
func rawOfLeaves(e *leaves.Ensemble, row []float64) (raw float64) {
	defer func() {
		if recover() != nil {
			raw = math.NaN()
		}
	}()
	var out [1]float64
	if err := e.Predict(row, 0, out[:]); err != nil {
		return math.NaN()
	}
	return out[0]
}

// misread reports whether leaves is known to be wrong about such a row. It takes a missing category for category 0,
// as old versions of LightGBM did; since version 4 it is no category. And for it zero ends at 1e-35, where
// LightGBM has the float32 nearest to that, which is a threshold in many models.
func misread(row []float64, categorical []bool) bool {
	for i, v := range row {
		if categorical[i] && math.IsNaN(v) || math.Abs(v) >= 1e-35 && math.Abs(v) <= float64(float32(1e-35)) {
			return true
		}
	}
	return false
}
