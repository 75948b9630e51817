package producer

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strconv"
	"time"

	"recstream/schemas"
)

// Layout of a record batch, magic 2, as the Kafka protocol guide gives it under "Record Batch": the positions
// of what is filled in when the batch is closed or sent. In front stand the 4 bytes of the record set's size.
const (
	sizePrefix        = 4
	posBaseOffset     = sizePrefix + 0
	posBatchLength    = sizePrefix + 8
	posLeaderEpoch    = sizePrefix + 12
	posMagic          = sizePrefix + 16
	posCRC            = sizePrefix + 17
	posAttributes     = sizePrefix + 21
	posLastDelta      = sizePrefix + 23
	posBaseTimestamp  = sizePrefix + 27
	posMaxTimestamp   = sizePrefix + 35
	posProducerID     = sizePrefix + 43
	posProducerEpoch  = sizePrefix + 51
	posBaseSequence   = sizePrefix + 53
	posRecordCount    = sizePrefix + 57
	recordsBegin      = sizePrefix + 61
	beforeBatchLength = posLeaderEpoch // the batch's length counts from there
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordBatch is one record batch under construction or on its way. The zero value is empty.
type recordBatch struct {
	buf      []byte
	marks    []int // where each record begins, for splitting
	baseMS   int64 // Unix milliseconds of the first record
	maxMS    int64
	eventMS  int64 // of the latest event that records came of, 0 where that is not known
	stripped stripped
	offset   int64 // of the first record, once a broker has acknowledged it; negative where it did not say
	scratch  []byte
}

// stripped says what a dead letter had to leave out.
type stripped uint8

const (
	whole stripped = iota
	withoutValue
	bare // neither the event's value nor its key and headers
)

func (b *recordBatch) reset() {
	if cap(b.buf) < recordsBegin {
		b.buf = make([]byte, recordsBegin, 64<<10)
	}
	b.buf, b.marks = b.buf[:recordsBegin], b.marks[:0]
	b.stripped, b.eventMS = whole, 0
}

// of notes the time of the event that a record came of, as its topic has it.
func (b *recordBatch) of(event time.Time) { b.eventMS = max(b.eventMS, event.UnixMilli()) }

// backdate takes the batch back to the time of its events, which a broker has accepted, and reports whether that is
// earlier. A broker takes nothing that is far ahead of its clock; what is stored with the time of a clock that was
// wrong is to leave all the same.
func (b *recordBatch) backdate() bool {
	ahead := b.maxMS - b.eventMS
	if b.eventMS == 0 || ahead <= 0 {
		return false
	}
	b.baseMS, b.maxMS = b.baseMS-ahead, b.maxMS-ahead
	return true
}

func (b *recordBatch) len() int   { return len(b.marks) }
func (b *recordBatch) bytes() int { return len(b.buf) }

// add appends a record. A nil key or value is null, as in Kafka.
func (b *recordBatch) add(key, value []byte, headers []schemas.Header, unixMS int64) {
	b.stretch(unixMS)
	r := append(b.scratch[:0], 0) // attributes
	r = binary.AppendVarint(r, unixMS-b.baseMS)
	r = binary.AppendVarint(r, int64(b.len()))
	r = appendBytes(r, key)
	r = appendBytes(r, value)
	r = binary.AppendVarint(r, int64(len(headers)))
	for _, h := range headers {
		r = appendHeader(r, h)
	}
	b.appendRecord(r)
}

// stretch notes the time of a record that is to be appended.
func (b *recordBatch) stretch(unixMS int64) {
	if b.len() == 0 {
		b.baseMS, b.maxMS = unixMS, unixMS
	}
	b.maxMS = max(b.maxMS, unixMS)
}

func appendHeader(dst []byte, h schemas.Header) []byte {
	dst = binary.AppendVarint(dst, int64(len(h.Key)))
	return appendBytes(append(dst, h.Key...), h.Value)
}

func appendBytes(dst, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(v))), v...)
}

// transactionalBit is set in the attributes of a batch that belongs to a transaction.
const transactionalBit = 1 << 4

