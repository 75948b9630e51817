package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"recstream/internal/loadgen"
	"recstream/internal/wait"
	"recstream/schemas"
)

// path is a way to ask for recommendations.
type path interface {
	name() string
	// ask returns when the result is there.
	ask(ctx context.Context, req *schemas.Request) error
}

const (
	households = 1000             // that ask
	patience   = 20 * time.Second // for one result
)

// load asks at a rate for some time, and returns how long each request took from when it was due.
func load(ctx context.Context, p path, rate int, length time.Duration) ([]time.Duration, error) {
	n := int(math.Ceil(length.Seconds() * float64(rate)))
	times, errs := make([]time.Duration, n), make([]error, n)
	generator := loadgen.New(uint64(time.Now().UnixNano()), households)
	began := time.Now()
	var asking sync.WaitGroup
	for i := range n {
		var req schemas.Request
		generator.Next(&req)
		due := began.Add(time.Duration(float64(i) / float64(rate) * float64(time.Second)))
		if err := wait.Until(ctx, due); err != nil {
			asking.Wait()
			return nil, err
		}
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			errs[i] = p.ask(ctx, &req)
			times[i] = time.Since(due)
		})
	}
	asking.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("not all of %d requests were answered: %w", n, err)
	}
	return times, nil
}

// atOnce is how many requests wait for their results at a time where they come as fast as they are answered.
const atOnce = 256

// ask asks that often, as fast as there are answers.
func ask(ctx context.Context, p path, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	generator := loadgen.New(uint64(time.Now().UnixNano()), households)
	requests := make(chan schemas.Request)
	var asking sync.WaitGroup
	for range atOnce {
		asking.Go(func() {
			for req := range requests {
				if err := p.ask(ctx, &req); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		var req schemas.Request
		generator.Next(&req)
		requests <- req
	}
	close(requests)
	asking.Wait()
	return context.Cause(ctx)
}
