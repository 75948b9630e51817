package consumer

import (
	"slices"

	"recstream/consumer/committed"
	"recstream/schemas"
)

// batch is a run of one partition's messages, in order, with their bytes in one buffer. It is reused.
type batch struct {
	from, next int64 // offsets: of the first message that may be in it, and after the last that is
	messages   []schemas.Message
	data       []byte           // keys, values, and values of headers
	headers    []schemas.Header // of all messages
}

func (b *batch) reset(from int64) {
	clear(b.messages)
	clear(b.headers)
	b.from, b.next = from, from
	b.messages, b.data, b.headers = b.messages[:0], b.data[:0], b.headers[:0]
}

// moved reports whether the batch has anything to commit: messages, or markers of transactions that were
// stepped over.
func (b *batch) moved() bool { return b.next > b.from }

func (b *batch) full(records, bytes int) bool {
	return len(b.messages) >= records || len(b.data) >= bytes
}

// add copies a record into the batch.
func (b *batch) add(topic string, partition int, r *committed.Record) {
	first := len(b.headers)
	for _, h := range r.Headers {
		b.headers = append(b.headers, schemas.Header{Key: h.Key, Value: b.copy(h.Value)})
	}
	m := schemas.Message{
		Source: schemas.Source{Topic: topic, Partition: partition, Offset: r.Offset},
		Key:    b.copy(r.Key),
		Value:  b.copy(r.Value),
		Time:   r.Time,
	}
	if last := len(b.headers); last > first {
		m.Headers = b.headers[first:last:last]
	}
	b.messages = append(b.messages, m)
}

// copy returns a copy of v in the batch's buffer, nil for a null. When the buffer's array grows, what was
// copied before keeps the old one.
func (b *batch) copy(v []byte) []byte {
	if v == nil {
		return nil
	}
	start := len(b.data)
	b.data = append(slices.Grow(b.data, len(v)+1), v...) // an empty one is not nil
	return b.data[start:len(b.data):len(b.data)]
}
