// Package wait waits, unless a context ends.
package wait

import (
	"context"
	"time"
)

// Until returns at a time, or with the error of ctx when that ends first.
func Until(ctx context.Context, due time.Time) error { return For(ctx, time.Until(due)) }

// For returns after a while, or with the error of ctx when that ends first.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
