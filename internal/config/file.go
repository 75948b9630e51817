package config

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decodeYAML sets what the text says in dst, the Config or a section of it. It walks the document beside dst, so that every mistake
// is found and is named by its path and line. The texts of the YAML library's errors are used for
// syntax alone: others repeat the value, which may be a secret.
func decodeYAML(file string, text []byte, dst any) []Problem {
	doc, err := parser.ParseBytes(text, 0)
	if err != nil {
		return []Problem{syntaxProblem(file, err)}
	}
	if len(doc.Docs) > 1 {
		return []Problem{{file, "holds several YAML documents; one is allowed"}}
	}
	d := decoder{file: file}
	for _, one := range doc.Docs {
		d.section(one.Body, reflect.ValueOf(dst).Elem(), "")
	}
	return d.problems
}

// syntaxProblem places an error of the parser, among them a key that is there twice.
func syntaxProblem(file string, err error) Problem {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return Problem{fmt.Sprintf("%s:%d", file, at.GetToken().Position.Line), at.GetMessage()}
	}
	return Problem{file, "is no YAML"}
}

type decoder struct {
	file     string
	problems []Problem
}

// section decodes a mapping into the struct dst. An empty section or value keeps what dst has.
func (d *decoder) section(node ast.Node, dst reflect.Value, path string) {
	if node == nil || node.Type() == ast.NullType || node.Type() == ast.CommentType {
		return
	}
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		d.refuse(node, path, "is "+describe(dst.Type()))
		return
	}
	for _, entry := range mapping.Values {
		d.entry(entry, dst, path)
	}
}

func (d *decoder) entry(entry *ast.MappingValueNode, dst reflect.Value, path string) {
	key := entry.Key.GetToken().Value
	name := joinPath(path, key)
	field, known := fieldByKey(dst, key)
	switch {
	case !known:
		d.refuse(entry.Key, name, "no such setting"+didYouMean(key, keys(dst.Type())))
	case field.Kind() == reflect.Struct:
		d.section(entry.Value, field, name)
	case entry.Value.Type() == ast.NullType:
	case !decodeValue(entry.Value, field):
		d.refuse(entry.Value, name, "is "+describe(field.Type()))
	}
}

// decodeValue reports whether the node is a value of dst's type, and sets it.
// The library would cut a fraction down to a whole number; that is refused here.
func decodeValue(node ast.Node, dst reflect.Value) bool {
	if dst.Kind() == reflect.Int && node.Type() == ast.FloatType {
		return false
	}
	return yaml.NodeToValue(node, dst.Addr().Interface(), yaml.Strict()) == nil
}

func (d *decoder) refuse(node ast.Node, path, text string) {
	line := node.GetToken().Position.Line
	where := path
	if where == "" {
		where = "the whole file"
	}
	d.problems = append(d.problems, Problem{where, fmt.Sprintf("%s (%s:%d)", text, d.file, line)})
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
