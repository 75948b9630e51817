package workload

import (
	"encoding/json"
	"fmt"
	"time"

	"recstream/internal/chaos/history"
)

// request is a request as an app writes it: a field that is absent is nil.
type request struct {
	RequestID     string    `json:"request_id"`
	UserID        *string   `json:"user_id,omitempty"`
	Mood          *string   `json:"mood,omitempty"`
	GroupSize     *string   `json:"group_size,omitempty"`
	SessionLength *string   `json:"session_length,omitempty"`
	Limit         *int      `json:"limit,omitempty"`
	Candidates    *[]string `json:"candidates,omitempty"`
	Exclude       []string  `json:"exclude,omitempty"`
	ExcludeSeen   bool      `json:"exclude_seen,omitempty"`
	Pins          []string  `json:"pins,omitempty"`
	SimilarTo     *string   `json:"similar_to,omitempty"`
	Diversity     *float64  `json:"diversity,omitempty"`
	Explain       bool      `json:"explain,omitempty"`
	DeadlineMS    *int      `json:"deadline_ms,omitempty"`
	RequestedAt   *string   `json:"requested_at,omitempty"`
}

// maxRecent is how many requests are remembered, to be repeated much later.
const maxRecent = 4096

// fresh makes a request with an id of its own.
func (g *Generator) fresh() request {
	r := request{RequestID: g.id()}
	if !g.likely(0.1) { // the others are anonymous
		r.UserID = new(g.user())
	}
	g.context(&r)
	if g.likely(0.5) {
		r.Limit = new(pick(g, 1, 2, 5, 10, 10, 20))
	}
	if g.likely(0.8) {
		r.RequestedAt = new(g.moment().Format(pick(g, time.RFC3339, time.RFC3339Nano)))
	}
	g.wishes(&r)
	if len(g.recent) < maxRecent {
		g.recent = append(g.recent, r)
	} else {
		g.recent[g.ids%maxRecent] = r
	}
	return r
}

// context says who watches, in what mood, for how long; each may be unknown.
func (g *Generator) context(r *request) {
	r.Mood = g.maybe("funny", "action", "dramatic", "relaxing")
	r.GroupSize = g.maybe("solo", "couple", "group")
	r.SessionLength = g.maybe("short", "medium", "binge")
}

// maybe returns one of the names, or nil as often as each of them.
func (g *Generator) maybe(names ...string) *string {
	n := g.rng.IntN(len(names) + 1)
	if n == len(names) {
		return nil
	}
	return &names[n]
}

// wishes adds what a request may ask for beyond its context; half of them ask for nothing.
func (g *Generator) wishes(r *request) {
	switch g.rng.IntN(20) {
	case 0:
		r.Candidates = new(g.items(1 + g.rng.IntN(30)))
	case 1:
		r.Candidates = new([]string{}) // none at all
	case 2:
		r.Exclude = g.items(10)
	case 3:
		r.ExcludeSeen = true
	case 4:
		r.Pins = g.items(2)
	case 5:
		r.SimilarTo = new(g.item())
	case 6:
		r.Diversity = new(float64(g.rng.IntN(11)) / 10)
	case 7:
		r.Explain = true
	case 8:
		r.DeadlineMS = new(pick(g, 0, 1, 250, 60_000))
	case 9:
		r.Explain, r.Limit, r.Pins = true, new(50), g.items(3)
	}
}

func (g *Generator) items(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = g.item()
	}
	return list
}

// repeat makes a request with the id of another: of one just before, so that both can be in one batch, or of one
// long ago. Most are the same to the byte; some apps give an id to two requests.
func (g *Generator) repeat() request {
	n := len(g.recent)
	back := g.rng.IntN(n)
	if g.likely(0.5) {
		back = g.rng.IntN(min(n, 5))
	}
	// Where the oldest are overwritten, the place of the latest moves round; before that it is the last.
	latest := n - 1
	if n == maxRecent {
		latest = g.ids % maxRecent
	}
	r := g.recent[(latest-back+n)%n]
	switch g.rng.IntN(20) {
	case 0, 1, 2:
		g.context(&r)
	case 3:
		r.UserID = new(g.user())
	}
	return r
}

// publish makes the event of a request.
func (g *Generator) publish(r request) history.Published {
	p := history.Published{Kind: history.Good, RequestID: r.RequestID, Value: g.encode(r)}
	key := r.RequestID
	if r.UserID != nil {
		p.UserID, key = *r.UserID, *r.UserID
	}
	p.Key = history.Bytes(key)
	if g.likely(0.01) {
		p.Key = nil
	}
	return p
}

// encode writes an event as JSON, in one of the forms that JSON leaves open.
func (g *Generator) encode(event any) history.Bytes {
	text, err := json.Marshal(event) // with escapes for <, > and &
	if g.likely(0.1) {
		text, err = json.MarshalIndent(event, "\t", "  ")
	}
	if err != nil {
		panic(fmt.Sprintf("a request of our own is not JSON: %v", err))
	}
	return text
}

// feedback is a feedback as an app writes it.
type feedback struct {
	RequestID string   `json:"request_id"`
	UserID    *string  `json:"user_id,omitempty"`
	ItemID    string   `json:"item_id"`
	Action    string   `json:"action"`
	Value     *float64 `json:"value,omitempty"`
	At        *string  `json:"at,omitempty"`
}

// feedback makes a feedback to be stored. Some are on requests that nobody made.
func (g *Generator) feedback() history.Published {
	f := feedback{RequestID: fmt.Sprintf("%sunknown-%d", g.opts.Prefix, g.made), ItemID: g.item(),
		Action: pick(g, "impression", "click", "play", "complete", "dismiss", "rating")}
	if n := len(g.recent); n > 0 && !g.likely(0.1) {
		f.RequestID = g.recent[g.rng.IntN(n)].RequestID
	}
	key := f.RequestID
	if !g.likely(0.1) {
		f.UserID = new(g.user())
		key = *f.UserID
	}
	if f.Action == "rating" || g.likely(0.1) {
		f.Value = new(float64(g.rng.IntN(50)) / 10)
	}
	if g.likely(0.8) { // not in the order of the events
		f.At = new(g.moment().Add(-time.Duration(g.rng.IntN(1000)) * time.Hour).Format(time.RFC3339Nano))
	}
	return history.Published{Kind: history.Feedback, Key: history.Bytes(key), Value: g.encode(f)}
}
