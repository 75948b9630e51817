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

// reopenError says that an outbox cannot go on: a new one is to be opened, by whoever owns the partition then.
type reopenError struct {
	why string
	err error
}

// The reasons.
const (
	whyOutdated = "the topics have other partitions than before"
	whyDisowned = "fenced, or the partition was given to another owner"
	whyUnsure   = "it is not known whether the offset was committed"
)

// Error says why, and the cause.
func (e *reopenError) Error() string { return fmt.Sprintf("%s: %v", e.why, e.err) }

// Unwrap returns the cause.
func (e *reopenError) Unwrap() error { return e.err }

// Transient is false: to try again with this outbox does not help.
func (e *reopenError) Transient() bool { return false }

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

// disownedBy are the answers of a broker to a member of a generation that is over, and to a transactional producer
// whose id has a later epoch (another owner's, or the broker's own after the transaction's timeout) or is forgotten.
var disownedBy = []kafka.Error{
	kafka.IllegalGeneration, kafka.UnknownMemberId, kafka.FencedInstanceID,
	kafka.ProducerFenced, kafka.InvalidProducerEpoch, kafka.InvalidProducerIDMapping,
}

// disowned returns err, as a reopenError where it is such an answer.
func disowned(err error) error {
	if slices.ContainsFunc(disownedBy, func(code kafka.Error) bool { return errors.Is(err, code) }) {
		return &reopenError{whyDisowned, err}
	}
	return err
}

// isAnswer says that the error is what a broker answered, and not that no answer came.
func isAnswer(err error) bool {
	var code kafka.Error
	return errors.As(err, &code)
}
