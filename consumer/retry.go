package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// IsTransient reports whether what failed may succeed later as it is. The errors that know say so with a
// method Transient() bool; one that does not know is taken for transient, because waiting loses nothing.
func IsTransient(err error) bool {
	var e interface{ Transient() bool }
	return !errors.As(err, &e) || e.Transient()
}

// quietAttempts may fail without a word to the operator: what passes within a tenth of a second, as when a
// broker has just started, is no news.
const quietAttempts = 3

// reminder is how often a failure that stays is logged at the least.
const reminder = time.Minute

// retryLevel is how loudly a failed attempt is logged: a long outage is a line a power of two.
func retryLevel(attempt int) slog.Level {
	if attempt > quietAttempts && attempt&(attempt-1) == 0 {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// retry calls do until it succeeds, until its error is permanent, or until ctx ends. The waits between grow
// from 20 ms to 5 s, with jitter, and never give up. attempt counts from 1.
func (c *Config) retry(ctx context.Context, log *slog.Logger, stage string, do func(attempt int) error) error {
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(20*time.Millisecond),
		backoff.WithMultiplier(2),
		backoff.WithMaxInterval(5*time.Second),
		backoff.WithMaxElapsedTime(0),
	)
	attempt := 0
	var last error
	logged := time.Now()
	operation := func() error {
		attempt++
		if last = do(attempt); last != nil && !IsTransient(last) {
			return backoff.Permanent(last)
		}
		return last
	}
	notify := func(err error, wait time.Duration) {
		c.observer().Retried(stage)
		level := retryLevel(attempt)
		if time.Since(logged) > reminder {
			level = slog.LevelWarn
		}
		if level == slog.LevelWarn {
			logged = time.Now()
		}
		log.Log(ctx, level, "trying again",
			keyStage, stage, keyAttempt, attempt, keyWait, wait.Round(time.Millisecond), keyError, err)
	}
	err := backoff.RetryNotify(operation, backoff.WithContext(policy, ctx), notify)
	switch {
	case err == nil && attempt > quietAttempts:
		log.Info("recovered", keyStage, stage, keyAttempt, attempt)
	case err != nil && ctx.Err() != nil:
		// backoff returns the context's error alone.
		return fmt.Errorf("%s: given up after %d attempts: %w (last error: %w)", stage, attempt, context.Cause(ctx), last)
	}
	return err
}
