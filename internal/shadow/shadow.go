// Package shadow scores requests with the shadows of experiments and stores what they would have answered.
//
// Nobody waits for it: requests are offered to a queue of fixed length, one goroutine works it off, and what
// does not fit, or cannot be stored, is dropped and counted. A shadow that panics, or is slow, harms nothing
// but itself.
package shadow

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"recstream/schemas"
	"recstream/scoring"
)

// Store is where shadow decisions go.
type Store interface {
	RecordShadows(context.Context, []*schemas.Decision) error
}

// Limits of the queue and of what is stored at once.
const (
	queueLength = 4096
	queueBytes  = 64 << 20 // of the requests' ids
	batchSize   = 256
	linger      = 200 * time.Millisecond
	lastFlush   = time.Second // for what is in hand at the end
)

// Shadows is a queue of requests for the shadows of an engine's experiments.
type Shadows struct {
	scorer *scoring.Scorer
	store  Store
	log    *slog.Logger
	queue  chan job
	queued atomic.Int64 // bytes

	dropped  atomic.Int64
	scored   atomic.Int64
	dropping bool // as it was logged
}

type job struct {
	request  schemas.Request
	profile  *schemas.Profile
	scoredAt time.Time
	bytes    int64
}

// sizeOf is about what a request keeps in memory.
func sizeOf(req *schemas.Request) int64 {
	n := len(req.RequestID) + len(req.UserID)
	for _, list := range [...][]string{req.Candidates, req.Exclude, req.Pins} {
		for _, id := range list {
			n += len(id) + 16
		}
	}
	return int64(n)
}

// New returns the shadows of an engine. Log may not be nil.
func New(engine *scoring.Engine, store Store, log *slog.Logger) *Shadows {
	return &Shadows{scorer: engine.NewScorer(), store: store, log: log, queue: make(chan job, queueLength)}
}

// Offer queues a request that was decided at scoredAt, or drops it. It never waits. The request is copied; the
// profile, nil for none, must not change any more.
func (s *Shadows) Offer(req *schemas.Request, profile *schemas.Profile, scoredAt time.Time) {
	bytes := sizeOf(req)
	if len(s.queue) == cap(s.queue) || s.queued.Load()+bytes > queueBytes { // to copy it would be for nothing
		s.dropped.Add(1)
		return
	}
	j := job{request: *req, profile: profile, scoredAt: scoredAt, bytes: bytes}
	j.request.Candidates, j.request.Exclude = slices.Clone(req.Candidates), slices.Clone(req.Exclude)
	j.request.Pins = slices.Clone(req.Pins)
	select {
	case s.queue <- j:
		s.queued.Add(bytes)
	default:
		s.dropped.Add(1)
	}
}

// Dropped is the number of requests and of shadow decisions that were dropped.
func (s *Shadows) Dropped() int64 { return s.dropped.Load() }

// Queued is the number of requests that wait.
func (s *Shadows) Queued() int { return len(s.queue) }

// Scored is the number of shadow decisions that were stored.
func (s *Shadows) Scored() int64 { return s.scored.Load() }

// Run works the queue off until ctx ends; what is queued then is dropped, what is decided is stored if that is
// quick. Drops are logged once for a run of them.
func (s *Shadows) Run(ctx context.Context) {
	var pending []*schemas.Decision
	ticker := time.NewTicker(linger)
	defer ticker.Stop()
	told := int64(0)
	for {
		select {
		case <-ctx.Done():
			s.flushLast(ctx, pending)
			return
		case j := <-s.queue:
			s.queued.Add(-j.bytes)
			if pending = s.score(j, pending); len(pending) < batchSize {
				continue
			}
		case <-ticker.C:
		}
		s.flush(ctx, pending)
		pending = pending[:0]
		told = s.tell(told)
	}
}

// tell logs that shadow decisions are dropped, when that begins; it returns how many there were.
func (s *Shadows) tell(before int64) int64 {
	n := s.dropped.Load()
	switch {
	case n > before && !s.dropping:
		s.dropping = true
		s.log.Warn("shadow decisions are dropped: the load is too high for them, or they cannot be stored", "total", n)
	case n == before && s.dropping:
		s.dropping = false
		s.log.Info("shadow decisions are made again", "dropped", n)
	}
	return n
}

// score appends the shadow decisions of one request.
func (s *Shadows) score(j job, pending []*schemas.Decision) []*schemas.Decision {
	if s.scorer.Begin() != nil {
		s.dropped.Add(1)
		return pending
	}
	defer s.scorer.End()
	for n := range s.scorer.NumShadows(j.request.UserID) {
		d := &schemas.Decision{ScoredAt: j.scoredAt}
		if err := s.scorer.Shadow(n, &j.request, j.profile, d); err != nil {
			s.dropped.Add(1)
			continue
		}
		pending = append(pending, d)
	}
	return pending
}

// flushLast stores what is in hand at the end, if that is quick.
func (s *Shadows) flushLast(ended context.Context, list []*schemas.Decision) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ended), lastFlush)
	defer cancel()
	s.flush(ctx, list)
}

// flush stores the decisions. What cannot be stored is not tried again: the next ones are as good.
func (s *Shadows) flush(ctx context.Context, list []*schemas.Decision) {
	if len(list) == 0 {
		return
	}
	if err := s.store.RecordShadows(ctx, list); err != nil {
		s.dropped.Add(int64(len(list)))
		if !s.dropping {
			s.log.Warn("shadow decisions not stored", "count", len(list), "error", err)
		}
		return
	}
	s.scored.Add(int64(len(list)))
}
