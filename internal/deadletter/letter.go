package deadletter

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"recstream/consumer/committed"
	"recstream/schemas"
)

// Letter is a dead letter.
type Letter struct {
	Place   schemas.Source // of the letter
	At      time.Time      // of the letter's record, UTC, milliseconds
	Key     []byte         // nil is null
	Value   []byte         // nil is null
	Headers []schemas.Header
	// Headers are the event's own; those that made it a letter are in the fields below.

	Known     bool // it says why it is a letter; what others write into the topic may not
	Reason    string
	Detail    string
	Stage     string
	From      schemas.Source // of the event; Topic is empty where the letter does not say
	Attempts  int
	GivenUpAt time.Time // zero where the letter does not say
	Omitted   int       // size of the record whose value was left out, in bytes; 0 is none
	Redrives  int       // how often the event was sent back before
	SentBack  bool      // this letter was sent back, as the audit has it; false where that was not asked

	added []schemas.Header // what made it a letter
}

// deadLetterHeaders are those that the producer puts behind the event's own, in its order.
var deadLetterHeaders = []string{
	schemas.HeaderDLQReason, schemas.HeaderDLQDetail, schemas.HeaderDLQStage, schemas.HeaderDLQTopic,
	schemas.HeaderDLQPartition, schemas.HeaderDLQOffset, schemas.HeaderDLQAttempts, schemas.HeaderDLQAt,
}

// cloudEventHeaders are those that it puts before them, of an event that had none such.
var cloudEventHeaders = []string{
	schemas.HeaderSpecVersion, schemas.HeaderID, schemas.HeaderType, schemas.HeaderSource, schemas.HeaderTime,
}

// newLetter copies a record of the topic of dead letters.
func newLetter(topic string, partition int, r *committed.Record) *Letter {
	l := &Letter{Place: schemas.Source{Topic: topic, Partition: partition, Offset: r.Offset}, At: r.Time,
		Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
	all := make([]schemas.Header, len(r.Headers))
	for i, h := range r.Headers {
		all[i] = schemas.Header{Key: h.Key, Value: bytes.Clone(h.Value)}
	}
	l.Headers, l.added = splitHeaders(all)
	l.describe()
	return l
}

// splitHeaders parts the event's own headers from those that made it a letter. The latter stand last, so that an
// event which has some of the same names keeps them. Letters in another order are parted by names.
func splitHeaders(all []schemas.Header) (own, added []schemas.Header) {
	n := len(all)
	if n > 0 && all[n-1].Key == schemas.HeaderDLQValueOmitted {
		n--
	}
	if n, ok := cutNames(all[:n], deadLetterHeaders); ok {
		if m, ok := cutNames(all[:n], cloudEventHeaders); ok && string(all[m+2].Value) == schemas.TypeDeadLetter {
			n = m
		}
		return all[:n:n], all[n:]
	}
	for _, h := range all {
		if slices.Contains(deadLetterHeaders, h.Key) || h.Key == schemas.HeaderDLQValueOmitted {
			added = append(added, h)
		} else {
			own = append(own, h)
		}
	}
	return own, added
}

// cutNames returns how many headers stand before those names, if the headers end in them.
func cutNames(headers []schemas.Header, names []string) (before int, ok bool) {
	before = len(headers) - len(names)
	if before < 0 {
		return 0, false
	}
	for i, name := range names {
		if headers[before+i].Key != name {
			return 0, false
		}
	}
	return before, true
}

// describe fills in what the headers say. Numbers that are none count as 0.
func (l *Letter) describe() {
	_, l.Known = find(l.added, schemas.HeaderDLQReason)
	l.Reason, l.Detail, l.Stage = text(l.added, schemas.HeaderDLQReason), text(l.added, schemas.HeaderDLQDetail), text(l.added, schemas.HeaderDLQStage)
	partition, errPartition := strconv.ParseInt(text(l.added, schemas.HeaderDLQPartition), 10, 32)
	offset, errOffset := strconv.ParseInt(text(l.added, schemas.HeaderDLQOffset), 10, 64)
	if errPartition == nil && errOffset == nil && partition >= 0 && offset >= 0 {
		l.From = schemas.Source{Topic: text(l.added, schemas.HeaderDLQTopic), Partition: int(partition), Offset: offset}
	}
	l.Attempts = number(l.added, schemas.HeaderDLQAttempts)
	l.Omitted = number(l.added, schemas.HeaderDLQValueOmitted)
	l.GivenUpAt, _ = time.Parse(time.RFC3339Nano, text(l.added, schemas.HeaderDLQAt))
	l.Redrives = number(l.Headers, schemas.HeaderDLQRedrives)
}

// find returns the last header of a name: where an app's event has one too, ours comes after it.
func find(headers []schemas.Header, name string) ([]byte, bool) {
	for _, h := range slices.Backward(headers) {
		if h.Key == name {
			return h.Value, true
		}
	}
	return nil, false
}

// text returns a header's value as text that a database takes, "" where there is none.
func text(headers []schemas.Header, name string) string {
	value, _ := find(headers, name)
	return strings.ReplaceAll(strings.ToValidUTF8(string(value), "\ufffd"), "\x00", "\ufffd")
}

// number returns a header's value as a number that is not negative, 0 where there is none.
func number(headers []schemas.Header, name string) int {
	value, _ := find(headers, name)
	n, err := strconv.Atoi(string(value))
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// Sender returns the ids of the request and of the user that the event names, as far as they can be read.
func (l *Letter) Sender() (requestID, userID string) {
	var r schemas.Request
	_ = schemas.DecodeRequest(l.Value, &r) // that it is bad is known
	return r.RequestID, r.UserID
}
