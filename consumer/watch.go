package consumer

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// watch knows what each worker does and since when, and reports those that stay too long. Kafka does not
// notice such a worker: the group's heartbeats go on beside it.
type watch struct {
	mu    sync.Mutex
	posts map[int]*post // by partition

	observer Observer
}

// post is what one worker does.
type post struct {
	stage    string
	since    time.Time
	reported time.Time
}

// Stages of a worker.
const (
	stageIdle    = "idle"
	stageOpen    = "open"
	stageSettle  = "settle"  // decode, look up, score, store
	stagePublish = "publish" // results and dead letters, and the offset
)

// Stages that are not a worker's alone: of its fetcher, and within settle.
const (
	stageFetch = "fetch"
	stageStore = "store"
)

// enter notes that the partition's worker begins a stage.
func (w *watch) enter(partition int, stage string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.posts == nil {
		w.posts = map[int]*post{}
	}
	w.posts[partition] = &post{stage: stage, since: time.Now()}
}

// leave notes that the partition has no worker any more.
func (w *watch) leave(partition int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.posts, partition)
}

// run reports, until ctx ends, each worker that is in one stage for longer than limit, once every limit.
func (w *watch) run(ctx context.Context, limit time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(max(limit/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			w.report(now, limit, log)
		}
	}
}

func (w *watch) report(now time.Time, limit time.Duration, log *slog.Logger) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for partition, p := range w.posts {
		if p.stage == stageIdle || now.Sub(p.since) < limit || now.Sub(p.reported) < limit {
			continue
		}
		p.reported = now
		w.observer.Stalled(p.stage)
		log.Error("worker makes no progress", keyPartition, partition, keyStage, p.stage, keyFor, now.Sub(p.since).Round(time.Millisecond))
	}
}
