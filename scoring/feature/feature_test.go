package feature_test

import (
	"math"
	"testing"

	"recstream/schemas"
	"recstream/scoring/feature"
	"recstream/scoring/internal/vectors"
)

// The reference vectors were made by the original algorithm in Python.
func TestEqualsReference(t *testing.T) {
	got := make([]float64, feature.Num)
	for i, v := range vectors.Read(t, "testdata/vectors.csv.gz") {
		feature.Request(got, v.Context)
		feature.Item(got[feature.NumRequest:], &v.Item)
		for j, want := range v.Features {
			if got[j] != want {
				t.Errorf("vector %d: %s = %v, want %v", i, feature.Names[j], got[j], want)
			}
		}
	}
}

// Each context value sets its own flag and no other, in a buffer that was used before.
func TestRequest(t *testing.T) {
	tests := []struct {
		name    string
		context schemas.Context
		set     []string
	}{
		{"unknown", schemas.Context{}, nil},
		{"funny", schemas.Context{Mood: schemas.MoodFunny}, []string{"mood_funny"}},
		{"relaxing", schemas.Context{Mood: schemas.MoodRelaxing}, []string{"mood_relaxing"}},
		{"solo", schemas.Context{GroupSize: schemas.GroupSolo}, []string{"group_solo"}},
		{"group", schemas.Context{GroupSize: schemas.GroupGroup}, []string{"group_group"}},
		{"short", schemas.Context{SessionLength: schemas.SessionShort}, []string{"session_short"}},
		{"binge", schemas.Context{SessionLength: schemas.SessionBinge}, []string{"session_binge"}},
		{"all", schemas.Context{Mood: schemas.MoodAction, GroupSize: schemas.GroupCouple, SessionLength: schemas.SessionMedium},
			[]string{"mood_action", "group_couple", "session_medium"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := dirty(feature.NumRequest)
			feature.Request(got, tt.context)
			checkSet(t, feature.Names[:feature.NumRequest], got, tt.set)
		})
	}
}

func TestItemGenres(t *testing.T) {
	tests := []struct {
		name   string
		genres []string
		set    []string
	}{
		{"none", nil, nil},
		{"every one", []string{"Science Fiction", "Thriller", "Drama", "Action", "Comedy"}, feature.Names[10:15]},
		{"other case", []string{"comedy", "ACTION", "Science fiction"}, nil},
		{"other genres", []string{"Western", "SciFi", "Romantic Comedy"}, nil},
		{"repeated", []string{"Drama", "Drama"}, []string{"genre_drama"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := dirty(feature.NumItem)
			feature.Item(got, &schemas.Item{Genres: tt.genres})
			checkSet(t, feature.Names[feature.NumRequest:], got, tt.set)
		})
	}
}

func TestItemNumbersAreFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		got := dirty(feature.NumItem)
		feature.Item(got, &schemas.Item{DurationMin: v, Year: v})
		checkSet(t, feature.Names[feature.NumRequest:], got, nil)
	}
}

func dirty(n int) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = 7
	}
	return s
}

// checkSet checks that the named features are 1 and all others 0.
func checkSet(t *testing.T, names []string, got []float64, set []string) {
	t.Helper()
	want := make(map[string]float64)
	for _, name := range set {
		want[name] = 1
	}
	for i, name := range names {
		if got[i] != want[name] {
			t.Errorf("%s = %v, want %v", name, got[i], want[name])
		}
	}
}
