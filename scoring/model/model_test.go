package model_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"recstream/schemas"
	"recstream/scoring/internal/vectors"
	"recstream/scoring/model"
)

const demoPath = "../../internal/demo/data/model.txt"

// tolerance is how far a probability may be from LightGBM's own: the exponential functions of two libraries
// may differ in the last bit.
const tolerance = 1e-12

func TestPredictionEqualsLightGBM(t *testing.T) {
	m := load(t, demoPath)
	for i, v := range vectors.Read(t, "../feature/testdata/vectors.csv.gz") {
		raw := m.Raw(v.Features)
		if raw != v.Raw {
			t.Errorf("vector %d: raw %v, LightGBM has %v", i, raw, v.Raw)
		}
		if got := m.Prediction(raw); !(math.Abs(got-v.Probability) <= tolerance) {
			t.Errorf("vector %d: probability %v, LightGBM has %v", i, got, v.Probability)
		}
	}
}

func TestLoadNamesThePlainFile(t *testing.T) {
	m := load(t, demoPath)
	if m.Ref.Name != "model" || len(m.Ref.SHA256) != 64 || m.Ref.Version != m.Ref.SHA256[:12] {
		t.Errorf("ref = %+v", m.Ref)
	}
	if n := m.Forest().NumTrees(); n != 100 {
		t.Errorf("%d trees, want 100", n)
	}
	if m.SecondOpinion().Rows < 1000 {
		t.Errorf("leaves was asked for %+v", m.SecondOpinion())
	}
	other := load(t, "testdata/other.txt")
	if other.Ref.Name != "other" || other.Ref.SHA256 == m.Ref.SHA256 {
		t.Errorf("ref of another model = %+v", other.Ref)
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		path   string
		reason schemas.Reason
		detail string
	}{
		{"testdata/none.txt", schemas.ReasonModelMissing, "no such file"},
		{"testdata", schemas.ReasonModelMissing, "manifest.yaml"},
		{"testdata/make_models.py", schemas.ReasonModelLoadFailed, "no model file"},
		{"testdata/without_year.txt", schemas.ReasonFeatureMismatch, "16 features, not 17"},
		{"testdata/reordered.txt", schemas.ReasonFeatureMismatch, `feature 0 is "year", not "mood_funny"`},
		{"testdata/constant.txt", schemas.ReasonModelLoadFailed, "constant"},
		{"testdata/linear_tree.txt", schemas.ReasonModelLoadFailed, "is_linear"},
		{"testdata/multiclass.txt", schemas.ReasonModelLoadFailed, "3 outputs"},
	}
	for _, tt := range tests {
		t.Run(filepath.Base(tt.path), func(t *testing.T) {
			m, err := model.Load(tt.path)
			checkRefused(t, m, err, tt.reason, tt.detail)
		})
	}
}

// Models of other objectives, and with categorical splits, are good to rank with.
func TestLoadTakes(t *testing.T) {
	for _, name := range []string{"objective_regression.txt", "categorical.txt"} {
		if m := load(t, "testdata/"+name); m.SecondOpinion().Rows < 1000 {
			t.Errorf("%s: leaves was asked for %+v", name, m.SecondOpinion())
		}
	}
}

func load(t testing.TB, path string) *model.Model {
	t.Helper()
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func checkRefused(t *testing.T, m *model.Model, err error, reason schemas.Reason, detail string) {
	t.Helper()
	refusal, ok := errors.AsType[*model.LoadError](err)
	if !ok || m != nil {
		t.Fatalf("got model %v, error %v; want a LoadError", m, err)
	}
	if refusal.Reason != reason || !strings.Contains(err.Error(), detail) {
		t.Errorf("reason %s, error %q; want %s and %q in it", refusal.Reason, err, reason, detail)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
