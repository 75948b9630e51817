package committed

import (
	"encoding/binary"
	"io"
)

// cursor reads what Kafka writes, from the front. After its first error it reads zeroes.
type cursor struct {
	rest []byte
	err  error
}

// take returns the next n bytes, which stay where they are.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.rest, c.err = nil, io.ErrUnexpectedEOF
		return nil
	}
	taken := c.rest[:n:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) int8() int8 {
	if b := c.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (c *cursor) int16() int16 {
	if b := c.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// varint reads a number of variable length, zigzag.
func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.rest)
	if n <= 0 {
		c.rest, c.err = nil, io.ErrUnexpectedEOF
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// nullable reads bytes with their length before them, nil for null.
func (c *cursor) nullable() []byte {
	n := c.varint()
	if n < 0 || c.err != nil {
		return nil
	}
	if n > int64(len(c.rest)) {
		c.rest, c.err = nil, io.ErrUnexpectedEOF
		return nil
	}
	return c.take(int(n))
}
