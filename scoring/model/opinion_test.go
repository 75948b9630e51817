package model

import (
	"bytes"
	"strings"
	"testing"
)

// The second opinion is of another model here, which differs from the first in a leaf, or in its trees.
func TestSecondOpinionRefuses(t *testing.T) {
	m, err := Load("testdata/objective_regression.txt")
	if err != nil {
		t.Fatal(err)
	}
	data, err := readFile("testdata/objective_regression.txt")
	if err != nil {
		t.Fatal(err)
	}
	other, err := readFile("testdata/other.txt")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		data   []byte
		detail string
	}{
		"a leaf": {bytes.Replace(data, []byte("\nleaf_value="), []byte("\nleaf_value=1"), 1), "leaves says"},
		"trees":  {other, "leaves reads 17 features and"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := m.askLeaves(tt.data, m.probeRows()); err == nil || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("error %v, want %q", err, tt.detail)
			}
		})
	}
	if opinion, err := m.askLeaves(data, m.probeRows()); err != nil || opinion.String() != "leaves scores 2000 rows alike" {
		t.Errorf("%s, error %v", opinion, err)
	}
}
