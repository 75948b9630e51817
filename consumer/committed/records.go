package committed

import (
	"cmp"
	"errors"
	"io"
	"slices"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// Records are those of a fetch response that a read_committed reader may see: without the records of aborted
// transactions and the markers at their ends. A broker sends those along with a list of the aborted
// transactions, by first offset, and leaves the choice to the reader.
type Records struct {
	batches  []protocol.RecordReader
	current  protocol.RecordReader
	skipping bool // current belongs to an aborted transaction
	aborted  []fetch.ResponseTransaction
	open     map[int64]bool // producers in an aborted transaction
	from     int64          // records before it were not asked for
	next     int64          // offset after what was read so far
}

// newRecords reads a response to a fetch from an offset.
func newRecords(p *fetch.ResponsePartition, from int64) *Records {
	c := &Records{aborted: p.AbortedTransactions, open: map[int64]bool{}, from: from, next: from}
	// The broker lists the transactions by their ends.
	slices.SortFunc(c.aborted, func(a, b fetch.ResponseTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	switch records := p.RecordSet.Records.(type) {
	case nil:
	case *protocol.RecordStream:
		c.batches = records.Records
	default:
		c.batches = []protocol.RecordReader{records}
	}
	return c
}

// Next is the offset to go on at, after what was read so far.
func (c *Records) Next() int64 { return c.next }

// Read returns the next record, io.EOF after the last. The record is valid until the next call.
func (c *Records) Read() (*protocol.Record, error) {
	for {
		if c.current == nil && !c.nextBatch() {
			return nil, io.EOF
		}
		r, err := c.current.ReadRecord()
		if errors.Is(err, io.EOF) {
			c.current = nil
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.Offset >= c.from {
			c.next = max(c.next, r.Offset+1)
			if !c.skipping {
				return r, nil
			}
		}
		Discard(r)
	}
}

// nextBatch moves on to the next batch of records.
func (c *Records) nextBatch() bool {
	for len(c.batches) > 0 {
		b := c.batches[0]
		c.batches = c.batches[1:]
		switch b := b.(type) {
		case *protocol.ControlBatch:
			c.beginAborted(b.BaseOffset) // all of whose records were compacted away
			delete(c.open, b.ProducerID)
			c.stepOver(b.BaseOffset)
		case *protocol.RecordBatch:
			c.stepOver(b.BaseOffset)
			c.beginAborted(b.BaseOffset)
			c.current, c.skipping = b, b.Attributes.Transactional() && c.open[b.ProducerID]
			return true
		default: // message sets from before Kafka 0.11, without transactions
			c.current, c.skipping = b, false
			return true
		}
	}
	return false
}

// stepOver moves on past the beginning of a batch, for one whose records were compacted away and has nothing
// else to show. A batch that begins before what was asked for was sent because it reaches up to there: with no
// record at that offset there is none to come, and asking again would give the same answer for ever.
func (c *Records) stepOver(base int64) {
	c.next = max(c.next, base+1, c.from+1)
}

// beginAborted notes the aborted transactions that begin at or before an offset.
func (c *Records) beginAborted(offset int64) {
	for len(c.aborted) > 0 && c.aborted[0].FirstOffset <= offset {
		c.open[c.aborted[0].ProducerID] = true
		c.aborted = c.aborted[1:]
	}
}

// Discard releases a record that is not looked at.
func Discard(r *protocol.Record) {
	if r.Key != nil {
		_ = r.Key.Close()
	}
	if r.Value != nil {
		_ = r.Value.Close()
	}
}
