package forest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// lgbBlock is the key=value lines of the header or of a tree.
type lgbBlock struct {
	tree   int // -1 for the header
	values map[string]string
}

// fault is an Error of the block's field.
func (b *lgbBlock) fault(key, format string, args ...any) *Error {
	return treeFault(b.tree, key, format, args...)
}

// parseLGBBlock splits lines into keys and values; a line without = is a key alone. Each key may be there once:
// of two, another reader might believe the other.
func parseLGBBlock(tree int, text string, known []string) (*lgbBlock, error) {
	b := &lgbBlock{tree: tree, values: make(map[string]string, len(known))}
	for line := range strings.SplitSeq(text, "\n") {
		key, value, _ := strings.Cut(line, "=")
		if !slices.Contains(known, key) {
			return nil, b.fault("", "field %.40q is unknown", key)
		}
		if _, dup := b.values[key]; dup {
			return nil, b.fault(key, "it is there twice")
		}
		if strings.ContainsRune(value, '\r') {
			return nil, b.fault(key, "there is a carriage return in it")
		}
		b.values[key] = value
	}
	return b, nil
}

// parseLGBList reads n values separated by single spaces. It allocates no more than the text backs.
func parseLGBList[T any](b *lgbBlock, key string, n int, parse func(string) (T, error)) ([]T, error) {
	text, ok := b.values[key]
	if !ok {
		return nil, b.fault(key, "it is missing")
	}
	if got := strings.Count(text, " ") + 1; got != n {
		return nil, b.fault(key, "%d values, not %d", got, n)
	}
	list := make([]T, 0, n)
	for word := range strings.SplitSeq(text, " ") {
		v, err := parse(word)
		if err != nil {
			return nil, b.fault(key, "value %d: %w", len(list), err)
		}
		list = append(list, v)
	}
	return list, nil
}

// parseDecimal reads a finite number as LightGBM writes it: none of Go's hexadecimal ones, no underscores.
func parseDecimal(s string) (float64, error) {
	if strings.ContainsAny(s, "xX_") {
		return 0, fmt.Errorf("%.40q is no number", s)
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	if !isFinite(v) {
		return 0, fmt.Errorf("%v is no finite number", v)
	}
	return v, nil
}

// parseThreshold reads a threshold. It is infinite where a split parts missing values from all others.
func parseThreshold(s string) (float64, error) {
	switch s {
	case "inf":
		return math.Inf(1), nil
	case "-inf":
		return math.Inf(-1), nil
	}
	return parseDecimal(s)
}

// parseAny reads a number of which only the shape matters; C++ writes NaN with a sign at times.
func parseAny(s string) (float64, error) {
	switch s {
	case "inf", "-inf", "nan", "-nan":
		return 0, nil
	}
	return parseDecimal(s)
}

// within returns a parser of whole numbers from low to high.
func within(low, high int) func(string) (int32, error) {
	return func(s string) (int32, error) {
		v, err := strconv.ParseInt(s, 10, 32)
		if err == nil && (int(v) < low || int(v) > high) {
			err = fmt.Errorf("%d is not from %d to %d", v, low, high)
		}
		return int32(v), err
	}
}

// parseWord reads 32 bits of a set of categories.
func parseWord(s string) (uint32, error) {
	v, err := strconv.ParseUint(s, 10, 32)
	return uint32(v), err
}
