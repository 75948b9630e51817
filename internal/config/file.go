package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// decodeYAML sets what the text says in dst, a struct with yaml tags. It walks the document beside dst, so that
// every mistake is found and is named by its path and line. The texts of the YAML library's errors are used for
// syntax alone: others repeat the value, which may be a secret.
func decodeYAML(file string, text []byte, dst any) *decoder {
	d := &decoder{file: file, lines: map[string]int{}}
	body, problem := document(file, text)
	if problem != nil {
		d.problems = []Problem{*problem}
		return d
	}
	d.section(body, reflect.ValueOf(dst).Elem(), "")
	return d
}

type decoder struct {
	file     string
	problems []Problem
	lines    map[string]int // of what the document has, by path
}

// section decodes a mapping into the struct dst. An empty section or value keeps what dst has.
func (d *decoder) section(node ast.Node, dst reflect.Value, path string) {
	if isEmpty(node) {
		return
	}
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		d.refuse(node, path, "is "+describe(dst.Type()))
		return
	}
	for _, entry := range mapping.Values {
		if d.full() {
			return
		}
		d.entry(entry, dst, path)
	}
}

func isEmpty(node ast.Node) bool {
	return node == nil || node.Type() == ast.NullType || node.Type() == ast.CommentType
}

func (d *decoder) entry(entry *ast.MappingValueNode, dst reflect.Value, path string) {
	key := entry.Key.GetToken().Value
	name := joinPath(path, key)
	if first, twice := d.lines[name]; twice {
		d.refuse(entry.Key, name, fmt.Sprintf("is there twice, first in line %d", first))
		return
	}
	d.lines[name] = entry.Key.GetToken().Position.Line
	field, known := fieldByKey(dst, key)
	switch {
	case !known:
		d.refuse(entry.Key, name, "no such setting"+didYouMean(shortened(key), keys(dst.Type())))
	case isSection(field.Type()):
		d.section(entry.Value, field, name)
	case isEmpty(entry.Value):
	case field.Kind() == reflect.Slice:
		d.list(entry.Value, field, name)
	default:
		d.value(entry.Value, field, name)
	}
}

// list decodes a sequence. It is a new one: what dst had may be shared. One without elements is nil.
func (d *decoder) list(node ast.Node, dst reflect.Value, path string) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.refuse(node, path, "is "+describe(dst.Type()))
		return
	}
	if len(sequence.Values) == 0 && dst.Len() == 0 {
		return
	}
	list := reflect.Zero(dst.Type())
	for i, node := range sequence.Values {
		if d.full() {
			return
		}
		element, name := reflect.New(dst.Type().Elem()).Elem(), fmt.Sprintf("%s[%d]", path, i)
		d.lines[name] = node.GetToken().Position.Line
		switch {
		case isEmpty(node):
			d.refuse(node, name, "is empty: remove it, or give it a value")
		case isSection(element.Type()):
			d.section(node, element, name)
		default:
			d.value(node, element, name)
		}
		list = reflect.Append(list, element)
	}
	dst.Set(list)
}

func (d *decoder) value(node ast.Node, dst reflect.Value, path string) {
	value := reflect.New(dst.Type()).Elem()
	if !decodeValue(node, value) {
		d.refuse(node, path, "is "+describe(dst.Type()))
		return
	}
	dst.Set(value)
}

func (d *decoder) refuse(node ast.Node, path, text string) {
	if path == "" {
		path = "the whole file"
	}
	d.problems = append(d.problems, Problem{shortened(path), text, d.file, node.GetToken().Position.Line})
}

// full reports whether more mistakes were found than are told.
func (d *decoder) full() bool { return len(d.problems) > maxProblems }

// invalid adds what is wrong with values that could be read; the others were refused before.
func (d *decoder) invalid(problems []Problem) {
	refused := len(d.problems)
	for _, p := range problems {
		if !slices.ContainsFunc(d.problems[:refused], func(r Problem) bool { return holds(r.Where, p.Where) }) {
			d.problems = append(d.problems, p)
		}
	}
}

// holds reports whether a path is the other one, or what that is within.
func holds(path, other string) bool {
	rest, ok := strings.CutPrefix(other, path)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// located gives problems their lines: those of their paths, or of what these are within, if the document has that.
func (d *decoder) located(problems []Problem) []Problem {
	for i := range problems {
		p := &problems[i]
		p.File = d.file
		for path := p.Where; path != "" && p.Line == 0; path = path[:max(strings.LastIndexAny(path, ".["), 0)] {
			p.Line = d.lines[path]
		}
	}
	return problems
}

func fieldByKey(section reflect.Value, key string) (reflect.Value, bool) {
	for i := range section.NumField() {
		if section.Type().Field(i).Tag.Get("yaml") == key {
			return section.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// keys lists the keys that a section knows.
func keys(section reflect.Type) []string {
	var names []string
	for i := range section.NumField() {
		names = append(names, section.Field(i).Tag.Get("yaml"))
	}
	return names
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// YAML returns the settings as a file that Load reads, apart from its secrets, which are hidden.
func (c Config) YAML() ([]byte, error) {
	durations := yaml.CustomMarshaler(func(d time.Duration) ([]byte, error) { return []byte(formatDuration(d)), nil })
	text, err := yaml.MarshalWithOptions(c, yaml.IndentSequence(true), durations)
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return text, nil
}
