package catalogfile

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"recstream/schemas"
)

// ReadLists reads the editorial lists of a YAML file, which may well be JSON: a sequence of mappings with the keys
// name and items, which are required, and mood, group_size, session_length, starts_at, ends_at and priority.
// Lists with a problem are left out and reported; an error says that the file as a whole cannot be read.
func ReadLists(text []byte) (lists []schemas.EditorialList, problems []Problem, err error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, nil, errors.New(yaml.FormatError(err, false, false))
	}
	entries, err := sequence(file)
	if err != nil {
		return nil, nil, err
	}
	names := map[string]int{} // name → its line
	for _, entry := range entries {
		r := &listReader{line: lineOf(entry)}
		r.read(entry)
		if first, again := names[r.list.Name]; again && r.list.Name != "" {
			r.problem(r.line, "name", "%q stands in line %d already", r.list.Name, first)
		}
		names[r.list.Name] = r.line
		problems = append(problems, r.problems...)
		if len(r.problems) == 0 {
			lists = append(lists, r.list)
		}
	}
	return lists, problems, nil
}

// sequence returns the entries of the file's one sequence.
func sequence(file *ast.File) ([]ast.Node, error) {
	docs := slices.DeleteFunc(slices.Clone(file.Docs), func(d *ast.DocumentNode) bool { return d.Body == nil })
	switch len(docs) {
	case 0:
		return nil, errors.New("the file is empty")
	case 1:
		if list, ok := docs[0].Body.(*ast.SequenceNode); ok {
			return list.Values, nil
		}
		return nil, fmt.Errorf("line %d: is no list of lists: begin each with '- name: …'", lineOf(docs[0].Body))
	}
	return nil, fmt.Errorf("line %d: a second document begins: put all lists into the first", lineOf(docs[1].Body))
}

func lineOf(n ast.Node) int {
	if m, ok := n.(ast.MapNode); ok { // its own token is the first colon
		if i := m.MapRange(); i.Next() {
			n = i.Key()
		}
	}
	return n.GetToken().Position.Line
}

// listReader makes one list of a mapping.
type listReader struct {
	line     int
	list     schemas.EditorialList
	problems []Problem
}

func (r *listReader) problem(line int, key, format string, args ...any) {
	r.problems = append(r.problems, Problem{line, key, fmt.Sprintf(format, args...)})
}

func (r *listReader) read(entry ast.Node) {
	mapping, ok := entry.(ast.MapNode)
	if !ok {
		r.problem(r.line, "", "is no list: it begins with '- name: …'")
		return
	}
	there := map[string]bool{}
	for i := mapping.MapRange(); i.Next(); {
		key := i.Key().GetToken()
		there[key.Value] = true
		if err := r.set(key.Value, i.Value()); err != nil {
			r.problem(key.Position.Line, key.Value, "%v", err)
			continue
		}
		switch key.Value {
		case "name":
			r.line = key.Position.Line
		case "starts_at", "ends_at":
			if l := &r.list; !l.EndsAt.IsZero() && !l.EndsAt.After(l.StartsAt) {
				r.problem(key.Position.Line, key.Value, "the list ends before it starts")
			}
		}
	}
	for _, key := range []string{"name", "items"} {
		if !there[key] {
			r.problem(r.line, key, "is missing")
		}
	}
}

var listKeys = []string{"name", "mood", "group_size", "session_length", "starts_at", "ends_at", "priority", "items"}

func (r *listReader) set(key string, value ast.Node) error {
	if !slices.Contains(listKeys, key) {
		return fmt.Errorf("is not known; the keys are %s", strings.Join(listKeys, ", "))
	}
	if key == "items" {
		return r.setItems(value)
	}
	text, err := textOf(value)
	if err != nil {
		return err
	}
	l := &r.list
	switch key {
	case "name":
		l.Name = text
		err = checkText(text, schemas.MaxIDBytes, true)
	case "mood":
		l.Mood, err = choice(text, schemas.ParseMood, schemas.NumMoods)
	case "group_size":
		l.GroupSize, err = choice(text, schemas.ParseGroupSize, schemas.NumGroupSizes)
	case "session_length":
		l.SessionLength, err = choice(text, schemas.ParseSessionLength, schemas.NumSessionLengths)
	case "starts_at":
		l.StartsAt, err = moment(text)
	case "ends_at":
		l.EndsAt, err = moment(text)
	case "priority":
		l.Priority, err = priority(text)
	}
	return err
}

func (r *listReader) setItems(value ast.Node) error {
	entries, ok := value.(*ast.SequenceNode)
	if !ok || len(entries.Values) == 0 {
		return errors.New("is no list of item ids, such as [heat-1995, alien-1979]")
	}
	lines := map[string]int{} // id → its line
	for _, entry := range entries.Values {
		id, err := textOf(entry)
		if err == nil {
			err = checkText(id, schemas.MaxIDBytes, true)
		}
		if err != nil {
			r.problem(lineOf(entry), "items", "an entry %v", err)
			continue
		}
		if first, again := lines[id]; again {
			r.problem(lineOf(entry), "items", "%q stands in line %d already", id, first)
			continue
		}
		lines[id] = lineOf(entry)
		r.list.ItemIDs = append(r.list.ItemIDs, id)
	}
	return nil
}

// textOf is a scalar as it is written: an id such as 007 is no number. Null is empty.
func textOf(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.NullNode:
		return "", nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, nil
	}
	return "", errors.New("is no single value")
}

// choice is one of the values of the context; without a text it is unknown, which holds for all.
func choice[T interface {
	~uint8
	String() string
}](text string, parse func(string) (T, bool), n T) (T, error) {
	v, ok := parse(text)
	if ok {
		return v, nil
	}
	var names []string
	for v = 1; v < n; v++ {
		names = append(names, v.String())
	}
	return 0, fmt.Errorf("%q is none of %s", text, strings.Join(names, ", "))
}

// moment is a time or the start of a day in UTC; without a text it is zero. The database keeps microseconds.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && !t.IsZero() {
			return t.UTC().Truncate(time.Microsecond), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a day such as 2026-01-31 nor an RFC 3339 time such as 2026-01-31T20:15:00Z", text)
}

func priority(text string) (int, error) {
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil && text != "" {
		return 0, fmt.Errorf("%q is not a whole number from %d to %d", text, math.MinInt32, math.MaxInt32)
	}
	return int(v), nil
}
