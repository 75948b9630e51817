package model_test

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"recstream/scoring/feature"
	"recstream/scoring/forest"
	"recstream/scoring/internal/vectors"
	"recstream/scoring/model"
)

// demoSpec makes a bundle of the demo's model, with LightGBM's own predictions.
func demoSpec(t testing.TB) model.Spec {
	t.Helper()
	spec := model.Spec{Name: "films", Version: "v1", Source: demoPath, Features: feature.Default(),
		CreatedAt: time.Date(2026, 3, 14, 15, 9, 26, 535, time.UTC),
		Training:  model.Training{From: "2026-01-01", Rows: 240000, Metrics: map[string]float64{"auc": 0.8125}}}
	for _, v := range vectors.Read(t, "../feature/testdata/vectors.csv.gz")[:500] {
		spec.Sample.Rows = append(spec.Sample.Rows, v.Features)
		spec.Sample.Predictions = append(spec.Sample.Predictions, v.Probability)
	}
	return spec
}

// contents lists everything in a store, hidden files too.
func contents(t testing.TB, s model.Store) (list []string) {
	t.Helper()
	err := filepath.WalkDir(s.Dir, func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(s.Dir, file)
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestBuild(t *testing.T) {
	store, spec := model.Store{Dir: t.TempDir()}, demoSpec(t)
	built, err := store.Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	if built.Compared != 500 || built.Worst > 1e-15 || built.Dir != store.Path("films", "v1") {
		t.Errorf("built %+v", built)
	}
	if got := strings.Join(contents(t, store), " "); got != "films/v1/manifest.yaml films/v1/model.txt" {
		t.Errorf("the store has %s", got)
	}
	opened, err := store.Open("films", "v1")
	if err != nil {
		t.Fatal(err)
	}
	m := opened.Manifest()
	if m.Format != "lightgbm" || m.Objective != "binary sigmoid:1" || !m.CreatedAt.Equal(spec.CreatedAt.Truncate(time.Second)) ||
		m.Training.From != "2026-01-01" || m.Training.Rows != 240000 || m.Training.Metrics["auc"] != 0.8125 {
		t.Errorf("manifest %+v", m)
	}
	lowest, highest := slices.Min(spec.Sample.Predictions), slices.Max(spec.Sample.Predictions)
	has := func(want float64) bool {
		return slices.ContainsFunc(m.Golden, func(g model.Golden) bool { return g.Prediction == want })
	}
	if len(m.Golden) != model.MaxGolden || !has(lowest) || !has(highest) {
		t.Errorf("%d golden rows, from the lowest prediction %v, to the highest %v", len(m.Golden), has(lowest), has(highest))
	}
	if m.Profile.Rows != 500 || len(m.Profile.Features) != 17 || m.Profile.Features[16].Name != "year" || m.Profile.Score.Name != "prediction" {
		t.Errorf("profile %+v", m.Profile)
	}
	if _, err := store.Build(spec); !errors.Is(err, model.ErrExists) {
		t.Errorf("the second time: %v", err)
	}
}

func TestBuildWithoutPredictions(t *testing.T) {
	spec := demoSpec(t)
	spec.Sample.Predictions = nil
	for i := range 3 {
		spec.Sample.Rows[100*i] = slices.Clone(spec.Sample.Rows[100*i])
		spec.Sample.Rows[100*i][16] = math.NaN()
	}
	built, err := model.Store{Dir: t.TempDir()}.Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	incomplete := 0
	for _, g := range built.Model.Manifest().Golden {
		if g.Prediction != built.Model.Prediction(built.Model.Raw(g.Row)) {
			t.Errorf("golden prediction %v", g.Prediction)
		}
		if math.IsNaN(g.Row[16]) {
			incomplete++
		}
	}
	if built.Compared != 0 || incomplete != 3 {
		t.Errorf("%d compared, %d of the golden rows have a missing value", built.Compared, incomplete)
	}
}

func TestBuildRefuses(t *testing.T) {
	good := demoSpec(t)
	tests := map[string]struct {
		change func(*model.Spec)
		detail string
	}{
		"name":        {func(s *model.Spec) { s.Name = ".." }, `"..@v1": name and version`},
		"version":     {func(s *model.Spec) { s.Version = "1/2" }, `"films@1/2": name and version`},
		"no file":     {func(s *model.Spec) { s.Source = "testdata/none.txt" }, "no such file"},
		"no model":    {func(s *model.Spec) { s.Source = "testdata/make_models.py" }, "no model file"},
		"no MLflow":   {func(s *model.Spec) { s.Source = "testdata" }, "has no MLmodel"},
		"constant":    {func(s *model.Spec) { s.Source = "testdata/constant.txt" }, "constant"},
		"multiclass":  {func(s *model.Spec) { s.Source = "testdata/multiclass.txt" }, "3 outputs"},
		"order":       {func(s *model.Spec) { s.Source = "testdata/reordered.txt" }, `feature 0 is "year"`},
		"unmakeable":  {func(s *model.Spec) { s.Features.Features[16].Field = "colour" }, `"year"`},
		"no rows":     {func(s *model.Spec) { s.Sample = model.Sample{} }, "no rows"},
		"short row":   {func(s *model.Spec) { s.Sample.Rows[3] = s.Sample.Rows[3][:16] }, "row 4 of the sample: 16 values, not 17"},
		"infinite":    {func(s *model.Spec) { s.Sample.Rows[3][16] = math.Inf(1) }, `row 4 of the sample: feature "year" is infinite`},
		"metric":      {func(s *model.Spec) { s.Training.Metrics["auc"] = math.NaN() }, "metric auc"},
		"difference":  {func(s *model.Spec) { s.Sample.Predictions[7] += 1e-6 }, "row 8 of the sample: 1 of 500 predictions are not the model's, this is the first:"},
		"NaN":         {func(s *model.Spec) { s.Sample.Predictions[0] = math.NaN() }, "the sample says NaN"},
		"some":        {func(s *model.Spec) { s.Sample.Predictions = s.Sample.Predictions[1:] }, "500 rows and 499 predictions"},
		"other model": {func(s *model.Spec) { s.Source = "testdata/other.txt" }, "predictions are not the model's"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store, spec := model.Store{Dir: t.TempDir()}, good
			spec.Features = feature.Default()
			spec.Training.Metrics = map[string]float64{}
			spec.Sample.Rows, spec.Sample.Predictions = slices.Clone(good.Sample.Rows), slices.Clone(good.Sample.Predictions)
			spec.Sample.Rows[3] = slices.Clone(spec.Sample.Rows[3])
			tt.change(&spec)
			built, err := store.Build(spec)
			if err == nil || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("built %+v, error %v; want %q", built, err, tt.detail)
			}
			if left := contents(t, store); left != nil {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// Whoever is late must not replace what is there.
func TestBuildOfOneVersionAtATime(t *testing.T) {
	store, spec := model.Store{Dir: t.TempDir()}, demoSpec(t)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { _, errs[i] = store.Build(spec) })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !errors.Is(err, model.ErrExists) {
			t.Error(err)
		}
	}
	if left := contents(t, store); made != 1 || len(left) != 2 {
		t.Errorf("made %d times, the store has %v", made, left)
	}
}

// oracleModel is a model of package forest's test data, with what its trainer predicts.
type oracleModel struct {
	file   string // such as model.ubj
	data   []byte
	forest *forest.Forest
	sample model.Sample
}

// oracleModels reads those of a format that can rank: with one output, and not constant. Infinite values, which no
// sample may have, are left out.
func oracleModels(t testing.TB, format string) map[string]oracleModel {
	t.Helper()
	z, err := zip.OpenReader(filepath.Join("../forest/testdata", format, "small.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files, err := fs.Glob(z, "*/model.*")
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]oracleModel)
	for _, file := range files {
		name := path.Dir(file)
		o := oracleModel{file: path.Base(file), data: readZip(t, z, file)}
		if o.forest, err = forest.Parse(o.data); err != nil {
			t.Fatal(err)
		}
		rows, predictions := floats(readZip(t, z, name+"/rows.f64")), floats(readZip(t, z, name+"/pred.f64"))
		if o.forest.NumOutputs() > 1 || slices.Min(predictions) == slices.Max(predictions) {
			continue
		}
		for i, row := range slices.Collect(slices.Chunk(rows, o.forest.NumFeatures())) {
			if !slices.ContainsFunc(row, func(v float64) bool { return math.IsInf(v, 0) }) {
				o.sample.Rows, o.sample.Predictions = append(o.sample.Rows, row), append(o.sample.Predictions, predictions[i])
			}
		}
		list[name] = o
	}
	return list
}

func readZip(t testing.TB, fsys fs.FS, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func floats(data []byte) []float64 {
	list := make([]float64, len(data)/8)
	for i := range list {
		list[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return list
}

// numbersOf declares features of the forest's names: what they are made of does not matter here.
func numbersOf(f *forest.Forest) (d feature.Declaration) {
	for _, name := range f.Features() {
		d.Features = append(d.Features, feature.Feature{Name: name, Source: feature.SourceItem, Kind: feature.KindNumber,
			Field: "year", Missing: feature.Missing{Policy: feature.MissingNaN}})
	}
	return d
}

// Every format and objective becomes a bundle, and its golden rows hold what the trainer predicted.
func TestBuildOfAllFormats(t *testing.T) {
	for _, format := range []string{"lightgbm", "xgboost", "onnx"} {
		models := oracleModels(t, format)
		if len(models) < 10 {
			t.Fatalf("%d models of %s", len(models), format)
		}
		for name, o := range models {
			t.Run(format+"/"+name, func(t *testing.T) {
				source := filepath.Join(t.TempDir(), o.file)
				if err := os.WriteFile(source, o.data, 0o600); err != nil {
					t.Fatal(err)
				}
				spec := model.Spec{Name: name, Version: "1", Source: source, Features: numbersOf(o.forest), Sample: o.sample}
				built, err := model.Store{Dir: t.TempDir()}.Build(spec)
				if err != nil {
					t.Fatal(err)
				}
				m := built.Model.Manifest()
				if built.Compared != len(o.sample.Rows) || len(m.Golden) == 0 || m.File != o.file {
					t.Errorf("%d of %d compared, %d golden rows, file %s", built.Compared, len(o.sample.Rows), len(m.Golden), m.File)
				}
			})
		}
	}
}

// A manifest keeps numbers to the last bit.
func TestManifestKeepsNumbers(t *testing.T) {
	m := manifest(t, read(t, demoPath))
	m.Golden = nil
	for _, v := range []float64{0.1, 1e21, -1e-300, 5e-324, math.MaxFloat64, 1 << 53, math.Copysign(0, -1), 2.0 / 3, 1999} {
		row := make([]float64, 17)
		row[3], row[5] = v, math.NaN()
		m.Golden = append(m.Golden, model.Golden{Row: row, Prediction: v})
	}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := model.ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range m.Golden {
		if fmt.Sprint(got.Golden[i]) != fmt.Sprint(g) {
			t.Errorf("%v became %v", g, got.Golden[i])
		}
	}
}
