package main

import (
	"strings"
	"testing"

	"recstream/internal/rounds/roundstest"
)

func TestRun(t *testing.T) {
	figures, table := roundstest.Run(t, run)
	for _, c := range []string{"candidates", "scores", "answers", "answers_blended", "answers_personal", "answers_not_plain",
		"left_out_masks", "left_out_similar"} {
		if v, _ := figures["ratio_"+c].(float64); !(v > 0) || !strings.Contains(table, c) {
			t.Errorf("ratio of %s is %v; the table is\n%s", c, v, table)
		}
		if v, measured := figures["allocs_per_request_"+c].(float64); v != 0 || measured == strings.HasPrefix(c, "left_out") {
			t.Errorf("%s: %v allocations a request", c, figures["allocs_per_request_"+c])
		}
		if v, _ := figures["bytes_"+c].(float64); (v > 0) == (c == "answers_not_plain") {
			t.Errorf("%s takes %v bytes", c, v)
		}
	}
}

func TestRunRefusesWrongFlags(t *testing.T) { roundstest.Refuses(t, run) }
