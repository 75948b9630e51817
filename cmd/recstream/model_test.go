package main

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"recstream/internal/postgres"
)

const demoModelFile = "../../internal/demo/data/model.txt"

// trained is a model of package forest's test data: rows, and what LightGBM says of them.
type trained struct {
	file               string
	features, outputs  int
	x, raw, pred, shap []float64
}

func readTrained(t *testing.T, name string) trained {
	t.Helper()
	z, err := zip.OpenReader("../../scoring/forest/testdata/lightgbm/small.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	read := func(file string) []byte {
		data, err := fs.ReadFile(z, name+"/"+file)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	floats := func(file string) []float64 {
		data := read(file)
		list := make([]float64, len(data)/8)
		for i := range list {
			list[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		}
		return list
	}
	m := trained{file: filepath.Join(t.TempDir(), "model.txt"), x: floats("rows.f64"), raw: floats("raw.f64"), pred: floats("pred.f64"), shap: floats("contrib.f64")}
	if err := os.WriteFile(m.file, read("model.txt"), 0o600); err != nil {
		t.Fatal(err)
	}
	var meta struct{ Features, Outputs int }
	if err := json.Unmarshal(read("meta.json"), &meta); err != nil {
		t.Fatal(err)
	}
	m.features, m.outputs = meta.Features, meta.Outputs
	return m
}

// csv writes the rows, an empty cell for NaN.
func (m *trained) csv() string {
	var b strings.Builder
	for row := range slices.Chunk(m.x, m.features) {
		for i, v := range row {
			if i > 0 {
				b.WriteByte(',')
			}
			if !math.IsNaN(v) {
				b.WriteString(formatValue(v))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// numbers reads what a command printed, below its header.
func numbers(t *testing.T, text string) (header string, list []float64) {
	t.Helper()
	header, rest, _ := strings.Cut(text, "\n")
	for _, cell := range strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == '\n' }) {
		v, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return header, list
}

func TestModelPredict(t *testing.T) {
	tests := map[string]string{
		"binary":     "raw,probability",
		"l2":         "raw,probability",
		"multiclass": "raw_0,probability_0,raw_1,probability_1,raw_2,probability_2,raw_3,probability_3",
	}
	for name, wantHeader := range tests {
		t.Run(name, func(t *testing.T) {
			m := readTrained(t, name)
			got := recstream(t, nil, m.csv(), "model", "predict", m.file, "-")
			header, list := numbers(t, got.stdout)
			if got.status != 0 || header != wantHeader || len(list) != 2*len(m.raw) {
				t.Fatalf("status %d, header %s, %d numbers\n%s", got.status, header, len(list), got.stderr)
			}
			for i := range m.raw {
				if raw, pred := list[2*i], list[2*i+1]; raw != m.raw[i] || !(math.Abs(pred-m.pred[i]) <= 1e-12*(1+math.Abs(m.pred[i]))) {
					t.Fatalf("number %d: %v, %v; LightGBM has %v, %v", i, raw, pred, m.raw[i], m.pred[i])
				}
			}
		})
	}
}

func TestModelExplain(t *testing.T) {
	for name, lastColumns := range map[string]string{"binary": ",expected_value", "multiclass": ",expected_value_3"} {
		t.Run(name, func(t *testing.T) {
			m := readTrained(t, name)
			got := recstream(t, nil, m.csv(), "model", "explain", m.file, "-")
			header, list := numbers(t, got.stdout)
			if got.status != 0 || strings.Count(header, ",")+1 != m.outputs*(m.features+1) || !strings.HasSuffix(header, lastColumns) {
				t.Fatalf("status %d, header %s\n%s", got.status, header, got.stderr)
			}
			for i, want := range m.shap {
				if !(math.Abs(list[i]-want) <= 1e-9*(1+math.Abs(want))) {
					t.Fatalf("contribution %d: %v, LightGBM has %v", i, list[i], want)
				}
			}
		})
	}
}

// films is a store with versions 1 and 2 of one file, and the sample that they were built of.
func films(t *testing.T) (store, sample string) {
	t.Helper()
	store, sample = t.TempDir(), filepath.Join(t.TempDir(), "rows.csv")
	var rows strings.Builder
	rows.WriteString("year,mood_funny,mood_action,mood_dramatic,mood_relaxing,group_solo,group_couple,group_group,session_short,session_medium," +
		"session_binge,genre_comedy,genre_action,genre_drama,genre_thriller,genre_scifi,duration\n")
	for year := 1950; year < 2020; year++ {
		fmt.Fprintf(&rows, "%d,1,0,0,0,0,1,0,1,0,0,%d,0,0,0,0,\n", year, year%2)
	}
	if err := os.WriteFile(sample, []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"films@1", "films@2"} {
		got := recstream(t, nil, "", "model", "build", demoModelFile, label, "--sample", sample, "--store", store, "--metric", "auc=0.5")
		if got.status != 0 || !strings.Contains(got.stdout, "NOT COMPARED") {
			t.Fatalf("status %d\n%s%s", got.status, got.stdout, got.stderr)
		}
	}
	return store, sample
}

func TestModelBuildAndLook(t *testing.T) {
	store, sample := films(t)
	predicted := recstream(t, nil, "", "model", "predict", "films@1", sample, "--store", store)
	rows, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	lines, predictions := strings.Split(string(rows), "\n"), strings.Split(predicted.stdout, "\n")
	for i := range lines[:len(lines)-1] {
		_, prediction, _ := strings.Cut(predictions[i], ",")
		lines[i] += "," + strings.Replace(prediction, "probability", "prediction", 1)
	}
	compared := recstream(t, nil, strings.Join(lines, "\n"), "model", "build", demoModelFile, "films@3", "--sample", "-", "--store", store)
	if compared.status != 0 || !strings.Contains(compared.stdout, "all 70 predictions of the sample are the model's") {
		t.Errorf("status %d\n%s%s", compared.status, compared.stdout, compared.stderr)
	}
	tests := map[string]struct {
		args   string
		stdout []string
	}{
		"list":          {"list", []string{"films  1        lightgbm  100    binary sigmoid:1  0.5", "films  3 "}},
		"list as JSON":  {"list -o json", []string{`"trees": 100`, `"auc": 0.5`}},
		"verify":        {"verify films@1", []string{"golden rows     passed", "second opinion  passed  leaves scores"}},
		"verify a path": {"verify STORE/films/2 -o json", []string{`"gate": "second opinion"`}},
		"verify a file": {"verify " + demoModelFile, []string{"file            passed", "golden rows     skipped  there are none"}},
		"show":          {"show films@1 --items 1000", []string{"100, of up to 31 leaves", " for 1000 items; model.max_memory allows 1073.7 MB", "auc 0.5", "mood=funny"}},
		"show as JSON":  {"show STORE/films/1 --items 7 -o json", []string{`"items": 7`, `"max_leaves": 31`, `"part": "request"`}},
		"explain":       {"explain films@1 " + sample, []string{"mood_funny,mood_action,"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			args := strings.Fields(strings.ReplaceAll("model "+tt.args+" --store STORE", "STORE", store))
			got := recstream(t, noDatabase, "", args...)
			for _, want := range tt.stdout {
				if got.status != 0 || !strings.Contains(got.stdout, want) {
					t.Errorf("status %d\n%s%s\nwant %s", got.status, got.stdout, got.stderr, want)
				}
			}
		})
	}
}

// noDatabase is an environment without one.
var noDatabase = []string{"RECSTREAM_DATABASE_URL=postgres://127.0.0.1:1/none"}

func TestModelRefuses(t *testing.T) {
	store, sample := films(t)
	broken := filepath.Join(store, "films", "9")
	if err := os.CopyFS(broken, os.DirFS(filepath.Join(store, "films", "1"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "model.txt"), []byte("tree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	features := filepath.Join(t.TempDir(), "features.yaml")
	if err := os.WriteFile(features, []byte(featuresYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	infinite := filepath.Join(t.TempDir(), "infinite.csv")
	rows, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(infinite, []byte(strings.Replace(string(rows), "\n1951,", "\n\ninf,", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	places := strings.NewReplacer("STORE", store, "SAMPLE", sample, "INFINITE", infinite)
	tests := map[string]struct {
		args   string
		status int
		stderr string
	}{
		"no store":            {"activate films@1", 2, "model.store is not set\nhint: set it, or"},
		"no version":          {"activate films --store STORE", 2, `"films" is no name@version`},
		"no bundle":           {"activate films@7 --store STORE", 1, "films@7 is not in the store STORE\nhint: run 'recstream model list'"},
		"broken":              {"activate films@9 --store STORE", 1, "has the SHA-256"},
		"no database":         {"activate films@1 --store STORE", 1, "hint: start Postgres"},
		"no sample":           {"build " + demoModelFile + " films@3 --store STORE", 2, "name --sample FILE"},
		"build twice":         {"build " + demoModelFile + " films@1 --sample SAMPLE --store STORE", 1, "in the store already"},
		"no label":            {"build " + demoModelFile + " films --sample SAMPLE --store STORE", 2, `"films" is no name@version`},
		"metric":              {"build " + demoModelFile + " films@3 --sample SAMPLE --store STORE --metric auc", 2, `--metric "auc" is no NAME=NUMBER`},
		"features":            {"build " + demoModelFile + " films@3 --sample SAMPLE --store STORE --features " + features, 1, `there is no column "funny"`},
		"verify":              {"verify films@9 --store STORE", 1, "has the SHA-256"},
		"show":                {"show films@9 --store STORE", 1, "hint: run 'recstream model verify films@9'"},
		"items":               {"show films@1 --items -1 --store STORE", 2, "--items -1"},
		"predict of no model": {"predict SAMPLE SAMPLE", 1, "no model file"},
		"predict of no rows":  {"predict " + demoModelFile + " /nowhere.csv", 1, "no such file"},
		"log":                 {"log --limit 0", 2, "--limit 0"},
		"no such directory":   {"list --store /nope", 1, "no such directory: /nope\nhint: set it"},
		"no source":           {"build --store STORE", 2, "SOURCE is missing"},
		"no label, one arg":   {"build " + demoModelFile, 2, "NAME@VERSION is missing; usage: recstream model build SOURCE NAME@VERSION"},
		"no date":             {"build " + demoModelFile + " films@3 --sample SAMPLE --store STORE --data-from July", 2, `--data-from "July" is no date; write 2026-07-01`},
		"ends before":         {"build " + demoModelFile + " films@3 --sample SAMPLE --store STORE --data-from 2026-07-02 --data-to 2026-07-01", 2, "--data-to 2026-07-01 is before 2026-07-02"},
		"line of the sample":  {"build " + demoModelFile + " films@3 --sample INFINITE --store STORE", 1, `INFINITE: line 4: feature "year" is infinite`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := recstream(t, noDatabase, "", strings.Fields(places.Replace("model "+tt.args))...)
			want := places.Replace(tt.stderr)
			if got.status != tt.status || !strings.Contains(got.stderr, want) {
				t.Errorf("status %d\n%s%s\nwant %d, %s", got.status, got.stdout, got.stderr, tt.status, want)
			}
		})
	}
}

// TestModelLife activates and rolls back on a real database.
func TestModelLife(t *testing.T) {
	store, _ := films(t)
	url := startDatabase(t)
	environ := []string{"RECSTREAM_DATABASE_URL=" + url, "RECSTREAM_MODEL_STORE=" + store}
	must := func(status int, part string, args ...string) {
		t.Helper()
		got := recstream(t, environ, "", args...)
		if got.status != status || !strings.Contains(got.stdout+got.stderr, part) {
			t.Fatalf("%s: status %d\n%s%s\nwant %d, %s", strings.Join(args, " "), got.status, got.stdout, got.stderr, status, part)
		}
	}
	must(1, "run 'recstream migrate up' first", "model", "activate", "films@1")
	must(0, "run 'recstream migrate up' first", "model", "list")
	must(0, "", "migrate", "up")
	must(1, "no model to go back to: none was ever activated\nhint: run 'recstream model activate NAME@VERSION'", "model", "rollback")
	must(0, "films@1 is the active model, none was before", "model", "activate", "films@1", "--by", "ada", "--why", "the first")
	markServed(t, url)
	must(1, "films@1 is the active model already", "model", "activate", "films@1")
	must(1, "none but the active one has served", "model", "rollback")
	must(0, "films@2 is the active model, films@1 was before", "model", "activate", "films@2", "--by", "bob", "--why", "the second")
	must(0, "previous\nfilms  2", "model", "list")
	must(0, `"state": "active"`, "model", "list", "-o", "json")
	markServed(t, url)
	must(0, "films@1 is the active model, films@2 was before", "model", "rollback", "--by", "eve", "--why", "fewer plays")
	must(1, "no model to go back to: films@2, which served before, was itself left by a rollback\nhint: run 'recstream model activate films@2'", "model", "rollback")

	var log []loggedChange
	got := recstream(t, environ, "", "model", "log", "-o", "json")
	if err := json.Unmarshal([]byte(got.stdout), &log); err != nil {
		t.Fatalf("%v\n%s%s", err, got.stdout, got.stderr)
	}
	var lines []string
	for _, c := range log {
		lines = append(lines, fmt.Sprintf("%s %s %q to %s: %s, served %v", c.By, c.Action, c.From, c.To, c.Why, c.ServedAt != ""))
	}
	want := `eve rollback "films@2" to films@1: fewer plays, served false
bob activate "films@1" to films@2: the second, served true
ada activate "" to films@1: the first, served true`
	if text := strings.Join(lines, "\n"); text != want {
		t.Errorf("log\n%s\nwant\n%s", text, want)
	}
	if err := os.RemoveAll(filepath.Join(store, "films", "1")); err != nil {
		t.Fatal(err)
	}
	must(0, "the active model, films@1, is not in "+store, "model", "list")
	must(0, "films@1", "model", "log", "--limit", "1")
}

// markServed notes of the last change what an instance would.
func markServed(t *testing.T, url string) {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	change, err := db.ActiveModel(t.Context())
	if err == nil {
		err = db.MarkServed(t.Context(), change.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
}
