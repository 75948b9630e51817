// Package catalogfile reads catalogues from CSV and JSON Lines files, and editorial lists of their items from YAML.
//
// A CSV file has a header line with the columns' names; id and title are required, the rest are as in the
// items table, lists are joined with "|", and an empty cell is missing. A JSON Lines file has an object a
// line with the same names and JSON arrays for lists. Every mistake is reported with its line and field.
package catalogfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"recstream/schemas"
)

// Format is a file's format.
type Format string

// The formats.
const (
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
)

// FormatOf returns the format that a file's name tells; ok is false where it tells none.
func FormatOf(path string) (f Format, ok bool) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return CSV, true
	case ".jsonl", ".ndjson", ".json":
		return JSONLines, true
	}
	return "", false
}

// Problem is a line that is no item.
type Problem struct {
	Line   int
	Field  string // "" where the line as a whole is at fault
	Detail string
}

// Error names the line and the field.
func (p Problem) Error() string {
	if p.Field == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Detail)
	}
	return fmt.Sprintf("line %d: %s: %s", p.Line, p.Field, p.Detail)
}

// Read reads all items. Lines with a problem are left out and reported; an error says that the file as a
// whole cannot be read, such as a CSV file without the columns that it needs.
func Read(r io.Reader, f Format) (items []schemas.Item, problems []Problem, err error) {
	c := &collector{lines: map[string]int{}}
	if f == CSV {
		err = readCSV(r, c)
	} else {
		err = readJSONLines(r, c)
	}
	return c.items, c.problems, err
}

// collector gathers items and problems.
type collector struct {
	items    []schemas.Item
	problems []Problem
	lines    map[string]int // id → its line
}

func (c *collector) problem(line int, field, format string, args ...any) {
	c.problems = append(c.problems, Problem{line, field, fmt.Sprintf(format, args...)})
}

func (c *collector) add(line int, rec record) {
	item, field, err := rec.item()
	if err != nil {
		c.problem(line, field, "%v", err)
		return
	}
	if first, again := c.lines[item.ID]; again {
		c.problem(line, "id", "%q stands in line %d already", item.ID, first)
		return
	}
	c.lines[item.ID] = line
	c.items = append(c.items, item)
}

var columns = []string{"id", "title", "genres", "duration_min", "year", "popularity",
	"added_at", "expires_at", "hidden", "suitability", "franchise", "tags"}

func readCSV(r io.Reader, c *collector) error {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = -1 // told below, with the line
	header, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty")
	}
	if err != nil {
		return err
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	if err := checkHeader(header); err != nil {
		return err
	}
	for {
		cells, err := reader.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			c.problem(bad.StartLine, "", "%v", bad.Err)
		case err != nil:
			return err
		default:
			line, _ := reader.FieldPos(0)
			addCells(c, line, header, cells)
		}
	}
}

func checkHeader(header []string) error {
	for i, name := range header {
		if !slices.Contains(columns, name) {
			return fmt.Errorf("line 1: column %q is not known; the columns are %s", name, strings.Join(columns, ", "))
		}
		if slices.Contains(header[:i], name) {
			return fmt.Errorf("line 1: column %q is there twice", name)
		}
	}
	for _, name := range columns[:2] {
		if !slices.Contains(header, name) {
			return fmt.Errorf("line 1: column %q is missing", name)
		}
	}
	return nil
}

func addCells(c *collector, line int, header, cells []string) {
	if len(cells) != len(header) {
		c.problem(line, "", "has %d cells, the header has %d", len(cells), len(header))
		return
	}
	var rec record
	for i, name := range header {
		if cells[i] == "" {
			continue
		}
		if err := rec.set(name, cells[i]); err != nil {
			c.problem(line, name, "%v", err)
			return
		}
	}
	c.add(line, rec)
}

func readJSONLines(r io.Reader, c *collector) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	line := 0
	for scanner.Scan() {
		line++
		text := bytes.TrimSpace(scanner.Bytes())
		if len(text) == 0 {
			continue
		}
		var rec record
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&rec); err != nil {
			c.problem(line, "", "%v", err)
			continue
		}
		if decoder.More() {
			c.problem(line, "", "has more than one JSON value")
			continue
		}
		c.add(line, rec)
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("line %d: %w", line+1, err)
	}
	return nil
}
