package model_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"recstream/schemas"
	"recstream/scoring/feature"
	"recstream/scoring/internal/vectors"
	"recstream/scoring/model"
)

const demoPath = "../../internal/demo/data/model.txt"

// tolerance is how far a probability may be from LightGBM's own: the exponential functions of two libraries
// may differ in the last bit.
const tolerance = 1e-12

func TestProbabilityEqualsLightGBM(t *testing.T) {
	m := load(t, demoPath)
	for i, v := range vectors.Read(t, "../feature/testdata/vectors.csv.gz") {
		if got := m.Raw(v.Features); got != v.Raw {
			t.Errorf("vector %d: raw %v, LightGBM has %v", i, got, v.Raw)
		}
		if got := m.Probability(v.Features); !(math.Abs(got-v.Probability) <= tolerance) {
			t.Errorf("vector %d: probability %v, LightGBM has %v", i, got, v.Probability)
		}
	}
}

func TestLoadNamesTheModel(t *testing.T) {
	m := load(t, demoPath)
	if m.Ref.Name != "model" || len(m.Ref.SHA256) != 64 || m.Ref.Version != m.Ref.SHA256[:12] {
		t.Errorf("ref = %+v", m.Ref)
	}
	if m.Trees() != 100 {
		t.Errorf("%d trees, want 100", m.Trees())
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
		{"testdata", schemas.ReasonModelLoadFailed, "is no regular file"},
		{"testdata/make_models.py", schemas.ReasonModelLoadFailed, "no LightGBM model"},
		{"testdata/without_year.txt", schemas.ReasonFeatureMismatch, "16 features, not 17"},
		{"testdata/reordered.txt", schemas.ReasonFeatureMismatch, `feature 0 is "year", not "mood_funny"`},
		{"testdata/constant.txt", schemas.ReasonModelLoadFailed, "constant"},
		{"testdata/linear_tree.txt", schemas.ReasonModelLoadFailed, "is_linear"},
		{"testdata/categorical.txt", schemas.ReasonModelLoadFailed, "categorical"},
		{"testdata/multiclass.txt", schemas.ReasonModelLoadFailed, "num_class"},
		{"testdata/objective_regression.txt", schemas.ReasonModelLoadFailed, "objective"},
	}
	for _, tt := range tests {
		t.Run(filepath.Base(tt.path), func(t *testing.T) {
			m, err := model.Load(tt.path)
			checkRefused(t, m, err, tt.reason, tt.detail)
		})
	}
}

// Each edit leaves a text that a trusting reader would take.
func TestParseRefusesEdits(t *testing.T) {
	tests := []struct {
		name, old, new string
		reason         schemas.Reason
		detail         string
	}{
		{"version", "version=v4", "version=v9", schemas.ReasonModelLoadFailed, "version"},
		{"no objective", "objective=binary sigmoid:1\n", "", schemas.ReasonModelLoadFailed, "objective"},
		{"sigmoid zero", "sigmoid:1", "sigmoid:0", schemas.ReasonModelLoadFailed, "sigmoid"},
		{"sigmoid NaN", "sigmoid:1", "sigmoid:nan", schemas.ReasonModelLoadFailed, "sigmoid"},
		{"random forest", "objective=", "average_output\nobjective=", schemas.ReasonModelLoadFailed, "average_output"},
		{"feature name", "genre_scifi", "genre_scify", schemas.ReasonFeatureMismatch, "genre_scify"},
		{"feature added", " year\n", " year month\n", schemas.ReasonFeatureMismatch, "18 features"},
		{"feature index", "max_feature_idx=16", "max_feature_idx=15", schemas.ReasonModelLoadFailed, "max_feature_idx"},
		{"key twice", "num_class=1\n", "num_class=1\nnum_class=1\n", schemas.ReasonModelLoadFailed, "twice"},
		{"negative size", "tree_sizes=", "tree_sizes=-", schemas.ReasonModelLoadFailed, "tree_sizes"},
		{"size off by one", "tree_sizes=400", "tree_sizes=399", schemas.ReasonModelLoadFailed, "tree 0"},
		{"tree number", "Tree=1", "Tree=2", schemas.ReasonModelLoadFailed, "Tree=1"},
		{"cycle", "left_child=1 -1", "left_child=0 -1", schemas.ReasonModelLoadFailed, "another parent"},
		{"leaf twice", "left_child=1 -1", "left_child=1 -2", schemas.ReasonModelLoadFailed, "another parent"},
		{"node out of range", "left_child=1 -1", "left_child=9 -1", schemas.ReasonModelLoadFailed, "out of range"},
		{"leaf out of range", "left_child=1 -1", "left_child=1 -9", schemas.ReasonModelLoadFailed, "out of range"},
		{"node not reached", "left_child=1 -1", "left_child=-1 -1", schemas.ReasonModelLoadFailed, "can be reached"},
		{"feature out of range", "split_feature=10 15", "split_feature=10 17", schemas.ReasonModelLoadFailed, "split_feature"},
		{"categorical node", "decision_type=2 2", "decision_type=2 1", schemas.ReasonModelLoadFailed, "decision_type"},
		{"unknown missing type", "decision_type=2 2", "decision_type=2 14", schemas.ReasonModelLoadFailed, "decision_type"},
		{"leaf infinite", "leaf_value=0.5 ", "leaf_value=inf ", schemas.ReasonModelLoadFailed, "leaf_value"},
		{"leaf missing", "leaf_value=0.5 ", "leaf_value=", schemas.ReasonModelLoadFailed, "leaf_value"},
		{"threshold NaN", "threshold=0.5 ", "threshold=nan ", schemas.ReasonModelLoadFailed, "threshold"},
		{"linear", "is_linear=0", "is_linear=1", schemas.ReasonModelLoadFailed, "is_linear"},
		{"no end of trees", "end of trees", "end of tree", schemas.ReasonModelLoadFailed, "end of trees"},
		{"no end", "end of parameters", "end of parameter", schemas.ReasonModelLoadFailed, "end of parameters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			whole := twoTrees()
			if !strings.Contains(whole, tt.old) {
				t.Fatalf("the text has no %q", tt.old)
			}
			edited := strings.Replace(whole, tt.old, tt.new, 1)
			if !strings.HasPrefix(tt.old, "tree_sizes") {
				edited = withSizes(edited) // so that it is the edit that is found, not its length
			}
			m, err := model.Parse("edited", []byte(edited))
			checkRefused(t, m, err, tt.reason, tt.detail)
		})
	}
}

