package history

// inGap reports whether the service says that a place was deleted unread.
func (c *checker) inGap(p Place) bool {
	for i := range c.Gaps {
		g := &c.Gaps[i]
		if g.Reason == Retention && g.Topic == p.Topic && g.Partition == p.Partition && g.From <= p.Offset && p.Offset < g.To {
			return true
		}
	}
	return false
}

// checkGaps sees that a gap names what retention has deleted. That nothing in it was answered, the checks of results
// and dead letters see; that of its rows, checkGapRows. Gaps may overlap: a service that dies at one may find it grown.
func (c *checker) checkGaps() {
	for i := range c.Gaps {
		g := &c.Gaps[i]
		at := Place{g.Topic, g.Partition, g.From}
		l := c.logs[Place{g.Topic, g.Partition, 0}]
		switch {
		case g.Reason != Retention:
			c.report(WrongGap, at, "up to %d, and its reason is %q", g.To, g.Reason)
		case l == nil || g.From < 0 || g.From >= g.To || g.To > l.First:
			c.report(WrongGap, at, "up to %d is not what retention deleted", g.To)
		}
	}
}

// checkGapRows sees that the rows in a gap can be those below the fence of its moment: nothing before a stored event
// is missing. Behind the end of another gap reading has begun anew, and so does this.
func (c *checker) checkGapRows() {
	for i := range c.Gaps {
		g := &c.Gaps[i]
		var missing *Published
		for p := (Place{g.Topic, g.Partition, g.From}); p.Offset < g.To; p.Offset++ {
			if c.endsGap(p) {
				missing = nil
			}
			switch event := c.events[p]; {
			case event == nil || g.Reason != Retention:
			case missing != nil && c.storedFrom(event):
				c.report(WrongGap, p, "has a row, and %v before it in the gap has none: no fence was between", missing.Place)
			case missing == nil && !c.stored(event):
				missing = event
			}
		}
	}
}

// endsGap reports whether a gap ends before this place.
func (c *checker) endsGap(p Place) bool {
	for i := range c.Gaps {
		if g := &c.Gaps[i]; g.Topic == p.Topic && g.Partition == p.Partition && g.To == p.Offset {
			return true
		}
	}
	return false
}

// stored reports whether an event has the row that it is to have; a bad one is to have none.
func (c *checker) stored(p *Published) bool {
	switch p.Kind {
	case Good:
		return c.requests[p.RequestID].rows > 0
	case Feedback:
		return len(c.outcomes[p.Place]) > 0
	default:
		return true
	}
}

// storedFrom reports whether a row says that it came of this very event.
func (c *checker) storedFrom(p *Published) bool {
	if p.Kind == Good {
		row := c.requests[p.RequestID].row
		return row != nil && row.Source == p.Place
	}
	return p.Kind == Feedback && c.stored(p)
}
