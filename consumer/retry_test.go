package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

type verdict bool

func (v verdict) Error() string   { return fmt.Sprintf("transient: %t", bool(v)) }
func (v verdict) Transient() bool { return bool(v) }

func TestRetry(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	tests := map[string]struct {
		errs     []error // of the attempts; then success
		attempts int
		fails    bool
	}{
		"at once":                   {nil, 1, false},
		"transient":                 {[]error{verdict(true), verdict(true)}, 3, false},
		"unknown counts as that":    {[]error{errors.New("?")}, 2, false},
		"permanent":                 {[]error{verdict(false)}, 1, true},
		"permanent, wrapped, later": {[]error{verdict(true), fmt.Errorf("store: %w", verdict(false))}, 2, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			attempts := 0
			err := (&Config{}).retry(t.Context(), quiet, "test", func(attempt int) error {
				attempts++
				if attempt != attempts {
					t.Errorf("attempt %d is counted %d", attempts, attempt)
				}
				if attempt <= len(test.errs) {
					return test.errs[attempt-1]
				}
				return nil
			})
			if attempts != test.attempts || (err != nil) != test.fails {
				t.Errorf("%d attempts, error %v; want %d, failure %t", attempts, err, test.attempts, test.fails)
			}
		})
	}
}

func TestRetryEndsWithItsContextAndKeepsTheCause(t *testing.T) {
	reason := errors.New("drained")
	cause := errors.New("database is away")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := (&Config{}).retry(ctx, slog.New(slog.DiscardHandler), "store", func(attempt int) error {
		if attempt == 2 {
			cancel(reason)
		}
		return cause
	})
	if !errors.Is(err, reason) || !errors.Is(err, cause) || !strings.Contains(err.Error(), "store") {
		t.Errorf("error %v, want one that is both %v and %v", err, reason, cause)
	}
}
