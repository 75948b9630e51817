package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"recstream/scoring/feature"
)

const (
	featuresYAML = `features:
  - {name: funny, source: request, kind: one_hot, field: mood, value: funny}
  - {name: year, source: item, kind: number, field: year, transforms: [{kind: standardise, mean: 2000, scale: 10}], missing: {policy: nan}}
  - {name: affinity, source: user_item, kind: number, field: genre_affinity, aggregate: sum}
  - {name: seen, source: history, kind: count, field: seen, missing: {policy: constant, value: -1}}
`
	featuresItems    = "id,title,genres,year\nheat,Heat,Crime|Drama,1995\nup,Up,Comedy,\n"
	featuresRequests = `{"request_id":"r1","user_id":"ada","mood":"funny","requested_at":"2026-01-31T00:00:00Z"}

{"request_id":"r2","user_id":"bob","candidates":["up","none"],"requested_at":"2026-01-31T00:00:00Z"}
`
	// Ada's second event is after her request; the first is one half-life before it.
	featuresFeedback = `{"request_id":"q","user_id":"ada","item_id":"up","action":"complete","at":"2026-02-01T00:00:00Z"}
{"request_id":"q","user_id":"ada","item_id":"heat","action":"play","at":"2026-01-01T00:00:00Z"}
`
)

// featuresFiles writes the files and returns the folder.
func featuresFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"features.yaml": featuresYAML, "items.csv": featuresItems, "requests.jsonl": featuresRequests, "feedback.jsonl": featuresFeedback,
		"bad.yaml":       strings.Replace(featuresYAML, "value: funny", "value: sad", 1),
		"unknown.yaml":   strings.Replace(featuresYAML, "value: funny", "valeu: funny", 1),
		"bad.jsonl":      "{}\n",
		"other.jsonl":    `{"request_id":"r","candidates":["none"]}` + "\n",
		"timeless.jsonl": `{"request_id":"r7","user_id":"ada"}` + "\n",
		"untimed.jsonl":  `{"request_id":"q","user_id":"ada","item_id":"up","action":"play"}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFeatures(t *testing.T) {
	dir := featuresFiles(t)
	tests := map[string]struct {
		args   string
		stdout string
	}{
		"timeless":      {"-o csv --requests DIR/timeless.jsonl", "r7,heat,0,-0.5,0,-1\n"},
		"unknown users": {"-o csv", "request_id,item_id,funny,year,affinity,seen\nr1,heat,1,-0.5,0,-1\nr1,up,1,,0,-1\nr2,up,0,,0,-1\n"},
		"feedback":      {"-o csv --feedback DIR/feedback.jsonl", "request_id,item_id,funny,year,affinity,seen\nr1,heat,1,-0.5,2,1\nr1,up,1,,0,1\nr2,up,0,,0,-1\n"},
		"table":         {"", "REQUEST  ITEM  FEATURE   VALUE\nr1       heat  funny     1\nr1       heat  year      -0.5\n"},
		"json":          {"-o json", `"item_id": "up",` + "\n" + `      "values": [` + "\n        1,\n        null,\n        0,\n        -1\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			args := "features DIR/features.yaml --requests DIR/requests.jsonl --items DIR/items.csv " + tt.args
			got := recstream(t, nil, "", strings.Fields(strings.ReplaceAll(args, "DIR", dir))...)
			if got.status != 0 || !strings.Contains(got.stdout, tt.stdout) {
				t.Errorf("status %d\n%s%s\nwant\n%s", got.status, got.stdout, got.stderr, tt.stdout)
			}
		})
	}
}

// TestFeaturesTellsOfUnknownCandidates counts the items that a request names and the file lacks.
func TestFeaturesTellsOfUnknownCandidates(t *testing.T) {
	dir := featuresFiles(t)
	got := recstream(t, nil, "", "features", dir+"/features.yaml", "--items", dir+"/items.csv", "--requests", dir+"/requests.jsonl")
	want := "1 of 4 candidates left out: " + dir + "/items.csv has no such item; the first is \"none\" of request \"r2\"\n"
	if got.status != 0 || got.stderr != want {
		t.Errorf("status %d, %q\nwant %q", got.status, got.stderr, want)
	}
	got = recstream(t, nil, "", "features", dir+"/features.yaml", "--items", dir+"/items.csv", "--requests", dir+"/timeless.jsonl")
	if got.status != 0 || got.stderr != "" {
		t.Errorf("status %d, %q", got.status, got.stderr)
	}
}

// TestFeaturesDefault prints a declaration that can be read again.
func TestFeaturesDefault(t *testing.T) {
	got := recstream(t, nil, "", "features", "--default")
	path := filepath.Join(t.TempDir(), "features.yaml")
	if err := os.WriteFile(path, []byte(got.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := readDeclaration(path)
	if err != nil || !reflect.DeepEqual(read, feature.Default()) {
		t.Errorf("status %d, %v\n%s%s", got.status, err, got.stdout, got.stderr)
	}
}

func TestFeaturesRefuses(t *testing.T) {
	dir := featuresFiles(t)
	const rest = " --requests DIR/requests.jsonl --items DIR/items.csv"
	tests := map[string]struct {
		args   string
		status int
		stderr string
	}{
		"nothing to make them of": {"DIR/features.yaml", 2, "name --requests FILE and --items FILE"},
		"half-life":               {"DIR/features.yaml --half-life 0s" + rest, 2, "--half-life 0s is no time"},
		"no such file":            {"DIR/none.yaml" + rest, 1, "no such file"},
		"no manifest":             {"DIR" + rest, 1, "manifest.yaml: no such file"},
		"unmakeable":              {"DIR/bad.yaml" + rest, 1, `bad.yaml: features[0] "funny": value: "sad" is none of funny, action, dramatic, relaxing`},
		"unknown key":             {"DIR/unknown.yaml" + rest, 1, `unknown field "valeu"`},
		"bad request":             {"DIR/features.yaml --items DIR/items.csv --requests DIR/bad.jsonl", 1, "bad.jsonl: line 1: request_id: "},
		"two files":               {"DIR/features.yaml DIR/bad.yaml" + rest, 2, "accepts at most 1 arg"},
		"no declaration":          {"--requests DIR/requests.jsonl", 2, "name its FILE, or print the default declaration with --default"},
		"no candidate":            {"DIR/features.yaml --items DIR/items.csv --requests DIR/other.jsonl", 1, "has a candidate in"},
		"format":                  {"DIR/features.yaml --requests DIR/requests.jsonl --items DIR/features.yaml", 2, "use .csv or .jsonl"},
		"request without time":    {"DIR/features.yaml --items DIR/items.csv --requests DIR/timeless.jsonl --feedback DIR/feedback.jsonl", 1, `timeless.jsonl: request "r7" has no time` + "\nhint: add requested_at to it"},
		"feedback without time":   {"DIR/features.yaml --feedback DIR/untimed.jsonl" + rest, 1, `request "q" has no time`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := recstream(t, nil, "", strings.Fields(strings.ReplaceAll("features "+tt.args, "DIR", dir))...)
			if got.status != tt.status || !strings.Contains(got.stderr, tt.stderr) || got.stdout != "" {
				t.Errorf("status %d\n%s%s\nwant %d, %s", got.status, got.stdout, got.stderr, tt.status, tt.stderr)
			}
		})
	}
}
