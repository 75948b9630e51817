package deadletter

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/schemas"
)

// fetchOmitted returns the letter with the event's own key, value and headers, which it lacks because the topic would
// not take them: from the place that the event came from. It returns nil where that has another event by now, or none.
func fetchOmitted(ctx context.Context, client *kafka.Client, l *Letter) (*Letter, error) {
	source := committed.Partition{Client: client, Topic: l.From.Topic, Number: l.From.Partition, MaxBytes: 1, Timeout: fetchTimeout}
	var records *committed.Records
	err := retry(ctx, client, func() (err error) {
		records, err = source.Fetch(ctx, l.From.Offset, fetchWait)
		return err
	})
	if errors.Is(err, kafka.OffsetOutOfRange) || errors.Is(err, kafka.UnknownTopicOrPartition) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := records.Read()
	if errors.Is(err, io.EOF) || err == nil && r.Offset != l.From.Offset {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	event := newLetter(l.From.Topic, l.From.Partition, r)
	whole := *l
	whole.Key, whole.Value = event.Key, event.Value
	whole.Headers = append(append([]schemas.Header{}, event.Headers...), event.added...) // of an event all are its own
	if whole.size() != l.Omitted {
		return nil, nil
	}
	whole.Redrives = number(whole.Headers, schemas.HeaderDLQRedrives)
	return &whole, nil
}

// size is that of the letter's record, from its key on, had nothing been left out: what the header dlq_value_omitted
// gives. The record's layout is the protocol guide's.
func (l *Letter) size() int {
	headers := append(append([]schemas.Header{}, l.Headers...), l.added...)
	if n := len(headers); n > 0 && headers[n-1].Key == schemas.HeaderDLQValueOmitted {
		headers = headers[:n-1]
	}
	n := sizeOf(l.Key) + sizeOf(l.Value) + sizeOfVarint(len(headers))
	for _, h := range headers {
		n += sizeOfVarint(len(h.Key)) + len(h.Key) + sizeOf(h.Value)
	}
	return n
}

func sizeOf(b []byte) int {
	if b == nil {
		return sizeOfVarint(-1)
	}
	return sizeOfVarint(len(b)) + len(b)
}

func sizeOfVarint(n int) int { return len(binary.AppendVarint(nil, int64(n))) }
