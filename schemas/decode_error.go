package schemas

import (
	"fmt"
	"strconv"
	"strings"
)

// Codes of a [DecodeError]. They are stable: apps and operators may rely on them.
//
// The first six are faults of form. They come before every fault of content, since a text that is not well-formed
// says nothing for certain. Among faults of one sort the first in the text counts; missing fields come last.
const (
	CodeMessageTooLarge = "message_too_large" // more than MaxMessageBytes
	CodeEmptyMessage    = "empty_message"     // no value (a tombstone), or only white space
	CodeInvalidJSON     = "invalid_json"      // not JSON, or cut off
	CodeTrailingData    = "trailing_data"     // something follows the JSON value
	CodeInvalidUTF8     = "invalid_utf8"      // a string is not UTF-8
	CodeNestingTooDeep  = "nesting_too_deep"  // more than MaxNesting objects and arrays in each other

	CodeDuplicateField = "duplicate_field" // a field is there twice
	CodeUnknownField   = "unknown_field"   // a field that the event does not have
	CodeMissingField   = "missing_field"   // a required field is absent or null
	CodeWrongType      = "wrong_type"      // another JSON type than the field's
	CodeUnknownValue   = "unknown_value"   // none of the names that the field may have
	CodeOutOfRange     = "out_of_range"    // a number outside its limits
	CodeTooLong        = "too_long"        // an id of more than MaxIDBytes
	CodeTooMany        = "too_many"        // a list of more than MaxCandidates
	CodeInvalidTime    = "invalid_time"    // not an RFC 3339 time of the years 1970 to 9999
	CodeInvalidText    = "invalid_text"    // an id that is empty, or has control characters or half a surrogate pair
)

// DecodeError is the refusal of an event. Trying again cannot help.
type DecodeError struct {
	Code   string // one of the Code constants
	Field  string // JSON name, such as "limit" or "candidates[17]"; "" where no field is at fault
	Detail string // for people; quotes at most a short, escaped piece of the event
}

// Error returns the code, the field and the detail in one line of ASCII.
func (e *DecodeError) Error() string {
	if e.Field == "" {
		return e.Code + ": " + e.Detail
	}
	return e.Code + ": " + e.Field + " " + e.Detail
}

// What an error shows of an event is cut to these lengths, in bytes before escaping.
const (
	maxQuotedBytes = 32
	maxNameBytes   = 64
)

// quote returns s escaped, cut and in quotes.
func quote(s string) string {
	if len(s) > maxQuotedBytes {
		return strconv.QuoteToASCII(s[:maxQuotedBytes]) + "... (cut)"
	}
	return strconv.QuoteToASCII(s)
}

// fieldName returns the name of an unknown field, cut and escaped, so that it can be shown.
func fieldName(s string) string {
	quoted := strconv.QuoteToASCII(s[:min(len(s), maxNameBytes)])
	return quoted[1 : len(quoted)-1]
}

// indexed returns the name of a list's entry.
func indexed(field string, index int) string { return fmt.Sprintf("%s[%d]", field, index) }

// oneOf lists the names that an enumerated field may have; names[0] is the unknown value.
func oneOf(names []string) string { return "must be one of " + strings.Join(names[1:], ", ") }
