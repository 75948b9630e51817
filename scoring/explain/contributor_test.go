package explain_test

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"recstream/schemas"
	"recstream/scoring/explain"
	"recstream/scoring/feature"
	"recstream/scoring/forest"
	"recstream/scoring/internal/vectors"
	"recstream/scoring/model"
)

const demoModel = "../../internal/demo/data/model.txt"

func load(t testing.TB, path string) *model.Model {
	t.Helper()
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Each contribution is the explainer's own number; together they are what it has, the strongest first.
func TestStrongest(t *testing.T) {
	m := load(t, demoModel)
	contributor, err := explain.NewContributor(m)
	if err != nil {
		t.Fatal(err)
	}
	explainer, err := m.Forest().NewExplainer()
	if err != nil {
		t.Fatal(err)
	}
	names := m.Features().Names()
	want := make([]float64, len(names)+1)
	for i, v := range vectors.Read(t, "../feature/testdata/vectors.csv.gz")[:200] {
		explainer.Contributions(v.Features, want)
		all := contributor.Strongest(v.Features, len(names)+1)
		sum := want[len(names)]
		for k, c := range all {
			at := slices.Index(names, c.Feature)
			if c.Contribution != want[at] || c.Contribution == 0 || *c.Value != v.Features[at] {
				t.Fatalf("vector %d: %+v, the explainer has %v", i, c, want[at])
			}
			if k > 0 && math.Abs(c.Contribution) > math.Abs(all[k-1].Contribution) {
				t.Fatalf("vector %d: %v comes after %v", i, c.Contribution, all[k-1].Contribution)
			}
			sum += c.Contribution
		}
		if raw := m.Raw(v.Features); math.Abs(sum-raw) > 1e-9 {
			t.Fatalf("vector %d: contributions and expectation make %v, the raw score is %v", i, sum, raw)
		}
		five := contributor.Strongest(v.Features, 5)
		if len(five) != 5 || !slices.EqualFunc(five, all[:5], sameContribution) {
			t.Fatalf("vector %d: five are %v, of %v", i, five, all)
		}
	}
}

func sameContribution(a, b schemas.Contribution) bool {
	return a.Feature == b.Feature && a.Label == b.Label && a.Contribution == b.Contribution && *a.Value == *b.Value
}

func TestStrongestOfAPlainFileHasLabels(t *testing.T) {
	contributor, err := explain.NewContributor(load(t, demoModel))
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float64, 17) // a couple, an unknown year
	row[5], row[15], row[16] = 1, 95, math.NaN()
	labels := map[string]schemas.Contribution{}
	for _, c := range contributor.Strongest(row, 17) {
		labels[c.Label] = c
	}
	for _, label := range []string{"company: couple", "mood: not funny", "genre: not Comedy", "minutes", "year: unknown"} {
		if _, ok := labels[label]; !ok {
			t.Errorf("no %q among %v", label, labels)
		}
	}
	if c := labels["year: unknown"]; c.Value != nil {
		t.Errorf("a missing value is %v", *c.Value)
	}
	if got := contributor.Strongest(row, 0); got != nil {
		t.Errorf("no contributions are %v", got)
	}
	if got := contributor.Strongest(row, -1); got != nil {
		t.Errorf("fewer than none are %v", got)
	}
}

func TestContributorTakesTheManifestsLabels(t *testing.T) {
	declared := feature.Default()
	declared.Features[15].Label = "running time"
	contributor, err := explain.NewContributor(bundle(t, demoModel, declared))
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float64, 17)
	all := contributor.Strongest(row, 17)
	i := slices.IndexFunc(all, func(c schemas.Contribution) bool { return c.Feature == "duration" })
	if i < 0 || all[i].Label != "running time" {
		t.Errorf("the duration is called otherwise in %v", all)
	}
}

