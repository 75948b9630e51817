package schemas

import "strconv"

// The types of events, as the header ce_type has them. A change that readers could stumble over gets a new version.
const (
	TypeRequest  = "recommendation.request.v1"
	TypeResult   = "recommendation.result.v1"
	TypeFeedback = "recommendation.feedback.v1"
	// TypeDeadLetter is that of a dead letter whose event had no CloudEvents headers; others keep their own.
	TypeDeadLetter = "recommendation.dead-letter.v1"
)

// The topics, where the configuration names no others.
const (
	DefaultRequestTopic    = "recommendation.requests"
	DefaultResultTopic     = "recommendation.results"
	DefaultFeedbackTopic   = "recommendation.feedback"
	DefaultDeadLetterTopic = "recommendation.dead-letters"
)

// Headers of every event that recstream writes: CloudEvents 1.0 in the binary mode of its Kafka binding.
// Events that recstream reads need none of them.
const (
	HeaderContentType = "content-type"   // ContentTypeJSON
	HeaderSpecVersion = "ce_specversion" // SpecVersion
	HeaderID          = "ce_id"          // same id and source, same event: readers drop what they have seen
	HeaderType        = "ce_type"        // one of the Type constants
	HeaderSource      = "ce_source"      // URI reference of the sender
	HeaderTime        = "ce_time"        // RFC 3339
	HeaderTraceParent = "traceparent"    // W3C trace context, handed on where the inbound event has it
)

// Values of headers.
const (
	ContentTypeJSON = "application/json"
	SpecVersion     = "1.0"
)

// Headers that a dead letter has on top of those of the event that it was.
const (
	HeaderDLQReason    = "dlq_reason"    // stable code, such as CodeMissingField
	HeaderDLQDetail    = "dlq_detail"    // for people
	HeaderDLQStage     = "dlq_stage"     // where the fault was found
	HeaderDLQTopic     = "dlq_topic"     // the place that the event was read from: topic,
	HeaderDLQPartition = "dlq_partition" // partition, decimal,
	HeaderDLQOffset    = "dlq_offset"    // and offset, decimal
	HeaderDLQAttempts  = "dlq_attempts"  // how often it was tried, decimal
	HeaderDLQAt        = "dlq_at"        // when it was given up, RFC 3339

	// HeaderDLQValueOmitted is there only where the topic would not take the value: its size with the headers,
	// in bytes, decimal. The value is null then, and still at the place that the other headers name.
	HeaderDLQValueOmitted = "dlq_value_omitted"
)

// Headers of an event that was sent back. They stay with it: if it is refused again, its next dead letter has them too.
const (
	HeaderDLQRedrives  = "dlq_redrives"   // how often it was sent back, decimal
	HeaderDLQRedriveID = "dlq_redrive_id" // of the last time: redrives.id in the database
)

// AppendResultID appends the ce_id of a result, "<request id>@<topic>/<partition>/<offset>".
// It depends on nothing but the event that is answered, so a result that is written again has the same.
func AppendResultID(dst []byte, requestID string, s Source) []byte {
	dst = append(append(dst, requestID...), '@')
	dst = append(append(dst, s.Topic...), '/')
	dst = append(strconv.AppendInt(dst, int64(s.Partition), 10), '/')
	return strconv.AppendInt(dst, s.Offset, 10)
}
