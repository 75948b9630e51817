package history

import (
	"encoding/json"
	"time"
)

// checkRows sees that every request has one row, that a row says what its event said, and that no row is of nothing.
func (c *checker) checkRows() {
	type key struct {
		run int
		id  string
	}
	rows := map[key]int{}
	for i := range c.Decisions {
		d := &c.Decisions[i]
		r := c.requests[d.RequestID]
		if r == nil {
			c.report(InventedRow, id(d.RequestID), "run %d has a row of it, from %v; nobody published it", d.Run, d.Source)
			continue
		}
		k := key{d.Run, d.RequestID}
		if rows[k]++; rows[k] == 2 {
			c.report(DoubledRow, id(d.RequestID), "run %d has several rows of it", d.Run)
		}
		c.compareRow(r, d)
		if d.Run == c.Run.ID {
			r.rows++
			r.row = d
		}
	}
	for _, name := range c.ids {
		if r := c.requests[name]; r.alive > 0 && r.rows == 0 {
			c.report(LostRow, id(name), "published %d times, first at %v, and not in the ledger", len(r.events), r.events[0].Place)
		}
	}
}

// asked is what of a request event its row repeats, as encoding/json reads it.
type asked struct {
	RequestID     string    `json:"request_id"`
	UserID        string    `json:"user_id"`
	Mood          string    `json:"mood"`
	GroupSize     string    `json:"group_size"`
	SessionLength string    `json:"session_length"`
	Limit         *float64  `json:"limit"`
	RequestedAt   time.Time `json:"requested_at"`
}

// defaultLimit is how many items a request wants that does not say.
const defaultLimit = 3

// compareRow compares a row with the event that it says it was decided for.
func (c *checker) compareRow(r *request, d *Decision) {
	event := c.events[d.Source]
	if event == nil || event.Kind != Good || event.RequestID != d.RequestID {
		c.report(WrongRow, id(d.RequestID), "its row says that it was read from %v; it was published at %v", d.Source, r.events[0].Place)
		return
	}
	var want asked
	if err := json.Unmarshal(event.Value, &want); err != nil {
		c.report(BrokenHistory, event.Place, "a good event is not JSON: %v", err)
		return
	}
	if want.RequestedAt.IsZero() {
		want.RequestedAt = event.Time
	}
	limit := defaultLimit
	if want.Limit != nil {
		limit = int(*want.Limit)
	}
	got := asked{RequestID: d.RequestID, UserID: d.UserID, Mood: d.Mood, GroupSize: d.GroupSize, SessionLength: d.SessionLength,
		Limit: want.Limit, RequestedAt: want.RequestedAt}
	switch n := len(d.ItemIDs); {
	case got != want:
		c.report(WrongRow, id(d.RequestID), "row %+v, event %v", *d, event.Value)
	case !d.RequestedAt.Equal(want.RequestedAt.Truncate(time.Microsecond)):
		c.report(WrongRow, id(d.RequestID), "row is of %v, the event of %v", d.RequestedAt, want.RequestedAt)
	case n > limit:
		c.report(WrongRow, id(d.RequestID), "row has %d items, the event wants %d at the most", n, limit)
	case len(d.Titles) != n || len(d.Predictions) != n || len(d.Scores) != n:
		c.report(WrongRow, id(d.RequestID), "%d items, %d titles, %d predictions, %d scores", n, len(d.Titles), len(d.Predictions), len(d.Scores))
	}
}
