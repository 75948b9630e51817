package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"recstream/scoring"
)

// LoadScoring reads the file of scoring parameters at path, and returns its text too. An empty path is no file:
// the defaults, with the text that FormatScoring gives them. An error is an *Error that lists every mistake with its
// line, unless the file cannot be read.
func LoadScoring(path string) (scoring.Params, []byte, error) {
	if path == "" {
		params := scoring.DefaultParams()
		return params, FormatScoring(params), nil
	}
	text, err := ReadScoring(path)
	if err != nil {
		return scoring.Params{}, nil, err
	}
	params, err := ParseScoring(path, text)
	return params, text, err
}

// ReadScoring returns the text of the file at path, no more of it than shows that it is too large. What is no regular
// file is an error.
func ReadScoring(path string) ([]byte, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scoring parameters: %w", err)
	}
	return text, nil
}

// ParseScoring returns the scoring parameters of a text: the defaults, with what it says in their place. The error
// is an *Error that lists every mistake with its line; file is what it calls the text.
func ParseScoring(file string, text []byte) (scoring.Params, error) {
	return overlay(scoring.DefaultParams(), file, text)
}

// Overlay returns the scoring parameters with those of text in their place: a variant of an experiment. Lists are
// replaced as a whole. The error is as that of ParseScoring.
func Overlay(base scoring.Params, text string) (scoring.Params, error) {
	return overlay(base, "params", []byte(text))
}

func overlay(params scoring.Params, file string, text []byte) (scoring.Params, error) {
	d := decodeYAML(file, text, &params)
	// A value that could not be read has another still, so the rest can be judged all the same.
	d.invalid(d.located(flatten(params.Validate())))
	if len(d.problems) == 0 {
		return params, nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return scoring.Params{}, &Error{ScoringParameters, atMost(maxProblems, d.problems)}
}

// flatten makes problems of errors of the form "path: text", joined or not.
func flatten(err error) []Problem {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var problems []Problem
		for _, one := range joined.Unwrap() {
			problems = append(problems, flatten(one)...)
		}
		return problems
	}
	path, text, _ := strings.Cut(err.Error(), ": ")
	return []Problem{{Where: path, Text: text}}
}
