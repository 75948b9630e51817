package feature_test

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"recstream/schemas"
	"recstream/scoring/feature"
	"recstream/scoring/internal/vectors"
)

// now is a Sunday.
var now = time.Date(2026, 3, 1, 21, 30, 0, 0, time.UTC)

func days(n float64) time.Duration { return time.Duration(n * 24 * float64(time.Hour)) }

var (
	request = schemas.Request{
		Context: schemas.Context{Mood: schemas.MoodAction, SessionLength: schemas.SessionBinge}, Limit: 5, RequestedAt: now,
	}
	film = schemas.Item{
		ID: "heat", Genres: []string{"Crime", "Drama", "Western"}, DurationMin: 170, Year: 1995, Popularity: 12.5,
		AddedAt: now.Add(-days(2.5)), Franchise: "Mann",
	}
	blank = schemas.Item{ID: "blank"}
	ada   = schemas.Profile{
		UserID: "ada", AsOf: now.Add(-days(3)), Activity: 4.5,
		Genres:      []schemas.GenreWeight{{Genre: "Comedy", Weight: -1}, {Genre: "Crime", Weight: 3}, {Genre: "Drama", Weight: 0.5}},
		DurationSum: 200, DurationWeight: 2.5,
		Items: []schemas.ProfileItem{
			{ItemID: "dull", Dismissed: now.Add(-days(4))},
			{ItemID: "heat", Seen: now.Add(-days(10)), Dismissed: now.Add(-days(6)), Impressions: 7},
			{ItemID: "later", Seen: now.Add(days(1)), Dismissed: now.Add(days(1))},
			{ItemID: "shown", Impressions: 2},
		},
	}
)

// vector makes a declaration's vector of one request, user and item from its three parts, and checks on the
// way that Vector makes the same, in a buffer that was used before.
func vector(t *testing.T, d feature.Declaration, req *schemas.Request, p *schemas.Profile, it *schemas.Item) []float64 {
	t.Helper()
	e, err := feature.New(d)
	if err != nil {
		t.Fatal(err)
	}
	var in feature.Inputs
	x, items, pairs := dirty(len(e.Names())), dirty(e.NumItems()), dirty(e.NumPairs())
	e.Prepare(&in, &request, &ada) // nothing of it may be left
	e.Pair(pairs, &in, &film)
	e.Prepare(&in, req, p)
	e.Request(x, &in)
	e.Item(items, it)
	e.Pair(pairs, &in, it)
	for i, part := range e.Parts() {
		switch part {
		case feature.PartRequest: // it is there
		case feature.PartItem:
			x[i], items = items[0], items[1:]
		case feature.PartPair:
			x[i], pairs = pairs[0], pairs[1:]
		}
	}
	whole := dirty(len(x))
	e.Vector(whole, &in, it)
	for i := range x {
		if math.Float64bits(x[i]) != math.Float64bits(whole[i]) {
			t.Errorf("%s: Vector has %v, the parts have %v", e.Names()[i], whole[i], x[i])
		}
	}
	return x
}

func one(f feature.Feature) feature.Declaration {
	f.Name = "x"
	return feature.Declaration{Features: []feature.Feature{f}}
}

// The default declaration makes what the original algorithm made, to the bit.
func TestDefaultEqualsReference(t *testing.T) {
	e, err := feature.New(feature.Default())
	if err != nil {
		t.Fatal(err)
	}
	if !e.ContextOnly() || e.NeedsProfile() || e.NeedsTime() || e.NumItems() != 7 || e.NumPairs() != 0 || len(e.UserFeatures()) != 0 {
		t.Error("the default depends on more than the context and the item")
	}
	got := dirty(len(e.Names()))
	var in feature.Inputs
	for i, v := range vectors.Read(t, "testdata/vectors.csv.gz") {
		e.Prepare(&in, &schemas.Request{Context: v.Context}, nil)
		e.Request(got, &in)
		e.Item(got[len(got)-e.NumItems():], &v.Item)
		for j, want := range v.Features {
			if math.Float64bits(got[j]) != math.Float64bits(want) {
				t.Fatalf("vector %d: %s = %v, want %v", i, e.Names()[j], got[j], want)
			}
		}
	}
}

