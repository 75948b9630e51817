package history

import (
	"slices"
	"strings"
)

// checkResults gives each result of the committed view to what it answers, and judges the answers of each request.
func (c *checker) checkResults() {
	for _, e := range inOrder(c.Results) {
		a, err := readAnswer(e)
		if err != nil {
			c.report(MalformedResult, e.Place, "%v", err)
			continue
		}
		c.attribute(a)
	}
	for _, name := range c.ids {
		c.judge(name, c.requests[name])
	}
}

// inOrder returns pointers to the records in the order of their places.
func inOrder(list []Emitted) []*Emitted {
	order := make([]*Emitted, len(list))
	for i := range list {
		order[i] = &list[i]
	}
	slices.SortStableFunc(order, func(a, b *Emitted) int {
		switch {
		case a.before(b.Place):
			return -1
		case b.before(a.Place):
			return 1
		}
		return 0
	})
	return order
}

// attribute finds what a result answers: a request by its id, since a repeat is answered in the name of the first; a
// bad event by its place.
func (c *checker) attribute(a *answer) {
	r := c.requests[a.RequestID]
	event := c.events[a.Source]
	switch {
	case a.Status == statusOK && r != nil:
		r.answers = append(r.answers, a)
	case a.Status == statusRejected && event != nil && event.Kind == Bad && event.RequestID != "":
		c.rejected[event.Place] = append(c.rejected[event.Place], a)
	default:
		c.report(InventedResult, a.Place, "answers nothing that was published: %v", a.Value)
	}
}

// judge looks at the answers of one request.
func (c *checker) judge(name string, r *request) {
	switch n := len(r.answers); {
	case n < r.alive:
		c.report(LostResult, id(name), "published %d times, first at %v, and answered %d times", r.alive, r.events[0].Place, n)
	case n > r.alive && r.alive < len(r.events):
		c.report(WrongGap, id(name), "answered %d times; %d of its %d events are in a gap", n, len(r.events)-r.alive, len(r.events))
	case n > r.alive && !c.Run.AtLeastOnce:
		c.report(DoubledResult, id(name), "published %d times, first at %v, and answered %d times", r.alive, r.events[0].Place, n)
	}
	if len(r.answers) == 0 {
		return
	}
	first := r.answers[0]
	for _, a := range r.answers[1:] {
		if !a.same(first) {
			c.report(ResultsDiffer, id(name), "at %v %s %v, at %v %s %v", first.Place, first.ID, first.Value, a.Place, a.ID, a.Value)
			return // what the row says is true of one of them
		}
	}
	if r.row == nil {
		return
	}
	if what := first.differs(r.row); what != "" {
		c.report(ResultDiffersFromRow, id(name), "at %v: %s", first.Place, what)
	} else if want := idOf(name, r.row.Source); first.ID != want {
		c.report(WrongID, id(name), "ce_id is %q, is to be %q", first.ID, want)
	}
}

// idOf is the ce_id of a result: it depends on nothing but the event that was decided.
func idOf(requestID string, p Place) string { return requestID + "@" + p.String() }

// checkOrder sees that the results of one key are in one partition, and that those which come from one partition of
// requests are in the order of their events.
func (c *checker) checkOrder() {
	origins := c.origins()
	home := map[string]int{}
	scattered := map[string]bool{}
	type lane struct {
		topic     string
		partition int
		key       string
	}
	last := map[lane]Place{}
	for _, e := range inOrder(c.Results) {
		key := string(e.Key)
		if p, known := home[key]; known && p != e.Partition && !scattered[key] {
			scattered[key] = true
			c.report(KeyScattered, id(key), "has results in the partitions %d and %d", p, e.Partition)
		} else if !known {
			home[key] = e.Partition
		}
		from, known := origins[e]
		if !known || scattered[key] {
			continue
		}
		l := lane{from.Topic, from.Partition, key}
		if before, some := last[l]; some && !before.before(from) {
			c.report(OrderBroken, e.Place, "key %q: answers %v after %v", key, from, before)
		}
		last[l] = from
	}
}

// origins tells the event of each result that has exactly one. The answers of repeats look alike: the first of them
// is that of the first event, and so on, where all are in one partition and none is lost or doubled. With at least
// once only the first appearance of a result has a place in the order.
func (c *checker) origins() map[*Emitted]Place {
	origins := map[*Emitted]Place{}
	for p, answers := range c.rejected {
		if len(answers) == 1 || c.Run.AtLeastOnce {
			origins[answers[0].Emitted] = p
		}
	}
	for _, r := range c.requests {
		alive, same := c.alive(r)
		switch {
		case !same || len(alive) == 0:
		case len(r.answers) == len(alive):
			for i, a := range r.answers {
				origins[a.Emitted] = alive[i]
			}
		case c.Run.AtLeastOnce && len(r.answers) > 0:
			origins[r.answers[0].Emitted] = alive[0]
		}
	}
	return origins
}

// alive returns the places of a request's events that are in no gap, in order, and whether they are in one partition.
func (c *checker) alive(r *request) (places []Place, same bool) {
	for _, p := range r.events {
		if !c.inGap(p.Place) {
			places = append(places, p.Place)
		}
	}
	slices.SortFunc(places, func(a, b Place) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	for _, p := range places {
		if p.Topic != places[0].Topic || p.Partition != places[0].Partition {
			return places, false
		}
	}
	return places, true
}

// checkRaw sees that a read_uncommitted reader may see results again, but never another result, and all that a
// read_committed reader sees.
func (c *checker) checkRaw() {
	raw := map[Place]*Emission{}
	first := map[any]*Emission{} // by request id, or by the place of a bad event
	differing := map[any]bool{}
	for i := range c.Raw {
		e := &c.Raw[i]
		raw[e.Place] = e
		about := c.answered(e)
		f := first[about]
		switch {
		case about == nil:
			c.report(InventedResult, e.Place, "seen by a read_uncommitted reader: %q answers nothing that was published", e.ID)
		case f == nil:
			first[about] = e
		case (f.ID != e.ID || f.Digest != e.Digest) && !differing[about]:
			differing[about] = true
			c.report(ResultsDiffer, e.Place, "to a read_uncommitted reader: %q with digest %s, at %v %q with digest %s", e.ID, e.Digest, f.Place, f.ID, f.Digest)
		}
	}
	for i := range c.Results {
		e := &c.Results[i]
		ce, _ := e.header(headerID)
		if r := raw[e.Place]; r == nil || r.ID != ce || r.Digest != DigestOf(e.Value) {
			c.report(ViewsDiffer, e.Place, "%q is in the committed view and not, or not so, in the uncommitted one", ce)
		}
	}
}

// answered returns what an emission is about, by its ce_id: a bad event's place, else a request's id; nil for nothing
// that was published.
func (c *checker) answered(e *Emission) any {
	at := strings.LastIndexByte(e.ID, '@')
	if at < 0 {
		return nil
	}
	requestID := e.ID[:at]
	if r := c.requests[requestID]; r != nil {
		return requestID
	}
	for _, p := range c.named[requestID] {
		if e.ID == idOf(requestID, p) {
			return p
		}
	}
	return nil
}
