package proxy

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Megabit is the bandwidth of 1 Mbit/s, in bytes a second.
const Megabit = 1_000_000 / 8

// sliceSize is what a connection sends at once where bandwidth is limited, in bytes: connections take
// turns.
const sliceSize = 4 << 10

// Shape is how the wire is in one direction. The zero value is a good wire.
type Shape struct {
	// Latency is added to the way of each byte, and Jitter a random part of it on top. Bytes stay in
	// order.
	Latency, Jitter time.Duration
	// BytesPerSecond is what all connections together get through; 0 is no limit.
	BytesPerSecond int
	// BlackHole swallows everything: bytes, and the news that an end has closed. Connections stay
	// open, and new ones can be made.
	BlackHole bool
	// Hold keeps everything back until the shape changes, and loses nothing, as when a network is
	// away and TCP sends again: what arrives then may be long out of date.
	Hold bool
}

// Traffic counts the bytes of one direction.
type Traffic struct {
	Passed    int64 // given to the destination
	Swallowed int64 // not given: by a black hole, or on a connection that is silent
	Delayed   int64 // had latency added
	Limited   int64 // waited for bandwidth
	Held      int64 // were held back
}

// link is one direction of the wire, which all connections share.
type link struct {
	mu      sync.Mutex
	shape   Shape
	changed chan struct{} // closed when the shape changes
	free    time.Time     // when the wire has sent what it has to
	n       Traffic
}

func newLink() *link { return &link{changed: make(chan struct{})} }

func (l *link) set(s Shape) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shape, l.free = s, time.Time{}
	close(l.changed)
	l.changed = make(chan struct{})
}

// state returns the shape and what tells that it is another one.
func (l *link) state() (Shape, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shape, l.changed
}

func (l *link) traffic() Traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

func (l *link) count(change func(*Traffic)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.n)
}

// arrival returns when bytes that are sent now come out at the other end, the bandwidth apart.
func (l *link) arrival(size int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shape
	if s.Latency == 0 && s.Jitter == 0 {
		return time.Time{}
	}
	l.n.Delayed += int64(size)
	if s.Jitter > 0 {
		s.Latency += rand.N(s.Jitter)
	}
	return time.Now().Add(s.Latency)
}

// reserve takes the wire for as many of the bytes as are sent at once, and returns how many these are
// and when the wire has sent them.
func (l *link) reserve(size int) (int, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rate := l.shape.BytesPerSecond
	if rate == 0 {
		return size, time.Time{}
	}
	size = min(size, sliceSize)
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(size) * time.Second / time.Duration(rate))
	l.n.Limited += int64(size)
	return size, l.free
}
