package schemas

import (
	"bytes"
	"math"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// field is one field of an event: how it is called, and how it is read into the event.
type field[E any] struct {
	name     string
	required bool
	read     func(*reader, *E)
}

// requestFields are the fields of a request, in the order in which AppendRequest writes them.
var requestFields = []field[Request]{
	{"request_id", true, func(r *reader, e *Request) { r.id(&e.RequestID) }},
	{"user_id", false, func(r *reader, e *Request) { r.id(&e.UserID) }},
	{"mood", false, func(r *reader, e *Request) { enum(r, moodNames[:], &e.Mood) }},
	{"group_size", false, func(r *reader, e *Request) { enum(r, groupNames[:], &e.GroupSize) }},
	{"session_length", false, func(r *reader, e *Request) { enum(r, sessionNames[:], &e.SessionLength) }},
	{"limit", false, func(r *reader, e *Request) { r.integer(1, MaxLimit, &e.Limit) }},
	{"candidates", false, func(r *reader, e *Request) { e.Candidates = r.idList(e.takeSpare()) }},
	{"exclude", false, func(r *reader, e *Request) { e.Exclude = r.idList(e.Exclude) }},
	{"exclude_seen", false, func(r *reader, e *Request) { r.boolean(&e.ExcludeSeen) }},
	{"pins", false, func(r *reader, e *Request) { e.Pins = r.idList(e.Pins) }},
	{"similar_to", false, func(r *reader, e *Request) { r.id(&e.SimilarTo) }},
	{"diversity", false, func(r *reader, e *Request) { r.number(0, 1, &e.Diversity) }},
	{"explain", false, func(r *reader, e *Request) { r.boolean(&e.Explain) }},
	{"deadline_ms", false, func(r *reader, e *Request) { r.integer(0, MaxDeadlineMS, &e.DeadlineMS) }},
	{"requested_at", false, func(r *reader, e *Request) { r.instant(&e.RequestedAt) }},
}

// feedbackFields are the fields of a feedback, in the order in which AppendFeedback writes them.
var feedbackFields = []field[Feedback]{
	{"request_id", true, func(r *reader, e *Feedback) { r.id(&e.RequestID) }},
	{"user_id", false, func(r *reader, e *Feedback) { r.id(&e.UserID) }},
	{"item_id", true, func(r *reader, e *Feedback) { r.id(&e.ItemID) }},
	{"action", true, func(r *reader, e *Feedback) { enum(r, actionNames[:], &e.Action) }},
	{"value", false, func(r *reader, e *Feedback) { r.number(-math.MaxFloat64, math.MaxFloat64, &e.Value) }},
	{"at", false, func(r *reader, e *Feedback) { r.instant(&e.At) }},
}

// DecodeRequest reads a recommendation.request.v1 event into dst. It keeps nothing of value.
//
// The slices of an earlier event in dst are used again, so a Request that is decoded into twice must not share them.
// Strings are slices of one copy of value and keep it in memory.
//
// The error, if any, is a [*DecodeError]. Then dst has the request id and the user id, each as far as it could be
// read and is valid (where a field is there twice, the first counts), and is empty otherwise.
func DecodeRequest(value []byte, dst *Request) error {
	dst.reset()
	err := decode(value, TypeRequest, requestFields, dst, ids{&dst.RequestID, &dst.UserID})
	if err == nil {
		return nil
	}
	request, user := dst.RequestID, dst.UserID
	dst.reset()
	dst.RequestID, dst.UserID = request, user
	return err
}

// DecodeFeedback reads a recommendation.feedback.v1 event into dst. It keeps nothing of value.
// Errors and ids are as for [DecodeRequest].
func DecodeFeedback(value []byte, dst *Feedback) error {
	*dst = Feedback{Value: math.NaN()}
	err := decode(value, TypeFeedback, feedbackFields, dst, ids{&dst.RequestID, &dst.UserID})
	if err == nil && dst.Action == ActionRating && math.IsNaN(dst.Value) {
		err = &DecodeError{CodeMissingField, "value", "is required for a rating"}
	}
	if err == nil {
		return nil
	}
	*dst = Feedback{RequestID: dst.RequestID, UserID: dst.UserID, Value: math.NaN()}
	return err
}

// ids are where an event keeps what its sender knows it by.
type ids struct{ request, user *string }

// lax makes jsontext leave to the reader what it can tell more about: names that are there twice, and UTF-8.
var lax = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// readers holds readers to use again; through the table's functions they escape to the heap.
var readers = sync.Pool{New: func() any { return new(reader) }}

// decode reads one event. Values that are not well-formed are searched for the ids only.
func decode[E any](value []byte, event string, fields []field[E], dst *E, ids ids) *DecodeError {
	switch {
	case len(value) > MaxMessageBytes:
		_ = salvage(value[:MaxMessageBytes], ids) // for the ids; the fault is another
		return &DecodeError{CodeMessageTooLarge, "", tooLargeDetail(len(value))}
	case len(bytes.TrimLeft(value, " \t\r\n")) == 0:
		return &DecodeError{CodeEmptyMessage, "", "the value is empty; send a JSON object"}
	case !jsontext.Value(value).IsValid(lax...):
		return salvage(value, ids)
	}
	r := readers.Get().(*reader)
	defer readers.Put(r)
	*r = reader{cursor: cursor{src: string(value)}, index: -1}
	readObject(r, event, fields, dst)
	fault := r.fault()
	*r = reader{} // keep no event alive
	return fault
}

// readObject reads the event's fields, and then sees which are missing.
func readObject[E any](r *reader, event string, fields []field[E], dst *E) {
	if r.peek() != '{' {
		r.wrongType("a JSON object")
		return
	}
	r.pos++
	r.depth++
	var seen, given uint32 // bit sets of the fields that are there, and of those that are not null
	for r.more() {
		i := readName(r, fields)
		null := r.peek() == 'n'
		switch {
		case i < 0:
			r.fail(CodeUnknownField, "is no field of %s", event)
			r.discard()
		case seen&(1<<i) != 0:
			r.fail(CodeDuplicateField, "is there twice")
			r.discard()
		case null:
			r.scalar()
		default:
			given |= 1 << i
			fields[i].read(r, dst)
		}
		if i >= 0 {
			seen |= 1 << i
		}
	}
	for i := range fields {
		if r.field = fields[i].name; fields[i].required && given&(1<<i) == 0 {
			r.fail(CodeMissingField, "is required")
		}
	}
}

// readName reads a field's name and returns its place in the table, -1 if it is unknown.
func readName[E any](r *reader, fields []field[E]) int {
	text := r.text()
	name, err := text.unquote()
	if err != nil {
		r.field = fieldName(text.raw)
		r.fail(textCode(err), "as a field's name %v", err)
		return -1
	}
	for i := range fields {
		if fields[i].name == name {
			r.field = fields[i].name
			return i
		}
	}
	r.field = fieldName(name)
	return -1
}
