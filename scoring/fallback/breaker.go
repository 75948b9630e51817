package fallback

import (
	"sync"
	"sync/atomic"
	"time"

	"recstream/schemas"
)

// State says how far a breaker trusts its tier.
type State string

// The states. Their names are stable: they stand in metrics and in the ledger.
const (
	Closed   State = "closed"    // trusted: every request passes
	Open     State = "open"      // failed too often: no request passes
	HalfOpen State = "half_open" // on trial: a few requests pass
)

// Status is what a breaker says of itself.
type Status struct {
	State    State
	Since    time.Time      // of the state; zero where there was no other
	Reason   schemas.Reason // of the failure that opened the breaker; empty while it is closed
	Failures int            // among the reports of the window; while it is not closed, those that opened it
}

// Change is a step from one state to another.
type Change struct {
	From, To State
	Reason   schemas.Reason // of the failure that opened the breaker; empty where it closes
	At       time.Time
}

// Breaker keeps requests away from a tier that failed too often of late; the package comment says how. All methods
// are safe for concurrent use, and none allocates.
type Breaker struct {
	params  BreakerParams
	changed func(Change)

	resting atomic.Bool   // the state is not Closed; written under mu
	reports atomic.Uint64 // the number of the latest report that came in the closed state

	mu     sync.Mutex
	status Status    // while closed, its Failures is not kept: see Status
	failed []uint64  // a ring of the numbers of the latest failures, Failures of them; 0 is none
	next   int       // the place of the next failure in the ring: that of the oldest
	trials int       // requests that passed on trial and are to report
	passed int       // trials that succeeded
	tried  time.Time // when the latest trial passed
}

// NewBreaker returns a closed breaker. The parameters are valid. changed, which may be nil, is told of each change,
// in their order, before the call that makes it returns. It is called under the breaker's lock: it has to be quick,
// and must not call the breaker.
func NewBreaker(p BreakerParams, changed func(Change)) *Breaker {
	if changed == nil {
		changed = func(Change) {}
	}
	return &Breaker{params: p, changed: changed, status: Status{State: Closed}, failed: make([]uint64, p.Failures)}
}

// Allow reports whether a request may ask the tier. Whoever is told so reports afterwards, once, by Success, Failure
// or Cancel.
func (b *Breaker) Allow(now time.Time) bool {
	return !b.resting.Load() || b.allowTrial(now)
}

// Closed reports whether the tier is trusted, and changes nothing. It costs one load.
func (b *Breaker) Closed() bool { return !b.resting.Load() }

// allowTrial is Allow where the breaker is not closed, or was not a moment ago.
func (b *Breaker) allowTrial(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.status.State == Closed {
		return true
	}
	if b.status.State == Open {
		if now.Sub(b.status.Since) < b.params.Rest {
			return false
		}
		b.turn(HalfOpen, now, b.status.Reason)
	}
	if b.trials+b.passed >= b.params.Probes {
		if now.Sub(b.tried) < b.params.Rest {
			return false
		}
		b.trials = 0 // given up; there are some, as fewer than Probes have passed
	}
	b.trials++
	b.tried = now
	return true
}

// Success reports that a request which was allowed got its answer from the tier.
func (b *Breaker) Success(now time.Time) {
	if !b.resting.Load() {
		b.reports.Add(1)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.status.State == Closed:
		b.reports.Add(1)
	case b.trials > 0:
		b.trials--
		if b.passed++; b.passed == b.params.Probes {
			b.turn(Closed, now, "")
		}
	}
}

// Failure reports that the tier failed a request which was allowed, and why.
func (b *Breaker) Failure(now time.Time, reason schemas.Reason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.status.State == Closed:
		if b.tooMany() {
			b.status.Failures = len(b.failed)
			b.turn(Open, now, reason)
		}
	case b.trials > 0:
		b.turn(Open, now, reason)
	}
}

// tooMany counts a failure, and reports whether it is the one that opens the breaker.
func (b *Breaker) tooMany() bool {
	n := b.reports.Add(1)
	b.failed[b.next] = n
	b.next = (b.next + 1) % len(b.failed)
	return b.inWindow(b.failed[b.next], n)
}

// inWindow reports whether the failure with a number is among the reports of the window that ends with the latest.
func (b *Breaker) inWindow(number, latest uint64) bool {
	return number > 0 && latest-number < uint64(b.params.Window)
}

// Cancel reports that a request which was allowed says nothing about the tier, as when it had nothing to rank. On
// trial another request may pass in its place; otherwise it counts nothing.
func (b *Breaker) Cancel() {
	if !b.resting.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trials = max(0, b.trials-1)
}

// turn changes the state. Only while it is half-open are there trials.
func (b *Breaker) turn(to State, now time.Time, reason schemas.Reason) {
	from := b.status.State
	b.status.State, b.status.Since, b.status.Reason = to, now, reason
	b.trials, b.passed = 0, 0
	if to == Closed {
		clear(b.failed)
	}
	b.resting.Store(to != Closed)
	b.changed(Change{From: from, To: to, Reason: reason, At: now})
}

// Status returns the state as it is now.
func (b *Breaker) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	if s.State == Closed {
		s.Failures = 0
		latest := b.reports.Load()
		for _, number := range b.failed {
			if b.inWindow(number, latest) {
				s.Failures++
			}
		}
	}
	return s
}
