package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"recstream/internal/config"
)

// The exit statuses, as the root command's help documents them.
const (
	exitOK      = 0
	exitRuntime = 1
	exitUsage   = 2
	exitLimit   = 3 // a replay's report exceeds what the command line allows
)

// usageError is a mistake in the command line that only the command itself can see.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// badConfig is an error that the operator has to mend; trying again does not.
type badConfig struct{ error }

func (e badConfig) Unwrap() error { return e.error }

// configError marks an error that only a change of the configuration or of what it points at can mend.
// It ends the program with status 2; nil stays nil.
func configError(err error) error {
	if err == nil {
		return nil
	}
	return badConfig{err}
}

// isConfigError reports whether trying again is of no use.
func isConfigError(err error) bool {
	var invalid *config.Error
	var bad badConfig
	return errors.As(err, &invalid) || errors.As(err, &bad)
}

// hinted is an error that says what to do next, in a line of its own.
type hinted struct {
	error
	hint string
}

func (e hinted) Unwrap() error { return e.error }

// withHint adds what to do next to an error; nil stays nil.
func withHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return hinted{err, hint}
}

// report prints the error once, with its hint, and returns the exit status.
// started tells an error of the command's own work from one of the command line.
func report(stderr io.Writer, cmd *cobra.Command, err error, started bool) int {
	if err == nil {
		return exitOK
	}
	var usage usageError
	var invalid *config.Error
	var next hinted
	status, hint := exitRuntime, ""
	switch {
	case errors.As(err, &invalid) && invalid.Subject == config.ScoringParameters:
		status, hint = exitUsage, "run 'recstream scoring defaults' for every key, its default and its meaning"
	case errors.As(err, &invalid):
		status, hint = exitUsage, "run 'recstream config fields' for every setting, its default and its variable"
	case !started || errors.As(err, &usage):
		status, hint = exitUsage, fmt.Sprintf("run '%s --help' for usage and examples", cmd.CommandPath())
	case errors.As(err, &next):
		hint = next.hint
	}
	if isConfigError(err) {
		status = exitUsage
	}
	if isLimit(err) {
		status = exitLimit
	}
	fmt.Fprintf(stderr, "recstream: %s\n", message(err))
	if hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", hint)
	}
	return status
}

// message is the error's text; the suggestions of an unknown command are put into one line.
func message(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	text, suggestions, ok := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	if !ok {
		return text
	}
	return text + "; did you mean " + strings.Join(strings.Fields(suggestions), " or ") + "?"
}
