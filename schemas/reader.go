package schemas

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// reader reads the fields of one event and keeps the first fault of each sort. It goes on after a fault,
// to find the ids; a field at fault is left as it was.
type reader struct {
	cursor
	field   string // being read
	index   int    // of the list entry being read, else -1
	depth   int    // of the objects and arrays around the cursor
	form    *DecodeError
	content *DecodeError
}

// fault returns the fault that the event is refused for, nil if there is none.
func (r *reader) fault() *DecodeError {
	if r.form != nil {
		return r.form
	}
	return r.content
}

// fail records a fault of the field being read. The format's verbs see user data only through quote.
func (r *reader) fail(code, format string, args ...any) {
	slot := &r.content
	if code == CodeInvalidUTF8 || code == CodeNestingTooDeep {
		slot = &r.form
	}
	if *slot != nil {
		return
	}
	field := r.field
	if r.index >= 0 {
		field = indexed(field, r.index)
	}
	*slot = &DecodeError{Code: code, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// discard steps over a value that is not wanted. Faults of form in it still count.
func (r *reader) discard() {
	start := r.pos
	if r.depth+r.skip() > MaxNesting {
		r.fail(CodeNestingTooDeep, "has objects and arrays nested deeper than %d", MaxNesting)
	}
	if !utf8.ValidString(r.src[start:r.pos]) {
		r.fail(CodeInvalidUTF8, "%v", errNotUTF8)
	}
}

// wrongType refuses the value that the cursor stands on and steps over it.
func (r *reader) wrongType(want string) {
	r.fail(CodeWrongType, "must be %s, is %s", want, typeName(r.peek()))
	r.discard()
}

// typeName names the JSON type of the value that starts with b.
func typeName(b byte) string {
	switch b {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// string reads a string without looking at what it says.
func (r *reader) string() (s string, ok bool) {
	if r.peek() != '"' {
		r.wrongType("a string")
		return "", false
	}
	s, err := r.text().unquote()
	if err != nil {
		r.fail(textCode(err), "%v", err)
	}
	return s, err == nil
}

// id reads an id into dst.
func (r *reader) id(dst *string) {
	if r.peek() != '"' {
		r.wrongType("a string")
		return
	}
	s, err := r.text().id()
	if err != nil {
		r.fail(textCode(err), "%v", err)
		return
	}
	*dst = s
}

// idList appends a list of ids to dst. The list that it returns is not nil.
func (r *reader) idList(dst []string) []string {
	if r.peek() != '[' {
		r.wrongType("an array of strings")
		return dst
	}
	r.pos++
	r.depth++
	dst = slices.Grow(dst, 1) // not nil, even if the list is empty
	for r.index = 0; r.more(); r.index++ {
		if r.index >= MaxCandidates {
			r.tooMany()
			continue
		}
		var id string
		r.id(&id)
		dst = append(dst, id)
	}
	r.index = -1
	r.depth--
	return dst
}

// tooMany refuses a list for its length and steps over the entry that is too many.
func (r *reader) tooMany() {
	index := r.index
	r.index = -1 // the list is at fault, not the entry
	r.fail(CodeTooMany, "must have at most %d entries", MaxCandidates)
	r.discard()
	r.index = index
}

// boolean reads true or false into dst.
func (r *reader) boolean(dst *bool) {
	b := r.peek()
	if b != 't' && b != 'f' {
		r.wrongType("a boolean")
		return
	}
	r.scalar()
	*dst = b == 't'
}

// number reads a number between low and high into dst.
func (r *reader) number(low, high float64, dst *float64) {
	if b := r.peek(); b != '-' && (b < '0' || b > '9') {
		r.wrongType("a number")
		return
	}
	text := r.scalar()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < low || n > high { // the form is proven: an error is an overflow
		r.fail(CodeOutOfRange, "must be from %v to %v, is %s", low, high, quote(text))
		return
	}
	*dst = n
}

// integer reads a whole number between low and high into dst. As in JSON Schema, 3.0 is one.
func (r *reader) integer(low, high int, dst *int) {
	n := math.NaN()
	r.number(float64(low), float64(high), &n)
	switch {
	case math.IsNaN(n): // refused
	case n != math.Trunc(n):
		r.fail(CodeWrongType, "must be a whole number, is %v", n)
	default:
		*dst = int(n)
	}
}

// maxTimeBytes is the length of "2006-01-02T15:04:05.999999999+07:00". With Z, more decimals fit and are cut.
const maxTimeBytes = 35

// instant reads an RFC 3339 time into dst, as UTC in whole microseconds.
func (r *reader) instant(dst *time.Time) {
	s, ok := r.string()
	if !ok {
		return
	}
	var t time.Time
	comma := strings.IndexByte(s, ',') >= 0 // package time takes it for the decimal point
	if len(s) > maxTimeBytes || comma || t.UnmarshalText([]byte(s)) != nil {
		r.fail(CodeInvalidTime, "must be an RFC 3339 time such as 2026-01-31T19:30:00Z, is %s", quote(s))
		return
	}
	t = t.UTC().Truncate(time.Microsecond)
	if y := t.Year(); y < 1970 || y > 9999 {
		r.fail(CodeInvalidTime, "must be in the years 1970 to 9999 in UTC, is %s", quote(s))
		return
	}
	*dst = t
}

// enum reads one of the names into dst; names[0] is the unknown value, which no event can say.
func enum[E ~uint8](r *reader, names []string, dst *E) {
	s, ok := r.string()
	if !ok {
		return
	}
	i, ok := indexOf(names, s)
	if !ok || i == 0 {
		r.fail(CodeUnknownValue, "%s, is %s", oneOf(names), quote(s))
		return
	}
	*dst = E(i)
}
