package producer

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/txnoffsetcommit"

	"recstream/schemas"
)

// Outbox holds what is to leave for one input partition and sends it, together with the offset up to which the
// partition has been read. It is not safe for concurrent use.
type Outbox struct {
	*sender
	of       schemas.Assignment
	doubtful bool // a transaction was begun and is not known to have ended
}

// Add encodes what leaves for one request event: a result for a decision; for a rejection a dead letter and,
// where the request's id could be read, a rejected result.
func (o *Outbox) Add(out *schemas.Outcome) {
	e := &o.encoder
	if out.Decision != nil {
		key, value, headers, ms := e.result(o.cfg.Source, out)
		o.put(o.cfg.Results, o.home(o.cfg.Results, key), key, value, headers, ms).of(out.Message.Time)
		return
	}
	if out.Rejection.RequestID != "" {
		key, value, headers, ms := e.rejection(o.cfg.Source, out)
		o.put(o.cfg.Results, o.home(o.cfg.Results, key), key, value, headers, ms).of(out.Message.Time)
	}
	m := out.Message
	headers, ms := e.deadLetter(o.cfg.Source, out)
	partition := m.Partition % len(o.partitions[o.cfg.DeadLetters]) // of an event without a key
	if m.Key != nil {
		partition = o.home(o.cfg.DeadLetters, m.Key)
	}
	o.put(o.cfg.DeadLetters, partition, m.Key, m.Value, headers, ms).of(m.Time)
}

// strip leaves out what a dead letter can do without. A result is whole or waits until the topic takes it.
func (o *Outbox) strip(l *lane, _ error) (instead *recordBatch, ok bool) {
	b := l.queue[l.sent]
	if l.topic != o.cfg.DeadLetters || b.stripped == bare {
		return nil, false
	}
	return b.strip(), true
}

// Flush sends what was added and commits next, the input offset after what it came of; then it forgets it. With
// transactions either all of it is seen by those who read committed records, or nothing; without, the offset is
// committed after the records. After an error call it again with the same offset: what is there already is not written
// twice, unless there are no transactions and the broker has forgotten the producer.
//
// An error whose Transient method says false means that this outbox cannot go on: open a new one.
func (o *Outbox) Flush(ctx context.Context, next int64) error {
	if o.transactionalID != "" {
		return o.transact(ctx, next)
	}
	if err := o.flush(ctx); err != nil {
		return err
	}
	return o.commit(ctx, next)
}

// transact writes what was added and the offset in one Kafka transaction. The offset tells whether one that was given up
// had been committed: it was part of it. An offset alone goes the same way: committed without an epoch it could come
// late, and take a later one back.
func (o *Outbox) transact(ctx context.Context, next int64) error {
	if o.doubtful {
		committed, err := o.Committed(ctx)
		if err != nil {
			return err
		}
		if committed >= next {
			o.forget()
			return nil
		}
	}
	o.doubtful = true
	if err := o.attempt(ctx, next); err != nil {
		return o.outdated(ctx, err)
	}
	o.doubtful = false
	o.forget()
	return nil
}

// attempt is one transaction from its beginning to its commit. The offset joins it after the records: brokers that ask
// the coordinator about both at once refuse one of them.
func (o *Outbox) attempt(ctx context.Context, next int64) error {
	if err := o.begin(ctx); err != nil {
		return disowned(err)
	}
	if err := o.addOffset(ctx, next); err != nil {
		return o.failed("commit offset", err)
	}
	return o.failed("commit transaction", o.end(ctx, true))
}

// addOffset makes the offset part of the transaction. The broker refuses it once the generation has ended.
func (o *Outbox) addOffset(ctx context.Context, next int64) error {
	if err := o.addGroup(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	answer, err := o.cfg.Client.Transport.RoundTrip(ctx, o.cfg.Client.Addr, o.offsetCommit(next))
	if err != nil {
		return err
	}
	return failureOf(answer.(*txnoffsetcommit.Response))
}

// addGroup has the transaction, which it begins if there is none, take in an offset of the group.
func (o *Outbox) addGroup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	return whileConcurrent(ctx, func() error {
		res, err := o.cfg.Client.AddOffsetsToTxn(ctx, &kafka.AddOffsetsToTxnRequest{TransactionalID: o.transactionalID,
			ProducerID: int(o.id.id), ProducerEpoch: int(o.id.epoch), GroupID: o.of.Group})
		if err != nil {
			return err
		}
		return res.Error
	})
}

// offsetCommit is the request that commits an offset as a part of the transaction, in the name of the group's member.
func (o *Outbox) offsetCommit(offset int64) *txnoffsetcommit.Request {
	return &txnoffsetcommit.Request{
		TransactionalID: o.transactionalID, ProducerID: o.id.id, ProducerEpoch: o.id.epoch,
		GroupID: o.of.Group, GenerationID: int32(o.of.Generation), MemberID: o.of.Member,
		Topics: []txnoffsetcommit.RequestTopic{{Name: o.of.Topic, Partitions: []txnoffsetcommit.RequestPartition{
			{Partition: int32(o.of.Partition), CommittedOffset: offset, CommittedLeaderEpoch: -1}}}},
	}
}

// commit commits the offset in the name of the group's member, without a transaction. The broker refuses it once the
// generation has ended. A commit without an answer is not repeated: if it came late it would take a later one back, which
// only another generation can rule out.
func (o *Outbox) commit(ctx context.Context, next int64) error {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	res, err := o.cfg.Client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: o.of.Group, GenerationID: o.of.Generation, MemberID: o.of.Member,
		Topics: map[string][]kafka.OffsetCommit{o.of.Topic: {{Partition: o.of.Partition, Offset: next}}}})
	if err == nil && len(res.Topics[o.of.Topic]) != 1 {
		err = errIncomplete
	}
	if err == nil {
		err = res.Topics[o.of.Topic][0].Error
	}
	if err != nil && !isAnswer(err) {
		err = &reopenError{whyUnsure, err}
	}
	return o.failed("commit offset", err)
}

// failed says which operation failed.
func (o *Outbox) failed(operation string, err error) error {
	if err == nil {
		return nil
	}
	o.reconnect()
	return disowned(fmt.Errorf("%s of %s/%d: %w", operation, o.of.Topic, o.of.Partition, err))
}
