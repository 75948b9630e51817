package deadletter

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
)

func headersOf(names ...string) (list []schemas.Header) {
	for _, n := range names {
		value := []byte("v")
		if n == schemas.HeaderType {
			value = []byte(schemas.TypeDeadLetter)
		}
		list = append(list, schemas.Header{Key: n, Value: value})
	}
	return list
}

func TestHeadersAreParted(t *testing.T) {
	own := []string{"a", "dlq_reason", "traceparent"}
	tests := map[string]struct{ own, added []string }{
		"of an app without CloudEvents": {own, append(slices.Clone(cloudEventHeaders), deadLetterHeaders...)},
		"of a CloudEvent":               {append(slices.Clone(own), "ce_id"), deadLetterHeaders},
		"with an omitted value":         {own, append(slices.Clone(deadLetterHeaders), schemas.HeaderDLQValueOmitted)},
		"alone":                         {nil, deadLetterHeaders},
		"no letter":                     {[]string{"a", "b"}, nil},
		"none":                          {nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, added := splitHeaders(headersOf(append(slices.Clone(test.own), test.added...)...))
			if !slices.EqualFunc(got, test.own, func(h schemas.Header, n string) bool { return h.Key == n }) || len(added) != len(test.added) {
				t.Errorf("own %v, added %v", got, added)
			}
		})
	}
	if own, added := splitHeaders(headersOf("a", "dlq_at", "dlq_reason", "b")); len(own) != 2 || len(added) != 2 {
		t.Errorf("in another order: own %v, added %v", own, added)
	}
}

func TestFilter(t *testing.T) {
	at := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	l := &Letter{Place: schemas.Source{Partition: 3, Offset: 17}, At: at, Key: []byte("k"), Value: []byte(`{"request_id":"r","user_id":"u","oops":1}`),
		Reason: "unknown_field", Stage: "decode", From: schemas.Source{Topic: "requests"}}
	tests := map[string]struct {
		f    Filter
		want bool
	}{
		"nothing":        {Filter{}, true},
		"reason":         {Filter{Reasons: []string{"x", "unknown_field"}}, true},
		"another reason": {Filter{Reasons: []string{"x"}}, false},
		"another topic":  {Filter{Topics: []string{"x"}}, false},
		"another stage":  {Filter{Stages: []string{"x"}}, false},
		"since then":     {Filter{Since: at}, true},
		"since later":    {Filter{Since: at.Add(1)}, false},
		"until then":     {Filter{Until: at}, false},
		"until later":    {Filter{Until: at.Add(1)}, true},
		"key":            {Filter{Key: "k"}, true},
		"another key":    {Filter{Key: "u"}, false},
		"user":           {Filter{User: "u"}, true},
		"user by key":    {Filter{User: "k"}, true},
		"another user":   {Filter{User: "x"}, false},
		"request":        {Filter{Request: "r"}, true},
		"no such":        {Filter{Request: "u"}, false},
		"place":          {Filter{Places: []Place{{1, 1}, {3, 17}}}, true},
		"another place":  {Filter{Places: []Place{{3, 18}}}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.f.Match(l); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestReadMended(t *testing.T) {
	tests := map[string]struct {
		text, value, want string // want is part of the error
		null              bool
	}{
		"string": {text: `{"partition":1,"offset":2,"value":"a\u0000b"}`, value: "a\x00b"},
		"object": {text: `{"partition":1,"offset":2,"value":{"a": [1, 2]}}`, value: `{"a":[1,2]}`},
		"base64": {text: `{"partition":1,"offset":2,"value":null,"value_base64":"/w=="}`, value: "\xff"},
		"null":   {text: `{"partition":1,"offset":2,"value":null}`, null: true},
		"number": {text: `{"partition":1,"offset":2,"value":3}`, want: "letter 1: value: is neither a string nor an object"},
		"nobody": {text: `{"partition":1,"value":""}`, want: "letter 1: partition and offset say which letter it is"},
		"twice":  {text: `{"partition":1,"offset":2} {"partition":1,"offset":2}`, want: "letter 2: 1/2 is there twice"},
		"broken": {text: `{`, want: "letter 1: unexpected EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := ReadMended(strings.NewReader(test.text))
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v", err)
				}
				return
			}
			must(t, err)
			_, value, mended, chosen, err := m.apply(&Letter{Place: schemas.Source{Partition: 1, Offset: 2}, Value: []byte("x")})
			if string(value) != test.value || (value == nil) != test.null || !mended || !chosen || err != nil {
				t.Errorf("value %q, mended %v, chosen %v, error %v", value, mended, chosen, err)
			}
		})
	}
}

// TestDocumentsComeBackAsTheyWere writes letters as JSON and reads them: none of them is mended.
func TestDocumentsComeBackAsTheyWere(t *testing.T) {
	for _, value := range [][]byte{nil, {}, []byte("text \x00\u2028<é>"), {0xff, 0}, []byte(`{"a":1}`), []byte("null")} {
		l := &Letter{Place: schemas.Source{Partition: 1, Offset: 2}, At: time.UnixMilli(1_700_000_000_123).UTC(), Key: value, Value: value}
		text := mustJSON(t, NewDocument(l))
		m, err := ReadMended(strings.NewReader(text))
		must(t, err)
		if _, _, mended, chosen, err := m.apply(l); mended || !chosen || err != nil {
			t.Errorf("%q: mended %v, chosen %v, error %v: %s", value, mended, chosen, err, text)
		}
		l.At = l.At.Add(time.Millisecond)
		if _, _, _, _, err := m.apply(l); err == nil {
			t.Error("another letter at the same place is taken for it")
		}
	}
}

func TestEveryCodeHasAMeaning(t *testing.T) {
	codes := []string{schemas.CodeMessageTooLarge, schemas.CodeEmptyMessage, schemas.CodeInvalidJSON, schemas.CodeTrailingData,
		schemas.CodeInvalidUTF8, schemas.CodeNestingTooDeep, schemas.CodeDuplicateField, schemas.CodeUnknownField, schemas.CodeMissingField,
		schemas.CodeWrongType, schemas.CodeUnknownValue, schemas.CodeOutOfRange, schemas.CodeTooLong, schemas.CodeTooMany,
		schemas.CodeInvalidTime, schemas.CodeInvalidText, "record_refused", "panic", ""}
	unknown := MeaningOf("something new")
	for _, code := range codes {
		if m := MeaningOf(code); m == unknown || m.What == "" || m.Do == "" {
			t.Errorf("%q: %+v", code, m)
		}
	}
	if len(meanings) != len(codes) {
		t.Errorf("%d meanings of %d codes", len(meanings), len(codes))
	}
}

func TestGroupsAreBounded(t *testing.T) {
	var g Groups
	for i := range 3 * maxGroups {
		g.Add(&Letter{Reason: strings.Repeat("x", i), At: time.Unix(int64(i), 0)})
	}
	list := g.List()
	var n int64
	for _, one := range list {
		n += one.Letters
	}
	if len(list) != maxGroups+1 || n != 3*maxGroups || list[0].Reason != others.reason || !list[0].First.Before(list[0].Last) {
		t.Errorf("%d groups of %d letters, the largest %+v", len(list), n, list[0])
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}
