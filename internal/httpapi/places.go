package httpapi

import "context"

// places are for so many at the same time.
type places chan struct{}

// take takes a place, or waits for one until ctx ends. Who took one gives it back with free.
func (p places) take(ctx context.Context) error {
	select {
	case p <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tryTake takes a place if there is one free now.
func (p places) tryTake() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p places) free() { <-p }

// close waits until nobody has a place, and gives out no more.
func (p places) close() {
	for range cap(p) {
		p <- struct{}{}
	}
}
