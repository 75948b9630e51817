package wait_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"recstream/internal/wait"
)

func TestUntil(t *testing.T) {
	due := time.Now().Add(5 * time.Millisecond)
	if err := wait.Until(t.Context(), due); err != nil || time.Now().Before(due) {
		t.Errorf("back too early, or with error %v", err)
	}
	if err := wait.Until(t.Context(), due.Add(-time.Hour)); err != nil {
		t.Errorf("error %v of a time that is over", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := wait.For(ended, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the context's end", err)
	}
}
