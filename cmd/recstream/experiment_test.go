package main

import (
	"strings"
	"testing"

	"recstream/scoring/experiment"
)

// TestExperimentLife starts experiments on a real database, and is told which of them share users.
func TestExperimentLife(t *testing.T) {
	store, _ := films(t)
	environ := []string{"RECSTREAM_DATABASE_URL=" + startDatabase(t)}
	must := func(spec string, status int, stdout, stderr string, args ...string) {
		t.Helper()
		got := recstream(t, environ, spec, append([]string{"experiment"}, args...)...)
		if got.status != status || !strings.Contains(got.stdout, stdout) || !strings.Contains(got.stderr, stderr) || stderr == "" && got.stderr != "" {
			t.Fatalf("%v: status %d\n%s%s\nwant %d, %q, %q", args, got.status, got.stdout, got.stderr, status, stdout, stderr)
		}
	}
	if got := recstream(t, environ, "", "migrate", "up"); got.status != 0 {
		t.Fatal(got.stderr)
	}
	start := []string{"start", "-"}
	must("name: x\nshadows: [{name: s, model: films@1}]", 2, "", "shadow s: model.store is not set\nhint: set it, or RECSTREAM_MODEL_STORE", start...)
	must("name: x\nshadows: [{name: s, model: films@9}]", 1, "", "shadow s: films@9 is not in the store "+store, append(start, "--store", store)...)
	must("name: x\nvariants: [{name: v, params: {max_items: 2}}]", 1, "", "params is a text", start...)
	must("", 2, "", "NAME is missing", "stop")

	const half = "\nvariants: [{name: a}, {name: b, model: films@2}]\nnamespace: {name: ranking, start: "
	must("name: left"+half+"0, end: 0.5}", 0, "left is running", "", append(start, "--store", store)...)
	must("name: right"+half+"0.5, end: 1}", 0, "right is running", "", append(start, "--store", store)...)
	must("name: shadow\nshadows: [{name: s, model: films@1}]", 0, "shadow is running", "", append(start, "--store", store)...)
	must("name: all\nvariants: [{name: a}]", 0, "all is running", "experiment all comes before left by name and takes 100 % of its users", start...)
	must("name: zero\nvariants: [{name: a}]", 0, "zero is running", "experiment left comes before zero by name and takes ", start...)
	must("", 0, "left    running", "", "list")
	must("", 0, "100 %     ranking 0.5-1  a, b", "", "list")
}

func TestShareTaken(t *testing.T) {
	variants := []experiment.Variant{{Name: "a"}}
	half := func(start float64) *experiment.Namespace {
		return &experiment.Namespace{Name: "n", Start: start, End: start + 0.5}
	}
	tests := map[string]struct {
		first, second experiment.Experiment
		low, high     float64
	}{
		"all":        {experiment.Experiment{Name: "a", Variants: variants}, experiment.Experiment{Name: "b", Variants: variants}, 1, 1},
		"half":       {experiment.Experiment{Name: "a", Variants: variants, Namespace: half(0)}, experiment.Experiment{Name: "b", Variants: variants}, 0.48, 0.52},
		"apart":      {experiment.Experiment{Name: "a", Variants: variants, Namespace: half(0)}, experiment.Experiment{Name: "b", Variants: variants, Namespace: half(0.5)}, 0, 0},
		"by shadows": {experiment.Experiment{Name: "a", Shadows: variants}, experiment.Experiment{Name: "b", Variants: variants}, 0, 0},
		"of shadows": {experiment.Experiment{Name: "a", Variants: variants}, experiment.Experiment{Name: "b", Shadows: variants}, 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := shareTaken(&tt.first, &tt.second); got < tt.low || got > tt.high {
				t.Errorf("%v is not %v to %v", got, tt.low, tt.high)
			}
		})
	}
}