// Each leaf is finite, and the sum of two would not be.
func TestParseRefusesOverflow(t *testing.T) {
	edit := strings.NewReplacer("leaf_value=0.5 ", "leaf_value=1e308 ", "leaf_value=0.25", "leaf_value=1e308")
	m, err := model.Parse("huge", []byte(withSizes(edit.Replace(twoTrees()))))
	checkRefused(t, m, err, schemas.ReasonModelLoadFailed, "overflow")
}

// The expected values are read off the text of twoTrees.
func TestPredictsByHand(t *testing.T) {
	tests := []struct {
		name             string
		sigmoid          string
		comedy, duration float64
		raw, probability float64
	}{
		{"left left", "1", 0, 90, 0.5 + 0.25, 1 / (1 + math.Exp(-0.75))},
		{"left right", "1", 0, 120, -0.5 + 0.25, 1 / (1 + math.Exp(0.25))},
		{"at the threshold", "1", 0, 100, 0.5 + 0.25, 1 / (1 + math.Exp(-0.75))},
		{"right", "1", 1, 90, 2 + 0.25, 1 / (1 + math.Exp(-2.25))},
		{"sigmoid 0.5", "0.5", 1, 90, 2 + 0.25, 1 / (1 + math.Exp(-0.5*2.25))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(twoTrees(), "sigmoid:1", "sigmoid:"+tt.sigmoid, 1)
			m, err := model.Parse("hand", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			x := make([]float64, feature.Num)
			x[10], x[15] = tt.comedy, tt.duration
			if raw, p := m.Raw(x), m.Probability(x); raw != tt.raw || p != tt.probability {
				t.Errorf("raw %v, probability %v; want %v, %v", raw, p, tt.raw, tt.probability)
			}
		})
	}
}

func TestOlderVersionsLoad(t *testing.T) {
	for _, version := range []string{"v2", "v3", "v4"} {
		text := strings.Replace(twoTrees(), "version=v4", "version="+version, 1)
		if _, err := model.Parse(version, []byte(text)); err != nil {
			t.Error(err)
		}
	}
}

func TestRawRefusesOtherLengths(t *testing.T) {
	m := load(t, demoPath)
	for _, n := range []int{0, feature.Num - 1, feature.Num + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d features: no panic", n)
				}
			}()
			m.Raw(make([]float64, n))
		}()
	}
}

func TestPredictingAllocatesNothing(t *testing.T) {
	m := load(t, demoPath)
	x := make([]float64, feature.Num)
	if n := testing.AllocsPerRun(1000, func() { m.Probability(x) }); n != 0 {
		t.Errorf("%v allocations", n)
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

func BenchmarkProbability(b *testing.B) {
	m := load(b, demoPath)
	x := make([]float64, feature.Num)
	x[0], x[10], x[15], x[16] = 1, 1, 95, 1999
	b.ReportAllocs()
	for b.Loop() {
		m.Probability(x)
	}
}
