package postgres

import (
	"encoding/binary"
	"math"
	"time"
)

// copyBuffer builds the input of COPY ... FROM STDIN BINARY. PostgreSQL documents the format under COPY,
// "Binary Format"; a field is its length in bytes (-1 for null) and its value in the type's send format.
// The buffer is reused from batch to batch.
type copyBuffer struct {
	b []byte
}

// Object ids of the array elements' types, from pg_type.
const (
	oidText   = 25
	oidFloat8 = 701
)

// postgresEpoch is 2000-01-01 00:00:00 UTC in microseconds since 1970.
const postgresEpoch = 946_684_800_000_000

func (c *copyBuffer) begin() {
	c.b = append(c.b[:0], "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

func (c *copyBuffer) end()           { c.b = binary.BigEndian.AppendUint16(c.b, 0xffff) }
func (c *copyBuffer) row(fields int) { c.b = binary.BigEndian.AppendUint16(c.b, uint16(fields)) }
func (c *copyBuffer) null()          { c.uint32(math.MaxUint32) }

func (c *copyBuffer) uint32(v uint32) { c.b = binary.BigEndian.AppendUint32(c.b, v) }
func (c *copyBuffer) uint64(v uint64) { c.b = binary.BigEndian.AppendUint64(c.b, v) }

func (c *copyBuffer) int4(v int32) {
	c.uint32(4)
	c.uint32(uint32(v))
}

func (c *copyBuffer) int8(v int64) {
	c.uint32(8)
	c.uint64(uint64(v))
}

func (c *copyBuffer) float8(v float64) {
	c.uint32(8)
	c.uint64(math.Float64bits(v))
}

// float8OrNull writes NaN as null.
func (c *copyBuffer) float8OrNull(v float64) {
	if math.IsNaN(v) {
		c.null()
		return
	}
	c.float8(v)
}

func (c *copyBuffer) timestamptz(t time.Time) { c.int8(t.UnixMicro() - postgresEpoch) }

func (c *copyBuffer) bool(v bool) {
	c.uint32(1)
	if v {
		c.b = append(c.b, 1)
	} else {
		c.b = append(c.b, 0)
	}
}

func (c *copyBuffer) text(s string) {
	c.uint32(uint32(len(s)))
	c.b = append(c.b, s...)
}

func (c *copyBuffer) bytes(b []byte) {
	c.uint32(uint32(len(b)))
	c.b = append(c.b, b...)
}

// textOrNull writes "" as null.
func (c *copyBuffer) textOrNull(s string) {
	if s == "" {
		c.null()
		return
	}
	c.text(s)
}

// array writes an array of n elements, each written by element.
func (c *copyBuffer) array(oid uint32, n int, hasNull bool, element func(i int)) {
	start := len(c.b)
	c.uint32(0) // length, set below
	if n == 0 {
		c.uint32(0) // dimensions
		c.uint32(0)
		c.uint32(oid)
	} else {
		c.uint32(1)
		c.flag(hasNull)
		c.uint32(oid)
		c.uint32(uint32(n))
		c.uint32(1) // lower bound
		for i := range n {
			element(i)
		}
	}
	binary.BigEndian.PutUint32(c.b[start:], uint32(len(c.b)-start-4))
}

func (c *copyBuffer) flag(set bool) {
	if set {
		c.uint32(1)
		return
	}
	c.uint32(0)
}
