package replay

import (
	"context"
	"errors"
	"sync"
)

// cache keeps the values that were asked for last. What several ask for at once is made once.
type cache[K comparable, V any] struct {
	size    int
	produce func(context.Context, K) (V, error)

	mu      sync.Mutex
	entries map[K]*entry[V]
	clock   int64
}

type entry[V any] struct {
	made  chan struct{} // closed when value and err are there
	value V
	err   error
	used  int64
}

func newCache[K comparable, V any](size int, produce func(context.Context, K) (V, error)) *cache[K, V] {
	return &cache[K, V]{size: size, produce: produce, entries: map[K]*entry[V]{}}
}

// get returns the value of a key. One that could not be had for a gap is not asked for again while it is kept; any
// other error is forgotten.
func (c *cache[K, V]) get(ctx context.Context, key K) (V, error) {
	e, mine := c.entry(key)
	if mine {
		e.value, e.err = c.produce(ctx, key)
		if gap := (*gapError)(nil); e.err != nil && !errors.As(e.err, &gap) {
			c.forget(key)
		}
		close(e.made)
	}
	select {
	case <-e.made:
		return e.value, e.err
	case <-ctx.Done():
		var none V // another goroutine may be writing the entry's
		return none, ctx.Err()
	}
}

// entry returns the entry of a key, and whether the caller is to make its value.
func (c *cache[K, V]) entry(key K) (e *entry[V], mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	if e = c.entries[key]; e == nil {
		c.makeRoom()
		e, mine = &entry[V]{made: make(chan struct{})}, true
		c.entries[key] = e
	}
	e.used = c.clock
	return e, mine
}

// makeRoom lets go of what was longest not asked for. Who has it goes on with it.
func (c *cache[K, V]) makeRoom() {
	for len(c.entries) >= c.size {
		var oldest K
		least := c.clock
		for k, e := range c.entries {
			if e.used < least {
				oldest, least = k, e.used
			}
		}
		delete(c.entries, oldest)
	}
}

func (c *cache[K, V]) forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
}
