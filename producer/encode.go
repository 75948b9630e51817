package producer

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"recstream/schemas"
)

// encoder makes records of outcomes. What it returns is valid until its next call.
type encoder struct {
	key, value []byte
	text       []byte // backs the values of headers
	headers    []schemas.Header
}

var (
	specVersion     = []byte(schemas.SpecVersion)
	contentTypeJSON = []byte(schemas.ContentTypeJSON)
	typeResult      = []byte(schemas.TypeResult)
	typeDeadLetter  = []byte(schemas.TypeDeadLetter)
)

// result encodes a decision. The request that is answered and the one that was decided are two where an app
// publishes an id twice; value, ce_id and ce_time are those of the decision.
func (e *encoder) result(source string, out *schemas.Outcome) (key, value []byte, headers []schemas.Header, unixMS int64) {
	d := out.Decision
	e.setKey(d.UserID, d.RequestID)
	e.value = schemas.AppendResult(e.value[:0], d)
	e.cloudEvent(source, d.RequestID, d.Source, d.ScoredAt, out.Message)
	return e.key, e.value, e.headers, d.ScoredAt.UnixMilli()
}

// rejection encodes the rejected result that the app is sent. Its ce_time is that of the rejected event; the
// record's own is that of the rejection, since brokers refuse or delete records of odd times.
func (e *encoder) rejection(source string, out *schemas.Outcome) (key, value []byte, headers []schemas.Header, unixMS int64) {
	r, m := out.Rejection, out.Message
	e.setKey(r.UserID, r.RequestID)
	e.value = schemas.AppendRejection(e.value[:0], r, m.Source)
	e.cloudEvent(source, r.RequestID, m.Source, m.Time, m)
	return e.key, e.value, e.headers, r.At.UnixMilli()
}

// setKey takes the key that keeps one user's events in order: the user id, else the request id.
func (e *encoder) setKey(user, request string) {
	if user == "" {
		user = request
	}
	e.key = append(e.key[:0], user...)
}

// maxTraceParent is the length of a trace parent that is handed on. Version 00 has 55 bytes; a header of another
// kind under that name must not make a result that the topic refuses.
const maxTraceParent = 128

func (e *encoder) cloudEvent(source, request string, decided schemas.Source, at time.Time, m *schemas.Message) {
	e.begin()
	e.header(schemas.HeaderContentType, contentTypeJSON)
	e.header(schemas.HeaderSpecVersion, specVersion)
	e.textHeader(schemas.HeaderID, func(b []byte) []byte { return schemas.AppendResultID(b, request, decided) })
	e.header(schemas.HeaderType, typeResult)
	e.textHeader(schemas.HeaderSource, func(b []byte) []byte { return append(b, source...) })
	e.textHeader(schemas.HeaderTime, func(b []byte) []byte { return at.UTC().AppendFormat(b, time.RFC3339Nano) })
	for _, h := range m.Headers {
		if h.Key == schemas.HeaderTraceParent && len(h.Value) <= maxTraceParent {
			e.header(h.Key, h.Value)
			break
		}
	}
}

// deadLetterHeaders is how many headers a dead letter has beside the event's own.
const deadLetterHeaders = 8

// deadLetter returns the headers of a dead letter: the event's own, untouched, those of a CloudEvent where the
// event was none, and why it is a dead letter.
func (e *encoder) deadLetter(source string, out *schemas.Outcome) (headers []schemas.Header, unixMS int64) {
	r, m := out.Rejection, out.Message
	e.begin()
	e.headers = append(e.headers, m.Headers...)
	if !isCloudEvent(m.Headers) {
		e.header(schemas.HeaderSpecVersion, specVersion)
		e.textHeader(schemas.HeaderID, func(b []byte) []byte { return schemas.AppendResultID(b, "dlq", m.Source) })
		e.header(schemas.HeaderType, typeDeadLetter)
		e.stringHeader(schemas.HeaderSource, source)
		e.textHeader(schemas.HeaderTime, func(b []byte) []byte { return m.Time.UTC().AppendFormat(b, time.RFC3339Nano) })
	}
	e.stringHeader(schemas.HeaderDLQReason, r.Code)
	e.stringHeader(schemas.HeaderDLQDetail, detail(r))
	e.stringHeader(schemas.HeaderDLQStage, r.Stage)
	e.stringHeader(schemas.HeaderDLQTopic, m.Topic)
	e.intHeader(schemas.HeaderDLQPartition, int64(m.Partition))
	e.intHeader(schemas.HeaderDLQOffset, m.Offset)
	e.intHeader(schemas.HeaderDLQAttempts, int64(r.Attempts))
	e.textHeader(schemas.HeaderDLQAt, func(b []byte) []byte { return r.At.UTC().AppendFormat(b, time.RFC3339Nano) })
	return e.headers, r.At.UnixMilli()
}

// isCloudEvent reports whether an event has any header of a CloudEvent; then it keeps to those.
func isCloudEvent(headers []schemas.Header) bool {
	return slices.ContainsFunc(headers, func(h schemas.Header) bool { return strings.HasPrefix(h.Key, "ce_") })
}

func detail(r *schemas.Rejection) string {
	if r.Field == "" {
		return r.Detail
	}
	return r.Field + ": " + r.Detail
}

func (e *encoder) begin() { e.headers, e.text = e.headers[:0], e.text[:0] }

func (e *encoder) header(key string, value []byte) {
	e.headers = append(e.headers, schemas.Header{Key: key, Value: value})
}

// textHeader adds a header whose value is what appendTo appends. When the text's array grows, the headers
// that are there keep the old one.
func (e *encoder) textHeader(key string, appendTo func([]byte) []byte) {
	start := len(e.text)
	e.text = appendTo(e.text)
	e.header(key, e.text[start:len(e.text):len(e.text)])
}

func (e *encoder) stringHeader(key, value string) {
	e.textHeader(key, func(b []byte) []byte { return append(b, value...) })
}

func (e *encoder) intHeader(key string, value int64) {
	e.textHeader(key, func(b []byte) []byte { return strconv.AppendInt(b, value, 10) })
}
