package main

import (
	"path/filepath"
	"strings"
	"testing"

	"recstream/internal/chaos/history"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	keep := func(name string, h history.History) string {
		path := filepath.Join(dir, name)
		if err := h.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	logs := []history.Log{{Topic: "requests"}}
	whole := keep("whole", history.History{Run: history.Run{Name: "calm", Seed: 42}, Logs: logs})
	faulty := keep("faulty.gz", history.History{Logs: logs, Decisions: []history.Decision{{RequestID: "nobody"}}})
	for name, test := range map[string]struct {
		args   []string
		status int
		out    string
	}{
		"no file":      {nil, 2, "usage"},
		"unknown flag": {[]string{"-x", whole}, 2, "usage"},
		"missing":      {[]string{filepath.Join(dir, "none")}, 2, "no such file"},
		"faultless":    {[]string{whole}, 0, "calm, seed 42: 0 events"},
		"faulty":       {[]string{faulty}, 1, "invented_row: 1\n  nobody"},
		"one of two":   {[]string{faulty, whole}, 1, "seed 42"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if status := run(test.args, &out, &out); status != test.status || !strings.Contains(out.String(), test.out) {
				t.Errorf("status %d, want %d; printed %q, want %q in it", status, test.status, &out, test.out)
			}
		})
	}
}
