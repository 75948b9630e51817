package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/segmentio/kafka-go"
)

// transact writes what was added and the offset in one Kafka transaction.
//
// A transaction that did not end well is not mended: it is given up. The next epoch of the producer ends it, and fences
// whatever of it is still on its way. Whether it had been committed is then told by the group's offset, which was part
// of it. An offset alone goes the same way: committed without an epoch it could come late, and take a later one back.
func (o *Outbox) transact(ctx context.Context, next int64) error {
	if o.doubtful {
		committed, err := o.resolve(ctx)
		if err != nil {
			return err
		}
		o.doubtful = false
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

// resolve ends the transaction that was begun, one way or the other, and returns the offset that is committed. Brokers
// before 4.0 raise the epoch of an open transaction by themselves and take its owner for fenced; one that was aborted
// they leave. Whatever comes of the abort, the epoch decides.
func (o *Outbox) resolve(ctx context.Context) (committed int64, err error) {
	_ = o.end(ctx, false)
	if err := o.renew(ctx); err != nil {
		return 0, o.failed("resolve transaction", err)
	}
	return o.Committed(ctx)
}

// attempt is one transaction from its beginning to its commit. The offset joins it after the records: brokers that ask
// the coordinator about both at once refuse one of them.
func (o *Outbox) attempt(ctx context.Context, next int64) error {
	if pending := o.pending(); len(pending) > 0 {
		if err := o.addPartitions(ctx, pending); err != nil {
			return o.failed("begin transaction", err)
		}
		if err := o.sendAll(ctx, pending); err != nil {
			return disowned(err)
		}
	}
	if err := o.addOffset(ctx, next); err != nil {
		return o.failed("commit offset", err)
	}
	return o.failed("commit transaction", o.end(ctx, true))
}

// addPartitions begins a transaction on the lanes' partitions. It waits while the markers of the one before are being
// written, which has been committed all the same.
func (o *Outbox) addPartitions(ctx context.Context, pending []*lane) error {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	topics := map[string][]kafka.AddPartitionToTxn{}
	for _, l := range pending {
		topics[l.topic] = append(topics[l.topic], kafka.AddPartitionToTxn{Partition: l.partition})
	}
	req := &kafka.AddPartitionsToTxnRequest{TransactionalID: o.transactionalID,
		ProducerID: int(o.id.id), ProducerEpoch: int(o.id.epoch), Topics: topics}
	return whileConcurrent(ctx, func() error {
		res, err := o.cfg.Client.AddPartitionsToTxn(ctx, req)
		if err != nil {
			return err
		}
		n := 0
		for _, partitions := range res.Topics {
			for _, p := range partitions {
				n++
				err = errors.Join(err, p.Error)
			}
		}
		if err == nil && n != len(pending) {
			err = errIncomplete
		}
		return err
	})
}

// addOffset makes the offset part of the transaction. The broker refuses it once the generation has ended.
func (o *Outbox) addOffset(ctx context.Context, next int64) error {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	err := whileConcurrent(ctx, func() error {
		res, err := o.cfg.Client.AddOffsetsToTxn(ctx, &kafka.AddOffsetsToTxnRequest{TransactionalID: o.transactionalID,
			ProducerID: int(o.id.id), ProducerEpoch: int(o.id.epoch), GroupID: o.of.Group})
		if err != nil {
			return err
		}
		return res.Error
	})
	if err != nil {
		return err
	}
	res, err := o.cfg.Client.TxnOffsetCommit(ctx, &kafka.TxnOffsetCommitRequest{TransactionalID: o.transactionalID,
		ProducerID: int(o.id.id), ProducerEpoch: int(o.id.epoch),
		GroupID: o.of.Group, GenerationID: o.of.Generation, MemberID: o.of.Member,
		Topics: map[string][]kafka.TxnOffsetCommit{o.of.Topic: {{Partition: o.of.Partition, Offset: next}}}})
	if err != nil {
		return err
	}
	if len(res.Topics[o.of.Topic]) != 1 {
		return errIncomplete
	}
	return res.Topics[o.of.Topic][0].Error
}

// end commits or aborts the transaction.
func (o *Outbox) end(ctx context.Context, commit bool) error {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	res, err := o.cfg.Client.EndTxn(ctx, &kafka.EndTxnRequest{TransactionalID: o.transactionalID,
		ProducerID: int(o.id.id), ProducerEpoch: int(o.id.epoch), Committed: commit})
	if err != nil {
		return err
	}
	return res.Error
}

// errIncomplete says that a broker's answer lacks what was asked for.
var errIncomplete = errors.New("the broker's answer is incomplete")

// whileConcurrent calls do again, soon, while Kafka is still at the transaction before: it has not done what it was
// asked for. All else is for the caller.
func whileConcurrent(ctx context.Context, do func() error) error {
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(time.Millisecond),
		backoff.WithMaxInterval(20*time.Millisecond), backoff.WithMaxElapsedTime(0))
	var last error
	err := backoff.Retry(func() error {
		if last = do(); last != nil && !errors.Is(last, kafka.ConcurrentTransactions) {
			return backoff.Permanent(last)
		}
		return last
	}, backoff.WithContext(policy, ctx))
	if err != nil && last != nil && !errors.Is(err, last) {
		return fmt.Errorf("%w (last error: %w)", err, last)
	}
	return err
}
