package model

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"recstream/scoring/feature"
)

// maxFeature is the largest feature index.
const maxFeature = feature.Num - 1

// file is what a model file says, verified.
type file struct {
	sigmoid float64
	trees   []tree
}

// parseFile reads the text of a LightGBM model: a header, the trees one after the other in blocks whose
// sizes the header gives, and a trailer.
func parseFile(text string) (*file, error) {
	head, rest, ok := strings.Cut(text, "\n\n")
	if !ok {
		return nil, errors.New("the header does not end: the file is cut short or is no LightGBM model")
	}
	sizes, sigmoid, err := parseHeader(head)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	f := &file{sigmoid: sigmoid, trees: make([]tree, len(sizes))}
	for i, size := range sizes {
		if size > len(rest) {
			return nil, fmt.Errorf("tree %d: %d of its %d bytes are there: the file is cut short", i, len(rest), size)
		}
		if err := f.trees[i].parse(i, rest[:size]); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		rest = rest[size:]
	}
	if err := checkTrailer(rest); err != nil {
		return nil, err
	}
	return f, checkRange(f.trees)
}

// parseHeader checks the header and returns the sizes of the trees in bytes, and the factor in the sigmoid.
func parseHeader(head string) (sizes []int, sigmoid float64, err error) {
	head, ok := strings.CutPrefix(head, "tree\n")
	if !ok {
		return nil, 0, errors.New(`the first line is not "tree": this is no LightGBM model`)
	}
	p, err := parseFields(head)
	if err != nil {
		return nil, 0, err
	}
	if v := p["version"]; v != "v2" && v != "v3" && v != "v4" {
		return nil, 0, fmt.Errorf("version %q is none of v2, v3, v4", v)
	}
	if err := checkFeatures(p["feature_names"]); err != nil {
		return nil, 0, err
	}
	for _, want := range []struct{ key, value string }{
		{"num_class", "1"},
		{"num_tree_per_iteration", "1"},
		{"max_feature_idx", strconv.Itoa(maxFeature)},
	} {
		if p[want.key] != want.value {
			return nil, 0, fmt.Errorf("%s is %q, not %s", want.key, p[want.key], want.value)
		}
	}
	if sigmoid, err = parseObjective(p["objective"]); err != nil {
		return nil, 0, err
	}
	sizes, err = parseSizes(p["tree_sizes"])
	return sizes, sigmoid, err
}

// checkFeatures compares the names with feature.Names, one by one: a model that was trained on other
// features, or on these in another order, would score without complaint and wrongly.
func checkFeatures(names string) error {
	got := strings.Split(names, " ")
	for i, want := range feature.Names {
		if i >= len(got) {
			return &featureError{fmt.Sprintf("the model has %d features, not %d", len(got), feature.Num)}
		}
		if got[i] != want {
			return &featureError{fmt.Sprintf("feature %d is %q, not %q", i, got[i], want)}
		}
	}
	if len(got) != feature.Num {
		return &featureError{fmt.Sprintf("the model has %d features, not %d", len(got), feature.Num)}
	}
	return nil
}

// parseObjective returns the sigmoid factor of a binary objective such as "binary sigmoid:1".
func parseObjective(s string) (float64, error) {
	value, ok := strings.CutPrefix(s, "binary sigmoid:")
	if !ok {
		return 0, fmt.Errorf("objective is %q: train with objective=binary", s)
	}
	sigmoid, err := strconv.ParseFloat(value, 64)
	if err != nil || !isFinite(sigmoid) || sigmoid <= 0 {
		return 0, fmt.Errorf("objective is %q: the sigmoid factor is no positive number", s)
	}
	return sigmoid, nil
}

// parseSizes reads the sizes of the trees in bytes; how many there are is the number of trees.
func parseSizes(s string) ([]int, error) {
	sizes, err := parseList("tree_sizes", s, strconv.Atoi)
	if err != nil {
		return nil, err
	}
	for i, size := range sizes {
		if size <= 0 {
			return nil, fmt.Errorf("tree_sizes[%d] is %d", i, size)
		}
	}
	return sizes, nil
}

// checkTrailer checks what follows the trees up to its last byte. After the parameters, LightGBM's Python
// package adds a blank line and one that describes pandas columns.
func checkTrailer(rest string) error {
	rest, ok := strings.CutPrefix(rest, "end of trees\n")
	if !ok {
		return errors.New("no \"end of trees\" where tree_sizes says: the file is cut short or was edited")
	}
	const end = "\nend of parameters\n"
	i := strings.LastIndex(rest, end)
	if i < 0 {
		return errors.New("no \"end of parameters\": the file is cut short")
	}
	pandas := rest[i+len(end):]
	if pandas == "" {
		return nil
	}
	if !strings.HasPrefix(pandas, "\npandas_categorical:") || strings.IndexByte(pandas[1:], '\n') != len(pandas)-2 {
		return errors.New("the last line is not whole: the file is cut short or was edited")
	}
	return nil
}

// checkRange checks that no sum of leaves can overflow, so that every raw prediction is finite.
func checkRange(trees []tree) error {
	bound := 0.0
	for i := range trees {
		largest := 0.0
		for _, v := range trees[i].value {
			largest = max(largest, math.Abs(v))
		}
		bound += largest
	}
	if !isFinite(bound) {
		return errors.New("the sum of leaf values can overflow")
	}
	return nil
}

// fields are the key=value lines of a block, each key once: of two, another reader might believe the other.
type fields map[string]string

func parseFields(block string) (fields, error) {
	p := make(fields)
	for line := range strings.SplitSeq(block, "\n") {
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("line %q is no key=value", line)
		}
		if _, dup := p[key]; dup {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		p[key] = value
	}
	return p, nil
}

// parseList reads values separated by single spaces; there must be one at least.
func parseList[T any](key, s string, parse func(string) (T, error)) ([]T, error) {
	if s == "" {
		return nil, fmt.Errorf("%s is missing or empty", key)
	}
	list := make([]T, 0, strings.Count(s, " ")+1)
	for word := range strings.SplitSeq(s, " ") {
		v, err := parse(word)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", key, len(list), err)
		}
		list = append(list, v)
	}
	return list, nil
}

// isFinite is false for NaN and the infinities, whose difference from themselves is NaN.
func isFinite(v float64) bool { return v-v == 0 }
