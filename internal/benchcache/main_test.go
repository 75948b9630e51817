package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "f.json")
	var table strings.Builder
	if err := run(t.Context(), []string{"-rounds", "1", "-turn", "1ms", "-out", out}, &table, io.Discard); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var figures map[string]any
	if err := json.Unmarshal(text, &figures); err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"candidates", "scores", "answers", "answers_blended", "answers_personal", "answers_not_plain",
		"left_out_masks", "left_out_similar"} {
		if v, _ := figures["ratio_"+c].(float64); !(v > 0) || !strings.Contains(table.String(), c) {
			t.Errorf("ratio of %s is %v; the table is\n%s", c, v, table.String())
		}
		if v, measured := figures["allocs_per_request_"+c].(float64); v != 0 || measured == strings.HasPrefix(c, "left_out") {
			t.Errorf("%s: %v allocations a request", c, figures["allocs_per_request_"+c])
		}
		if v, _ := figures["bytes_"+c].(float64); (v > 0) == (c == "answers_not_plain") {
			t.Errorf("%s takes %v bytes", c, v)
		}
	}
}

func TestRunRefusesWrongFlags(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-turn", "0s"}, {"-nonsense"}, {"more"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
