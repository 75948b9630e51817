package history

import (
	"slices"
	"strconv"
)

// checkRejections sees that a bad event whose request id can be read has one rejected result, and that it says so.
func (c *checker) checkRejections() {
	for _, p := range c.bad {
		if p.RequestID == "" {
			continue
		}
		answers := c.rejected[p.Place]
		c.counted(p, len(answers), LostRejection, DoubledRejection, "rejected result")
		for _, a := range answers {
			switch {
			case a.RequestID != p.RequestID || a.UserID != p.UserID || !slices.Contains(p.Codes, a.Error.Code):
				c.report(WrongRejection, p.Place, "%s is to be rejected for %q, is with %v", describe(p), p.Codes, a.Value)
			case a.ID != idOf(p.RequestID, p.Place):
				c.report(WrongID, p.Place, "ce_id is %q, is to be %q", a.ID, idOf(p.RequestID, p.Place))
			case !a.same(answers[0]):
				c.report(ResultsDiffer, p.Place, "%v and %v", answers[0].Value, a.Value)
			}
		}
	}
}

// Headers of dead letters.
const (
	headerReason    = "dlq_reason"
	headerTopic     = "dlq_topic"
	headerPartition = "dlq_partition"
	headerOffset    = "dlq_offset"
	headerOmitted   = "dlq_value_omitted"
)

// checkDeadLetters sees that every bad event has one dead letter, with its bytes, and nothing else has any.
func (c *checker) checkDeadLetters() {
	letters := map[Place][]*Emitted{}
	for _, e := range inOrder(c.DeadLetters) {
		origin, ok := originOf(e)
		if event := c.events[origin]; !ok || event == nil || event.Kind != Bad {
			c.report(InventedDeadLetter, e.Place, "says that it was %v; no bad event was published there", origin)
			continue
		}
		letters[origin] = append(letters[origin], e)
	}
	for _, p := range c.bad {
		c.counted(p, len(letters[p.Place]), DeadLetterLost, DeadLetterDoubled, "dead letter")
		for _, e := range letters[p.Place] {
			c.checkDeadLetter(p, e)
		}
	}
}

// originOf reads the place that a dead letter names.
func originOf(e *Emitted) (p Place, ok bool) {
	topic, _ := e.header(headerTopic)
	partition, _ := e.header(headerPartition)
	offset, _ := e.header(headerOffset)
	n, err1 := strconv.Atoi(partition)
	at, err2 := strconv.ParseInt(offset, 10, 64)
	return Place{topic, n, at}, err1 == nil && err2 == nil
}

func (c *checker) checkDeadLetter(p *Published, e *Emitted) {
	code, _ := e.header(headerReason)
	_, omitted := e.header(headerOmitted)
	switch {
	case !slices.Contains(p.Codes, code):
		c.report(DeadLetterWrong, p.Place, "%s is to be refused for %q, is for %q", describe(p), p.Codes, code)
	case p.Large && omitted:
		// What is left out goes in two steps: the value, then the key and the headers with it.
		whole := e.Key.equal(p.Key) && startsWith(e.Headers, p.Headers)
		if e.Value != nil || !whole && e.Key != nil {
			c.report(DeadLetterWrong, p.Place, "its dead letter leaves out its value, and has key %v value %v", e.Key, e.Value)
		}
	case omitted || !e.Value.equal(p.Value) || !e.Key.equal(p.Key):
		c.report(DeadLetterWrong, p.Place, "key %v value %v became key %v value %v", p.Key, p.Value, e.Key, e.Value)
	case !startsWith(e.Headers, p.Headers):
		c.report(DeadLetterWrong, p.Place, "headers %v became %v", p.Headers, e.Headers)
	}
}

func startsWith(headers, start []Header) bool {
	return len(headers) >= len(start) && slices.EqualFunc(headers[:len(start)], start,
		func(a, b Header) bool { return a.Key == b.Key && a.Value.equal(b.Value) })
}
