package producer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// sender queues records in batches, by the partition that they go to, and sends them.
type sender struct {
	cfg        Config
	producer   *Producer
	topics     []string         // whose partitions are known
	partitions map[string][]int // of each topic, the numbers of those that it had when the sender was opened
	// transactionalID names the producer to Kafka's transaction coordinator, "" for one without transactions.
	transactionalID string
	id              producerID
	stale           bool // the producer id must be renewed before the next send
	targets         map[target]*lane
	encoder         encoder

	// tooLarge, where it is not nil, is asked what to send in the place of a lane's first unsent batch, of one record
	// that its topic refuses; nil is nothing. Where it is not ok the record is kept, and the flush fails. It is called by
	// a goroutine for each lane.
	tooLarge func(l *lane, err error) (instead *recordBatch, ok bool)
}

type producerID struct {
	id    int64 // -1 for none yet, with the epoch
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
	queue    []*recordBatch // oldest first
	sent     int            // so many batches of the queue are acknowledged
	spare    []*recordBatch // to be reused
}

// balance chooses a partition as Kafka's Java client does, so that a key has one home whoever writes.
func balance(key []byte, partitions []int) int {
	return kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, partitions...)
}

// home returns the partition of a topic that a key's records go to.
func (s *sender) home(topic string, key []byte) int { return balance(key, s.partitions[topic]) }

// put queues a record and returns the batch that it is in.
func (s *sender) put(topic string, partition int, key, value []byte, headers []schemas.Header, unixMS int64) *recordBatch {
	t := target{topic, partition}
	l := s.targets[t]
	if l == nil {
		l = &lane{target: t, limit: s.cfg.BatchBytes}
		s.targets[t] = l
	}
	b := l.open()
	b.add(key, value, headers, unixMS)
	return b
}

const (
	minBatchBytes = 4 << 10 // a batch that was refused is not made smaller than that for the future
	maxSpares     = 4       // batches kept for their memory; a flush seldom needs more
)

// open returns the batch to add to: the last one, or a new one when that is full or on its way.
func (l *lane) open() *recordBatch {
	if n := len(l.queue); n > l.sent && l.queue[n-1].bytes() < l.limit {
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

// flush sends what was added and not yet acknowledged, and forgets it when all of it is. After an error call it
// again: what a broker has already is not written twice, unless it has forgotten the producer.
func (s *sender) flush(ctx context.Context) error {
	if s.stale {
		if err := s.renew(ctx); err != nil {
			return err
		}
	}
	if err := s.sendAll(ctx, s.pending()); err != nil {
		return err
	}
	s.forget()
	return nil
}

// pending are the lanes that have something.
func (s *sender) pending() (list []*lane) {
	for _, l := range s.targets {
		if len(l.queue) > 0 {
			list = append(list, l)
		}
	}
	return list
}

// forget empties the queues.
func (s *sender) forget() {
	for _, l := range s.targets {
		for _, b := range l.queue {
			if len(l.spare) < maxSpares {
				l.spare = append(l.spare, b)
			}
		}
		clear(l.queue)
		l.queue, l.sent = l.queue[:0], 0
	}
}

// outdated returns err, as a reopenError where it is about a partition that is not there any more: its topic was
// recreated.
func (s *sender) outdated(ctx context.Context, err error) error {
	if isUnknownPartition(err) && s.isOutdated(ctx) {
		return &reopenError{whyOutdated, err}
	}
	return err
}

// isOutdated reports whether a topic has other partitions than when the sender was opened.
func (s *sender) isOutdated(ctx context.Context) bool {
	now, err := s.producer.partitions(ctx, s.topics)
	return err == nil && !maps.EqualFunc(now, s.partitions, slices.Equal)
}

// sendAll sends what the lanes have, to all brokers at once. Of a failure it finds out what is to be done before the
// next attempt.
func (s *sender) sendAll(ctx context.Context, pending []*lane) error {
	groups, err := s.byLeader(ctx, pending)
	if err == nil {
		errs := make([]error, len(groups))
		var wg sync.WaitGroup
		for i, lanes := range groups {
			wg.Go(func() { errs[i] = s.sendSafely(ctx, lanes) })
		}
		wg.Wait()
		err = errors.Join(errs...)
	}
	if err == nil {
		return nil
	}
	s.stale = s.stale || isSequenceLost(err)
	s.reconnect()
	return s.outdated(ctx, err)
}

// reconnect lets go of connections: one to a broker that no longer leads the partition, or coordinates no longer, is
// kept otherwise, and so is its answer.
func (s *sender) reconnect() {
	if t, ok := s.cfg.Client.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// unsent is how many records of the queue are not acknowledged.
func (l *lane) unsent() (n int) {
	for _, b := range l.queue[l.sent:] {
		n += b.len()
	}
	return n
}

// acknowledged moves on to the next batch. Sequence numbers go from 2^31-1 to 0.
func (l *lane) acknowledged() {
	l.sequence = int32((int64(l.sequence) + int64(l.queue[l.sent].len())) & 0x7fffffff)
	l.sent++
}

// renew gets a producer id, or the next epoch of the one that is there, and starts the sequences anew. What a
// transaction of the epoch before has written is aborted by that, unless the transaction was committed.
func (s *sender) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	err := whileConcurrent(ctx, func() error { return s.initProducerID(ctx) })
	if err != nil {
		return fmt.Errorf("get producer id: %w", err)
	}
	for _, l := range s.targets {
		l.sequence = 0
		if s.transactionalID != "" {
			l.sent = 0
		}
	}
	s.stale = false
	return nil
}

func (s *sender) initProducerID(ctx context.Context) error {
	req := &kafka.InitProducerIDRequest{ProducerID: -1, ProducerEpoch: -1}
	if s.transactionalID != "" {
		// With id and epoch of before it is refused if another has taken the transactional id over since.
		req = &kafka.InitProducerIDRequest{ProducerID: int(s.id.id), ProducerEpoch: int(s.id.epoch),
			TransactionalID: s.transactionalID, TransactionTimeoutMs: int(s.cfg.TransactionTimeout.Milliseconds())}
	}
	res, err := s.cfg.Client.InitProducerID(ctx, req)
	if err == nil {
		err = res.Error
	}
	if err == nil {
		s.id = producerID{id: int64(res.Producer.ProducerID), epoch: int16(res.Producer.ProducerEpoch)}
	}
	return err
}
