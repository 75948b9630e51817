package producer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"recstream/schemas"
)

// Outbox holds what is to leave and sends it. It is not safe for concurrent use.
type Outbox struct {
	cfg         Config
	producer    *Producer
	results     []int // partition numbers
	deadLetters []int
	id          producerID
	stale       bool // the producer id must be renewed before the next send
	targets     map[target]*lane
	encoder     encoder

	// tooLarge, where it is not nil, is told of the first record of a lane's queue, which its topic refuses alone, and
	// the record is left out; otherwise it is kept, and the flush fails. It is called by a goroutine for each lane.
	tooLarge func(l *lane, err error)
}

type producerID struct {
	id    int64
	epoch int16
}

type target struct {
	topic     string
	partition int
}

// lane is the queue of batches towards one partition.
type lane struct {
	target
	sequence int32          // of the next record
	limit    int            // size at which a batch is full; less than configured where the topic takes less
	queue    []*recordBatch // not yet acknowledged, oldest first
	spare    []*recordBatch // acknowledged, to be reused
}

// Add encodes what leaves for one request event: a result for a decision; for a rejection a dead letter and,
// where the request's id could be read, a rejected result.
func (o *Outbox) Add(out *schemas.Outcome) {
	e := &o.encoder
	if out.Decision != nil {
		key, value, headers, ms := e.result(o.cfg.Source, out)
		o.put(o.cfg.Results, balance(key, o.results), key, value, headers, ms)
		return
	}
	if out.Rejection.RequestID != "" {
		key, value, headers, ms := e.rejection(o.cfg.Source, out)
		o.put(o.cfg.Results, balance(key, o.results), key, value, headers, ms)
	}
	m := out.Message
	headers, ms := e.deadLetter(o.cfg.Source, out)
	partition := m.Partition % len(o.deadLetters) // of an event without a key
	if m.Key != nil {
		partition = balance(m.Key, o.deadLetters)
	}
	o.put(o.cfg.DeadLetters, partition, m.Key, m.Value, headers, ms)
}

// balance chooses a partition as Kafka's Java client does, so that a key has one home whoever writes.
func balance(key []byte, partitions []int) int {
	return kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, partitions...)
}

func (o *Outbox) put(topic string, partition int, key, value []byte, headers []schemas.Header, unixMS int64) {
	t := target{topic, partition}
	l := o.targets[t]
	if l == nil {
		l = &lane{target: t, limit: o.cfg.BatchBytes}
		o.targets[t] = l
	}
	l.open().add(key, value, headers, unixMS)
}

const (
	minBatchBytes = 4 << 10 // a batch that was refused is not made smaller than that for the future
	maxSpares     = 4       // batches kept for their memory; a flush seldom needs more
)

// open returns the batch to add to: the last one, or a new one when that is full.
func (l *lane) open() *recordBatch {
	if n := len(l.queue); n > 0 && l.queue[n-1].bytes() < l.limit {
		return l.queue[n-1]
	}
	b := new(recordBatch)
	if n := len(l.spare); n > 0 {
		b, l.spare = l.spare[n-1], l.spare[:n-1]
	}
	b.reset()
	l.queue = append(l.queue, b)
	return b
}

// Flush sends what was added and not yet acknowledged, and returns when all of it is. After an error call it
// again: what a broker has already is not written twice.
func (o *Outbox) Flush(ctx context.Context) error {
	if o.stale {
		if err := o.renew(ctx); err != nil {
			return err
		}
	}
	var pending []*lane
	for _, l := range o.targets {
		if len(l.queue) > 0 {
			pending = append(pending, l)
		}
	}
	err := o.sendAll(ctx, pending)
	if err != nil {
		o.stale = o.stale || isSequenceLost(err)
		// A connection to a broker that no longer leads the partition is kept otherwise, and so is its answer.
		if t, ok := o.cfg.Client.Transport.(*kafka.Transport); ok {
			t.CloseIdleConnections()
		}
		if isUnknownPartition(err) && o.isOutdated(ctx) {
			return &outdatedError{err}
		}
	}
	return err
}

// isOutdated reports whether a topic has other partitions than when the outbox was opened: it was recreated.
func (o *Outbox) isOutdated(ctx context.Context) bool {
	counts, err := o.producer.partitions(ctx)
	return err == nil && (counts[o.cfg.Results] != len(o.results) || counts[o.cfg.DeadLetters] != len(o.deadLetters))
}

func (o *Outbox) sendAll(ctx context.Context, pending []*lane) error {
	if len(pending) == 1 {
		return o.send(ctx, pending[0])
	}
	errs := make([]error, len(pending))
	var wg sync.WaitGroup
	for i, l := range pending {
		wg.Go(func() { errs[i] = o.sendSafely(ctx, l) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// sendSafely is send for a goroutine of its own, where a panic would end the process.
func (o *Outbox) sendSafely(ctx context.Context, l *lane) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("publish to %s/%d: panic: %v", l.topic, l.partition, v)
		}
	}()
	return o.send(ctx, l)
}

// send sends a lane's batches one after the other.
func (o *Outbox) send(ctx context.Context, l *lane) error {
	for len(l.queue) > 0 {
		b := l.queue[0]
		err := o.produce(ctx, l, b)
		switch {
		case err == nil || isDuplicate(err):
			l.acknowledged()
		case isTooLarge(err) && b.len() > 1:
			first, second := b.split()
			l.queue = append([]*recordBatch{first, second}, l.queue[1:]...)
			l.limit = max(b.bytes()/2, minBatchBytes) // not to be refused every time
		case isTooLarge(err) && l.topic == o.cfg.DeadLetters && b.stripped < bare:
			l.queue[0] = b.strip()
		case isTooLarge(err) && o.tooLarge != nil:
			o.tooLarge(l, err)
			l.queue = append(l.queue[:0], l.queue[1:]...)
			l.limit = o.cfg.BatchBytes // it was that record, not the batches' size
		default:
			return &Error{Topic: l.topic, Partition: l.partition, Err: err}
		}
	}
	return nil
}

// records is how many records are in the queue.
func (l *lane) records() (n int) {
	for _, b := range l.queue {
		n += b.len()
	}
	return n
}

func (l *lane) acknowledged() {
	b := l.queue[0]
	// Sequence numbers go from 2^31-1 to 0.
	l.sequence = int32((int64(l.sequence) + int64(b.len())) & 0x7fffffff)
	if len(l.spare) < maxSpares {
		l.spare = append(l.spare, b)
	}
	l.queue = append(l.queue[:0], l.queue[1:]...)
}

func (o *Outbox) produce(ctx context.Context, l *lane, b *recordBatch) error {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	res, err := o.cfg.Client.RawProduce(ctx, &kafka.RawProduceRequest{
		Topic:        l.topic,
		Partition:    l.partition,
		RequiredAcks: kafka.RequireAll,
		RawRecords:   protocol.RawRecordSet{Reader: bytes.NewReader(b.seal(o.id, l.sequence))},
	})
	if err != nil {
		return err
	}
	return res.Error
}

// renew gets a producer id and starts the sequences anew.
func (o *Outbox) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	res, err := o.cfg.Client.InitProducerID(ctx, &kafka.InitProducerIDRequest{ProducerID: -1, ProducerEpoch: -1})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return fmt.Errorf("get producer id: %w", err)
	}
	o.id = producerID{id: int64(res.Producer.ProducerID), epoch: int16(res.Producer.ProducerEpoch)}
	for _, l := range o.targets {
		l.sequence = 0
	}
	o.stale = false
	return nil
}
