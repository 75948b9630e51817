// Package catalogfile reads catalogues from CSV and JSON Lines files.
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
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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
	"added_at", "expires_at", "hidden", "suitability", "franchise"}

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

// record is an item as files have it; nil is missing.
type record struct {
	ID          string     `json:"id"`
	Title       string     `json:"title"`
	Genres      []string   `json:"genres"`
	DurationMin *float64   `json:"duration_min"`
	Year        *int       `json:"year"`
	Popularity  *float64   `json:"popularity"`
	AddedAt     *time.Time `json:"added_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	Hidden      bool       `json:"hidden"`
	Suitability []string   `json:"suitability"`
	Franchise   string     `json:"franchise"`
}

// set sets a field from a CSV cell.
func (r *record) set(column, cell string) (err error) {
	switch column {
	case "id":
		r.ID = cell
	case "title":
		r.Title = cell
	case "franchise":
		r.Franchise = cell
	case "genres":
		r.Genres = strings.Split(cell, "|")
	case "suitability":
		r.Suitability = strings.Split(cell, "|")
	case "duration_min":
		r.DurationMin, err = number(cell)
	case "popularity":
		r.Popularity, err = number(cell)
	case "year":
		r.Year, err = year(cell)
	case "added_at":
		r.AddedAt, err = instant(cell)
	case "expires_at":
		r.ExpiresAt, err = instant(cell)
	case "hidden":
		r.Hidden, err = flag(cell)
	}
	return err
}

func number(cell string) (*float64, error) {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number", cell)
	}
	return &v, nil
}

func year(cell string) (*int, error) {
	v, err := strconv.Atoi(cell)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", cell)
	}
	return &v, nil
}

func instant(cell string) (*time.Time, error) {
	t, err := time.Parse(time.RFC3339, cell)
	if err != nil {
		return nil, fmt.Errorf("%q is not an RFC 3339 time such as 2026-01-31T20:15:00Z", cell)
	}
	return &t, nil
}

func flag(cell string) (bool, error) {
	switch cell {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", cell)
}

// item checks the record and makes an item of it. The error goes with the field at fault.
func (r *record) item() (it schemas.Item, field string, err error) {
	for _, check := range []struct {
		field string
		err   error
	}{
		{"id", checkText(r.ID, schemas.MaxIDBytes, true)},
		{"title", checkText(r.Title, 1000, true)},
		{"franchise", checkText(r.Franchise, 1000, false)},
		{"genres", checkTexts(r.Genres)},
		{"duration_min", checkNumber(r.DurationMin)},
		{"popularity", checkNumber(r.Popularity)},
		{"year", checkYear(r.Year)},
	} {
		if check.err != nil {
			return it, check.field, check.err
		}
	}
	it = schemas.Item{ID: r.ID, Title: r.Title, Genres: r.Genres, Hidden: r.Hidden, Franchise: r.Franchise,
		DurationMin: value(r.DurationMin), Popularity: value(r.Popularity),
		AddedAt: value(r.AddedAt), ExpiresAt: value(r.ExpiresAt), Year: float64(value(r.Year))}
	for _, name := range r.Suitability {
		g, ok := schemas.ParseGroupSize(name)
		if !ok || g == schemas.GroupUnknown {
			return it, "suitability", fmt.Errorf("%q is none of solo, couple, group", name)
		}
		it.Suitability = append(it.Suitability, g)
	}
	return it, "", nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func checkText(s string, limit int, required bool) error {
	switch {
	case s == "" && required:
		return errors.New("is missing")
	case len(s) > limit:
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(s), limit)
	case !utf8.ValidString(s):
		return errors.New("is not valid UTF-8")
	case strings.ContainsRune(s, 0):
		return errors.New("has a NUL character")
	}
	return nil
}

func checkTexts(list []string) error {
	for _, s := range list {
		if err := checkText(s, 200, true); err != nil {
			return fmt.Errorf("an entry %w", err)
		}
	}
	return nil
}

func checkNumber(v *float64) error {
	if v != nil && (*v < 0 || math.IsNaN(*v) || math.IsInf(*v, 0)) {
		return fmt.Errorf("%v is not a number from 0 up", *v)
	}
	return nil
}

func checkYear(v *int) error {
	if v != nil && (*v < 1 || *v > 9999) {
		return fmt.Errorf("%d is not a year from 1 to 9999", *v)
	}
	return nil
}
