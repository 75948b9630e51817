//go:build faults

package plant

import (
	"context"
	"time"

	"recstream/consumer"
	"recstream/schemas"
)

// fences are those of a stream with points around them.
type fences struct {
	consumer.Fences
	stream *stream
}

func (f fences) Fence(ctx context.Context, topic string, partition int) (next int64, ok bool, err error) {
	if err := planted.reach(f.stream, BeforeFence); err != nil {
		return 0, false, err
	}
	next, ok, err = f.Fences.Fence(ctx, topic, partition)
	if err == nil {
		err = planted.reach(f.stream, AfterFence)
	}
	return next, ok, err
}

// ledger is one of requests with points around it; the tracer has those within.
type ledger struct {
	fences
	Ledger consumer.Ledger
}

func (l *ledger) Find(ctx context.Context, ids []string, now time.Time, ever bool) (map[string]*schemas.Decision, error) {
	if err := planted.reach(l.stream, BeforeFind); err != nil {
		return nil, err
	}
	return l.Ledger.Find(ctx, ids, now, ever)
}

func (l *ledger) Record(ctx context.Context, b schemas.Batch) error {
	if err := planted.reach(l.stream, BeforeStore); err != nil {
		return err
	}
	return l.Ledger.Record(l.stream.in(ctx), b)
}

// feedbackLedger is one of feedback with points around it.
type feedbackLedger struct {
	fences
	FeedbackLedger consumer.FeedbackLedger
}

func (l *feedbackLedger) Record(ctx context.Context, b schemas.FeedbackBatch) error {
	if err := planted.reach(l.stream, BeforeStore); err != nil {
		return err
	}
	return l.FeedbackLedger.Record(l.stream.in(ctx), b)
}
