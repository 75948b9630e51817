package history

import "fmt"

// Check judges a history, by nothing but what it holds. Nil is a history without fault. A history that cannot be,
// such as one with an event unaccounted for, has violations of BrokenHistory, and the others may follow from that.
func Check(h *History) []Violation {
	c := newChecker(h)
	c.checkLogs()
	c.checkGaps()
	c.checkRows()
	c.checkResults()
	c.checkOrder()
	c.checkRaw()
	c.checkRejections()
	c.checkDeadLetters()
	c.checkOutcomes()
	c.checkGapRows()
	c.checkRecounts()
	c.checkCommits()
	c.checkProgress()
	return c.violations
}

// checker holds a history by what it is asked for.
type checker struct {
	*History
	violations []Violation

	events    map[Place]*Published
	logs      map[Place]*Log      // by the place of offset 0
	requests  map[string]*request // by id
	ids       []string            // of requests, sorted
	bad       []*Published        // in the order of publishing
	named     map[string][]Place  // of bad events whose request id can be read, by that
	rejected  map[Place][]*answer // rejected results, by the place of their event
	outcomes  map[Place][]*Outcome
	committed map[commit]bool
}

// request is all that there is of one request id.
type request struct {
	events  []*Published // as they are in History.Published
	alive   int          // how many of them are in no gap
	row     *Decision    // the one that results are compared with; nil where there is none
	rows    int
	answers []*answer // the results that say ok, in the order of the results topic
}

func newChecker(h *History) *checker {
	c := &checker{History: h, events: map[Place]*Published{}, logs: map[Place]*Log{},
		requests: map[string]*request{}, named: map[string][]Place{}, rejected: map[Place][]*answer{}, outcomes: map[Place][]*Outcome{}, committed: map[commit]bool{}}
	for i := range h.Logs {
		l := &h.Logs[i]
		c.logs[Place{l.Topic, l.Partition, 0}] = l
	}
	for i := range h.Published {
		c.index(&h.Published[i])
	}
	c.ids = sortedKeys(c.requests)
	return c
}

func (c *checker) index(p *Published) {
	if c.events[p.Place] != nil {
		c.report(BrokenHistory, p.Place, "two events were published there")
		return
	}
	c.events[p.Place] = p
	switch p.Kind {
	case Good:
		r := c.requests[p.RequestID]
		if r == nil {
			r = new(request)
			c.requests[p.RequestID] = r
		}
		r.events = append(r.events, p)
		if !c.inGap(p.Place) {
			r.alive++
		}
	case Bad:
		c.bad = append(c.bad, p)
		if p.RequestID != "" {
			c.named[p.RequestID] = append(c.named[p.RequestID], p.Place)
		}
	case Feedback:
	default:
		c.report(BrokenHistory, p.Place, "there is no kind %q of events", p.Kind)
	}
}

func (c *checker) report(code Code, subject fmt.Stringer, format string, args ...any) {
	c.violations = append(c.violations, Violation{code, subject.String(), fmt.Sprintf(format, args...)})
}

// id is a request id as a violation's subject.
type id string

func (i id) String() string { return string(i) }

// checkLogs sees that the history is whole: each offset of each input log is an event or lies in a gap. That leaves
// no room for an event that was published and forgotten.
func (c *checker) checkLogs() {
	if len(c.Logs) == 0 {
		c.report(BrokenHistory, id(c.Run.Name), "no log of an input topic: there is nothing to conclude from")
	}
	for i := range c.Published {
		p := &c.Published[i]
		l := c.logs[Place{p.Topic, p.Partition, 0}]
		if l == nil || p.Offset < 0 || p.Offset >= l.End {
			c.report(BrokenHistory, p.Place, "no log has this place")
		}
	}
	for i := range c.Logs {
		l := &c.Logs[i]
		for p := (Place{l.Topic, l.Partition, 0}); p.Offset < l.End; p.Offset++ {
			if c.events[p] == nil && !c.inGap(p) {
				c.report(BrokenHistory, p, "not known what was published there")
			}
		}
	}
}

// counted judges how many there are of what an event is to have one of.
func (c *checker) counted(p *Published, n int, lost, doubled Code, what string) {
	switch {
	case c.inGap(p.Place):
		if n > 0 && !c.Run.AtLeastOnce { // there the offset follows what was published
			c.report(WrongGap, p.Place, "is in a gap and has %d %ss", n, what)
		}
	case n == 0:
		c.report(lost, p.Place, "%s has no %s", describe(p), what)
	case n > 1 && !c.Run.AtLeastOnce:
		c.report(doubled, p.Place, "%s has %d %ss", describe(p), n, what)
	}
}

// describe names an event for people.
func describe(p *Published) string {
	if p.Kind == Bad {
		return fmt.Sprintf("the bad event %q, %v,", p.Fault, p.Value)
	}
	return fmt.Sprintf("%v", p.Value)
}
