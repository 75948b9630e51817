package config

import (
	"fmt"

	"recstream/scoring"
)

// Overlay returns the scoring parameters with those of text, YAML as under the key scoring, in their place: a
// variant of an experiment. An error names every key that is unknown, or whose value cannot work.
func Overlay(base scoring.Params, text string) (scoring.Params, error) {
	if problems := decodeYAML("params", []byte(text), &base); len(problems) > 0 {
		return scoring.Params{}, &Error{Problems: problems}
	}
	if err := base.Validate(); err != nil {
		return scoring.Params{}, fmt.Errorf("params: %w", err)
	}
	return base, nil
}
