package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Field documents one setting.
type Field struct {
	Path        string `json:"path"`        // in the file, such as kafka.tls.ca_file
	Env         string `json:"env"`         // variable that sets it
	Default     string `json:"default"`     // as it is written in a variable; "" is empty
	Description string `json:"description"` // one line
}

// Fields returns every setting in the file's order: the table that the documentation prints.
func Fields() []Field {
	var fields []Field
	defaults := Default()
	walk(reflect.ValueOf(&defaults).Elem(), "", func(path, desc string, value reflect.Value) {
		if desc == "" {
			desc = scoringText[path]
		}
		fields = append(fields, Field{path, variable(path), formatValue(value), desc})
	})
	return fields
}

// walk visits every setting below a section, in order, with its path and its desc tag.
func walk(section reflect.Value, path string, visit func(path, desc string, value reflect.Value)) {
	for i := range section.NumField() {
		tag, value := section.Type().Field(i).Tag, section.Field(i)
		name := joinPath(path, tag.Get("yaml"))
		if value.Kind() == reflect.Struct {
			walk(value, name, visit)
			continue
		}
		visit(name, tag.Get("desc"), value)
	}
}

// scoringText describes the settings of package scoring, whose types know nothing of their documentation.
var scoringText = map[string]string{
	"scoring.rules.mood_genres.funny":            "Genres for this mood, one is enough; empty accepts all",
	"scoring.rules.mood_genres.action":           "Genres for this mood, one is enough; empty accepts all",
	"scoring.rules.mood_genres.dramatic":         "Genres for this mood, one is enough; empty accepts all",
	"scoring.rules.mood_genres.relaxing":         "Genres for this mood, one is enough; empty accepts all",
	"scoring.rules.session_minutes.short.min":    "Fewest minutes of an item for a short session",
	"scoring.rules.session_minutes.short.max":    "Minutes that an item for a short session stays below; 0 is no end",
	"scoring.rules.session_minutes.medium.min":   "Fewest minutes of an item for a medium session",
	"scoring.rules.session_minutes.medium.max":   "Minutes that an item for a medium session stays below; 0 is no end",
	"scoring.rules.session_minutes.binge.min":    "Fewest minutes of an item for a binge",
	"scoring.rules.session_minutes.binge.max":    "Minutes that an item for a binge stays below; 0 is no end",
	"scoring.rules.missing_duration":             "include or exclude items without a duration when the session length is known",
	"scoring.rules.group_excluded_genres.solo":   "Genres never offered to one person",
	"scoring.rules.group_excluded_genres.couple": "Genres never offered to a couple",
	"scoring.rules.group_excluded_genres.group":  "Genres never offered to a group",
	"scoring.max_items":                          "Most items of an answer, whatever the request asks for",
	"scoring.constant_scores_min":                "Candidates from which on a model that predicts the same for all is taken to be broken",
}

func formatValue(v reflect.Value) string {
	if list, ok := v.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return formatDuration(d)
	}
	return fmt.Sprint(v.Interface())
}

// formatDuration writes 48h where Duration.String writes 48h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}
