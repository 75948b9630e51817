package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/catalog"
	"recstream/scoring/fallback"
	"recstream/scoring/rank"
)

// limits are what Validate of the parameters demands of single values, as keywords of JSON Schema, by path; those
// of a list's elements are at its path with [], and * is any key of a section that has no limits of its own. What
// depends on two values is left to Validate.
var limits = map[string]map[string]any{
	"max_items":                       between(1, schemas.MaxLimit),
	"rules.missing_duration":          oneOf(catalog.MissingInclude, catalog.MissingExclude),
	"rank.weights.*":                  between(0, rank.MaxWeight),
	"rank.calibration.slope":          {"exclusiveMinimum": 0, "maximum": rank.MaxCalibration},
	"rank.calibration.intercept":      between(-rank.MaxCalibration, rank.MaxCalibration),
	"rank.freshness_half_life":        aboveZero,
	"fallback.breaker.rest":           aboveZero,
	"fallback.slow":                   aboveZero,
	"fallback.history.half_life":      aboveZero,
	"rank.boosts":                     {"maxItems": rank.MaxBoosts},
	"rank.boosts[]":                   {"required": []string{"name", "add"}},
	"rank.boosts[].name":              {"minLength": 1},
	"rank.boosts[].add":               {"minimum": -rank.MaxWeight, "maximum": rank.MaxWeight, "not": map[string]any{"const": 0}},
	"rank.boosts[].groups[]":          oneOf("solo", "couple", "group"),
	"rank.diversity.strength":         between(0, 1),
	"rank.diversity.pool":             between(1, rank.MaxPool),
	"rank.caps.*":                     {"minimum": 0},
	"rank.caps.band_years":            {"minimum": 1},
	"rank.page":                       {"minimum": 0},
	"rank.near_identical":             {"exclusiveMinimum": 0},
	"fallback.tiers":                  {"uniqueItems": true, "contains": map[string]any{"const": schemas.TierBasic}},
	"fallback.tiers[]":                oneOf(fallback.Ladder()...),
	"fallback.switched_off":           {"uniqueItems": true},
	"fallback.switched_off[]":         oneOf(slices.DeleteFunc(fallback.Ladder(), func(t schemas.Tier) bool { return t == schemas.TierBasic })...),
	"fallback.breaker.window":         between(1, 10_000),
	"fallback.breaker.failures":       {"minimum": 1},
	"fallback.breaker.probes":         {"minimum": 1},
	"fallback.constant_scores_min":    {"minimum": 2},
	"fallback.max_missing_features":   between(0, 1),
	"fallback.drift.window":           {"anyOf": []any{map[string]any{"const": 0}, map[string]any{"minimum": 100}}},
	"fallback.drift.max_psi":          {"exclusiveMinimum": 0},
	"fallback.verify_every":           {"minimum": 0},
	"fallback.history.items":          between(1, schemas.MaxProfileItems),
	"fallback.prior_strength":         {"exclusiveMinimum": 0, "maximum": 1e9},
	"explain.keep":                    oneOf(scoring.KeepAsked, scoring.KeepSampled, scoring.KeepAlways),
	"explain.sample_rate":             between(0, 1),
	"explain.max_dropped":             between(0, 1000),
	"explain.contributions":           between(0, 100),
	"rules.mood_genres.*[]":           {"minLength": 1},
	"rules.group_excluded_genres.*[]": {"minLength": 1},
	"rules.session_minutes.short.*":   {"minimum": 0},
	"rules.session_minutes.medium.*":  {"minimum": 0},
	"rules.session_minutes.binge.*":   {"minimum": 0},
}

// aboveZero is a duration with a digit other than zero.
var aboveZero = map[string]any{"not": map[string]any{"type": "string", "pattern": "^[^1-9]*$"}}

func between(least, most float64) map[string]any {
	return map[string]any{"minimum": least, "maximum": most}
}

// oneOf allows the words.
func oneOf[T ~string](words ...T) map[string]any {
	enum := make([]any, len(words))
	for i, word := range words {
		enum[i] = word
	}
	return map[string]any{"enum": enum}
}

// durationForm is that of time.ParseDuration, without a sign: no parameter is a duration before now.
const durationForm = `^(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$`

// ScoringSchema returns the JSON Schema (2020-12) of a file of scoring parameters, for editors. What it refuses
// ParseScoring refuses too; that knows more, such as a range whose end is before its beginning.
func ScoringSchema() []byte {
	root := sectionSchema(reflect.ValueOf(scoring.DefaultParams()), "")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Scoring parameters of recstream"
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("config: encode the schema: %v", err)) // it is made of texts and numbers
	}
	return append(text, '\n')
}

// sectionSchema is the schema of a struct, with its values for defaults.
func sectionSchema(v reflect.Value, path string) map[string]any {
	properties := map[string]any{}
	for i := range v.NumField() {
		tag, field := v.Type().Field(i).Tag, v.Field(i)
		name := joinPath(path, tag.Get("yaml"))
		schema := valueSchema(field, name)
		if desc := tag.Get("desc"); desc != "" {
			schema["description"] = desc
		}
		if value := defaultOf(field); value != nil && !strings.Contains(name, "[]") {
			schema["default"] = value
		}
		if required, _ := limitsOf(path)["required"].([]string); !slices.Contains(required, tag.Get("yaml")) {
			orEmpty(schema)
		}
		properties[tag.Get("yaml")] = schema
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

// valueSchema is the schema of what stands at a path.
func valueSchema(v reflect.Value, path string) map[string]any {
	var schema map[string]any
	switch {
	case isSection(v.Type()):
		schema = sectionSchema(v, path)
	case v.Kind() == reflect.Slice:
		schema = map[string]any{"type": "array", "items": valueSchema(reflect.New(v.Type().Elem()).Elem(), path+"[]")}
	default:
		schema = scalarSchema(v.Type())
	}
	maps.Copy(schema, limitsOf(path))
	return schema
}

func scalarSchema(t reflect.Type) map[string]any {
	switch {
	case t == durationType:
		return map[string]any{"type": "string", "pattern": durationForm}
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Int:
		return map[string]any{"type": "integer"}
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Pointer:
		return map[string]any{"type": "number"}
	default:
		return map[string]any{"type": "string"}
	}
}

// limitsOf are the limits at a path, nil for none.
func limitsOf(path string) map[string]any {
	if own, ok := limits[path]; ok {
		return own
	}
	name, list := strings.CutSuffix(path, "[]")
	wild := name[:strings.LastIndex(name, ".")+1] + "*"
	if list {
		wild += "[]"
	}
	return limits[wild]
}

// orEmpty lets a value be empty, which keeps the default, unless its section has to have it.
func orEmpty(schema map[string]any) {
	schema["type"] = []any{schema["type"], "null"}
	if words, ok := schema["enum"].([]any); ok {
		schema["enum"] = append(slices.Clone(words), nil)
	}
}

// defaultOf is a default as JSON has it, nil for none: a section's stands at its keys.
func defaultOf(v reflect.Value) any {
	switch {
	case isSection(v.Type()):
		return nil
	case v.Type() == durationType:
		return scalar(v)
	case v.Kind() == reflect.Slice && v.Len() == 0:
		return []any{}
	}
	return v.Interface()
}