// TestVocabulary has every term of the vocabulary once, with a value and with none.
func TestVocabulary(t *testing.T) {
	var (
		nan     = math.NaN()
		nobody  *schemas.Profile
		unknown = schemas.Request{Limit: 3} // no context, no time
		late    = schemas.Request{RequestedAt: ada.Items[2].Seen.Add(days(1))}
	)
	tests := []struct {
		name    string
		feature feature.Feature
		request *schemas.Request
		profile *schemas.Profile
		item    *schemas.Item
		want    float64
	}{
		{"mood is it", feature.Feature{Source: "request", Kind: "one_hot", Field: "mood", Value: "action"}, &request, nobody, &film, 1},
		{"mood is another", feature.Feature{Source: "request", Kind: "one_hot", Field: "mood", Value: "funny"}, &request, nobody, &film, 0},
		{"mood unknown", feature.Feature{Source: "request", Kind: "one_hot", Field: "mood", Value: "funny"}, &unknown, nobody, &film, nan},
		{"mood code", feature.Feature{Source: "request", Kind: "category", Field: "mood", Values: []string{"relaxing", "funny", "action"}}, &request, nobody, &film, 2},
		{"mood not listed", feature.Feature{Source: "request", Kind: "category", Field: "mood", Values: []string{"relaxing", "funny"}}, &request, nobody, &film, nan},
		{"group size unknown", feature.Feature{Source: "request", Kind: "one_hot", Field: "group_size", Value: "solo"}, &request, nobody, &film, nan},
		{"group size code", feature.Feature{Source: "request", Kind: "category", Field: "group_size", Values: []string{"solo"}}, &request, nobody, &film, nan},
		{"session length", feature.Feature{Source: "request", Kind: "one_hot", Field: "session_length", Value: "binge"}, &request, nobody, &film, 1},
		{"session length code", feature.Feature{Source: "request", Kind: "category", Field: "session_length", Values: []string{"short", "binge"}}, &request, nobody, &film, 1},
		{"hour", feature.Feature{Source: "request", Kind: "number", Field: "hour"}, &request, nobody, &film, 21},
		{"hour without time", feature.Feature{Source: "request", Kind: "number", Field: "hour"}, &unknown, nobody, &film, nan},
		{"Sunday", feature.Feature{Source: "request", Kind: "number", Field: "weekday"}, &request, nobody, &film, 6},
		{"Tuesday", feature.Feature{Source: "request", Kind: "number", Field: "weekday"}, &late, nobody, &film, 1},
		{"weekday without time", feature.Feature{Source: "request", Kind: "number", Field: "weekday"}, &unknown, nobody, &film, nan},
		{"limit", feature.Feature{Source: "request", Kind: "number", Field: "limit"}, &request, nobody, &film, 5},

		{"id", feature.Feature{Source: "item", Kind: "hashed", Field: "id", Buckets: 1000}, &request, nobody, &film, 3150264488 % 1000},
		{"genre", feature.Feature{Source: "item", Kind: "one_hot", Field: "genres", Value: "Drama"}, &request, nobody, &film, 1},
		{"other genre", feature.Feature{Source: "item", Kind: "one_hot", Field: "genres", Value: "drama"}, &request, nobody, &film, 0},
		{"no genre", feature.Feature{Source: "item", Kind: "one_hot", Field: "genres", Value: "Drama"}, &request, nobody, &blank, nan},
		{"genres", feature.Feature{Source: "item", Kind: "count", Field: "genres"}, &request, nobody, &film, 3},
		{"no genres", feature.Feature{Source: "item", Kind: "count", Field: "genres"}, &request, nobody, &blank, nan},
		{"franchise", feature.Feature{Source: "item", Kind: "one_hot", Field: "franchise", Value: "Mann"}, &request, nobody, &film, 1},
		{"no franchise", feature.Feature{Source: "item", Kind: "one_hot", Field: "franchise", Value: "Mann"}, &request, nobody, &blank, nan},
		{"franchise code", feature.Feature{Source: "item", Kind: "category", Field: "franchise", Values: []string{"Bond", "Mann"}}, &request, nobody, &film, 1},
		{"franchise hash", feature.Feature{Source: "item", Kind: "hashed", Field: "franchise", Buckets: 2}, &request, nobody, &film, 1790995021 % 2},
		{"no franchise hash", feature.Feature{Source: "item", Kind: "hashed", Field: "franchise", Buckets: 2}, &request, nobody, &blank, nan},
		{"duration", feature.Feature{Source: "item", Kind: "number", Field: "duration_min"}, &request, nobody, &film, 170},
		{"no duration", feature.Feature{Source: "item", Kind: "number", Field: "duration_min"}, &request, nobody, &blank, nan},
		{"infinite duration", feature.Feature{Source: "item", Kind: "number", Field: "duration_min"}, &request, nobody, &schemas.Item{DurationMin: math.Inf(1)}, nan},
		{"year", feature.Feature{Source: "item", Kind: "number", Field: "year"}, &request, nobody, &film, 1995},
		{"popularity", feature.Feature{Source: "item", Kind: "number", Field: "popularity"}, &request, nobody, &film, 12.5},
		{"age", feature.Feature{Source: "item", Kind: "recency", Field: "added_at"}, &request, nobody, &film, 2.5},
		{"age before it was added", feature.Feature{Source: "item", Kind: "recency", Field: "added_at"}, &request, nobody, &schemas.Item{AddedAt: now.Add(time.Hour)}, 0},
		{"age of what was never added", feature.Feature{Source: "item", Kind: "recency", Field: "added_at"}, &request, nobody, &blank, nan},
		{"age at no time", feature.Feature{Source: "item", Kind: "recency", Field: "added_at"}, &unknown, nobody, &film, nan},

		{"activity", feature.Feature{Source: "user", Kind: "number", Field: "activity"}, &request, &ada, &film, 4.5},
		{"activity of nobody", feature.Feature{Source: "user", Kind: "number", Field: "activity"}, &request, nobody, &film, nan},
		{"typical duration", feature.Feature{Source: "user", Kind: "number", Field: "typical_duration"}, &request, &ada, &film, 80},
		{"typical duration of nothing", feature.Feature{Source: "user", Kind: "number", Field: "typical_duration"}, &request, &schemas.Profile{}, &film, nan},
		{"affinity", feature.Feature{Source: "user", Kind: "number", Field: "genre_affinity", Value: "Crime"}, &request, &ada, &film, 3},
		{"affinity without evidence", feature.Feature{Source: "user", Kind: "number", Field: "genre_affinity", Value: "Horror"}, &request, &ada, &film, 0},
		{"affinity of nobody", feature.Feature{Source: "user", Kind: "number", Field: "genre_affinity", Value: "Crime"}, &request, nobody, &film, nan},
		{"last activity", feature.Feature{Source: "user", Kind: "recency", Field: "last_activity"}, &request, &ada, &film, 3},
		{"last activity of nobody", feature.Feature{Source: "user", Kind: "recency", Field: "last_activity"}, &request, nobody, &film, nan},

		{"seen items", feature.Feature{Source: "history", Kind: "count", Field: "seen"}, &request, &ada, &film, 1},
		{"seen items later", feature.Feature{Source: "history", Kind: "count", Field: "seen"}, &late, &ada, &film, 2},
		{"seen items at no time", feature.Feature{Source: "history", Kind: "count", Field: "seen"}, &unknown, &ada, &film, 2},
		{"seen items of nobody", feature.Feature{Source: "history", Kind: "count", Field: "seen"}, &request, nobody, &film, nan},
		{"dismissed items", feature.Feature{Source: "history", Kind: "count", Field: "dismissed"}, &request, &ada, &film, 2},

		{"affinity sum", feature.Feature{Source: "user_item", Kind: "number", Field: "genre_affinity", Aggregate: "sum"}, &request, &ada, &film, 3.5},
		{"affinity mean", feature.Feature{Source: "user_item", Kind: "number", Field: "genre_affinity", Aggregate: "mean"}, &request, &ada, &film, 3.5 / 3},
		{"affinity max", feature.Feature{Source: "user_item", Kind: "number", Field: "genre_affinity", Aggregate: "max"}, &request, &ada, &film, 3},
		{"affinity to dislikes", feature.Feature{Source: "user_item", Kind: "number", Field: "genre_affinity", Aggregate: "max"}, &request, &ada, &schemas.Item{Genres: []string{"Comedy"}}, -1},
		{"affinity to nothing", feature.Feature{Source: "user_item", Kind: "number", Field: "genre_affinity", Aggregate: "sum"}, &request, &ada, &blank, nan},
		{"nobody's affinity", feature.Feature{Source: "user_item", Kind: "number", Field: "genre_affinity", Aggregate: "sum"}, &request, nobody, &film, nan},
		{"seen", feature.Feature{Source: "user_item", Kind: "flag", Field: "seen"}, &request, &ada, &film, 1},
		{"not seen", feature.Feature{Source: "user_item", Kind: "flag", Field: "seen"}, &request, &ada, &blank, 0},
		{"seen after the request", feature.Feature{Source: "user_item", Kind: "flag", Field: "seen"}, &request, &ada, &schemas.Item{ID: "later"}, 0},
		{"seen by nobody", feature.Feature{Source: "user_item", Kind: "flag", Field: "seen"}, &request, nobody, &film, nan},
		{"seen since", feature.Feature{Source: "user_item", Kind: "recency", Field: "seen"}, &request, &ada, &film, 10},
		{"never seen", feature.Feature{Source: "user_item", Kind: "recency", Field: "seen"}, &request, &ada, &schemas.Item{ID: "shown"}, nan},
		{"seen since, after the request", feature.Feature{Source: "user_item", Kind: "recency", Field: "seen"}, &request, &ada, &schemas.Item{ID: "later"}, nan},
		{"dismissed", feature.Feature{Source: "user_item", Kind: "flag", Field: "dismissed"}, &request, &ada, &schemas.Item{ID: "dull"}, 1},
		{"dismissed since", feature.Feature{Source: "user_item", Kind: "recency", Field: "dismissed"}, &request, &ada, &film, 6},
		{"impressions", feature.Feature{Source: "user_item", Kind: "count", Field: "impressions"}, &request, &ada, &film, 7},
		{"no impressions", feature.Feature{Source: "user_item", Kind: "count", Field: "impressions"}, &request, &ada, &blank, 0},
		{"nobody's impressions", feature.Feature{Source: "user_item", Kind: "count", Field: "impressions"}, &request, nobody, &film, nan},
		{"duration to typical", feature.Feature{Source: "user_item", Kind: "ratio", Field: "duration_min"}, &request, &ada, &film, 170.0 / 80},
		{"no duration to typical", feature.Feature{Source: "user_item", Kind: "ratio", Field: "duration_min"}, &request, &ada, &blank, nan},
		{"duration to nobody's", feature.Feature{Source: "user_item", Kind: "ratio", Field: "duration_min"}, &request, nobody, &film, nan},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.feature.Missing.Policy = feature.MissingNaN
			got := vector(t, one(tt.feature), tt.request, tt.profile, tt.item)[0]
			if got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	known := schemas.Item{Popularity: 10}
	negative := schemas.Item{Popularity: -3}
	log := []feature.Transform{{Kind: feature.TransformLog1p}}
	tests := []struct {
		name       string
		missing    feature.Missing
		transforms []feature.Transform
		item       *schemas.Item
		want       float64
	}{
		{"default", feature.Missing{}, nil, &blank, 0},
		{"constant", feature.Missing{Policy: "constant", Value: -1}, nil, &blank, -1},
		{"constant of a known one", feature.Missing{Policy: "constant", Value: -1}, nil, &known, 10},
		{"constant is not transformed", feature.Missing{Value: 5}, log, &blank, 5},
		{"outside of the transform", feature.Missing{Value: 5}, log, &negative, 5},
		{"NaN", feature.Missing{Policy: "nan"}, nil, &blank, math.NaN()},
		{"indicator", feature.Missing{Policy: "indicator"}, nil, &blank, 1},
		{"indicator of a known one", feature.Missing{Policy: "indicator"}, nil, &known, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := one(feature.Feature{Source: "item", Kind: "number", Field: "popularity", Transforms: tt.transforms, Missing: tt.missing})
			got := vector(t, d, &request, nil, tt.item)[0]
			if got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// mixed has features of every part, out of the parts' order.
func mixed() feature.Declaration {
	return feature.Declaration{Features: []feature.Feature{
		{Name: "affinity", Source: "user_item", Kind: "number", Field: "genre_affinity", Aggregate: "mean"},
		{Name: "year", Source: "item", Kind: "number", Field: "year",
			Transforms: []feature.Transform{{Kind: "quantile", Quantiles: []float64{1900, 1990, 2020}}}},
		{Name: "crime", Source: "user", Kind: "number", Field: "genre_affinity", Value: "Crime"},
		{Name: "hour", Source: "request", Kind: "number", Field: "hour", Missing: feature.Missing{Policy: "constant", Value: 12}},
		{Name: "seen", Source: "user_item", Kind: "flag", Field: "seen"},
		{Name: "history", Source: "history", Kind: "count", Field: "seen"},
		{Name: "id", Source: "item", Kind: "hashed", Field: "id", Buckets: 64},
		{Name: "mood", Source: "request", Kind: "category", Field: "mood", Values: []string{"funny", "action"}, Missing: feature.Missing{Policy: "nan"}},
		{Name: "ratio", Source: "user_item", Kind: "ratio", Field: "duration_min",
			Transforms: []feature.Transform{{Kind: "clip", Min: new(0.0), Max: new(2.0)}, {Kind: "standardise", Mean: new(0.0), Scale: new(2.0)}}},
	}}
}

func TestParts(t *testing.T) {
	e, err := feature.New(mixed())
	if err != nil {
		t.Fatal(err)
	}
	const r, i, p = feature.PartRequest, feature.PartItem, feature.PartPair
	if want := []feature.Part{p, i, r, r, p, r, i, r, p}; !slices.Equal(e.Parts(), want) {
		t.Errorf("parts %v, want %v", e.Parts(), want)
	}
	if e.NumItems() != 2 || e.NumPairs() != 3 || !slices.Equal(e.UserFeatures(), []int{2, 5}) {
		t.Errorf("%d of items, %d of pairs, %v of users", e.NumItems(), e.NumPairs(), e.UserFeatures())
	}
	if !e.NeedsProfile() || !e.NeedsTime() || e.ContextOnly() {
		t.Error("it needs the profile and the time")
	}
	want := []float64{3.5 / 3, 0.5 + 0.5*5/30, 3, 21, 1, 1, 3150264488 % 64, 1, 1}
	got := vector(t, mixed(), &request, &ada, &film)
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-15 {
			t.Errorf("%s = %v, want %v", e.Names()[i], got[i], want[i])
		}
	}
}

func TestContextOnly(t *testing.T) {
	tests := map[string]struct {
		feature                           feature.Feature
		contextOnly, profile, time, clock bool
	}{
		"context": {feature.Feature{Source: "request", Kind: "one_hot", Field: "mood", Value: "funny"}, true, false, false, false},
		"item":    {feature.Feature{Source: "item", Kind: "number", Field: "year"}, true, false, false, false},
		"limit":   {feature.Feature{Source: "request", Kind: "number", Field: "limit"}, false, false, false, false},
		"time":    {feature.Feature{Source: "request", Kind: "number", Field: "hour"}, false, false, true, true},
		"age":     {feature.Feature{Source: "item", Kind: "recency", Field: "added_at"}, false, false, true, true},
		"user":    {feature.Feature{Source: "user", Kind: "number", Field: "activity"}, false, true, true, false},
		"history": {feature.Feature{Source: "history", Kind: "count", Field: "seen"}, false, true, true, false},
		"pair":    {feature.Feature{Source: "user_item", Kind: "count", Field: "impressions"}, false, true, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := feature.New(one(tt.feature))
			if err != nil {
				t.Fatal(err)
			}
			if e.ContextOnly() != tt.contextOnly || e.NeedsProfile() != tt.profile || e.NeedsTime() != tt.time || e.NeedsClock() != tt.clock {
				t.Errorf("context only %t, profile %t, time %t, clock %t", e.ContextOnly(), e.NeedsProfile(), e.NeedsTime(), e.NeedsClock())
			}
		})
	}
}

// A declaration is the same after a way through YAML or JSON, zeros of fitted parameters included.
func TestDeclarationAsText(t *testing.T) {
	want := mixed()
	text, err := yaml.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got feature.Declaration
	if err := yaml.UnmarshalWithOptions(text, &got, yaml.Strict()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("YAML: %v\n%s", err, text)
	}
	if text, err = json.Marshal(want); err != nil {
		t.Fatal(err)
	}
	got = feature.Declaration{}
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("JSON: %v\n%s", err, text)
	}
}

func TestExtractionAllocatesNothing(t *testing.T) {
	e, err := feature.New(mixed())
	if err != nil {
		t.Fatal(err)
	}
	var in feature.Inputs
	p := fullProfile()
	e.Prepare(&in, &request, p)
	x := make([]float64, len(e.Names()))
	allocations := testing.AllocsPerRun(100, func() {
		e.Prepare(&in, &request, p)
		e.Request(x, &in)
		e.Item(x, &film)
		e.Pair(x, &in, &film)
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// fullProfile has as many items as a profile keeps.
func fullProfile() *schemas.Profile {
	p := ada
	p.Items = make([]schemas.ProfileItem, schemas.MaxProfileItems)
	for i := range p.Items {
		p.Items[i] = schemas.ProfileItem{ItemID: "film-" + time.Duration(i).String(), Seen: now.Add(-days(float64(i)))}
	}
	p.Genres = make([]schemas.GenreWeight, 25)
	for i := range p.Genres {
		p.Genres[i] = schemas.GenreWeight{Genre: "genre-" + time.Duration(i).String(), Weight: float64(i)}
	}
	p.Genres[7].Genre = "Crime"
	return &p
}

func BenchmarkPrepare(b *testing.B) {
	e, _ := feature.New(mixed())
	var in feature.Inputs
	p := fullProfile()
	for b.Loop() {
		e.Prepare(&in, &request, p)
	}
}

func BenchmarkRequest(b *testing.B) {
	e, _ := feature.New(feature.Default())
	var in feature.Inputs
	x := make([]float64, len(e.Names()))
	for b.Loop() {
		e.Prepare(&in, &request, nil)
		e.Request(x, &in)
	}
}

// Three features of a pair, with transforms.
func BenchmarkPair(b *testing.B) {
	e, _ := feature.New(mixed())
	var in feature.Inputs
	e.Prepare(&in, &request, fullProfile())
	x := make([]float64, e.NumPairs())
	items := make([]schemas.Item, 200)
	for i := range items {
		items[i] = film
		items[i].ID = "film-" + time.Duration(i*4).String()
	}
	n := 0
	for b.Loop() {
		e.Pair(x, &in, &items[n%len(items)])
		n++
	}
}

// dirty is a buffer that was used before.
func dirty(n int) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = 7
	}
	return s
}
