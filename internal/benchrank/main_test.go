package main

import (
	"strings"
	"testing"

	"recstream/internal/rounds/roundstest"
)

func TestRun(t *testing.T) {
	figures, table := roundstest.Run(t, run)
	for _, c := range []string{"all_10k", "all_500", "base_10k", "base_500"} {
		if v, _ := figures["ratio_to_naive_"+c].(float64); !(v > 0) || !strings.Contains(table, c) {
			t.Errorf("ratio of %s is %v; the table is\n%s", c, v, table)
		}
		if v, ok := figures["allocs_per_request_"+c].(float64); !ok || v != 0 {
			t.Errorf("%s: %v allocations a request", c, v)
		}
	}
}

func TestRunRefusesWrongFlags(t *testing.T) { roundstest.Refuses(t, run) }
