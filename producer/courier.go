package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"recstream/schemas"
)

// Record is one that a Courier takes to a partition.
type Record struct {
	Topic      string
	Partition  int
	Key, Value []byte // nil is null
	Headers    []schemas.Header
	Time       time.Time // to the millisecond

	// Set by Send.
	Offset   int64 // negative where it was not sent, or the broker does not say
	TooLarge bool  // it was left out: its topic takes no record so large
}

// Courier writes records to partitions that others have chosen, in Kafka transactions of one transactional id. It is not
// safe for concurrent use.
type Courier struct {
	sender *sender
	spent  bool                 // a transaction was begun and is not known to have been committed
	onWay  map[target][]*Record // of the transaction, in order
}

// ErrSpent says that a Send of the courier has failed before: open another one.
var ErrSpent = errors.New("the courier's last transaction is not known to be over")

// OpenCourier returns a courier once every transaction that was begun under its id is committed or aborted. Whoever
// opened one of the same id before is fenced.
func (p *Producer) OpenCourier(ctx context.Context, transactionalID string) (*Courier, error) {
	s, err := p.newSender(ctx, transactionalID)
	if err != nil {
		return nil, err
	}
	c := &Courier{sender: s, onWay: map[target][]*Record{}}
	s.tooLarge = c.leaveOut
	return c, nil
}

// Send writes records in one transaction, those that are too large for their topics left out. After an error it is not
// known whether the others were written, all of them or none: the courier is spent, and the next one that is opened under
// its id ends the transaction, one way or the other.
func (c *Courier) Send(ctx context.Context, records []Record) error {
	if c.spent {
		return ErrSpent
	}
	c.spent = true
	c.load(records)
	if err := c.sender.begin(ctx); err != nil {
		return err
	}
	if err := c.sender.end(ctx, true); err != nil {
		return fmt.Errorf("commit transaction as %s: %w", c.sender.transactionalID, err)
	}
	c.spent = false
	c.note()
	c.sender.forget()
	return nil
}

// load queues records.
func (c *Courier) load(records []Record) {
	clear(c.onWay)
	for i := range records {
		r := &records[i]
		r.Offset, r.TooLarge = -1, false
		to := target{r.Topic, r.Partition}
		c.onWay[to] = append(c.onWay[to], r)
		c.sender.put(to.topic, to.partition, r.Key, r.Value, r.Headers, r.Time.UnixMilli())
	}
}

// leaveOut takes off the list what its topic refuses alone: the first record of the lane that is not acknowledged.
func (c *Courier) leaveOut(l *lane, _ error) (*recordBatch, bool) {
	list := c.onWay[l.target]
	list[len(list)-l.unsent()].TooLarge = true
	return nil, true
}

// note gives the records the offsets that the broker gave their batches.
func (c *Courier) note() {
	for to, list := range c.onWay {
		next := 0
		for _, b := range c.sender.targets[to].queue {
			for i := 0; i < b.len(); next++ {
				if list[next].TooLarge {
					continue
				}
				if b.offset >= 0 {
					list[next].Offset = b.offset + int64(i)
				}
				i++
			}
		}
	}
}