// seal fills in the header for a producer and the sequence number of the batch's first record, and returns the
// whole record set. Sealing again with the same numbers gives the same bytes.
func (b *recordBatch) seal(id producerID, sequence int32, transactional bool) []byte {
	be, buf := binary.BigEndian, b.buf
	be.PutUint32(buf, uint32(len(buf)-sizePrefix))
	be.PutUint64(buf[posBaseOffset:], 0)
	be.PutUint32(buf[posBatchLength:], uint32(len(buf)-beforeBatchLength))
	be.PutUint32(buf[posLeaderEpoch:], 0xffffffff)
	buf[posMagic] = 2
	attributes := uint16(0)
	if transactional {
		attributes = transactionalBit
	}
	be.PutUint16(buf[posAttributes:], attributes)
	be.PutUint32(buf[posLastDelta:], uint32(b.len()-1))
	be.PutUint64(buf[posBaseTimestamp:], uint64(b.baseMS))
	be.PutUint64(buf[posMaxTimestamp:], uint64(b.maxMS))
	be.PutUint64(buf[posProducerID:], uint64(id.id))
	be.PutUint16(buf[posProducerEpoch:], uint16(id.epoch))
	be.PutUint32(buf[posBaseSequence:], uint32(sequence))
	be.PutUint32(buf[posRecordCount:], uint32(b.len()))
	be.PutUint32(buf[posCRC:], crc32.Checksum(buf[posAttributes:], castagnoli))
	return buf
}

// split returns the batch's records in two batches. The batch must have two records at the least.
func (b *recordBatch) split() (first, second *recordBatch) {
	first, second = new(recordBatch), new(recordBatch)
	first.reset()
	second.reset()
	first.eventMS, second.eventMS = b.eventMS, b.eventMS
	for i := range b.marks {
		half := first
		if i >= len(b.marks)/2 {
			half = second
		}
		half.readd(b, i)
	}
	return first, second
}

// readd appends record i of another batch, with the deltas that it has here.
func (b *recordBatch) readd(from *recordBatch, i int) {
	unixMS, rest := from.record(i)
	b.stretch(unixMS)
	r := append(b.scratch[:0], 0)
	r = binary.AppendVarint(r, unixMS-b.baseMS)
	r = binary.AppendVarint(r, int64(b.len()))
	b.appendRecord(append(r, rest...))
}

// appendRecord appends an encoded record, which becomes the scratch buffer.
func (b *recordBatch) appendRecord(r []byte) {
	b.scratch = r
	b.marks = append(b.marks, len(b.buf))
	b.buf = binary.AppendVarint(b.buf, int64(len(r)))
	b.buf = append(b.buf, r...)
}

// record returns the time of record i and its encoding from the key on.
func (b *recordBatch) record(i int) (unixMS int64, rest []byte) {
	length, n := binary.Varint(b.buf[b.marks[i]:])
	r := b.buf[b.marks[i]+n:][:length]
	delta, n := binary.Varint(r[1:])
	_, m := binary.Varint(r[1+n:])
	return b.baseMS + delta, r[1+n+m:]
}

// strip returns a batch of its only record, a dead letter, with less in it: first without its value, then also
// without the event's key and headers, which stand before the dead letter's own. What is left has a known size.
func (b *recordBatch) strip() *recordBatch {
	unixMS, record := b.record(0)
	key, rest := cutBytes(record)
	_, rest = cutBytes(rest)
	n, size := binary.Varint(rest)
	headers := rest[size:]
	out := new(recordBatch)
	out.reset()
	out.eventMS = b.eventMS
	if out.stripped = b.stripped + 1; out.stripped == withoutValue {
		headers = appendHeader(slices.Clone(headers), schemas.Header{
			Key: schemas.HeaderDLQValueOmitted, Value: strconv.AppendInt(nil, int64(len(record)), 10)})
		n++
	} else {
		key = nil
		for ; n > deadLetterHeaders+1; n-- {
			_, headers = cutBytes(headers) // its key
			_, headers = cutBytes(headers)
		}
	}
	out.stretch(unixMS)
	r := []byte{0, 0, 0} // attributes and deltas
	r = appendBytes(r, key)
	r = appendBytes(r, nil)
	r = binary.AppendVarint(r, n)
	out.appendRecord(append(r, headers...))
	return out
}

// cutBytes reads what appendBytes wrote.
func cutBytes(b []byte) (v, rest []byte) {
	length, n := binary.Varint(b)
	if length < 0 {
		return nil, b[n:]
	}
	return b[n:][:length:length], b[n+int(length):]
}
