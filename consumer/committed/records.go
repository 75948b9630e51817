package committed

import (
	"cmp"
	"errors"
	"io"
	"slices"
)

// Records are those of a fetch response that a read_committed reader may see: without the records of aborted
// transactions and the markers at their ends. A broker sends those along with a list of the aborted
// transactions, by first offset, and leaves the choice to the reader.
type Records struct {
	body    *buffer // nil when all is read
	rest    []byte  // batches that were not begun
	batch   batch
	current cursor // records of the batch
	left    int32  // so many of them
	aborted []transaction
	open    map[int64]bool // producers in an aborted transaction
	from    int64          // records before it were not asked for
	next    int64          // offset after what was read so far

	record Record
	names  map[string]string // of headers
}

// newRecords reads a response to a fetch from an offset.
func newRecords(r *response, from int64) *Records {
	c := &Records{body: r.body, rest: r.records, aborted: r.aborted, open: map[int64]bool{}, from: from, next: from}
	// The broker lists the transactions by their ends.
	slices.SortFunc(c.aborted, func(a, b transaction) int { return cmp.Compare(a.first, b.first) })
	return c
}

// Next is the offset to go on at, after what was read so far.
func (c *Records) Next() int64 { return c.next }

// Read returns the next record, io.EOF after the last. The record is valid until the next call. After another error
// there is none to come.
func (c *Records) Read() (*Record, error) {
	for {
		for c.left > 0 {
			c.left--
			if err := c.batch.readRecord(&c.current, &c.record, c.name); err != nil {
				return nil, c.end(err)
			}
			if c.record.Offset >= c.from {
				c.next = max(c.next, c.record.Offset+1)
				return &c.record, nil
			}
		}
		c.stepOver()
		if len(c.rest) == 0 {
			return nil, c.end(io.EOF)
		}
		if err := c.begin(); err != nil {
			return nil, c.end(err)
		}
	}
}

// end gives the memory back: nothing is read any more.
func (c *Records) end(err error) error {
	if c.body != nil {
		c.body.release()
	}
	c.body, c.rest, c.left, c.current = nil, nil, 0, cursor{}
	c.record = Record{}
	return err
}

// begin begins the next batch. One that is cut off is left for the next response, as long as there was one before it.
func (c *Records) begin() (err error) {
	begun := c.batch.records != nil
	c.batch, c.rest, err = readBatch(c.rest)
	if errors.Is(err, errCut) && begun {
		c.batch = batch{last: c.next - 1} // nothing of it
		return nil
	}
	if err != nil {
		return err
	}
	c.beginAborted(c.batch.base)
	switch {
	case c.batch.attributes.Control():
		delete(c.open, c.batch.producer)
	case c.batch.attributes.Transactional() && c.open[c.batch.producer]:
	default:
		c.left = c.batch.count
		c.current.rest, err = c.batch.inflate(&c.body.inflated)
	}
	return err
}

// stepOver moves on past the end of a batch: what it has there was compacted away, aborted or a marker.
func (c *Records) stepOver() {
	if c.batch.records != nil {
		c.next = max(c.next, c.batch.last+1)
	}
}

// beginAborted notes the aborted transactions that begin at or before an offset.
func (c *Records) beginAborted(offset int64) {
	for len(c.aborted) > 0 && c.aborted[0].first <= offset {
		c.open[c.aborted[0].producer] = true
		c.aborted = c.aborted[1:]
	}
}

// mostNames is how many names of headers are remembered.
const mostNames = 64

// name returns a header's name as a string, the same for the same.
func (c *Records) name(b []byte) string {
	if s, ok := c.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if c.names == nil {
		c.names = map[string]string{}
	}
	if len(c.names) < mostNames {
		c.names[s] = s
	}
	return s
}
