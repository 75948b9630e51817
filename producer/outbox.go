package producer

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// Outbox holds what is to leave for one input partition and sends it, together with the offset up to which the
// partition has been read. It is not safe for concurrent use.
type Outbox struct {
	*sender
	of       schemas.Assignment
	doubtful bool // a transaction was begun and is not known to have been committed
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

// Committed returns the group's offset of the partition, negative where it has none. With transactions it is final:
// what another had begun before this outbox was opened has been committed or aborted by then.
func (o *Outbox) Committed(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	res, err := o.cfg.Client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{
		GroupID: o.of.Group, Topics: map[string][]int{o.of.Topic: {o.of.Partition}}})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) {
		return -1, nil
	}
	if err == nil && len(res.Topics[o.of.Topic]) != 1 {
		err = errIncomplete
	}
	if err == nil {
		err = res.Topics[o.of.Topic][0].Error
	}
	if err != nil {
		o.reconnect()
		return 0, fmt.Errorf("read committed offset: %w", err)
	}
	return res.Topics[o.of.Topic][0].CommittedOffset, nil
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
