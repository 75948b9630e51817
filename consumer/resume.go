package consumer

import "recstream/schemas"

// position is what is known of a partition when it is assigned.
type position struct {
	committed   int64 // the group's offset in Kafka, negative if there is none
	fence       schemas.Fence
	fenced      bool  // there is a fence
	first, last int64 // bounds of the log: first record, after the last one
}

// resumption is where a worker begins.
type resumption struct {
	offset int64
	fence  int64
	moved  bool   // the fence must be set to that first
	note   string // for the log, "" for nothing out of the ordinary
}

// Notes of resumptions that an operator should hear of.
const (
	noteLost      = "events lost: the topic's retention deleted them before they were read"
	noteRecreated = "the log ends before the offset that was reached: topic recreated or cut; beginning at its start"
	noteBehind    = "the ledger ends before the committed offset: the events between have no decision; replay them if they should"
)

// resume decides where to begin. Kafka's committed offset says what was published; without one the fence does:
// the results of its last batch may not have left, those before it have.
func resume(p position) resumption {
	r := resumption{offset: p.first, fence: p.fence.Next}
	switch {
	case p.committed >= 0:
		r.offset = p.committed
	case p.fenced:
		r.offset = p.fence.Batch
	}
	switch {
	case r.offset > p.last:
		r.offset, r.note = p.first, noteRecreated
	case r.offset < p.first:
		r.offset, r.note = p.first, noteLost
	}
	switch {
	case !p.fenced, p.fence.Next > p.last:
		r.fence, r.moved = r.offset, true
	case p.fence.Next < r.offset:
		r.fence, r.moved = r.offset, true
		if r.note == "" {
			r.note = noteBehind
		}
	}
	return r
}
