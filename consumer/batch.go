package consumer

import (
	"io"
	"slices"

	"github.com/segmentio/kafka-go/protocol"

	"recstream/schemas"
)

// batch is a run of one partition's messages, in order, with their bytes in one buffer. It is reused.
type batch struct {
	from, next int64 // offsets: of the first message that may be in it, and after the last that is
	messages   []schemas.Message
	data       []byte // keys and values
	headers    int    // bytes of headers
}

func (b *batch) reset(from int64) {
	clear(b.messages)
	b.from, b.next = from, from
	b.messages, b.data, b.headers = b.messages[:0], b.data[:0], 0
}

// moved reports whether the batch has anything to commit: messages, or markers of transactions that were
// stepped over.
func (b *batch) moved() bool { return b.next > b.from }

func (b *batch) full(records, bytes int) bool {
	return len(b.messages) >= records || len(b.data)+b.headers >= bytes
}

// add copies a record into the batch.
func (b *batch) add(topic string, partition int, r *protocol.Record) error {
	key, err := b.copy(r.Key)
	if err != nil {
		return err
	}
	value, err := b.copy(r.Value)
	if err != nil {
		return err
	}
	m := schemas.Message{
		Source: schemas.Source{Topic: topic, Partition: partition, Offset: r.Offset},
		Key:    key,
		Value:  value,
		Time:   r.Time.UTC(),
	}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, schemas.Header{Key: h.Key, Value: h.Value})
		b.headers += len(h.Key) + len(h.Value)
	}
	b.messages = append(b.messages, m)
	return nil
}

// copy returns a copy of v in the batch's buffer, nil for a null. When the buffer's array grows, what was
// copied before keeps the old one.
func (b *batch) copy(v protocol.Bytes) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	defer v.Close()
	start, n := len(b.data), v.Len()
	if n == 0 {
		return []byte{}, nil // not null
	}
	b.data = slices.Grow(b.data, n)[:start+n]
	_, err := io.ReadFull(v, b.data[start:])
	return b.data[start : start+n : start+n], err
}
