package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"recstream/scoring"
	"recstream/scoring/rank"
)

// TestDeployHasTheDefaults keeps the files of deploy equal to what the program prints.
func TestDeployHasTheDefaults(t *testing.T) {
	for command, want := range map[string][]byte{"defaults": FormatScoring(scoring.DefaultParams()), "schema": ScoringSchema()} {
		file := map[string]string{"defaults": "scoring.yaml", "schema": "scoring.schema.json"}[command]
		got, err := os.ReadFile("../../deploy/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("deploy/%s is not what 'go run ./cmd/recstream scoring %s' prints", file, command)
		}
	}
}

// leaf is a parameter that has a value of its own.
type leaf struct {
	path  string // of a file; in a list [0]
	desc  string
	value reflect.Value
}

// leaves are all parameters, with those of a boost.
func leaves() (list []leaf) {
	params := scoring.DefaultParams()
	params.Rank.Boosts = []rank.Boost{exampleBoost()}
	var visit func(v reflect.Value, path, desc string)
	visit = func(v reflect.Value, path, desc string) {
		switch {
		case v.Kind() == reflect.Slice && isSection(v.Type().Elem()):
			visit(v.Index(0), path+"[0]", "")
		case !isSection(v.Type()):
			list = append(list, leaf{path, desc, v})
		default:
			for i := range v.NumField() {
				tag := v.Type().Field(i).Tag
				visit(v.Field(i), joinPath(path, tag.Get("yaml")), tag.Get("desc"))
			}
		}
	}
	visit(reflect.ValueOf(params), "", "")
	return list
}

func TestEveryParameterIsDocumentedAndCounts(t *testing.T) {
	defaults := scoring.DefaultParams()
	list := leaves()
	if len(list) < 60 {
		t.Fatalf("%d parameters, want all", len(list))
	}
	for _, l := range list {
		if l.desc == "" {
			t.Errorf("%s has no desc tag", l.path)
		}
		params := defaults
		if d := decodeYAML("x", []byte(alone(l.path, otherParameter(l))), &params); len(d.problems) > 0 {
			t.Errorf("%s cannot be set: %v", l.path, d.problems)
		} else if params.Version() == defaults.Version() {
			t.Errorf("%s does not change the version", l.path)
		}
	}
}

// alone is a document with one parameter; a boost has its name and what it adds too.
func alone(path, text string) string {
	in, rest, list := strings.Cut(path, "[0].")
	if !list {
		return nested(path, text)
	}
	keys := strings.Split(rest, ".")
	boost := strings.Join(keys, ": {") + ": " + text + strings.Repeat("}", len(keys)-1)
	for _, must := range []string{"name: x", "add: 1"} {
		if key, _, _ := strings.Cut(must, ":"); key != rest {
			boost += ", " + must
		}
	}
	return nested(in, "[{"+boost+"}]")
}

// otherParameter writes a value that differs from the parameter's.
func otherParameter(l leaf) string {
	switch l.value.Type() {
	case timeType:
		return "2031-01-01T00:00:00Z"
	case durationType:
		return "77h"
	}
	switch l.value.Kind() {
	case reflect.Slice:
		return "[other]"
	case reflect.String:
		return "other"
	default:
		return "77"
	}
}

// TestExampleOfABoost reads what is written as a comment.
func TestExampleOfABoost(t *testing.T) {
	_, rest, found := strings.Cut(string(FormatScoring(scoring.DefaultParams())), "  #   boosts:\n")
	if !found {
		t.Fatal("there is no example")
	}
	text := "rank:\n  boosts:\n"
	for line := range strings.Lines(rest) {
		inside, ok := strings.CutPrefix(line, "  # ")
		if !ok {
			break
		}
		text += inside
	}
	got, err := ParseScoring("example", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if want := []rank.Boost{exampleBoost()}; !reflect.DeepEqual(got.Rank.Boosts, want) {
		t.Errorf("got  %+v\nwant %+v", got.Rank.Boosts, want)
	}
	for _, l := range leaves() {
		if l.value.IsZero() && strings.Contains(l.path, "[0]") && !strings.HasSuffix(l.path, "_days.min") {
			t.Errorf("the example has no %s", l.path)
		}
	}
}

func TestFormatScoringIsReadAgain(t *testing.T) {
	params := scoring.DefaultParams()
	boost := exampleBoost()
	boost.Title = "it's \"100%\": #1, [x] & <y>\n\tz\u2028\U0001f600"
	boost.Items = []string{"", "007", "1e3", "true", "null", "~", "- a", "a: b", "é", " "}
	params.Rank.Boosts = []rank.Boost{boost, {Name: "small", Add: 1e-9}, {Name: "large", Add: -1e6}}
	params.Rules.GroupExcludedGenres.Couple = []string{"War", "Science Fiction"}
	params.Fallback.Deadline = 1500000 // ns
	text := FormatScoring(params)
	got, err := ParseScoring("text", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !reflect.DeepEqual(got, params) {
		t.Errorf("got  %+v\nwant %+v", got, params)
	}
	if long := regexp.MustCompile(`(?m)^ *# .{115,}$`).Find(FormatScoring(scoring.DefaultParams())); long != nil && !strings.Contains(string(long), "groups: [") {
		t.Errorf("a comment is too long: %s", long)
	}
}
