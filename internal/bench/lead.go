package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"recstream/consumer"
	"recstream/schemas"
)

// word is what an instance tells the parent that leads it, one JSON line each. The parent says two things: a JSON
// value on standard input begins, and the end of standard input ends.
type word struct {
	Joined  *int    `json:",omitempty"` // the group has dealt its partitions out, so many to the instance
	Batches []int64 `json:",omitempty"` // at the end: how long each batch took as a whole, in microseconds
	PeakRSS int64   `json:",omitempty"` // at the end: bytes
}

// lead is an instance's end of that. A nil lead lets the instance begin at once and end by itself.
type lead struct {
	begun, ended chan struct{}

	mu      sync.Mutex
	answers *json.Encoder
	err     error // of the first answer that did not reach the parent
	batches []int64
}

// follow returns the lead of the parent that gives orders. Its goroutine ends with the orders.
func follow(orders *json.Decoder, answers io.Writer) *lead {
	l := &lead{begun: make(chan struct{}), ended: make(chan struct{}), answers: json.NewEncoder(answers)}
	go func() {
		defer close(l.ended)
		var order struct{}
		if orders.Decode(&order) == nil {
			close(l.begun)
			_ = orders.Decode(&order) // it is the end, or the parent is gone
		}
	}()
	return l
}

// await returns when the instance may begin.
func (l *lead) await(ctx context.Context) error {
	if l == nil {
		return nil
	}
	select {
	case <-l.begun:
		return nil
	case <-l.ended:
		return errors.New("ended before it began")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// over is closed when the instance is to end.
func (l *lead) over() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.ended
}

// observer returns what tells the parent of the group, nil where nobody leads.
func (l *lead) observer() consumer.Observer {
	if l == nil {
		return nil
	}
	return l
}

// tell sends a word to the parent.
func (l *lead) tell(w word) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.answers.Encode(w); err != nil && l.err == nil {
		l.err = fmt.Errorf("tell the parent: %w", err)
	}
}

// report tells the parent what was measured.
func (l *lead) report(m measurement) error {
	l.mu.Lock()
	batches := l.batches
	l.mu.Unlock()
	l.tell(word{Batches: batches, PeakRSS: m.PeakRSS})
	return l.err
}

// Joined tells the parent.
func (l *lead) Joined(partitions int) { l.tell(word{Joined: &partitions}) }

// Finished notes how long the batch took.
func (l *lead) Finished(r *consumer.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = append(l.batches, r.Times.Whole.Microseconds())
}

// The rest of what can be observed is not of interest.

// Opened does nothing.
func (*lead) Opened(int, int64) {}

// Closed does nothing.
func (*lead) Closed(int) {}

// Retried does nothing.
func (*lead) Retried(string) {}

// Stalled does nothing.
func (*lead) Stalled(string) {}

// Lost does nothing.
func (*lead) Lost(schemas.GapReason, int64) {}
