// Package roundstest tests programs that measure in rounds.
package roundstest

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"recstream/internal/rounds"
)

// Run runs a program for one short round, with some flags of its own, and returns its figures and what it printed.
func Run(t *testing.T, run rounds.Program, flags ...string) (figures map[string]any, table string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "f.json")
	var printed strings.Builder
	args := slices.Concat(flags, []string{"-rounds", "1", "-turn", "1ms", "-out", out})
	if err := run(t.Context(), args, &printed, io.Discard); err != nil {
		t.Fatal(err)
	}
	return Read(t, out), printed.String()
}

// Read reads figures that were written to a file.
func Read(t *testing.T, path string) (figures map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &figures); err != nil {
		t.Fatal(err)
	}
	return figures
}

// Refuses wants a program to refuse to run with flags that are wrong, beside some of its own that are right.
func Refuses(t *testing.T, run rounds.Program, flags ...string) {
	t.Helper()
	for _, wrong := range [][]string{{"-rounds", "0"}, {"-turn", "0s"}, {"-nonsense"}, {"more"}} {
		if err := run(t.Context(), slices.Concat(flags, wrong), io.Discard, io.Discard); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}
