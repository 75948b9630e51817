package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"recstream/scoring"
	"recstream/scoring/rank"
)

// scoringHead begins the text of scoring parameters. Its first line is for editors.
const scoringHead = `# yaml-language-server: $schema=scoring.schema.json
#
# Scoring parameters: what recommendations depend on beside the request, the model and the catalogue. The setting
# scoring.file names this file. Instances follow it while they run: they look every scoring.reload_interval, and at
# once on SIGHUP. One with a mistake is refused, and the one before stays in force.
#
# A key that is left out has its default, and a list replaces the default as a whole.
#
#   recstream scoring defaults        prints all keys with their defaults
#   recstream scoring check FILE      names every mistake by its line
#   recstream scoring schema          prints the JSON Schema that the line above names, for editors
`

// exampleBoost has all keys of a boost.
func exampleBoost() rank.Boost {
	span := func(low, high float64) rank.Range { return rank.Range{Min: &low, Max: &high} }
	return rank.Boost{
		Name: "halloween", Add: 0.2,
		From:  time.Date(2025, time.October, 24, 0, 0, 0, 0, time.UTC),
		Until: time.Date(2025, time.November, 1, 0, 0, 0, 0, time.UTC),
		Items: []string{"tt0077651", "tt0063522"}, Genres: []string{"Horror"}, Franchises: []string{"Halloween"},
		Tags: []string{"spooky"}, Groups: []string{"couple", "group"}, Title: "night",
		Year: span(1960, 2000), Duration: span(60, 120), Popularity: span(10, 1000),
		AgeDays: span(0, 365), ExpiresDays: span(0, 30),
	}
}

// FormatScoring returns the parameters as a text that ParseScoring reads, with every key and what it means.
func FormatScoring(params scoring.Params) []byte {
	var w scoringWriter
	w.WriteString(scoringHead)
	w.section(reflect.ValueOf(params), "", commentsAbove)
	return w.Bytes()
}

// scoringWriter writes parameters as YAML.
type scoringWriter struct{ bytes.Buffer }

// comments says where the meaning of a key is written.
type comments int

const (
	commentsAbove  comments = iota // in lines of its own
	commentsBeside                 // behind the value
	commentsNone                   // nowhere, and keys without a value are left out
)

// commentWidth is where the lines of comments end, in bytes.
const commentWidth = 110

func (w *scoringWriter) section(v reflect.Value, indent string, where comments) {
	for i := range v.NumField() {
		tag, field := v.Type().Field(i).Tag, v.Field(i)
		if where == commentsNone && field.IsZero() {
			continue
		}
		key, desc, beside := indent+tag.Get("yaml")+":", tag.Get("desc"), ""
		if where == commentsBeside && desc != "" {
			beside = " # " + desc
		}
		if where == commentsAbove {
			if indent == "" {
				w.WriteByte('\n')
			}
			w.comment(desc, indent)
		}
		switch {
		case isSection(field.Type()):
			w.WriteString(key + beside + "\n")
			w.section(field, indent+"  ", where)
			continue
		case field.Kind() == reflect.Slice && isSection(field.Type().Elem()):
			w.sections(field, key, indent)
			continue
		}
		w.WriteString(strings.TrimRight(key+" "+scalar(field), " ") + beside + "\n")
	}
}

// comment writes a text in lines of at most commentWidth bytes.
func (w *scoringWriter) comment(text, indent string) {
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > commentWidth {
			w.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	if text != "" {
		w.WriteString(line + "\n")
	}
}

// sections writes the list of boosts. Where it is empty, an example shows the keys of one.
func (w *scoringWriter) sections(list reflect.Value, key, indent string) {
	if list.Len() > 0 {
		w.WriteString(key + "\n")
		for i := range list.Len() {
			w.element(list.Index(i), indent+"  ", commentsNone)
		}
		return
	}
	w.WriteString(key + " []\n")
	w.comment("One with all of its keys, of which a name and what is added suffice:", indent)
	var example scoringWriter
	example.WriteString(key + "\n")
	example.element(reflect.ValueOf(exampleBoost()), indent+"  ", commentsBeside)
	for line := range strings.Lines(example.String()) {
		w.WriteString(indent + "#   " + strings.TrimPrefix(line, indent))
	}
}

// element writes a section as one of a list.
func (w *scoringWriter) element(v reflect.Value, indent string, where comments) {
	var body scoringWriter
	body.section(v, indent+"  ", where)
	w.WriteString(indent + "- " + strings.TrimPrefix(body.String(), indent+"  "))
}

// scalar writes a value, or a list of texts, in one line.
func scalar(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return formatDuration(value)
	case time.Time:
		if value.IsZero() {
			return ""
		}
		return value.Format(time.RFC3339Nano)
	case *float64:
		if value == nil {
			return ""
		}
		return strconv.FormatFloat(*value, 'g', -1, 64)
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64)
	}
	switch v.Kind() {
	case reflect.String:
		return quoted(v.String())
	case reflect.Slice:
		texts := make([]string, v.Len())
		for i := range texts {
			texts[i] = scalar(v.Index(i))
		}
		return "[" + strings.Join(texts, ", ") + "]"
	default:
		return fmt.Sprint(v.Interface())
	}
}

// plain are texts that YAML reads as they are, apart from its words.
var (
	plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*( [A-Za-z0-9_]+)*$`)
	words = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n)$`)
)

// quoted writes a text, in quotes where YAML wants them: a JSON string is one of YAML.
func quoted(text string) string {
	if plain.MatchString(text) && !words.MatchString(text) {
		return text
	}
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(fmt.Sprintf("config: encode a text: %v", err)) // no text does that
	}
	return string(encoded)
}
