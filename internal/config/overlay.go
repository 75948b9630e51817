package config

import (
	"fmt"
	"strings"

	"recstream/scoring"
)

// Overlay returns the scoring parameters with those of text, YAML as under the key scoring, in their place: a
// variant of an experiment. An error names every key that is unknown, or whose value cannot work.
func Overlay(base scoring.Params, text string) (scoring.Params, error) {
	cfg := Default()
	cfg.Scoring = base
	indented := "scoring:\n  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
	if problems := decodeYAML("params", []byte(indented), &cfg); len(problems) > 0 {
		return scoring.Params{}, &Error{Problems: problems}
	}
	if err := cfg.Scoring.Validate(); err != nil {
		return scoring.Params{}, fmt.Errorf("params: %w", err)
	}
	return cfg.Scoring, nil
}
