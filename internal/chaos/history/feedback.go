package history

import (
	"encoding/json"
	"time"
)

// feedback is a feedback event as encoding/json reads it.
type feedback struct {
	RequestID string    `json:"request_id"`
	UserID    string    `json:"user_id"`
	ItemID    string    `json:"item_id"`
	Action    string    `json:"action"`
	Value     *float64  `json:"value"`
	At        time.Time `json:"at"`
}

// checkOutcomes sees that every good feedback has one row, which says what it said, and that no row is of nothing.
// In a gap it may have none; what rows there may be in one, checkGapRows sees.
func (c *checker) checkOutcomes() {
	for i := range c.Outcomes {
		o := &c.Outcomes[i]
		if event := c.events[o.Source]; event == nil || event.Kind != Feedback {
			c.report(InventedOutcome, o.Source, "no feedback was published there: %+v", *o)
			continue
		}
		c.outcomes[o.Source] = append(c.outcomes[o.Source], o)
	}
	for i := range c.Published {
		p := &c.Published[i]
		if p.Kind != Feedback {
			continue
		}
		switch n := len(c.outcomes[p.Place]); {
		case n == 0 && !c.inGap(p.Place):
			c.report(LostOutcome, p.Place, "%s has no row", describe(p))
		case n > 1:
			c.report(DoubledOutcome, p.Place, "%s has %d rows", describe(p), n)
		}
		for _, o := range c.outcomes[p.Place] {
			c.checkOutcome(p, o)
		}
	}
}

func (c *checker) checkOutcome(p *Published, o *Outcome) {
	var want feedback
	if err := json.Unmarshal(p.Value, &want); err != nil {
		c.report(BrokenHistory, p.Place, "a good feedback is not JSON: %v", err)
		return
	}
	if want.At.IsZero() {
		want.At = p.Time
	}
	if o.RequestID != want.RequestID || o.UserID != want.UserID || o.ItemID != want.ItemID || o.Action != want.Action ||
		!equalNumbers(o.Value, want.Value) || !o.At.Equal(want.At.Truncate(time.Microsecond)) {
		c.report(WrongOutcome, p.Place, "row %+v, event %v", *o, p.Value)
	}
}
