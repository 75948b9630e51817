package committed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// exchange is a fetch request that reads its answer itself, into one buffer: the library takes a page of 64 KiB for
// each record batch, and in a log that was written event by event a batch is a few hundred bytes.
type exchange struct {
	*fetch.Request
	clientID string
	version  int16
}

// versions of the answer that response can read: all that have aborted transactions, and that the library asks for.
const (
	leastVersion = 4
	mostVersion  = 11
)

// Required takes the exchange over, always. It is told what the broker speaks before the exchange.
func (e *exchange) Required(versions map[protocol.ApiKey]int16) bool {
	e.version = min(versions[protocol.Fetch], mostVersion)
	return true
}

// Topic is that of the partition that is asked for: a transport that is wrapped can tell by it whose fetch it is.
func (e *exchange) Topic() string { return e.Topics[0].Topic }

// RawExchange asks, and reads the answer. After an error the library closes the connection.
func (e *exchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if e.version < leastVersion {
		return nil, fmt.Errorf("the broker speaks version %d of Fetch, %d is needed: Kafka 0.11 or later", e.version, leastVersion)
	}
	const correlation = 1 // there is one request at a time on a connection
	if err := protocol.WriteRequest(rw, e.version, correlation, e.clientID, e.Request); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	size := int32(binary.BigEndian.Uint32(head[:4])) - 4
	if got := binary.BigEndian.Uint32(head[4:]); got != correlation || size < 0 {
		return nil, fmt.Errorf("the broker's answer has %d bytes and is to request %d, not %d", size, got, correlation)
	}
	body := newBuffer(int(size))
	if _, err := io.ReadFull(rw, body.bytes); err != nil {
		body.release()
		return nil, err
	}
	r := &response{body: body}
	if err := r.read(e.version); err != nil {
		body.release()
		return nil, fmt.Errorf("read fetch response: %w", err)
	}
	return r, nil
}

// response is the answer to a fetch of one partition.
type response struct {
	body    *buffer // what the rest refers to
	err     kafka.Error
	none    bool // the answer has no partition
	aborted []transaction
	records []byte // record batches, the last one perhaps cut off
}

// transaction is an aborted one.
type transaction struct{ producer, first int64 }

// ApiKey is that of Fetch.
func (*response) ApiKey() protocol.ApiKey { return protocol.Fetch } //nolint:staticcheck // the library names it

// IsEmpty reports whether there are no records, likewise for a transport that is wrapped.
func (r *response) IsEmpty() bool { return len(r.records) == 0 }

// read reads the body, as the Kafka protocol guide has it: FetchResponse.
func (r *response) read(version int16) error {
	c := cursor{rest: r.body.bytes}
	c.skip(4) // throttle time
	if version >= 7 {
		r.err = kafka.Error(c.int16())
		c.skip(4) // session
	}
	if topics := c.int32(); topics != 1 {
		r.none = true
		return c.err
	}
	c.skip(int(c.int16())) // name
	if partitions := c.int32(); partitions != 1 {
		r.none = true
		return c.err
	}
	r.partition(&c, version)
	return c.err
}

func (r *response) partition(c *cursor, version int16) {
	c.skip(4) // number
	if code := kafka.Error(c.int16()); r.err == 0 {
		r.err = code
	}
	c.skip(8 + 8) // high watermark, last stable offset
	if version >= 5 {
		c.skip(8) // log start
	}
	for range max(c.int32(), 0) {
		if c.err != nil {
			return
		}
		r.aborted = append(r.aborted, transaction{c.int64(), c.int64()})
	}
	if version >= 11 {
		c.skip(4) // preferred replica
	}
	r.records = c.take(int(max(c.int32(), 0)))
}

// buffer is memory that is used again.
type buffer struct {
	bytes    []byte
	inflated bytes.Buffer // records of the batch in hand, where they were compressed
}

var buffers sync.Pool

// mostKept is the most memory that is kept for the next response: one that had to be larger was an exception.
const mostKept = 8 << 20

func newBuffer(size int) *buffer {
	b, _ := buffers.Get().(*buffer)
	if b == nil {
		b = new(buffer)
	}
	if cap(b.bytes) < size {
		b.bytes = make([]byte, size)
	}
	b.bytes = b.bytes[:size]
	return b
}

// release gives the buffer to whoever needs one next.
func (b *buffer) release() {
	if cap(b.bytes)+b.inflated.Cap() <= mostKept {
		buffers.Put(b)
	}
}
