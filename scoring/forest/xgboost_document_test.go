package forest

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// xgboostSmall holds the committed cases once they are read; nobody changes them.
var xgboostSmall struct {
	once  sync.Once
	cases []*oracleCase
}

// xgboostCase returns a committed case.
func xgboostCase(tb testing.TB, name string) *oracleCase {
	tb.Helper()
	xgboostSmall.once.Do(func() { xgboostSmall.cases = smallCases(tb, "xgboost") })
	i := slices.IndexFunc(xgboostSmall.cases, func(c *oracleCase) bool { return c.name == name })
	if i < 0 {
		tb.Fatalf("there is no case %q", name)
	}
	return xgboostSmall.cases[i]
}

// document reads the case's model, anew each time.
func (c *oracleCase) document(tb testing.TB) any {
	tb.Helper()
	document, err := readXGBoost(c.model)
	if err != nil {
		tb.Fatal(err)
	}
	return document
}

// readXGBoost reads a document in either format.
func readXGBoost(data []byte) (any, error) {
	if len(data) > 1 && isUBJ(data[1:]) {
		return readUBJ(data)
	}
	return readJSON(data)
}

// removed in place of a value takes a member out.
type removed struct{}

// edit sets what stands at a path such as "trees.0.left_children.1".
func edit(tb testing.TB, document any, path string, value any) {
	tb.Helper()
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		switch d := document.(type) {
		case map[string]any:
			document = d[key]
		case []any:
			document = d[position(tb, key, len(d))]
		default:
			tb.Fatalf("%s: %s is not there", path, key)
		}
	}
	last := keys[len(keys)-1]
	switch d := document.(type) {
	case map[string]any:
		if _, remove := value.(removed); remove {
			delete(d, last)
		} else {
			d[last] = value
		}
	case []any:
		d[position(tb, last, len(d))] = value
	case []float64:
		d[position(tb, last, len(d))] = value.(float64)
	default:
		tb.Fatalf("%s: %s is not there", path, last)
	}
}

func position(tb testing.TB, key string, n int) int {
	tb.Helper()
	at, err := strconv.Atoi(key)
	if err != nil || at >= n {
		tb.Fatalf("%s is none of %d elements", key, n)
	}
	return at
}

// ubjStyle is how a ubjWriter writes what UBJSON leaves free.
type ubjStyle struct {
	counted bool // arrays and objects say how long they are
	typed   bool // arrays of numbers have one mark in common
	noops   bool // marks that mean nothing stand between
}

// document writes a document in UBJSON.
func (s ubjStyle) document(value any) []byte {
	return bytes.TrimPrefix(s.append(nil, value), []byte("N")) // a file begins with a brace
}

// append appends a value, written as plainly as can be. Numbers are doubles.
func (s ubjStyle) append(b []byte, value any) []byte {
	if s.noops {
		b = append(b, 'N')
	}
	switch v := value.(type) {
	case nil:
		return append(b, 'Z')
	case string:
		return s.text(append(b, 'S'), v)
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 'D'), math.Float64bits(v))
	case []float64:
		return s.numbers(append(b, '['), v)
	case []any:
		b = s.count(append(b, '['), len(v))
		for _, element := range v {
			b = s.append(b, element)
		}
		return s.end(b, ']')
	case map[string]any:
		b = s.count(append(b, '{'), len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = s.append(s.text(b, key), v[key])
		}
		return s.end(b, '}')
	}
	panic("no value of a document")
}

func (s ubjStyle) numbers(b []byte, list []float64) []byte {
	if s.typed {
		b = s.length(append(b, '$', 'D', '#'), len(list))
		for _, number := range list {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(number))
		}
		return b
	}
	b = s.count(b, len(list))
	for _, number := range list {
		b = s.append(b, number)
	}
	return s.end(b, ']')
}

func (s ubjStyle) length(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(b, 'l'), uint32(n))
}

func (s ubjStyle) text(b []byte, text string) []byte { return append(s.length(b, len(text)), text...) }

func (s ubjStyle) count(b []byte, n int) []byte {
	if !s.counted {
		return b
	}
	return s.length(append(b, '#'), n)
}

func (s ubjStyle) end(b []byte, closing byte) []byte {
	if s.counted {
		return b
	}
	return append(b, closing)
}

// appendJSON appends a document as JSON. Its numbers have all their digits, for float64.
func appendJSON(b []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return strconv.AppendQuote(b, v)
	case float64:
		return appendJSONNumber(b, v)
	case []float64:
		b = append(b, '[')
		for i, number := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSONNumber(b, number)
		}
		return append(b, ']')
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendJSON(b, element)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ",\n"...)
			}
			b = appendJSON(append(strconv.AppendQuote(b, key), ": "...), v[key])
		}
		return append(b, '}')
	}
	panic("no value of a document")
}

func appendJSONNumber(b []byte, number float64) []byte {
	switch {
	case number != number:
		return append(b, "NaN"...)
	case math.IsInf(number, 1):
		return append(b, "Infinity"...)
	case math.IsInf(number, -1):
		return append(b, "-Infinity"...)
	case number == math.Trunc(number) && math.Abs(number) < 1<<53:
		return strconv.AppendInt(b, int64(number), 10)
	}
	return strconv.AppendFloat(b, number, 'E', -1, 64)
}

// lookUp returns what stands at a path of an object's members.
func lookUp(tb testing.TB, document any, path string) any {
	tb.Helper()
	for key := range strings.SplitSeq(path, ".") {
		switch d := document.(type) {
		case map[string]any:
			document = d[key]
		case []any:
			document = d[position(tb, key, len(d))]
		default:
			tb.Fatalf("%s: %s is not there", path, key)
		}
	}
	return document
}
