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
	if err := run([]string{"-rounds", "1", "-turn", "1ms", "-out", out}, &table, io.Discard); err != nil {
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
	for _, c := range []string{"all_10k", "all_500", "base_10k", "base_500"} {
		if v, _ := figures["ratio_to_naive_"+c].(float64); !(v > 0) || !strings.Contains(table.String(), c) {
			t.Errorf("ratio of %s is %v; the table is\n%s", c, v, table.String())
		}
		if v, ok := figures["allocs_per_request_"+c].(float64); !ok || v != 0 {
			t.Errorf("%s: %v allocations a request", c, v)
		}
	}
}

func TestRunRefusesWrongFlags(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-turn", "0s"}, {"-nonsense"}, {"more"}} {
		if err := run(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
