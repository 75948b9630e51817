package producer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
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

// outdatedError says that the outbox was opened for another set of partitions.
type outdatedError struct{ err error }

// Error names the partition that is not there.
func (e *outdatedError) Error() string {
	return fmt.Sprintf("the topics have other partitions than before: %v", e.err)
}

// Unwrap returns the cause.
func (e *outdatedError) Unwrap() error { return e.err }

// Transient is false: a new outbox is to be opened.
func (e *outdatedError) Transient() bool { return false }

// isUnknownPartition says that the topic, or a partition of it, is not there.
func isUnknownPartition(err error) bool {
	return errors.Is(err, kafka.UnknownTopicOrPartition) || errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
}

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

// disownedError says that the partition belongs to another member of the group, or to a later generation of it.
type disownedError struct{ err error }

// Error names the operation that was refused.
func (e *disownedError) Error() string {
	return fmt.Sprintf("the partition was given to another owner: %v", e.err)
}

// Unwrap returns the cause.
func (e *disownedError) Unwrap() error { return e.err }

// Transient is false: whoever owns the partition now publishes what is left.
func (e *disownedError) Transient() bool { return false }

// disownedBy are the answers of a broker to a member of a generation that is over, and to a transactional producer
// whose id has a later epoch or is forgotten.
var disownedBy = []kafka.Error{
	kafka.IllegalGeneration, kafka.UnknownMemberId, kafka.FencedInstanceID,
	kafka.ProducerFenced, kafka.InvalidProducerEpoch, kafka.InvalidProducerIDMapping,
}

// disowned returns err, as a disownedError where it is such an answer.
func disowned(err error) error {
	if slices.ContainsFunc(disownedBy, func(code kafka.Error) bool { return errors.Is(err, code) }) {
		return &disownedError{err}
	}
	return err
}
