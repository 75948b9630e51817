package producer

import (
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// Error is a topic partition that did not take what was sent to it.
type Error struct {
	Topic     string
	Partition int
	Err       error
}

// Error names the partition and the cause.
func (e *Error) Error() string {
	return fmt.Sprintf("publish to %s/%d: %v", e.Topic, e.Partition, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Transient is always true: what leaves is well formed, so a refusal is for time or an operator to mend.
func (e *Error) Transient() bool { return true }

// isSequenceLost says that the broker no longer knows the producer, or knows other sequence numbers than ours.
func isSequenceLost(err error) bool {
	return errors.Is(err, kafka.OutOfOrderSequenceNumber) || errors.Is(err, kafka.UnknownProducerId) ||
		errors.Is(err, kafka.InvalidProducerEpoch) || errors.Is(err, kafka.InvalidProducerIDMapping)
}

// isTooLarge says that the topic takes only smaller batches.
func isTooLarge(err error) bool {
	return errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge)
}

// isDuplicate says that the broker has the batch already.
func isDuplicate(err error) bool { return errors.Is(err, kafka.DuplicateSequenceNumber) }
