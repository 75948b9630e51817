package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/rank"
)

func TestParseScoring(t *testing.T) {
	got, err := ParseScoring("scoring.yaml", []byte(`
max_items: 7
rules:
  mood_genres: {funny: [Drama, "2001"], action: []}
rank:
  freshness_half_life: 36h
  weights:
    freshness: 2.5e-1
    popularity: 1e-1
  boosts:
    - name: pride
      add: -1
      from: 2025-06-01T00:00:00+02:00
      until:
      year: {min: 1990}
      age_days: {max: .5}
    - {name: new, add: 2, genres: [War], popularity: }
fallback:
  tiers: [popular, basic]
  switched_off: []
explain:
`))
	if err != nil {
		t.Fatal(err)
	}
	year, age := 1990.0, 0.5
	want := scoring.DefaultParams()
	want.MaxItems = 7
	want.Rules.MoodGenres.Funny, want.Rules.MoodGenres.Action = []string{"Drama", "2001"}, nil
	want.Rank.FreshnessHalfLife = 36 * time.Hour
	want.Rank.Weights.Freshness, want.Rank.Weights.Popularity = 0.25, 0.1
	want.Rank.Boosts = []rank.Boost{
		{Name: "pride", Add: -1, From: time.Date(2025, 5, 31, 22, 0, 0, 0, time.UTC), Year: rank.Range{Min: &year}, AgeDays: rank.Range{Max: &age}},
		{Name: "new", Add: 2, Genres: []string{"War"}},
	}
	want.Fallback.Tiers = []schemas.Tier{schemas.TierPopular, schemas.TierBasic}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Version() != want.Version() {
		t.Error("equal parameters have other versions")
	}
}

