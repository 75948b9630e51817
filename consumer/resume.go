package consumer

import "recstream/schemas"

// position is what is known of a partition when it is assigned.
type position struct {
	committed   int64 // the group's offset in Kafka, negative if there is none
	fence       int64 // the ledger's
	fenced      bool  // there is a fence
	first, last int64 // bounds of the log: first record, after the last one
}

// seen is where the fence was found, negative for nowhere.
func (p *position) seen() int64 {
	if !p.fenced {
		return -1
	}
	return p.fence
}

// resumption is where a worker begins.
type resumption struct {
	offset int64
	fence  int64
	moved  bool          // the fence must be moved there first
	known  int64         // events before it may have been decided before, however long ago
	note   string        // for the log, "" for nothing out of the ordinary
	gaps   []schemas.Gap // what was passed over and is to be noted
}

// Notes of resumptions that an operator should hear of.
const (
	noteRecreated = "the log ends before the offset that was reached: topic recreated or cut; beginning at its start"
	noteForgotten = "Kafka has no committed offset for a partition that was read before: beginning at its start"
)

// gapNotes say in the log why events were passed over, and what to do.
var gapNotes = map[schemas.GapReason]string{
	schemas.GapRetention: "events lost: the topic's retention deleted them before they were read; lengthen it",
	schemas.GapLedgerBehind: "events passed over, without row and result: the group's committed offset is ahead of the ledger, since it was set " +
		"forward by hand or the ledger has lost rows; to have them answered stop all instances, set the group's offset of this " +
		"partition back to where the gap begins (kafka-consumer-groups --reset-offsets --to-offset), and start again",
}

// resume decides where to begin. Kafka's committed offset says what was published. Without one, or with one that
// the log does not reach, nothing tells this log from the one that was read before: it is read from its start.
// What was decided before is found in the ledger and published again, the rest is new; nothing is left out.
func resume(p position) resumption {
	r := resumption{offset: p.committed, fence: p.fence}
	switch {
	case p.committed < 0:
		r.offset = p.first
		switch {
		case p.fenced && p.fence > p.first:
			r.note = noteForgotten
		case p.fenced && p.fence < p.first:
			r.pass(p.fence, p.first, schemas.GapRetention)
		}
	case p.committed > p.last:
		r.offset, r.note = p.first, noteRecreated
	case p.committed < p.first:
		r.offset = p.first
		r.pass(p.committed, p.first, schemas.GapRetention)
	}
	switch {
	case !p.fenced:
		r.fence, r.moved = r.offset, true
	case p.fence > p.last: // the log was cut, or is another
		r.fence, r.moved, r.known = r.offset, true, p.last
		if r.note == "" {
			r.note = noteRecreated
		}
	case p.fence < r.offset:
		r.fence, r.moved = r.offset, true
		if p.fence < p.committed && p.committed <= p.last {
			r.pass(p.fence, p.committed, schemas.GapLedgerBehind)
		}
	}
	return r
}

// pass passes over the events from one offset up to another.
func (r *resumption) pass(from, to int64, reason schemas.GapReason) {
	r.gaps = append(r.gaps, schemas.Gap{From: from, To: to, Reason: reason})
}
