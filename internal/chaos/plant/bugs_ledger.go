//go:build faults

package plant

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"recstream/consumer"
	"recstream/schemas"
)

// buggyLedger is the ledger with the bug that was planted, if it is one of a ledger.
func (s *stream) buggyLedger(l consumer.Ledger) consumer.Ledger {
	switch planted.bug {
	case OffsetBeforeRows:
		return &writeBehind{l, s}
	case ResultsBeforeRows:
		return &deferring{l, s}
	case NoFence:
		return &unfenced{l}
	case FenceApart:
		return &fencedApart{l}
	case LedgerErrorSwallowed:
		return &careless{l}
	case RedeliveredScoredAnew:
		return &forgetful{Ledger: l, forgets: func(ever bool) bool { return ever }}
	case RepeatsDecidedAnew:
		return &forgetful{Ledger: l, forgets: func(ever bool) bool { return !ever }}
	case PositionKept:
		return &positioned{l, s}
	default:
		return l
	}
}

func (s *stream) buggyFeedbackLedger(l consumer.FeedbackLedger) consumer.FeedbackLedger {
	switch planted.bug {
	case FeedbackErrorSwallowed:
		return &carelessOfFeedback{l}
	case FeedbackAppliedTwice:
		return &doubling{l}
	default:
		return l
	}
}

// writeBehind commits the offset before it stores the batch.
type writeBehind struct {
	consumer.Ledger
	stream *stream
}

func (l *writeBehind) Record(ctx context.Context, b schemas.Batch) error {
	planted.wrong()
	if err := l.stream.commit(ctx, b.Partition, b.Next); err != nil {
		return err
	}
	return l.Ledger.Record(ctx, b)
}

// deferring leaves it to the outbox to store a batch, after it has been published. A worker has one batch in hand, and
// its decisions stay as they are until the next one.
type deferring struct {
	consumer.Ledger
	stream *stream
}

func (l *deferring) Record(_ context.Context, b schemas.Batch) error {
	l.stream.with(b.Partition, func(p *partition) {
		p.deferred = func(ctx context.Context) error { return l.Ledger.Record(ctx, b) }
	})
	return nil
}

// unfenced takes a fence that stands elsewhere for a mistake, and mends it.
type unfenced struct{ consumer.Ledger }

func (l *unfenced) Record(ctx context.Context, b schemas.Batch) error {
	err := l.Ledger.Record(ctx, b)
	if err == nil || !strings.Contains(err.Error(), "fenced") {
		return err
	}
	planted.wrong()
	stands, _, err := l.Fence(ctx, b.Topic, b.Partition)
	if err == nil {
		err = l.MoveFence(ctx, b.Topic, b.Partition, stands, b.From)
	}
	if err != nil {
		return err
	}
	return l.Ledger.Record(ctx, b)
}

// fencedApart moves the fence, then stores the rows. What is below the fence it takes for stored.
type fencedApart struct{ consumer.Ledger }

func (l *fencedApart) Record(ctx context.Context, b schemas.Batch) error {
	rows := slices.DeleteFunc(slices.Clone(b.Decisions), func(d *schemas.Decision) bool { return d.Source.Offset < b.From })
	if len(rows) < len(b.Decisions) {
		planted.wrong()
	}
	b.Decisions = nil
	if err := l.Ledger.Record(ctx, b); err != nil || len(rows) == 0 {
		return err
	}
	b.From, b.Decisions = b.Next, rows
	return l.Ledger.Record(ctx, b)
}

// careless logs an error and goes on.
type careless struct{ consumer.Ledger }

func (l *careless) Record(ctx context.Context, b schemas.Batch) error {
	swallow(l.Ledger.Record(ctx, b))
	return nil
}

type carelessOfFeedback struct{ consumer.FeedbackLedger }

func (l *carelessOfFeedback) Record(ctx context.Context, b schemas.FeedbackBatch) error {
	swallow(l.FeedbackLedger.Record(ctx, b))
	return nil
}

// doubling says each feedback twice. The unique key of outcomes keeps that to one row.
type doubling struct{ consumer.FeedbackLedger }

func (l *doubling) Record(ctx context.Context, b schemas.FeedbackBatch) error {
	var twice []schemas.FeedbackEvent
	for _, e := range b.Events {
		planted.wrong()
		twice = append(twice, e, e)
	}
	b.Events = twice
	return l.FeedbackLedger.Record(ctx, b)
}

// swallow logs an error, which is all that becomes of it.
func swallow(err error) {
	if err != nil {
		planted.wrong()
		fmt.Fprintln(os.Stderr, "swallowed:", err)
	}
}

// forgetful does not find what is stored, and leaves the stored row as it is when the request has been decided anew.
type forgetful struct {
	consumer.Ledger
	forgets func(ever bool) bool

	mu     sync.Mutex
	hidden map[string]bool // request ids
}

func (l *forgetful) Find(ctx context.Context, ids []string, now time.Time, ever bool) (map[string]*schemas.Decision, error) {
	found, err := l.Ledger.Find(ctx, ids, now, ever)
	if err != nil || len(found) == 0 || !l.forgets(ever) {
		return found, err
	}
	planted.wrong()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hidden == nil {
		l.hidden = map[string]bool{}
	}
	for id := range found {
		l.hidden[id] = true
	}
	return nil, nil
}

func (l *forgetful) Record(ctx context.Context, b schemas.Batch) error {
	l.mu.Lock()
	b.Decisions = slices.DeleteFunc(slices.Clone(b.Decisions), func(d *schemas.Decision) bool { return l.hidden[d.RequestID] })
	l.mu.Unlock()
	return l.Ledger.Record(ctx, b)
}

// positioned keeps what a worker has in hand for done.
type positioned struct {
	consumer.Ledger
	stream *stream
}

func (l *positioned) Record(ctx context.Context, b schemas.Batch) error {
	l.stream.with(b.Partition, func(p *partition) { p.position = max(p.position, b.Next) })
	return l.Ledger.Record(ctx, b)
}
