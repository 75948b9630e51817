package config

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"recstream/scoring"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(ScoringSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("scoring.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("scoring.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// bySchema judges a YAML document as an editor does.
func bySchema(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatalf("%v in %s", err, asJSON)
	}
	return schema.Validate(doc)
}

func TestSchemaOfWholeFiles(t *testing.T) {
	schema := compiledSchema(t)
	filled := scoring.DefaultParams()
	filled.Rank.Boosts = append(filled.Rank.Boosts, exampleBoost())
	good := []string{
		string(FormatScoring(scoring.DefaultParams())), string(FormatScoring(filled)), "{}", "rank:\n", "max_items:\n",
		"rank: {boosts: [{name: a, add: 1, year: {min: 1990, max: }}]}", "fallback: {breaker: , drift: {window: 0}}",
	}
	bad := []string{
		"colour: red", "rank: {weights: {bsae: 1}}", "rank: [1]", "max_items: 1.5", "max_items: many", "rank: {boosts: [{add: 1}]}",
		"rank: {boosts: [{name: a}]}", "rank: {boosts: [{name: a, add: }]}", "rank: {boosts: [~]}", "rank: {boosts: {name: a, add: 1}}",
		"rank: {boosts: [{name: a, add: 1, gnere: [x]}]}", "fallback: {tiers: []}", "fallback: {tiers: [basic, basic]}", "fallback: {tiers: [model]}",
		"fallback: {switched_off: [best]}", "fallback: {deadline: 5}", "fallback: {deadline: soon}", "explain: {keep: never}",
		"rank: {boosts: [{name: a, add: 1, from: 2025-06-01}]}", "rules: {mood_genres: {funny: [\"\"]}}", "rules: {mood_genres: {funny: Comedy}}",
	}
	for _, text := range good {
		if err := bySchema(t, schema, text); err != nil {
			t.Errorf("refused by the schema: %v\n%s", err, text)
		}
		if _, err := ParseScoring("good", []byte(text)); err != nil {
			t.Errorf("refused: %v", err)
		}
	}
	for _, text := range bad {
		if bySchema(t, schema, text) == nil {
			t.Errorf("accepted by the schema: %s", text)
		}
		if _, err := ParseScoring("bad", []byte(text)); err == nil {
			t.Errorf("accepted: %s", text)
		}
	}
}

// dependent are parameters whose limits depend on another, of which the schema knows nothing.
var dependent = []string{"fallback.breaker.failures", "fallback.breaker.window", "fallback.tiers", "rules.session_minutes."}

// TestSchemaHasTheLimits gives every parameter values around all limits that there are, and compares the verdicts.
func TestSchemaHasTheLimits(t *testing.T) {
	schema := compiledSchema(t)
	refused := 0
	for _, l := range leaves() {
		depends := false
		for _, prefix := range dependent {
			depends = depends || strings.HasPrefix(l.path, prefix)
		}
		for _, value := range probes(l) {
			text := alone(l.path, value)
			_, err := ParseScoring("probe", []byte(text))
			bySchema := bySchema(t, schema, text)
			if err != nil {
				refused++
			}
			if (err == nil) != (bySchema == nil) && !(depends && bySchema == nil) {
				t.Errorf("%s: %s: by the schema %v, by the program %v", l.path, value, bySchema, err)
			}
		}
	}
	if refused < 100 {
		t.Errorf("%d values were refused, too few to show anything", refused)
	}
}

// probes are values of the parameter's kind, and some that are not.
func probes(l leaf) []string {
	numbers := []float64{-1e6 - 1, -1e6, -1001, -1000, -1, 0, 1, 2, 3, 99, 100, 101, 1000, 1001, 2000, 2001, 10_000, 10_001,
		1e6, 1e6 + 1, 1e9, 1e9 + 1}
	list := []string{"", "other", "true", "[]", "{}"}
	switch kind := l.value.Kind(); {
	case l.value.Type() == durationType:
		list = append(list, "0s", "1ms", "1h30m", "1.5h", "1", "1d")
	case l.value.Type() == timeType:
		list = append(list, "2025-01-01T00:00:00Z", "2025-01-01T00:00:00.25+01:00", "2025-01-01", "2025-13-01T00:00:00Z")
	case kind == reflect.Slice:
		list = append(list, "[other]", "[\"\"]", "[solo, couple]", "[model]", "[basic]", "[model, model]", "[1]", "[~]")
	case kind == reflect.String:
		list = append(list, `""`, "include", "exclude", "sampled", "always", "1")
	default:
		for _, n := range numbers {
			list = append(list, fmt.Sprint(int(n)))
		}
		if kind != reflect.Int {
			list = append(list, "-0.5", "0.5", "1.5", fmt.Sprintf("%f", math.Nextafter(1, 2)))
		}
	}
	return list
}
