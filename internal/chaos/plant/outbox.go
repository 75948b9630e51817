//go:build faults

package plant

import (
	"context"

	"recstream/consumer"
	"recstream/schemas"
)

type openFunc func(context.Context, schemas.Assignment) (consumer.Outbox, error)

// outboxes opens outboxes with points around what they do.
func (s *stream) outboxes(open openFunc) openFunc {
	return func(ctx context.Context, of schemas.Assignment) (consumer.Outbox, error) {
		o, err := open(s.in(ctx), of)
		if err != nil {
			return nil, err
		}
		return &outbox{o, s}, nil
	}
}

// outbox is an outbox with points around it; the transport has those within.
type outbox struct {
	consumer.Outbox
	stream *stream
}

func (o *outbox) Committed(ctx context.Context) (int64, error) {
	return o.Outbox.Committed(reading(o.stream.in(ctx)))
}

func (o *outbox) Flush(ctx context.Context, next int64) error {
	if err := planted.reach(o.stream, BeforePublish); err != nil {
		return err
	}
	if err := o.Outbox.Flush(o.stream.in(ctx), next); err != nil {
		return err
	}
	return planted.reach(o.stream, AfterPublish)
}
