package readers

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Verify waits until each reader has seen everything that is committed in the topic now, finishes it, and returns nil
// if each saw every committed result once, as it is, and nothing else.
func Verify(ctx context.Context, brokers, topic string, readers ...*Reader) error {
	want, ends, err := Committed(ctx, brokers, topic)
	if err != nil {
		return err
	}
	errs := make([]error, len(readers))
	var checks sync.WaitGroup
	for i, r := range readers {
		checks.Go(func() { errs[i] = r.verify(ctx, want, ends) })
	}
	checks.Wait()
	return errors.Join(errs...)
}

// verify checks one reader. That it has come to the last record before it is stopped shows that it got over what
// happened meanwhile, and not only the run that takes over from it.
func (r *Reader) verify(ctx context.Context, want []Record, ends Offsets) error {
	if err := r.Await(ctx, after(want)); err != nil {
		return err
	}
	got, err := r.Finish(ctx, ends)
	if err != nil {
		return err
	}
	if err := Compare(want, got); err != nil {
		return fmt.Errorf("the reader in %s: %w", r.language, err)
	}
	return nil
}
