package feature_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"recstream/scoring/feature"
)

// Every refusal names the feature and the key at fault.
func TestNewRefuses(t *testing.T) {
	year := func(change func(f *feature.Feature)) feature.Feature {
		f := feature.Feature{Name: "x", Source: "item", Kind: "number", Field: "year"}
		change(&f)
		return f
	}
	transform := func(tr feature.Transform) feature.Feature {
		return year(func(f *feature.Feature) {
			f.Transforms = []feature.Transform{{Kind: "log1p"}, tr}
		})
	}
	tests := []struct {
		name    string
		feature feature.Feature
		want    string // without `features[1] "x": `
	}{
		{"source", year(func(f *feature.Feature) { f.Source = "film" }), `source: "film" is none of history, item, request, user, user_item`},
		{"field", year(func(f *feature.Feature) { f.Field = "length" }),
			`field: "length" is none of source item, which has added_at, duration_min, franchise, genres, id, popularity, year`},
		{"kind", year(func(f *feature.Feature) { f.Kind, f.Field = "number", "franchise" }),
			`kind: "number" cannot be made of item franchise; use category, hashed, one_hot`},
		{"value missing", year(func(f *feature.Feature) { f.Kind, f.Field = "one_hot", "genres" }),
			`value: is missing; item genres of kind one_hot needs it`},
		{"value unused", year(func(f *feature.Feature) { f.Value = "1999" }),
			`value: is of no use to item year of kind number; leave it out`},
		{"value never there", feature.Feature{Name: "x", Source: "request", Kind: "one_hot", Field: "mood", Value: "sad"},
			`value: "sad" is none of funny, action, dramatic, relaxing`},
		{"values never there", feature.Feature{Name: "x", Source: "request", Kind: "category", Field: "group_size", Values: []string{"solo", "duo"}},
			`values[1]: "duo" is none of solo, couple, group`},
		{"values repeated", year(func(f *feature.Feature) { f.Kind, f.Field, f.Values = "category", "franchise", []string{"a", "b", "a"} }),
			`values[2]: "a" is there before`},
		{"values empty", year(func(f *feature.Feature) { f.Kind, f.Field, f.Values = "category", "franchise", []string{""} }),
			`values[0]: is empty`},
		{"values missing", year(func(f *feature.Feature) { f.Kind, f.Field = "category", "franchise" }),
			`values: is missing; item franchise of kind category needs it`},
		{"buckets missing", year(func(f *feature.Feature) { f.Kind, f.Field = "hashed", "id" }),
			`buckets: is missing; item id of kind hashed needs it`},
		{"buckets negative", year(func(f *feature.Feature) { f.Kind, f.Field, f.Buckets = "hashed", "id", -1 }),
			`buckets: are -1; use 2 to 1048576`},
		{"too many buckets", year(func(f *feature.Feature) { f.Kind, f.Field, f.Buckets = "hashed", "id", 1<<20+1 }),
			`buckets: are 1048577; use 2 to 1048576`},
		{"aggregate", feature.Feature{Name: "x", Source: "user_item", Kind: "number", Field: "genre_affinity", Aggregate: "median"},
			`aggregate: "median" is none of sum, mean, max`},
		{"label", year(func(f *feature.Feature) { f.Label = strings.Repeat("é", 41) }), `label: has 82 bytes; use up to 80`},
		{"missing policy", year(func(f *feature.Feature) { f.Missing.Policy = "zero" }),
			`missing.policy: "zero" is none of constant, nan, indicator`},
		{"missing value", year(func(f *feature.Feature) { f.Missing.Value = math.NaN() }),
			`missing.value: must be a finite number; for NaN use policy nan`},
		{"missing value unused", year(func(f *feature.Feature) { f.Missing = feature.Missing{Policy: "nan", Value: 1} }),
			`missing.value: is of no use to policy nan; leave it out`},
		{"same name", year(func(f *feature.Feature) { f.Name = "first" }), `name: is that of features[0] too`},
		{"no name", year(func(f *feature.Feature) { f.Name = "" }), `name: is missing`},

		{"transforms of a category", year(func(f *feature.Feature) {
			f.Kind, f.Field, f.Buckets, f.Transforms = "hashed", "id", 2, []feature.Transform{{Kind: "log1p"}}
		}), `transforms: mean nothing to kind hashed, whose numbers are names; leave them out`},
		{"transforms of an indicator", year(func(f *feature.Feature) {
			f.Missing.Policy, f.Transforms = "indicator", []feature.Transform{{Kind: "log1p"}}
		}), `transforms: mean nothing to an indicator; leave them out`},
		{"transform", transform(feature.Transform{Kind: "log2"}),
			`transforms[1].kind: "log2" is none of clip, log1p, standardise, min_max, quantile`},
		{"transform's parameter of another", transform(feature.Transform{Kind: "log1p", Mean: new(0.0)}),
			`transforms[1].mean: log1p takes none; leave it out`},
		{"quantiles of another", transform(feature.Transform{Kind: "log1p", Quantiles: []float64{1}}),
			`transforms[1].quantiles: log1p takes none; leave it out`},
		{"transform's parameter infinite", transform(feature.Transform{Kind: "clip", Min: new(math.Inf(-1))}),
			`transforms[1].min: must be a finite number`},
		{"clip to nothing", transform(feature.Transform{Kind: "clip"}), `transforms[1].min: clip needs min, max or both`},
		{"clip crossed", transform(feature.Transform{Kind: "clip", Min: new(2.0), Max: new(1.0)}), `transforms[1].min: is more than max`},
		{"no mean", transform(feature.Transform{Kind: "standardise", Scale: new(1.0)}), `transforms[1].mean: is missing`},
		{"no scale", transform(feature.Transform{Kind: "standardise", Mean: new(1.0)}), `transforms[1].scale: is missing`},
		{"scale 0", transform(feature.Transform{Kind: "standardise", Mean: new(1.0), Scale: new(0.0)}),
			`transforms[1].scale: must be more than 0; scikit-learn has 1 for a constant column`},
		{"no min", transform(feature.Transform{Kind: "min_max", Max: new(1.0)}), `transforms[1].min: is missing`},
		{"no max", transform(feature.Transform{Kind: "min_max", Min: new(1.0)}), `transforms[1].max: is missing`},
		{"range too wide", transform(feature.Transform{Kind: "min_max", Min: new(-math.MaxFloat64), Max: new(math.MaxFloat64)}),
			`transforms[1].max: must not be less than min, nor further away than numbers reach`},
		{"one quantile", transform(feature.Transform{Kind: "quantile", Quantiles: []float64{1}}), `transforms[1].quantiles: must be at least 2`},
		{"quantiles falling", transform(feature.Transform{Kind: "quantile", Quantiles: []float64{1, 3, 2}}),
			`transforms[1].quantiles[2]: is less than the one before it`},
		{"quantile NaN", transform(feature.Transform{Kind: "quantile", Quantiles: []float64{1, math.NaN()}}),
			`transforms[1].quantiles[1]: must be a finite number`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			good := feature.Feature{Name: "first", Source: "request", Kind: "number", Field: "limit"}
			_, err := feature.New(feature.Declaration{Features: []feature.Feature{good, tt.feature}})
			var refusal *feature.Error
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if want := `features[1] "` + tt.feature.Name + `": ` + tt.want; err.Error() != want {
				t.Errorf("got  %s\nwant %s", err, want)
			}
		})
	}
}

func TestNewRefusesCounts(t *testing.T) {
	for _, n := range []int{0, feature.MaxFeatures + 1} {
		_, err := feature.New(feature.Declaration{Features: make([]feature.Feature, n)})
		var refusal *feature.Error
		if !errors.As(err, &refusal) || refusal.Field != "features" || refusal.Index >= 0 {
			t.Errorf("%d features: %v", n, err)
		}
	}
}
