package forest

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// blockSize is how many items are prepared between two looks at the context.
const blockSize = 256

// inBlocks calls prepare for consecutive blocks that make up the items from 0 up to n, until ctx ends. It takes
// half of the processors, since requests are scored meanwhile, and returns when all calls have.
func inBlocks(ctx context.Context, n int, prepare func(first, last int)) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		workers.Go(func() {
			for ctx.Err() == nil {
				last := int(next.Add(blockSize))
				if last-blockSize >= n {
					return
				}
				prepare(last-blockSize, min(last, n))
			}
		})
	}
	workers.Wait()
	return ctx.Err()
}
