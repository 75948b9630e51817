package consumer

import (
	"slices"
	"testing"

	"recstream/internal/devstack"
	"recstream/schemas"
)

// TestOwnerOfBeforeMovesNoFence has a successor store a batch while an owner of before is about to make the fence that it
// has not found: the successor's stays, and what it has stored is not decided again.
func TestOwnerOfBeforeMovesNoFence(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"), event("b"), event("c"))
	s := newInstance(t, broker)
	s.ledger.beforeMove = func() {
		if _, there := s.ledger.fences[0]; !there {
			s.ledger.fences[0] = 2
			for _, id := range []string{"a", "b"} {
				s.ledger.rows[id] = schemas.Decision{RequestID: id, UserID: "of the successor"}
			}
		}
	}
	s.start(t)
	s.answers(t, 3)
	s.stopped(t)
	for _, b := range s.ledger.batches {
		if b.From < 2 {
			t.Errorf("a batch was stored from %d on, which the successor has moved behind", b.From)
		}
	}
	if len(s.ledger.finds) == 0 || !slices.Contains(s.ledger.finds, true) {
		t.Errorf("looked up as redelivered: %v, want once", s.ledger.finds)
	}
	if f := s.ledger.fence(0); f != 3 || s.ledger.rows["a"].UserID != "of the successor" {
		t.Errorf("fence %d, a of %q", f, s.ledger.rows["a"].UserID)
	}
}

// TestLostEventsAreCountedOnce starts on a partition that retention has emptied, again and again.
func TestLostEventsAreCountedOnce(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	write(t, writer(t, broker), event("a"))
	s, w := newInstance(t, broker), new(witness)
	s.start(t)
	s.answers(t, 1)
	eventually(t, "the offset", func() bool { return committedOffset(t, broker, 0) == 1 })
	s.stopped(t)
	write(t, writer(t, broker), event("b"), event("c"))
	must(t, broker.Cluster().DeleteRecords(topic, 0, 3))
	for range 3 {
		again := newInstance(t, broker)
		again.ledger, again.cfg.Observer = s.ledger, w
		again.start(t)
		eventually(t, "the partition", func() bool {
			defer w.lock()()
			offset, isOpen := w.opened[0]
			return isOpen && offset == 3
		})
		again.stopped(t)
	}
	if w.lost[schemas.GapRetention] != 2 {
		t.Errorf("lost %v, want 2", w.lost)
	}
}
