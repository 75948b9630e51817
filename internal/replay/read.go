package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/internal/wait"
	"recstream/schemas"
)

// fetchWait is how long a broker holds an answer back while it has nothing.
const fetchWait = 500 * time.Millisecond

// event is a record, decoded as live does.
type event struct {
	message schemas.Message // without key and value, and of its headers the trace's parent only
	request schemas.Request
	refused string // code of the decoding error, "" for a request
}

// reader reads the events of a partition's range, batch by batch.
type reader struct {
	source   committed.Partition
	next     int64 // offset of the next record
	to       int64 // after the last one that is asked for
	patience time.Duration
	takes    func(*schemas.Request) bool // requests that are to be decided
	records  *committed.Records
	events   []event // of the batch; reused
}

// read reads events into the batch, up to n of them that are to be decided, and returns how many offsets before them were lost because Kafka had
// deleted them. A batch without events can move on too. After an error the same batch is read anew.
func (r *reader) read(ctx context.Context, n int) (lost int64, err error) {
	start := r.next
	defer func() {
		if err != nil {
			r.next, r.records = start, nil
		}
	}()
	r.events = r.events[:0]
	if r.records == nil {
		if lost, err = r.fetch(ctx); err != nil || r.records == nil {
			return lost, err
		}
	}
	if err := r.take(n); err != nil {
		return lost, fmt.Errorf("read records at offset %d: %w", r.next, err)
	}
	if r.next > start {
		return lost, nil
	}
	return r.missing(ctx)
}

// take takes events of what was fetched.
func (r *reader) take(n int) error {
	for n > 0 && len(r.events) < mostTogether && r.next < r.to {
		record, err := r.records.Read()
		r.next = min(r.records.Next(), r.to)
		if errors.Is(err, io.EOF) {
			r.records = nil
			return nil
		}
		if err != nil {
			return err
		}
		if record.Offset >= r.to {
			return nil
		}
		if e := r.decode(record); e.refused == "" && r.takes(&e.request) {
			n--
		}
	}
	return nil
}

// missing gives up the rest of the range where the log ends before it: it was cut, or is another one. Otherwise what
// comes next belongs to a transaction that is still open.
func (r *reader) missing(ctx context.Context) (lost int64, err error) {
	_, last, err := r.bounds(ctx)
	if err != nil || last > r.next {
		return 0, err
	}
	lost, r.next = r.to-r.next, r.to
	return lost, nil
}

// fetch asks for records. Where the range begins before the log does, or ends after it, the rest is lost.
func (r *reader) fetch(ctx context.Context) (lost int64, err error) {
	records, err := r.source.Fetch(ctx, r.next, fetchWait)
	if err != nil && !errors.Is(err, kafka.OffsetOutOfRange) {
		return 0, fmt.Errorf("fetch %s/%d at offset %d: %w", r.source.Topic, r.source.Number, r.next, err)
	}
	if err == nil {
		r.records = records
		return 0, nil
	}
	first, last, lookUp := r.bounds(ctx)
	before := r.next
	switch {
	case lookUp != nil:
		return 0, lookUp
	case r.next < first:
		r.next = min(first, r.to)
	case r.next > last: // the log was cut, or is another
		r.next = r.to
	default: // another broker has said so than the one that was asked first
		return 0, fmt.Errorf("fetch %s/%d at offset %d of %d to %d: %w", r.source.Topic, r.source.Number, r.next, first, last, err)
	}
	return r.next - before, nil
}

// bounds returns the log's bounds. Where they leave nothing of the range they are asked for again after a while: a
// broker that has only just become the leader can say less than there is.
func (r *reader) bounds(ctx context.Context) (first, last int64, err error) {
	first, last, err = r.source.Bounds(ctx)
	if err != nil || last > r.next {
		return first, last, err
	}
	if err := wait.For(ctx, r.patience); err != nil {
		return 0, 0, err
	}
	return r.source.Bounds(ctx)
}

// decode adds a record's event, and returns it.
func (r *reader) decode(record *committed.Record) *event {
	n := len(r.events)
	r.events = slices.Grow(r.events, 1)[:n+1]
	e := &r.events[n]
	e.refused = ""
	e.message = schemas.Message{Time: record.Time,
		Source: schemas.Source{Topic: r.source.Topic, Partition: r.source.Number, Offset: record.Offset}}
	for _, h := range record.Headers {
		if h.Key == schemas.HeaderTraceParent { // all that a result takes over
			e.message.Headers = append(e.message.Headers, schemas.Header{Key: h.Key, Value: slices.Clone(h.Value)})
		}
	}
	var refusal *schemas.DecodeError
	if err := schemas.DecodeRequest(record.Value, &e.request); errors.As(err, &refusal) {
		e.refused = refusal.Code
	}
	if e.request.RequestedAt.IsZero() {
		e.request.RequestedAt = e.message.Time
	}
	e.request.RequestedAt = e.request.RequestedAt.Truncate(time.Microsecond) // as live does
	return e
}
