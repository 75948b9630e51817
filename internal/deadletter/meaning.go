package deadletter

import (
	"errors"
	"time"

	"recstream/schemas"
)

// Meaning is what a reason code says, and what to do about it, each a sentence for people.
type Meaning struct{ What, Do string }

const (
	askApp   = "Ask the app that sent it to keep to 'recstream schema request' or 'recstream schema feedback'; mend the value and send it back."
	ourFault = "Report it with the letter; once a version without the fault runs, send it back as it is."
)

// MeaningOf explains a reason code; of one that is unknown it says so.
func MeaningOf(reason string) Meaning {
	if m, ok := meanings[reason]; ok {
		return m
	}
	return Meaning{"The code is not known here.", "See the detail; a newer version of this program may know the code."}
}

var meanings = map[string]Meaning{
	"": {"It does not say why it is a dead letter: something else wrote it into the topic.",
		"Find out who writes here; it cannot be sent back."},
	schemas.CodeMessageTooLarge: {"The event is larger than any that is read.",
		"Have the app send fewer candidates or exclusions; mend the value and send it back."},
	schemas.CodeEmptyMessage: {"The event has no value, or only white space.",
		"A tombstone needs nothing: let it be purged. Otherwise mend the value and send it back."},
	schemas.CodeInvalidJSON:    {"The value is not JSON, or was cut off.", askApp},
	schemas.CodeTrailingData:   {"Something follows the JSON object.", "Have the app send one event a message; mend the value and send it back."},
	schemas.CodeInvalidUTF8:    {"A string of the value is not UTF-8.", "Have the app encode its text as UTF-8; mend the value and send it back."},
	schemas.CodeNestingTooDeep: {"Objects and arrays are nested deeper than any event has them.", askApp},
	schemas.CodeDuplicateField: {"A field is there twice, so that it is not known which one counts.", askApp},
	schemas.CodeUnknownField:   {"The event has a field that is not known: a misspelt name, or an app newer than this program.", "Mend the name and send it back; or update this program and send it back as it is."},
	schemas.CodeMissingField:   {"A field that every such event has is missing.", askApp},
	schemas.CodeWrongType:      {"A field has another JSON type than it should.", askApp},
	schemas.CodeUnknownValue:   {"A field has none of the values that it may have.", askApp},
	schemas.CodeOutOfRange:     {"A number is outside its limits.", askApp},
	schemas.CodeTooLong:        {"An id is too long.", askApp},
	schemas.CodeTooMany:        {"A list has too many entries.", askApp},
	schemas.CodeInvalidTime:    {"A time is none, or is that of a wrong clock.", "Set the clock of the app right; mend the value and send it back."},
	schemas.CodeInvalidText:    {"An id is empty, or has characters that cannot be stored.", askApp},
	"record_refused": {"The database does not take a value of the event, whenever it is tried.",
		"See the detail. If it is the event, mend it and send it back; if it is the table, mend that and send it back as it is."},
	string(schemas.ReasonPanic): {"The program has a fault that this event brings out; it was stopped there.", ourFault},
}

// maxClockSkew is how far ahead of now the time of a feedback may be, as the stream has it.
const maxClockSkew = 24 * time.Hour

// Refusal returns the code with which an event would be refused at once if it came to the topic of feedback, or of
// requests, "" if it would not. What only scoring or the database refuses is not found.
func Refusal(value []byte, feedback bool, now time.Time) (code string) {
	var err error
	var f schemas.Feedback
	if feedback {
		err = schemas.DecodeFeedback(value, &f)
	} else {
		err = schemas.DecodeRequest(value, new(schemas.Request))
	}
	var refused *schemas.DecodeError
	switch {
	case errors.As(err, &refused):
		return refused.Code
	case err != nil:
		return schemas.CodeInvalidJSON
	case f.At.After(now.Add(maxClockSkew)):
		return schemas.CodeInvalidTime
	}
	return ""
}