// TestScoringMistakes wants each mistake by its path and line.
func TestScoringMistakes(t *testing.T) {
	const boost = "rank:\n  boosts:\n    - {name: a, add: 1}\n    - name: b\n"
	tests := map[string]struct{ text, want string }{
		"unknown section":       {"rnak: {}\n", "rnak: no such setting; did you mean rank? (FILE:1)"},
		"unknown key":           {"rank:\n  weights:\n    bsae: 1\n", "rank.weights.bsae: no such setting; did you mean base? (FILE:3)"},
		"unknown key in a list": {boost + "      add: 1\n      genre: x\n", "rank.boosts[1].genre: no such setting; did you mean genres? (FILE:6)"},
		"there twice":           {"max_items: 5\nrank: {page: 1}\nmax_items: 5\n", "max_items: is there twice, first in line 1 (FILE:3)"},
		"there twice in a list": {boost + "      add: 1\n      add: 2\n", "rank.boosts[1].add: is there twice, first in line 5 (FILE:6)"},
		"fraction":              {"\nmax_items: 5.0\n", "max_items: is a whole number (FILE:2)"},
		"octal":                 {"max_items: 010\n", "max_items: is a whole number (FILE:1)"},
		"huge":                  {"max_items: 99999999999999999999\n", "max_items: is a whole number (FILE:1)"},
		"very large":            {"max_items: 18446744073709551615\n", "max_items: is a whole number (FILE:1)"},
		"text for a number":     {"rank:\n  weights: {base: \"1\"}\n", "rank.weights.base: is a number (FILE:2)"},
		"infinite":              {"rank:\n  near_identical: .inf\n", "rank.near_identical: is a number (FILE:2)"},
		"no number":             {"rank:\n  near_identical: .nan\n", "rank.near_identical: is a number (FILE:2)"},
		"beyond numbers":        {"rank:\n  near_identical: 1e999\n", "rank.near_identical: is a number (FILE:2)"},
		"number for a duration": {"rank:\n  freshness_half_life: 30\n", "rank.freshness_half_life: is a duration with its unit, such as 250ms, 20s or 48h (FILE:2)"},
		"day for a time":        {boost + "      add: 1\n      from: 2025-06-01\n", "rank.boosts[1].from: is a time with its zone, such as 2025-12-24T18:00:00Z (FILE:6)"},
		"time after all years":  {boost + "      add: 1\n      from: 9999-12-31T23:00:00-05:00\n", "rank.boosts[1].from: is a time with its zone, such as 2025-12-24T18:00:00Z (FILE:6)"},
		"end of a range":        {boost + "      add: 1\n      year: {min: x}\n", "rank.boosts[1].year.min: is a number (FILE:6)"},
		"value for a range":     {boost + "      add: 1\n      year: 1990\n", "rank.boosts[1].year: is a section with keys of its own (FILE:6)"},
		"text for a list":       {"fallback:\n  tiers: basic\n", "fallback.tiers: is a list (FILE:2)"},
		"text for a section":    {"rank: fast\n", "rank: is a section with keys of its own (FILE:1)"},
		"text for a rule":       {"rank:\n  boosts:\n  - more\n", "rank.boosts[0]: is a section with keys of its own (FILE:3)"},
		"empty rule":            {"rank:\n  boosts:\n  -\n", "rank.boosts[0]: is empty: remove it, or give it a value (FILE:3)"},
		"number for a genre":    {"rules: {mood_genres: {funny: [1]}}\n", "rules.mood_genres.funny[0]: is a text; numbers, true and false are put in quotes to be one (FILE:1)"},
		"out of range":          {"# five\n\nmax_items: 0\n", "max_items: 0 is not 1 to 100 (FILE:3)"},
		"out of range, nested":  {"fallback:\n  tiers: [model, basic]\n  breaker:\n    rest: 0s\n", "fallback.breaker.rest: 0s is not above 0s (FILE:4)"},
		"rule without a name":   {"rank:\n  boosts:\n    - add: 1\n", "rank.boosts[0].name: is empty: name the rule (FILE:3)"},
		"rule that adds none":   {boost + "      genres: [War]\n", "rank.boosts[1].add: 0 is not a number other than 0 (FILE:4)"},
		"range without values":  {boost + "      add: 1\n      year:\n        min: 2000\n        max: 1990\n", "rank.boosts[1].year.max: 1990 is not above min, 2000: no value would match (FILE:8)"},
		"unknown tier":          {"fallback:\n  tiers:\n    - model\n    - best\n    - basic\n", `fallback.tiers[1]: "best" is no tier: take of [model previous_model similar popular editorial basic] (FILE:4)`},
		"unknown word":          {"explain: {keep: never}\n", `explain.keep: "never" is none of asked, sampled, always (FILE:1)`},
		"against a default":     {"fallback:\n  breaker:\n    window: 5\n", "fallback.breaker.failures: 20 is not 1 to window, 5 (FILE:2)"},
		"list for all":          {"- max_items\n", "the whole file: is a section with keys of its own (FILE:1)"},
		"anchor":                {"rank: &r {page: 1}\n", "rank: is a section with keys of its own (FILE:1)"},
		"merge":                 {"rank:\n  <<: {page: 1}\n", "rank.<<: no such setting (FILE:2)"},
		"several documents":     {"max_items: 1\n---\nmax_items: 2\n", "FILE: holds several YAML documents; one is allowed"},
		"syntax":                {"max_items: 1\nrank: [\n", "FILE:2: "},
		"deep":                  {"max_items: 1\nrank: " + strings.Repeat("{a: ", 1000), "FILE: nests deeper than 32 (FILE:2)"},
		"large":                 {strings.Repeat("# a comment\n", 1<<17), "FILE: is larger than 262144 bytes"},
		"no UTF-8":              {"max_items: 1\n# caf\xe9\n", "FILE: has a byte that is no text in UTF-8; save the file as UTF-8 (FILE:2)"},
		"half a character":      {"max_items: 1 # \xc3\n\xa9", "FILE: has a byte that is no text in UTF-8; save the file as UTF-8 (FILE:1)"},
		"NUL":                   {"\n\nmax_items: 1 # \x00\n", "FILE: has a byte that is no text in UTF-8; save the file as UTF-8 (FILE:3)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseScoring("s.yaml", []byte(tt.text))
			want := "scoring parameters: " + strings.ReplaceAll(tt.want, "FILE", "s.yaml")
			if err == nil || err.Error() != want && !strings.HasSuffix(want, ": ") || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestScoringNamesEveryMistakeInOrder(t *testing.T) {
	_, err := ParseScoring("s.yaml", []byte(`max_items: 0
rank:
  weights: {base: -1}
  boosts:
    - {name: a, add: x}
    - {name: "", add: 1}
    - {name: c, add: 1, groups: [solo, duo]}
explain:
  keep: 1
  color: red
fallback: {tiers: []}
`))
	var invalid *Error
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want an *Error", err)
	}
	var got []string
	for _, p := range invalid.Problems {
		got = append(got, fmt.Sprintf("%d %s", p.Line, p.Where))
	}
	want := "1 max_items, 3 rank.weights.base, 5 rank.boosts[0].add, 6 rank.boosts[1].name, 7 rank.boosts[2].groups, " +
		"9 explain.keep, 10 explain.color, 11 fallback.tiers"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	if !strings.HasPrefix(err.Error(), "scoring parameters: 8 mistakes\n  max_items: 0 is not 1 to 100 (s.yaml:1)\n  rank.") {
		t.Errorf("error text: %v", err)
	}
}

func TestLoadScoring(t *testing.T) {
	defaults := scoring.DefaultParams()
	params, text, err := LoadScoring("")
	if err != nil || params.Version() != defaults.Version() || string(text) != string(FormatScoring(defaults)) {
		t.Errorf("without a file: %v, %v", params, err)
	}
	path := filepath.Join(t.TempDir(), "scoring.yaml")
	if _, _, err := LoadScoring(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want an error that is os.ErrNotExist", err)
	}
	const own = "max_items: 3 # few\n"
	if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	if params, text, err = LoadScoring(path); err != nil || params.MaxItems != 3 || string(text) != own {
		t.Errorf("got %v, %q, %v", params, text, err)
	}
	for _, nothing := range []string{"", "# nothing\n", "---\n", "rank:\n"} {
		if params, err := ParseScoring("s.yaml", []byte(nothing)); err != nil || params.Version() != defaults.Version() {
			t.Errorf("%q: %+v, %v; want the defaults", nothing, params, err)
		}
	}
}

func TestOverlay(t *testing.T) {
	base := scoring.DefaultParams()
	base.Rules.MoodGenres.Funny = []string{"Comedy", "Music"}
	base.Rank.Boosts = []rank.Boost{{Name: "a", Add: 1}, {Name: "b", Add: 1}}
	before := base.Version()
	got, err := Overlay(base, "  max_items: 7\n  rules:\n    mood_genres:\n      funny: [Drama]\n  rank: {boosts: [{name: c, add: 2}]}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := base
	want.MaxItems, want.Rules.MoodGenres.Funny, want.Rank.Boosts = 7, []string{"Drama"}, []rank.Boost{{Name: "c", Add: 2}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if base.Version() != before {
		t.Errorf("the base was changed: %+v", base)
	}
	cleared, err := Overlay(base, "rank: {boosts: []}")
	if err != nil || len(cleared.Rank.Boosts) > 0 {
		t.Errorf("an empty list leaves %+v, %v", cleared.Rank.Boosts, err)
	}
}

func TestOverlayRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"colour: red":        "colour: no such setting (params:1)",
		"rank:\n  page: -1":  "rank.page: -1 is less than 0 (params:2)",
		"max_items: [":       "params:1: ",
		"scoring: {page: 1}": "scoring: no such setting (params:1)",
		"max_items: 1\nrank:\n  boosts:\n  - {name: x}": "rank.boosts[0].add: 0 is not a number other than 0 (params:4)",
	} {
		if _, err := Overlay(scoring.DefaultParams(), text); err == nil || !strings.HasPrefix(err.Error(), "scoring parameters: "+want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

// FuzzParseScoring reads anything; what is good is written so that it is read as the same parameters.
func FuzzParseScoring(f *testing.F) {
	f.Add(FormatScoring(scoring.DefaultParams()))
	f.Add([]byte("rank: {boosts: [{name: \"\\u2028'#: \\\"\", add: 1e-300, title: |\n  x\n, from: 0001-01-02T00:00:00.5Z}]}"))
	f.Add([]byte("fallback:\n  tiers:\n  - basic\n  deadline: 1h0.5s\nrules: {mood_genres: {funny: [\"null\", ' a ', \"\\t\"]}}\n"))
	f.Add([]byte("rank:\n  boosts:\n    - name: x\n      add: -.5\n      items: [\"1\", 'true', é, \"\\x7f\"]\n      year: {min: 1., max: 1e5}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		params, err := ParseScoring("fuzz", text)
		if err != nil {
			return
		}
		version := params.Version()
		again, err := ParseScoring("again", FormatScoring(params))
		if err != nil || again.Version() != version {
			t.Errorf("version %s became %s, %v:\n%s", version, again.Version(), err, FormatScoring(params))
		}
	})
}
