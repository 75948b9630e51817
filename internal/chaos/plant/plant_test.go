package plant

import (
	"slices"
	"testing"
)

// TestNames sees that no name stands for two things: a test that asks for one would get the other.
func TestNames(t *testing.T) {
	var names []string
	for _, p := range Points() {
		names = append(names, string(p))
	}
	for _, b := range Bugs() {
		names = append(names, string(b))
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) || slices.Contains(names, "") {
		t.Errorf("names are empty or doubled: %q", names)
	}
}
