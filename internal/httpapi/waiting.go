package httpapi

import (
	"bytes"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

// waiting are the requests that wait for their results, by request id. Several may wait for one. Their number is
// bounded by those of the requests in flight and of what is being published.
type waiting struct {
	mu    sync.Mutex
	calls map[string]*call
	count atomic.Int64 // of calls
}

// call is one request id that is waited for.
type call struct {
	id    string
	since time.Time
	users int // clients, and the goroutine that publishes the request

	published chan struct{} // closed when the request is in the topic
	done      chan struct{} // closed when value or problem is there

	value   []byte   // the result event
	problem *Problem // why there is none; with it nothing was decided
}

func newWaiting() *waiting { return &waiting{calls: map[string]*call{}} }

// join returns the call of that id. The first to join is to see to it that there will be a result, and to say with
// begun how that went. Everybody who joins leaves.
func (w *waiting) join(id string, now time.Time) (c *call, first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c = w.calls[id]
	if first = c == nil; first {
		c = &call{id: id, since: now, users: 1, published: make(chan struct{}), done: make(chan struct{})}
		w.calls[id] = c
		w.count.Add(1)
	}
	c.users++
	return c, first
}

// begun says that a call's request is published, or why there will be no result.
func (w *waiting) begun(c *call, p *Problem) {
	if p == nil {
		close(c.published)
	} else {
		w.end(c, nil, p)
	}
	w.leave(c)
}

// leave gives a call up; the last to leave ends it.
func (w *waiting) leave(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.users--; c.users == 0 && w.calls[c.id] == c {
		w.drop(c)
	}
}

func (w *waiting) drop(c *call) {
	delete(w.calls, c.id)
	w.count.Add(-1)
}

// any reports whether somebody waits.
func (w *waiting) any() bool { return w.count.Load() > 0 }

// take takes a result event, of which nothing is kept where nobody waits for it.
func (w *waiting) take(value []byte) {
	id, ok := requestID(value)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.calls[string(id)]; c != nil { // a look-up by bytes makes no copy
		w.finish(c, bytes.Clone(value), nil)
	}
}

// settle ends the wait for an id, if there is one, with its result event.
func (w *waiting) settle(id string, value []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.calls[id]; c != nil {
		w.finish(c, value, nil)
	}
}

// end ends a call that has not ended: with a result event, or with why there is none.
func (w *waiting) end(c *call, value []byte, p *Problem) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls[c.id] == c {
		w.finish(c, value, p)
	}
}

func (w *waiting) finish(c *call, value []byte, p *Problem) {
	c.value, c.problem = value, p
	close(c.done)
	w.drop(c)
}

// before returns the ids that are waited for since before then.
func (w *waiting) before(then time.Time) (ids []string) {
	if !w.any() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, c := range w.calls {
		if c.since.Before(then) {
			ids = append(ids, id)
		}
	}
	return ids
}

// resultStart is how every result begins that recstream writes.
var resultStart = []byte(`{"request_id":"`)

// requestID finds the request id in a result event. It allocates nothing for a result as recstream writes it, unless
// the id has escapes.
func requestID(value []byte) (id []byte, ok bool) {
	if rest, found := bytes.CutPrefix(value, resultStart); found {
		if end := bytes.IndexByte(rest, '"'); end >= 0 && bytes.IndexByte(rest[:end], '\\') < 0 {
			return rest[:end], true
		}
	}
	var head struct {
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(value, &head) != nil || head.RequestID == "" {
		return nil, false
	}
	return []byte(head.RequestID), true
}
