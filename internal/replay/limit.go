package replay

import (
	"context"
	"sync"
	"time"

	"recstream/internal/wait"
)

// limiter spreads work evenly: no more than rate a second, over all that take.
type limiter struct {
	rate float64 // 0 is no limit

	mu  sync.Mutex
	due time.Time // when what is taken next may begin
}

// take waits until n may begin. What may begin at once is not stopped by the end of ctx.
func (l *limiter) take(ctx context.Context, n int) error {
	if l.rate <= 0 || n == 0 {
		return nil
	}
	l.mu.Lock()
	begin := l.due
	now := time.Now()
	if begin.Before(now) {
		begin = now // what was not used is not made up for
	}
	l.due = begin.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	l.mu.Unlock()
	if begin.Equal(now) {
		return nil
	}
	return wait.Until(ctx, begin)
}
