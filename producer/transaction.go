package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/segmentio/kafka-go"
)

// begin opens a transaction on the partitions of what was added, and sends it.
//
// A transaction that does not end well is not mended: it is given up. The next epoch of the producer ends it, and fences
// whatever of it is still on its way. Whether it had been committed is for the caller to find out.
func (s *sender) begin(ctx context.Context) error {
	pending := s.pending()
	if len(pending) == 0 {
		return nil
	}
	if err := s.addPartitions(ctx, pending); err != nil {
		s.reconnect()
		return fmt.Errorf("begin transaction as %s: %w", s.transactionalID, err)
	}
	return s.sendAll(ctx, pending)
}

// addPartitions begins a transaction on the lanes' partitions. It waits while the markers of the one before are being
// written, which has been committed all the same.
func (s *sender) addPartitions(ctx context.Context, pending []*lane) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	topics := map[string][]kafka.AddPartitionToTxn{}
	for _, l := range pending {
		topics[l.topic] = append(topics[l.topic], kafka.AddPartitionToTxn{Partition: l.partition})
	}
	req := &kafka.AddPartitionsToTxnRequest{TransactionalID: s.transactionalID,
		ProducerID: int(s.id.id), ProducerEpoch: int(s.id.epoch), Topics: topics}
	return whileConcurrent(ctx, func() error {
		res, err := s.cfg.Client.AddPartitionsToTxn(ctx, req)
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

// end commits or aborts the transaction.
func (s *sender) end(ctx context.Context, commit bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	res, err := s.cfg.Client.EndTxn(ctx, &kafka.EndTxnRequest{TransactionalID: s.transactionalID,
		ProducerID: int(s.id.id), ProducerEpoch: int(s.id.epoch), Committed: commit})
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
