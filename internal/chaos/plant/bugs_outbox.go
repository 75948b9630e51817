//go:build faults

package plant

import (
	"bytes"
	"context"
	"slices"

	"github.com/segmentio/kafka-go"

	"recstream/consumer"
	"recstream/schemas"
)

// buggyOutboxes opens outboxes with the bug that was planted, if it is one of an outbox.
func (s *stream) buggyOutboxes(open openFunc) openFunc {
	wrap, ok := map[Bug]func(consumer.Outbox, schemas.Assignment) consumer.Outbox{
		ResultsBeforeRows: func(o consumer.Outbox, of schemas.Assignment) consumer.Outbox { return &storing{o, s, of} },
		PositionKept:      func(o consumer.Outbox, of schemas.Assignment) consumer.Outbox { return &resuming{o, s, of} },
		OffsetBackwards: func(o consumer.Outbox, of schemas.Assignment) consumer.Outbox {
			return &stale{Outbox: o, stream: s, of: of}
		},
		RepeatAnsweredAsOwn: func(o consumer.Outbox, _ schemas.Assignment) consumer.Outbox { return &changing{o, answerAsOwn} },
		DeadLetterDropped:   func(o consumer.Outbox, _ schemas.Assignment) consumer.Outbox { return &changing{o, dropUnknown} },
		DeadLetterAltered:   func(o consumer.Outbox, _ schemas.Assignment) consumer.Outbox { return &changing{o, cleanUp} },
		RejectionUnanswered: func(o consumer.Outbox, _ schemas.Assignment) consumer.Outbox { return &changing{o, tellNobody} },
		ResultsReversed:     func(o consumer.Outbox, _ schemas.Assignment) consumer.Outbox { return &reversing{Outbox: o} },
	}[planted.bug]
	switch {
	case planted.bug == PublishErrorSwallowed:
		return func(ctx context.Context, of schemas.Assignment) (consumer.Outbox, error) {
			o, err := open(ctx, of)
			return &dropping{o, open, of}, err
		}
	case planted.bug == PositionBeforeProducerID:
		return s.readingFirst(open)
	case !ok:
		return open
	}
	return func(ctx context.Context, of schemas.Assignment) (consumer.Outbox, error) {
		o, err := open(ctx, of)
		if err != nil {
			return nil, err
		}
		return wrap(o, of), nil
	}
}

// storing stores what was put off, after it has been published.
type storing struct {
	consumer.Outbox
	stream *stream
	of     schemas.Assignment
}

func (o *storing) Flush(ctx context.Context, next int64) error {
	planted.wrong()
	if err := o.Outbox.Flush(ctx, next); err != nil {
		return err
	}
	var store func(context.Context) error
	o.stream.with(o.of.Partition, func(p *partition) { store = p.deferred })
	if store == nil {
		return nil
	}
	if err := store(ctx); err != nil {
		return err
	}
	o.stream.with(o.of.Partition, func(p *partition) { p.deferred = nil })
	return nil
}

// resuming goes on where this process was, whatever was committed.
type resuming struct {
	consumer.Outbox
	stream *stream
	of     schemas.Assignment
}

func (o *resuming) Committed(ctx context.Context) (offset int64, err error) {
	if offset, err = o.Outbox.Committed(ctx); err != nil {
		return 0, err
	}
	o.stream.with(o.of.Partition, func(p *partition) {
		if p.position > offset {
			planted.wrong()
			offset = p.position
		}
	})
	return offset, nil
}

// stale commits its first offset once more, later. Of feedback there may be nothing later to mend it.
type stale struct {
	consumer.Outbox
	stream *stream
	of     schemas.Assignment
	nexts  []int64
}

func (o *stale) Flush(ctx context.Context, next int64) error {
	if err := o.Outbox.Flush(ctx, next); err != nil {
		return err
	}
	if o.nexts = append(o.nexts, next); len(o.nexts) != 4 || !isOfRequests(o.stream) {
		return nil
	}
	planted.wrong()
	return o.stream.commit(ctx, o.of.Partition, o.nexts[0])
}

// changing changes outcomes on their way; nil is none. An outcome is not kept by the outbox, nor changed here.
type changing struct {
	consumer.Outbox
	change func(schemas.Outcome) *schemas.Outcome
}

func (o *changing) Add(out *schemas.Outcome) {
	if changed := o.change(*out); changed != nil {
		o.Outbox.Add(changed)
	}
}

func answerAsOwn(out schemas.Outcome) *schemas.Outcome {
	if out.Decision != nil && out.Decision.Source != out.Message.Source {
		planted.wrong()
		own := *out.Decision
		own.Source = out.Message.Source
		out.Decision = &own
	}
	return &out
}

func dropUnknown(out schemas.Outcome) *schemas.Outcome {
	if out.Rejection != nil && out.Rejection.RequestID == "" {
		planted.wrong()
		return nil
	}
	return &out
}

func cleanUp(out schemas.Outcome) *schemas.Outcome {
	if out.Rejection != nil {
		cleaned := *out.Message
		cleaned.Value = bytes.TrimSpace(bytes.ToValidUTF8(cleaned.Value, []byte("\ufffd")))
		if !bytes.Equal(cleaned.Value, out.Message.Value) {
			planted.wrong()
		}
		out.Message = &cleaned
	}
	return &out
}

func tellNobody(out schemas.Outcome) *schemas.Outcome {
	if out.Rejection != nil && out.Rejection.RequestID != "" {
		planted.wrong()
		untold := *out.Rejection
		untold.RequestID = ""
		out.Rejection = &untold
	}
	return &out
}

// reversing hands on the outcomes of a batch from the last to the first.
type reversing struct {
	consumer.Outbox
	outcomes []*schemas.Outcome
}

func (o *reversing) Add(out *schemas.Outcome) { o.outcomes = append(o.outcomes, out) }

func (o *reversing) Flush(ctx context.Context, next int64) error {
	if len(o.outcomes) > 1 {
		planted.wrong()
	}
	for _, out := range slices.Backward(o.outcomes) {
		o.Outbox.Add(out)
	}
	o.outcomes = o.outcomes[:0]
	return o.Outbox.Flush(ctx, next)
}

// dropping begins anew, with nothing, when a batch cannot be published.
type dropping struct {
	consumer.Outbox
	open openFunc
	of   schemas.Assignment
}

func (o *dropping) Flush(ctx context.Context, next int64) error {
	err := o.Outbox.Flush(ctx, next)
	if err == nil {
		return nil
	}
	fresh, failed := o.open(ctx, o.of)
	if failed != nil {
		return failed
	}
	swallow(err)
	o.Outbox = fresh
	return nil
}

// readingFirst reads the committed offset before it opens the outbox, which ends what the last owner had begun.
func (s *stream) readingFirst(open openFunc) openFunc {
	return func(ctx context.Context, of schemas.Assignment) (consumer.Outbox, error) {
		res, err := s.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: of.Group, Topics: map[string][]int{of.Topic: {of.Partition}}})
		if err != nil {
			return nil, err
		}
		o, err := open(ctx, of)
		if err != nil || len(res.Topics[of.Topic]) != 1 {
			return o, err
		}
		return &early{o, res.Topics[of.Topic][0].CommittedOffset}, nil
	}
}

// early has read the committed offset before its time.
type early struct {
	consumer.Outbox
	offset int64
}

func (o *early) Committed(ctx context.Context) (int64, error) {
	if now, err := o.Outbox.Committed(ctx); err != nil {
		return 0, err
	} else if now != o.offset {
		planted.wrong()
	}
	return o.offset, nil
}
