package main

import (
	"strings"
	"testing"

	"recstream/scoring/experiment"
	"recstream/scoring/feature"
)

// TestReadYAMLKnowsTheRightForm tells it where it is likely, and nowhere else.
func TestReadYAMLKnowsTheRightForm(t *testing.T) {
	const before = "features:\n  - {name: a, missing: {policy: nan}, transforms: [{kind: log1p}]}\n  - "
	tests := map[string]struct {
		text string
		dst  any
		want string // at the end of the error
	}{
		"missing":          {before + "{name: b, missing: nan}", new(feature.Declaration), "missing: {policy: nan}"},
		"transforms":       {before + "{name: b, missing: {policy: nan}, transforms: [log1p]}", new(feature.Declaration), "transforms: [{kind: log1p}]"},
		"in a block":       {before + "name: b\n    transforms:\n      - kind: log1p\n      - log1p", new(feature.Declaration), "transforms: [{kind: log1p}]"},
		"params":           {"name: x\nvariants:\n  - name: a\n    params:\n      max_items: 20\n", new(experiment.Experiment), "in the lines below, indented"},
		"params in braces": {"name: x\nvariants: [{name: a, params: {max_items: 20}}]", new(experiment.Experiment), "in the lines below, indented"},
		"another mistake":  {before + "{name: b, missing: {policy: nan}, buckets: x}", new(feature.Declaration), "of type int"},
		"unknown key":      {before + "name: b\n    missing:\n      policy: nan\n    colour: red", new(feature.Declaration), `unknown field "colour"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := readYAML([]byte(tt.text), tt.dst)
			if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("got %v, want …%s", err, tt.want)
			}
		})
	}
}
