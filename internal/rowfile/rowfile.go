// Package rowfile reads rows of features from CSV, as data scientists write them: one row a line, numbers with a
// point, an empty cell (or NaN) for a missing value. It reads a row at a time, so memory does not depend on how
// many there are.
//
// The first line is a header where one of its cells is no number, or where its cells are the features' names.
// With a header, columns come in any order, and others may stand between them; without, they are the features in
// the model's order.
package rowfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxLine is how many bytes a line may have.
const maxLine = 16 << 20

// Reader reads rows.
type Reader struct {
	lines   *bufio.Scanner
	line    int  // the number of the last one, from 1
	pending bool // the first line is a row, and not yet read
	wanted  []string
	header  []string // nil where there is none
	places  []int    // by column, where its value goes; -1 for nowhere
	cells   [][]byte
}

// Options say what a header may lack.
type Options struct {
	// Optional are columns that may be there beside the features; without them their values are NaN.
	Optional []string
	// Unnamed says that the model does not name its features. A header then has the names that LightGBM and
	// XGBoost make up, Column_0 or f0 for the first, in any order; another one is refused, since nobody knows
	// whether it is in the model's order.
	Unnamed bool
}

// NewReader starts to read rows of features, by name in the model's order. The error says which column is missing.
func NewReader(r io.Reader, features []string, opts Options) (*Reader, error) {
	f := &Reader{lines: bufio.NewScanner(r), wanted: slices.Concat(features, opts.Optional)}
	f.lines.Buffer(nil, maxLine)
	if !f.lines.Scan() {
		return f, f.lines.Err() // no rows
	}
	f.line, f.pending = 1, true
	first, err := split(strings.TrimPrefix(f.lines.Text(), "\ufeff"))
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	if !isHeader(first, features) {
		f.places = upTo(len(features))
		return f, nil
	}
	f.header, f.pending = first, false
	err = f.place(features, opts)
	return f, err
}

// Header is the first line, nil where it is none.
func (f *Reader) Header() []string { return f.header }

// Line is the number of the line that was read last, from 1.
func (f *Reader) Line() int { return f.line }

// Unknown are the columns of the header that are not read.
func (f *Reader) Unknown() (names []string) {
	for i, name := range f.header {
		if f.places[i] < 0 {
			names = append(names, name)
		}
	}
	return names
}

// place finds where each column of the header goes.
func (f *Reader) place(features []string, opts Options) error {
	f.places = make([]int, len(f.header))
	found := make([]bool, len(f.wanted))
	for i, name := range f.header {
		f.places[i] = slices.Index(f.wanted, name)
		if f.places[i] < 0 && opts.Unnamed {
			f.places[i] = madeUp(name, len(features))
		}
		if at := f.places[i]; at >= 0 {
			if found[at] {
				return fmt.Errorf("line 1: there are two columns %q", name)
			}
			found[at] = true
		}
	}
	missing := slices.Index(found[:len(features)], false)
	switch {
	case missing < 0:
		return nil
	case opts.Unnamed && !slices.Contains(found, true) && !slices.ContainsFunc(f.header, isNumber):
		return fmt.Errorf("line 1: the model's file does not name its features, so it is not known which of them column %q is; leave the header out and give the columns in the model's order, or use a bundle, which knows the names", f.header[0])
	}
	return fmt.Errorf("line 1: there is no column %q", features[missing])
}

// madeUp returns which of n features a made-up name means, -1 for none.
func madeUp(name string, n int) int {
	for _, prefix := range []string{"Column_", "f"} {
		if digits, ok := strings.CutPrefix(name, prefix); ok {
			if i, err := strconv.Atoi(digits); err == nil && i < n && strconv.Itoa(i) == digits {
				return i
			}
		}
	}
	return -1
}

// Next reads a row into dst, which has a value for each feature and then for each optional column. The error is
// io.EOF after the last row; others name the line and the column.
func (f *Reader) Next(dst []float64) error {
	line, err := f.next()
	if err != nil {
		return err
	}
	if err := f.cut(line); err != nil {
		return fmt.Errorf("line %d: %w", f.line, err)
	}
	if len(f.cells) != len(f.places) {
		return fmt.Errorf("line %d: %d cells, not %d", f.line, len(f.cells), len(f.places))
	}
	for i := range dst {
		dst[i] = math.NaN()
	}
	for i, at := range f.places {
		if at < 0 {
			continue
		}
		cell := bytes.TrimSpace(f.cells[i])
		if len(cell) == 0 {
			continue
		}
		if dst[at], err = strconv.ParseFloat(string(cell), 64); err != nil {
			return fmt.Errorf("line %d, column %d (%s): %q is no number", f.line, i+1, f.wanted[at], cell)
		}
	}
	return nil
}

// next returns the next line that is a row: an empty one is a missing value where rows have one cell.
func (f *Reader) next() ([]byte, error) {
	for {
		if f.pending {
			f.pending = false
			return bytes.TrimPrefix(f.lines.Bytes(), []byte("\ufeff")), nil
		}
		if f.line == 0 || !f.lines.Scan() {
			if err := f.lines.Err(); err != nil {
				return nil, fmt.Errorf("after line %d: %w", f.line, err)
			}
			return nil, io.EOF
		}
		f.line++
		if len(f.lines.Bytes()) > 0 || len(f.places) == 1 {
			return f.lines.Bytes(), nil
		}
	}
}

// cut cuts a line into cells; a quoted one takes the long way.
func (f *Reader) cut(line []byte) error {
	f.cells = f.cells[:0]
	if bytes.IndexByte(line, '"') >= 0 {
		quoted, err := split(string(line))
		for _, cell := range quoted {
			f.cells = append(f.cells, []byte(cell))
		}
		return err
	}
	for {
		cell, rest, more := bytes.Cut(line, []byte{','})
		f.cells = append(f.cells, cell)
		if !more {
			return nil
		}
		line = rest
	}
}

// split cuts a line into cells that may be quoted.
func split(line string) ([]string, error) {
	if line == "" {
		return []string{""}, nil
	}
	cells, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		if parse, ok := err.(*csv.ParseError); ok { //nolint:errorlint // csv returns it as it is
			err = parse.Err // its line is another's
		}
		return nil, err
	}
	return cells, nil
}

// isHeader tells a header from a row.
func isHeader(cells, features []string) bool {
	for _, cell := range cells {
		if strings.TrimSpace(cell) != "" && !isNumber(cell) {
			return true
		}
	}
	for _, name := range features {
		if !slices.Contains(cells, name) {
			return false
		}
	}
	return true
}

func isNumber(cell string) bool {
	_, err := strconv.ParseFloat(strings.TrimSpace(cell), 64)
	return err == nil
}

func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