// Of equal contributions the feature that the model names first comes first, whatever the order of its trees.
func TestStrongestBreaksTiesByTheModelsOrder(t *testing.T) {
	contributor, err := explain.NewContributor(load(t, stumps(t, 16, 0, 15)))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range [][]float64{make([]float64, 17), slices.Repeat([]float64{1}, 17)} {
		all := contributor.Strongest(row, 17)
		var names []string
		for _, c := range all {
			if names = append(names, c.Feature); math.Abs(c.Contribution) != math.Abs(all[0].Contribution) {
				t.Fatalf("no tie: %v", all)
			}
		}
		if want := []string{"mood_funny", "duration", "year"}; !slices.Equal(names, want) {
			t.Errorf("got %v, want %v", names, want)
		}
	}
	if got := contributor.Strongest(make([]float64, 17), 1); len(got) != 1 || got[0].Feature != "mood_funny" {
		t.Errorf("the strongest is %v", got)
	}
}

// stumps writes a model of trees with one and the same split, each on another feature of the default declaration.
func stumps(t *testing.T, features ...int) string {
	t.Helper()
	var names, sizes []string
	for _, f := range feature.Default().Features {
		names = append(names, f.Name)
	}
	trees := ""
	for i, f := range features {
		tree := fmt.Sprintf("Tree=%d\nnum_leaves=2\nnum_cat=0\nsplit_feature=%d\nsplit_gain=1\nthreshold=0.5\ndecision_type=2\n"+
			"left_child=-1\nright_child=-2\nleaf_value=-0.25 0.25\nleaf_weight=1 1\nleaf_count=8 8\ninternal_value=0\n"+
			"internal_weight=2\ninternal_count=16\nis_linear=0\nshrinkage=1\n\n\n", i, f)
		trees += tree
		sizes = append(sizes, strconv.Itoa(len(tree)))
	}
	text := "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=16\n" +
		"objective=binary sigmoid:1\nfeature_names=" + strings.Join(names, " ") +
		"\nfeature_infos=" + strings.TrimSpace(strings.Repeat("[0:1] ", len(names))) +
		"\ntree_sizes=" + strings.Join(sizes, " ") + "\n\n" + trees + "end of trees\n\nfeature_importances:\n\n" +
		"parameters:\n[boosting: gbdt]\n\nend of parameters\n\npandas_categorical:null\n"
	path := filepath.Join(t.TempDir(), "model.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNewContributorRefusesAModelWithoutCovers(t *testing.T) {
	c, err := explain.NewContributor(withoutCovers(t))
	if err == nil || c != nil || !strings.Contains(err.Error(), "training data") {
		t.Errorf("got %v, error %v", c, err)
	}
}

// withoutCovers makes a bundle of a model in ONNX.
func withoutCovers(t *testing.T) *model.Model {
	t.Helper()
	z, err := zip.OpenReader("../forest/testdata/onnx/small.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	data, err := fs.ReadFile(z, "double-forest-regressor/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := forest.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	var declared feature.Declaration
	for _, name := range f.Features() {
		declared.Features = append(declared.Features, feature.Feature{
			Name: name, Source: feature.SourceItem, Kind: feature.KindNumber, Field: "year"})
	}
	return bundle(t, path, declared)
}

// bundle makes a bundle of a model file, and opens it.
func bundle(t *testing.T, file string, declared feature.Declaration) *model.Model {
	t.Helper()
	store := model.Store{Dir: t.TempDir()}
	spec := model.Spec{Name: "films", Version: "1", Source: file, Features: declared}
	for i := range 8 {
		spec.Sample.Rows = append(spec.Sample.Rows, slices.Repeat([]float64{float64(i)}, len(declared.Features)))
	}
	if _, err := store.Build(spec); err != nil {
		t.Fatal(err)
	}
	return load(t, store.Path("films", "1"))
}

func BenchmarkStrongest(b *testing.B) {
	contributor, err := explain.NewContributor(load(b, demoModel))
	if err != nil {
		b.Fatal(err)
	}
	row := make([]float64, 17)
	b.ReportAllocs()
	for b.Loop() {
		contributor.Strongest(row, 5)
	}
}
