package explain_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"recstream/scoring/explain"
	"recstream/scoring/feature"
)

func TestLabel(t *testing.T) {
	funny := feature.Feature{Name: "f", Source: "request", Kind: "one_hot", Field: "mood", Value: "funny"}
	scaled := funny
	scaled.Transforms = []feature.Transform{{Kind: "log1p"}}
	named := funny
	named.Label = "in a funny mood"
	company := feature.Feature{Name: "f", Source: "request", Kind: "category", Field: "group_size", Values: []string{"solo", "couple"}}
	seen := feature.Feature{Name: "f", Source: "user_item", Kind: "flag", Field: "seen"}
	scaledSeen := seen
	scaledSeen.Transforms = scaled.Transforms
	year := feature.Feature{Name: "f", Source: "item", Kind: "number", Field: "year"}
	noYear := year
	noYear.Missing.Policy = feature.MissingIndicator
	tests := []struct {
		name    string
		feature feature.Feature
		value   float64
		want    string
	}{
		{"one-hot", funny, 1, "mood: funny"},
		{"one-hot of another", funny, 0, "mood: not funny"},
		{"one-hot missing", funny, math.NaN(), "mood: unknown"},
		{"one-hot, transformed", scaled, 0, "mood: funny or not"},
		{"category", company, 1, "company: couple"},
		{"category not listed", company, 2, "company"},
		{"category between", company, 0.5, "company"},
		{"category's constant", company, -1, "company"},
		{"flag", seen, 1, "seen by you"},
		{"flag that is not", seen, 0, "not seen by you"},
		{"flag, transformed", scaledSeen, 0, "seen by you or not"},
		{"number", year, 1999, "year"},
		{"number missing", year, math.NaN(), "year: unknown"},
		{"indicator", noYear, 1, "year: unknown"},
		{"indicator of what is there", noYear, 0, "year: known"},
		{"taste", feature.Feature{Source: "user", Kind: "number", Field: "genre_affinity", Value: "Comedy"}, 3, "how much you like Comedy"},
		{"its own label", named, 0, "in a funny mood"},
		{"unknown", feature.Feature{Name: "plain", Source: "x"}, 0, "plain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := explain.Label(&tt.feature, tt.value); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Whatever can be declared has a label: the refusals of feature.New list it.
func TestEveryFeatureHasALabel(t *testing.T) {
	const name = "the feature's own name"
	listed := func(f feature.Feature, after string) []string {
		f.Name = name
		_, err := feature.New(feature.Declaration{Features: []feature.Feature{f}})
		refusal, ok := errors.AsType[*feature.Error](err)
		if !ok {
			t.Fatalf("%+v is not refused: %v", f, err)
		}
		_, words, ok := strings.Cut(refusal.Detail, after)
		if !ok {
			t.Fatalf("no list in %q", refusal.Detail)
		}
		return strings.Split(words, ", ")
	}
	n := 0
	for _, source := range listed(feature.Feature{Source: "?"}, "none of ") {
		f := feature.Feature{Name: name, Source: feature.Source(source)}
		for _, f.Field = range listed(feature.Feature{Source: f.Source, Field: "?"}, "which has ") {
			for _, kind := range listed(feature.Feature{Source: f.Source, Field: f.Field, Kind: "?"}, "; use ") {
				f.Kind = feature.Kind(kind)
				if got := explain.Label(&f, 1); got == "" || strings.HasPrefix(got, name) {
					t.Errorf("%s %s of kind %s has no label", f.Source, f.Field, f.Kind)
				}
				n++
			}
		}
	}
	if n < 32 {
		t.Errorf("%d terms were found, not all", n)
	}
}
