package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"recstream/scoring/feature"
	"recstream/scoring/forest"
)

// checkForest compares the file with the manifest, and refuses what cannot rank: serving needs one score an item.
func (m *Model) checkForest() error {
	if n := m.forest.NumOutputs(); n != 1 {
		return fmt.Errorf("the model has %d outputs; to rank takes one", n)
	}
	if m.manifest == nil {
		return nil
	}
	if got, want := string(m.forest.Format()), m.manifest.Format; got != want {
		return fmt.Errorf("the file is %s, the manifest says %s", got, want)
	}
	if got, want := m.forest.Objective(), m.manifest.Objective; got != want {
		return fmt.Errorf("the file's objective is %q, the manifest says %q", got, want)
	}
	return nil
}

// checkFeatures compares the model's names with the declared ones, one by one: a model that was trained on
// other features, or on these in another order, would score without complaint and wrongly. A file without
// names has those that the trainer or package forest made up, and can only be counted.
func checkFeatures(f *forest.Forest, declared []string) error {
	got := f.Features()
	for i, want := range declared {
		if i < len(got) && got[i] != want && !madeUp(got[i], i) {
			return &featureError{fmt.Sprintf("feature %d is %q, not %q", i, got[i], want)}
		}
	}
	if len(got) != len(declared) {
		return &featureError{fmt.Sprintf("the model has %d features, not %d", len(got), len(declared))}
	}
	return nil
}

// HasNames reports whether a model's file names its features; otherwise they have made-up names.
func HasNames(f *forest.Forest) bool {
	for i, name := range f.Features() {
		if !madeUp(name, i) {
			return true
		}
	}
	return false
}

// madeUp reports whether a name says no more than that it is feature i: Column_3 is LightGBM's, f3 is
// XGBoost's and package forest's.
func madeUp(name string, i int) bool {
	n := strconv.Itoa(i)
	return name == "Column_"+n || name == "f"+n
}

// Tolerances of golden predictions, relative to 1+|prediction|: how far the libraries' exponential functions
// may differ, for trainers that compute in float64 and in float32.
const (
	tolerance64 = 1e-9
	tolerance32 = 1e-5
)

func (m *Model) tolerance() float64 {
	if m.forest.Format() == forest.FormatLightGBM {
		return tolerance64
	}
	return tolerance32
}

// checkGolden predicts the golden rows.
func (m *Model) checkGolden() error {
	for i, g := range m.manifest.Golden {
		got := m.Prediction(m.Raw(g.Row))
		if !(math.Abs(got-g.Prediction) <= m.tolerance()*(1+math.Abs(g.Prediction))) {
			return fmt.Errorf("golden row %d: the prediction is %v, the manifest says %v", i, got, g.Prediction)
		}
	}
	return nil
}

// evaluated is how many of the made-up rows the evaluator scores.
const evaluated = 300

// checkEvaluator compares what serves, the evaluator over items, with the walk through the trees that the other
// gates look at. Each row is a request with one item of its own.
func (m *Model) checkEvaluator(rows [][]float64) error {
	parts := m.features.Parts()
	list := make([]forest.Part, len(parts))
	var items []float64
	for i, p := range parts {
		list[i] = forest.Part(p) // their values are alike
	}
	values := func(row []float64, part feature.Part, dst []float64) []float64 {
		for i, p := range parts {
			if p == part {
				dst = append(dst, row[i])
			}
		}
		return dst
	}
	for _, row := range rows {
		items = values(row, feature.PartItem, items)
	}
	e, err := forest.NewEvaluator(context.Background(), m.forest, list, items, len(rows), forest.Options{})
	if err != nil {
		return err
	}
	scorer, out := e.NewScorer(), make([]float64, 1)
	for i, row := range rows {
		scorer.Score(row, []int32{int32(i)}, values(row, feature.PartPair, nil), out)
		if want := m.Raw(row); out[0] != want {
			return fmt.Errorf("the evaluator (%s) scores %v, the trees %v for %v", e.Method(), out[0], want, row)
		}
	}
	return nil
}

// probes is how many rows are made up to look at a model.
const probes = 2000

// probeRows makes rows that lead to all parts of the trees, always the same for the same model.
func (m *Model) probeRows() [][]float64 {
	random := rand.New(rand.NewPCG(1, 2))
	prober := m.forest.NewProber()
	rows := make([][]float64, probes)
	for i := range rows {
		rows[i] = make([]float64, m.forest.NumFeatures())
		prober.Row(random, rows[i])
	}
	return rows
}

// checkProbes refuses a model with a prediction that is not finite, or the same one every time: such a model
// ranks nothing.
func (m *Model) checkProbes(rows [][]float64) error {
	first, constant := m.Raw(rows[0]), true
	for _, row := range rows {
		raw := m.Raw(row)
		if !isFinite(m.Prediction(raw)) {
			return fmt.Errorf("a prediction is not finite: the raw score %v gives %v", raw, m.Prediction(raw))
		}
		constant = constant && raw == first
	}
	if constant {
		return errors.New("the model is constant: it scores every row alike")
	}
	return nil
}
