package schemas

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
)

// codes are all that a refusal may have.
var codes = []string{
	CodeMessageTooLarge, CodeEmptyMessage, CodeInvalidJSON, CodeTrailingData, CodeInvalidUTF8, CodeNestingTooDeep,
	CodeDuplicateField, CodeUnknownField, CodeMissingField, CodeWrongType, CodeUnknownValue, CodeOutOfRange,
	CodeTooLong, CodeTooMany, CodeInvalidTime, CodeInvalidText,
}

func TestCodesAreAll(t *testing.T) {
	if got, want := slices.Sorted(slices.Values(codes)), constants(t, "", "Code"); !slices.Equal(got, want) {
		t.Errorf("the fuzz tests know %v, the package has %v", got, want)
	}
}

// checkRefusal holds an error to what every refusal promises.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var refusal *DecodeError
	if !errors.As(err, &refusal) || !slices.Contains(codes, refusal.Code) {
		t.Fatalf("refused with %v, want a known code", err)
	}
	if len(err.Error()) > 512 || slices.ContainsFunc([]rune(err.Error()), notPrintable) {
		t.Fatalf("the text %q is not fit for a log", err)
	}
}

// checkIDs holds the ids of a refused event to the limits of ids.
func checkIDs(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if len(id) > MaxIDBytes || hasControl(id) {
			t.Fatalf("kept the id %q", id)
		}
	}
}

func addExamples(f *testing.F, folders ...string) {
	for _, folder := range folders {
		for _, text := range examples(f, folder) {
			f.Add(text)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	schema := compiled(f, "request")
	addExamples(f, "requests", "invalid/requests")
	f.Fuzz(func(t *testing.T, value []byte) {
		var r, again Request
		if err := DecodeRequest(value, &r); err != nil {
			checkRefusal(t, err)
			checkIDs(t, r.RequestID, r.UserID)
			return
		}
		var plain any
		if err := json.Unmarshal(value, &plain); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		event := AppendRequest(nil, &r)
		if ok, _ := valid(schema, event); !ok {
			t.Fatalf("the schema refuses %s", event)
		}
		if err := DecodeRequest(event, &again); err != nil || !sameRequest(r, again) {
			t.Fatalf("%s: got %+v, error %v, want %+v", event, again, err, r)
		}
	})
}

func FuzzDecodeFeedback(f *testing.F) {
	schema := compiled(f, "feedback")
	addExamples(f, "feedback", "invalid/feedback")
	f.Fuzz(func(t *testing.T, value []byte) {
		var fb, again Feedback
		if err := DecodeFeedback(value, &fb); err != nil {
			checkRefusal(t, err)
			checkIDs(t, fb.RequestID, fb.UserID)
			return
		}
		var plain any
		if err := json.Unmarshal(value, &plain); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		event := AppendFeedback(nil, &fb)
		if ok, _ := valid(schema, event); !ok {
			t.Fatalf("the schema refuses %s", event)
		}
		if err := DecodeFeedback(event, &again); err != nil || !sameFeedback(fb, again) {
			t.Fatalf("%s: got %+v, error %v, want %+v", event, again, err, fb)
		}
	})
}
