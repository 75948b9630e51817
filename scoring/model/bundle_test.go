package model_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"recstream/schemas"
	"recstream/scoring/feature"
	"recstream/scoring/model"
)

// manifest is a good one for the demo's model, with two golden rows.
func manifest(t *testing.T, data []byte) *model.Manifest {
	t.Helper()
	plain, err := model.Parse("plain", data)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	m := &model.Manifest{Name: "films", Version: "v1", File: "model.txt", Format: "lightgbm",
		Objective: plain.Forest().Objective(), SHA256: hex.EncodeToString(sum[:]), Features: feature.Default().Features}
	for _, year := range []float64{1999, math.NaN()} {
		row := make([]float64, 17)
		row[0], row[15], row[16] = 1, 90, year
		m.Golden = append(m.Golden, model.Golden{Row: row, Prediction: plain.Prediction(plain.Raw(row))})
	}
	return m
}

// write makes a bundle of the manifest and the data.
func write(t *testing.T, m *model.Manifest, data []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), m.Name, m.Version)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{model.ManifestFile: text, m.File: data} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpen(t *testing.T) {
	data := read(t, demoPath)
	want := manifest(t, data)
	m, err := model.Open(write(t, want, data))
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, want, data)
	if m.Ref != (schemas.ModelRef{Name: "films", Version: "v1", SHA256: model.Digest(read(t, filepath.Join(dir, model.ManifestFile)))}) {
		t.Errorf("ref %+v", m.Ref)
	}
	got := m.Manifest()
	if len(got.Golden) != 2 || !math.IsNaN(got.Golden[1].Row[16]) || got.Golden[0].Prediction != want.Golden[0].Prediction {
		t.Errorf("golden rows %+v, want %+v", got.Golden, want.Golden)
	}
}

func TestOpenRefuses(t *testing.T) {
	data := read(t, demoPath)
	tests := []struct {
		name   string
		change func(*model.Manifest)
		reason schemas.Reason
		detail string
	}{
		{"hash", func(m *model.Manifest) { m.SHA256 = strings.Repeat("0", 64) }, schemas.ReasonModelLoadFailed, "SHA-256"},
		{"no hash", func(m *model.Manifest) { m.SHA256 = "" }, schemas.ReasonModelLoadFailed, "sha256"},
		{"format", func(m *model.Manifest) { m.Format = "onnx" }, schemas.ReasonModelLoadFailed, "the manifest says onnx"},
		{"objective", func(m *model.Manifest) { m.Objective = "regression" }, schemas.ReasonModelLoadFailed, "objective"},
		{"path", func(m *model.Manifest) { m.Name = "../films" }, schemas.ReasonModelLoadFailed, "name"},
		{"order", func(m *model.Manifest) { m.Features[15], m.Features[16] = m.Features[16], m.Features[15] },
			schemas.ReasonFeatureMismatch, `feature 15 is "duration", not "year"`},
		{"one less", func(m *model.Manifest) {
			m.Features = m.Features[:16]
			for i := range m.Golden {
				m.Golden[i].Row = m.Golden[i].Row[:16]
			}
		}, schemas.ReasonFeatureMismatch, "17 features, not 16"},
		{"unmakeable", func(m *model.Manifest) { m.Features[16].Field = "colour" }, schemas.ReasonFeatureMismatch, `"year"`},
		{"golden", func(m *model.Manifest) { m.Golden[1].Prediction += 1e-6 }, schemas.ReasonModelLoadFailed, "golden row 1"},
		{"golden length", func(m *model.Manifest) { m.Golden[1].Row = []float64{1} }, schemas.ReasonModelLoadFailed, "golden[1].row"},
		{"profile", func(m *model.Manifest) { m.Profile = &model.Profile{} }, schemas.ReasonModelLoadFailed, "profile.features"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			broken := manifest(t, data)
			dir := write(t, broken, data)
			tt.change(broken)
			text, err := broken.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, model.ManifestFile), text, 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := model.Open(dir)
			checkRefused(t, m, err, tt.reason, tt.detail)
		})
	}
}

func TestManifestRefusesUnknownKeys(t *testing.T) {
	text, err := manifest(t, read(t, demoPath)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := model.ParseManifest(text); err != nil {
		t.Fatal(err)
	}
	if _, err := model.ParseManifest(append(text, "colour: red\n"...)); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("error %v", err)
	}
}

func TestStore(t *testing.T) {
	data := read(t, demoPath)
	dir := write(t, manifest(t, data), data)
	store := model.Store{Dir: filepath.Dir(filepath.Dir(dir))}
	list, err := store.List()
	if err != nil || len(list) != 1 || list[0].Name != "films" || list[0].Version != "v1" || list[0].Manifest == nil {
		t.Fatalf("list %+v, error %v", list, err)
	}
	if _, err := store.Open("films", "v1"); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct{ name, version, detail string }{
		{"films", "v2", "manifest.yaml"}, {"..", "films", "no such name"}, {"films", "../films/v1", "no such name"},
	} {
		m, err := store.Open(tt.name, tt.version)
		checkRefused(t, m, err, schemas.ReasonModelMissing, tt.detail)
	}
	if err := os.Rename(dir, filepath.Join(filepath.Dir(dir), "v3")); err != nil {
		t.Fatal(err)
	}
	m, err := store.Open("films", "v3")
	checkRefused(t, m, err, schemas.ReasonModelLoadFailed, "says that it is films@v1")
	for _, dir := range []string{"films/half", "films/.building", ".trash/1"} {
		if err := os.MkdirAll(filepath.Join(store.Dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	list, err = store.List()
	if err != nil || len(list) != 2 || list[0].Version != "half" || list[0].Err == nil || list[1].Version != "v3" || list[1].Err != nil {
		t.Errorf("with a directory that is no bundle: %+v, %v", list, err)
	}
	if list, err := (model.Store{Dir: filepath.Join(t.TempDir(), "none")}).List(); err != nil || list != nil {
		t.Errorf("a store that is not there: %v, %v", list, err)
	}
}

// A manifest that would take the YAML parser gigabytes is refused before it is parsed.
func TestManifestIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"nested": "q: " + strings.Repeat("[", 100_000),
		"maps":   "q: " + strings.Repeat("{a: ", 10_000),
		"dashes": strings.Repeat("- ", 10_000) + "1",
		"large":  "q: " + strings.Repeat("x", 5<<20),
	} {
		if _, err := model.ParseManifest([]byte(text)); err == nil || !strings.Contains(err.Error(), "than") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
