package committed

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"recstream/schemas"
)

// batch is a record batch, format 2, as the Kafka protocol guide has it: RecordBatch.
type batch struct {
	base       int64 // offset that the records' are relative to
	last       int64 // offset of its last record, which may have been compacted away
	attributes protocol.Attributes
	first, max int64 // times, Unix milliseconds
	producer   int64
	count      int32  // of records
	records    []byte // compressed, if the attributes say so
}

// appendTime says that the records have the time at which the broker took the batch.
const appendTime = protocol.Attributes(0x08)

// errCut says that a batch is not there whole.
var errCut = errors.New("record batch is cut off")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readBatch reads the first batch of data and returns what is behind it. The error is errCut where the batch is the last
// one and a broker has cut it off at the size that was asked for.
func readBatch(data []byte) (b batch, rest []byte, err error) {
	c := cursor{rest: data}
	b.base = c.int64()
	body := cursor{rest: c.take(int(c.int32()))}
	if c.err != nil {
		return b, nil, errCut
	}
	body.skip(4) // leader's epoch
	if format := body.int8(); body.err == nil && format != 2 {
		return b, nil, fmt.Errorf("offset %d has record format %d, of a Kafka before 0.11: have the topic written anew", b.base, format)
	}
	sum := uint32(body.int32())
	if got := crc32.Checksum(body.rest, castagnoli); body.err == nil && got != sum {
		return b, nil, fmt.Errorf("record batch at offset %d: checksum %08x, want %08x", b.base, got, sum)
	}
	b.attributes = protocol.Attributes(body.int16())
	b.last = b.base + int64(body.int32())
	b.first, b.max = body.int64(), body.int64()
	b.producer = body.int64()
	body.skip(2 + 4) // epoch, sequence
	b.count, b.records = body.int32(), body.rest
	return b, c.rest, body.err
}

// mostInflated is what the records of one compressed batch may come to. A producer's batch is a megabyte unless it is told
// otherwise; one that comes to more than this is made to exhaust its readers.
var mostInflated int64 = 256 << 20

// inflate returns the records, not compressed: in the buffer, which may grow, unless they were not.
func (b *batch) inflate(into *bytes.Buffer) ([]byte, error) {
	compression := b.attributes.Compression()
	if compression == 0 {
		return b.records, nil
	}
	codec := compression.Codec()
	if codec == nil {
		return nil, fmt.Errorf("record batch at offset %d: unknown compression %d", b.base, compression)
	}
	r := codec.NewReader(bytes.NewReader(b.records))
	defer r.Close()
	into.Reset()
	n, err := into.ReadFrom(io.LimitReader(r, mostInflated+1))
	if err == nil && n > mostInflated {
		err = fmt.Errorf("comes to more than %d bytes", mostInflated)
	}
	if err != nil {
		return nil, fmt.Errorf("record batch at offset %d, %s: %w", b.base, compression, err)
	}
	return into.Bytes(), nil
}

// Record is a record of a partition. Key, value and headers' values are nil for null; they and the headers are valid
// until the next one is read.
type Record struct {
	Offset  int64
	Time    time.Time // UTC
	Key     []byte
	Value   []byte
	Headers []schemas.Header
}

// readRecord reads the next record of a batch. Names gives the names of headers, which are few, as strings.
func (b *batch) readRecord(c *cursor, r *Record, names func([]byte) string) error {
	one := cursor{rest: c.nullable()}
	if c.err != nil || one.rest == nil {
		return io.ErrUnexpectedEOF
	}
	one.skip(1) // attributes
	r.Time = time.UnixMilli(b.first + one.varint()).UTC()
	if b.attributes&appendTime != 0 {
		r.Time = time.UnixMilli(b.max).UTC()
	}
	r.Offset = b.base + one.varint()
	r.Key, r.Value, r.Headers = one.nullable(), one.nullable(), r.Headers[:0]
	for range one.varint() {
		name := one.nullable()
		h := schemas.Header{Key: names(name), Value: one.nullable()}
		if one.err != nil {
			break
		}
		r.Headers = append(r.Headers, h)
	}
	return one.err
}
