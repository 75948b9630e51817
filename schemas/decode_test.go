package schemas

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// full has every field of a request, in another order than the table's and with white space everywhere.
const full = ` { "requested_at" : "2026-01-31T20:30:00.1234567+01:00", "deadline_ms":250,"explain":true,"diversity":0.25,
	"similar_to":"film-9","pins":["film-2"],"exclude_seen":true,"exclude":[ "film-4" , "film-5" ],
	"candidates":["film-1","film-2"],"limit":100,"session_length":"binge","group_size":"group","mood":"relaxing",
	"user_id":"user-42","request_id":"req-2" } ` + "\n"

func fullRequest() Request {
	return Request{
		RequestID: "req-2", UserID: "user-42", Context: Context{MoodRelaxing, GroupGroup, SessionBinge},
		Limit: 100, Candidates: []string{"film-1", "film-2"}, Exclude: []string{"film-4", "film-5"}, ExcludeSeen: true,
		Pins: []string{"film-2"}, SimilarTo: "film-9", Diversity: 0.25, Explain: true, DeadlineMS: 250,
		RequestedAt: time.Date(2026, 1, 31, 19, 30, 0, 123456000, time.UTC),
	}
}

// sameRequest reports whether an app could not tell a from b.
func sameRequest(a, b Request) bool {
	if math.IsNaN(a.Diversity) && math.IsNaN(b.Diversity) {
		a.Diversity, b.Diversity = 0, 0
	}
	if (a.Candidates == nil) != (b.Candidates == nil) {
		return false
	}
	for _, r := range []*Request{&a, &b} {
		r.Exclude = append([]string{}, r.Exclude...)
		r.Pins = append([]string{}, r.Pins...)
		r.spare = nil
	}
	return reflect.DeepEqual(a, b)
}

func TestDecodeRequest(t *testing.T) {
	absent := Request{RequestID: "r", Limit: DefaultLimit, Diversity: math.NaN()}
	with := func(change func(*Request)) Request {
		r := absent
		change(&r)
		return r
	}
	tests := []struct {
		name, value string
		want        Request
	}{
		{"every field", full, fullRequest()},
		{"only what is required", `{"request_id":"r"}`, absent},
		{"null is absent", `{"request_id":"r","user_id":null,"limit":null,"candidates":null,"diversity":null}`, absent},
		{"empty candidates are not absent", `{"request_id":"r","candidates":[]}`,
			with(func(r *Request) { r.Candidates = []string{} })},
		{"escapes in a value", `{"request_id":"r","user_id":"Zo\u00eb \ud83c\udfac \"\\\/"}`,
			with(func(r *Request) { r.UserID = `Zoë 🎬 "\/` })},
		{"escapes in a name", `{"request\u005fid":"r"}`, absent},
		{"an id of 128 bytes", `{"request_id":"r","user_id":"` + strings.Repeat("é", 64) + `"}`,
			with(func(r *Request) { r.UserID = strings.Repeat("é", 64) })},
		{"integers in any spelling", `{"request_id":"r","limit":1e1,"deadline_ms":250.0}`,
			with(func(r *Request) { r.Limit, r.DeadlineMS = 10, 250 })},
		{"bounds", `{"request_id":"r","limit":1,"diversity":1,"deadline_ms":86400000}`,
			with(func(r *Request) { r.Limit, r.Diversity, r.DeadlineMS = 1, 1, MaxDeadlineMS })},
		{"the first moment", `{"request_id":"r","requested_at":"1970-01-01T01:00:00+01:00"}`,
			with(func(r *Request) { r.RequestedAt = time.Unix(0, 0).UTC() })},
		{"as many candidates as may be", `{"request_id":"r","candidates":[` + list(MaxCandidates) + `]}`,
			with(func(r *Request) { r.Candidates = strings.Split(strings.Repeat("a", MaxCandidates), "") })},
		{"as many bytes as may be", `{"request_id":"r"` + strings.Repeat(" ", MaxMessageBytes-18) + `}`, absent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Request
			if err := DecodeRequest([]byte(tt.value), &got); err != nil {
				t.Fatal(err)
			}
			if !sameRequest(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// list returns n entries of a JSON array.
func list(n int) string { return strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") }

func TestDecodeRequestRefuses(t *testing.T) {
	tests := []struct{ name, value, code, field, request, user string }{
		{"nothing", "", CodeEmptyMessage, "", "", ""},
		{"white space", " \r\n\t", CodeEmptyMessage, "", "", ""},
		{"too large, ids kept", `{"request_id":"r","user_id":"u","pins":["` + strings.Repeat("a", MaxMessageBytes) + `"]}`,
			CodeMessageTooLarge, "", "r", "u"},
		{"cut off", `{"request_id":"r","user_id":"u","limit":`, CodeInvalidJSON, "", "r", "u"},
		{"cut off in the id", `{"user_id":"u","request_id":"req`, CodeInvalidJSON, "", "", "u"},
		{"ids after the break are lost", `{"user_id":"u",,"request_id":"r"}`, CodeInvalidJSON, "", "", "u"},
		{"cut off after a bad value", `{"mood":"happy","request_id":"r"`, CodeInvalidJSON, "", "r", ""},
		{"byte order mark", "\ufeff" + `{"request_id":"r"}`, CodeInvalidJSON, "", "", ""},
		{"raw control character", "{\"request_id\":\"a\nb\"}", CodeInvalidJSON, "", "", ""},
		{"cut off, ids of the first of two", `{"request_id":"r","request_id":"s"`, CodeInvalidJSON, "", "r", ""},
		{"cut off, bad id", `{"request_id":"","request_id":"s","user_id":[`, CodeInvalidJSON, "", "", ""},
		{"cut off, ids elsewhere", `{"a":{"request_id":"r"},"b":["user_id","u"],`, CodeInvalidJSON, "", "", ""},
		{"not UTF-8 before the break", "{\"request_id\":\"r\",\"a\":\"\xff\",", CodeInvalidUTF8, "", "r", ""},
		{"too deep before the break", `{"request_id":"r","a":` + strings.Repeat("[", 16), CodeNestingTooDeep, "", "r", ""},
		{"far too deep", strings.Repeat("[", MaxMessageBytes), CodeNestingTooDeep, "", "", ""},
		{"a second value", `{"request_id":"r"} {}`, CodeTrailingData, "", "r", ""},
		{"not UTF-8, form before content", "{\"limit\":0,\"user_id\":\"\xc3\",\"request_id\":\"r\"}", CodeInvalidUTF8, "user_id", "r", ""},
		{"not UTF-8 in a name", "{\"\xff\":1,\"request_id\":\"r\"}", CodeInvalidUTF8, `\xff`, "r", ""},
		{"not UTF-8 in a list", "{\"request_id\":\"r\",\"pins\":[\"a\",\"\xff\"]}", CodeInvalidUTF8, "pins[1]", "r", ""},
		{"not UTF-8 in an unknown field", "{\"request_id\":\"r\",\"x\":[{\"\xff\":1}]}", CodeInvalidUTF8, "x", "r", ""},
		{"nested 17 deep", `{"x":` + nest(16) + `,"request_id":"r"}`, CodeNestingTooDeep, "x", "r", ""},
		{"nested 16 deep", `{"x":` + nest(15) + `,"request_id":"r"}`, CodeUnknownField, "x", "r", ""},
		{"nested 17 deep in a list", `{"request_id":"r","pins":[` + nest(15) + `]}`, CodeNestingTooDeep, "pins[0]", "r", ""},
		{"twice", `{"limit":3,"limit":3,"request_id":"r"}`, CodeDuplicateField, "limit", "r", ""},
		{"twice, first null", `{"limit":null,"limit":3,"request_id":"r"}`, CodeDuplicateField, "limit", "r", ""},
		{"twice, by an escape", `{"request_id":"r","request\u005fid":"s"}`, CodeDuplicateField, "request_id", "r", ""},
		{"unknown field", `{"x":{"request_id":"s"},"request_id":"r","user_id":"u"}`, CodeUnknownField, "x", "r", "u"},
		{"unknown empty field", `{"":1,"request_id":"r"}`, CodeUnknownField, "", "r", ""},
		{"unknown long field", `{"` + strings.Repeat("x", 99) + `":1}`, CodeUnknownField, strings.Repeat("x", 64), "", ""},
		{"unknown field with control characters", `{"a\u001b[0m\"":1,"request_id":"r"}`, CodeUnknownField, `a\x1b[0m\"`, "r", ""},
		{"no request id", `{"user_id":"u"}`, CodeMissingField, "request_id", "", "u"},
		{"null request id", `{"request_id":null,"user_id":"u"}`, CodeMissingField, "request_id", "", "u"},
		{"missing comes last", `{"limit":"x"}`, CodeWrongType, "limit", "", ""},
		{"an array", `[{"request_id":"r"}]`, CodeWrongType, "", "", ""},
		{"null", `null`, CodeWrongType, "", "", ""},
		{"number for an id", `{"request_id":1,"user_id":"u"}`, CodeWrongType, "request_id", "", "u"},
		{"object for a list", `{"request_id":"r","pins":{"a":["b"]},"user_id":"u"}`, CodeWrongType, "pins", "r", "u"},
		{"null in a list", `{"request_id":"r","candidates":["a",null,1]}`, CodeWrongType, "candidates[1]", "r", ""},
		{"string for a boolean", `{"request_id":"r","explain":"true"}`, CodeWrongType, "explain", "r", ""},
		{"boolean for a number", `{"request_id":"r","diversity":true}`, CodeWrongType, "diversity", "r", ""},
		{"fraction for an integer", `{"request_id":"r","limit":2.5}`, CodeWrongType, "limit", "r", ""},
		{"number for a time", `{"request_id":"r","requested_at":5}`, CodeWrongType, "requested_at", "r", ""},
		{"unknown mood", `{"mood":"happy","request_id":"r"}`, CodeUnknownValue, "mood", "r", ""},
		{"empty company", `{"group_size":"","request_id":"r"}`, CodeUnknownValue, "group_size", "r", ""},
		{"the first fault counts", `{"session_length":"Short","limit":0,"request_id":"r"}`, CodeUnknownValue, "session_length", "r", ""},
		{"limit 0", `{"request_id":"r","limit":0}`, CodeOutOfRange, "limit", "r", ""},
		{"limit 101", `{"request_id":"r","limit":101}`, CodeOutOfRange, "limit", "r", ""},
		{"limit overflow", `{"request_id":"r","limit":1e999}`, CodeOutOfRange, "limit", "r", ""},
		{"diversity below", `{"request_id":"r","diversity":-0.1}`, CodeOutOfRange, "diversity", "r", ""},
		{"deadline above", `{"request_id":"r","deadline_ms":86400001}`, CodeOutOfRange, "deadline_ms", "r", ""},
		{"long id", `{"user_id":"u","request_id":"` + strings.Repeat("r", 129) + `"}`, CodeTooLong, "request_id", "", "u"},
		{"long id of few characters", `{"request_id":"` + strings.Repeat("é", 65) + `"}`, CodeTooLong, "request_id", "", ""},
		{"many candidates", `{"candidates":[` + list(MaxCandidates+1) + `],"request_id":"r"}`, CodeTooMany, "candidates", "r", ""},
		{"time without zone", `{"request_id":"r","requested_at":"2026-01-31T19:30:00"}`, CodeInvalidTime, "requested_at", "r", ""},
		{"time before 1970", `{"request_id":"r","requested_at":"1970-01-01T00:00:00+01:00"}`, CodeInvalidTime, "requested_at", "r", ""},
		{"time after 9999", `{"request_id":"r","requested_at":"9999-12-31T23:30:00-01:00"}`, CodeInvalidTime, "requested_at", "r", ""},
		{"time with a comma", `{"request_id":"r","requested_at":"2026-01-31T19:30:00,5Z"}`, CodeInvalidTime, "requested_at", "r", ""},
		{"time with too many decimals", `{"request_id":"r","requested_at":"2026-01-31T19:30:00.0123456789+00:00"}`, CodeInvalidTime, "requested_at", "r", ""},
		{"empty id", `{"request_id":"","user_id":"u"}`, CodeInvalidText, "request_id", "", "u"},
		{"NUL", `{"request_id":"r","user_id":"a\u0000"}`, CodeInvalidText, "user_id", "r", ""},
		{"escaped line feed", `{"request_id":"r","user_id":"a\n"}`, CodeInvalidText, "user_id", "r", ""},
		{"delete", "{\"request_id\":\"r\",\"user_id\":\"a\x7f\"}", CodeInvalidText, "user_id", "r", ""},
		{"C1 control", "{\"request_id\":\"r\",\"user_id\":\"a\u0085\"}", CodeInvalidText, "user_id", "r", ""},
		{"half a surrogate pair", `{"request_id":"r","user_id":"\ud83c"}`, CodeInvalidText, "user_id", "r", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := fullRequest() // what an earlier event left must not shine through
			err := DecodeRequest([]byte(tt.value), &got)
			var refusal *DecodeError
			if !errors.As(err, &refusal) {
				t.Fatalf("got error %v, want a *DecodeError", err)
			}
			if refusal.Code != tt.code || refusal.Field != tt.field {
				t.Errorf("got %q, want code %s of field %q", err, tt.code, tt.field)
			}
			want := Request{RequestID: tt.request, UserID: tt.user, Limit: DefaultLimit, Diversity: math.NaN()}
			if !sameRequest(got, want) {
				t.Errorf("left %+v, want only request id %q and user id %q", got, tt.request, tt.user)
			}
			if len(refusal.Detail) == 0 || len(refusal.Detail) > 200 || strings.IndexFunc(err.Error(), notPrintable) >= 0 {
				t.Errorf("the text %q is not fit for a log", err)
			}
		})
	}
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }

// nest returns arrays nested that deep.
func nest(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestDecodeErrorQuotesLittle(t *testing.T) {
	secret := strings.Repeat("s", 500)
	for _, value := range []string{
		`{"mood":"` + secret + `"}`, `{"requested_at":"` + secret + `"}`, `{"` + secret + `":1}`,
		`{"limit":` + strings.Repeat("9", 500) + `}`, `{"request_id":"` + secret + `"}`, `{"request_id":"` + secret,
	} {
		var r Request
		err := DecodeRequest([]byte(value), &r)
		if err == nil || len(err.Error()) > 200 {
			t.Errorf("%.20s…: got error %v, want a short one", value, err)
		}
	}
}

func TestDecodeRequestUsesRoomAgain(t *testing.T) {
	with := []byte(`{"request_id":"r","candidates":["a","b","c"],"exclude":["d"],"pins":["e"]}`)
	without := []byte(`{"request_id":"s"}`)
	var r Request
	decode := func(value []byte) {
		if err := DecodeRequest(value, &r); err != nil {
			t.Fatal(err)
		}
	}
	decode(with)
	room := &r.Candidates[0]
	decode(without)
	if r.Candidates != nil || len(r.Exclude) != 0 || len(r.Pins) != 0 {
		t.Errorf("got %+v, want no lists", r)
	}
	if *room != "" {
		t.Error("the room that waits holds an earlier message in memory")
	}
	decode(with)
	if &r.Candidates[0] != room {
		t.Error("the room of an earlier event was not used again")
	}
}

func TestDecodeKeepsNothingOfValue(t *testing.T) {
	value := []byte(full)
	var r Request
	if err := DecodeRequest(value, &r); err != nil {
		t.Fatal(err)
	}
	clear(value)
	if !sameRequest(r, fullRequest()) {
		t.Errorf("the request changed with the buffer: %+v", r)
	}
}

// A message costs one copy of itself, whether its lists come and go or not.
func TestDecodeRequestAllocatesOnce(t *testing.T) {
	values := [][]byte{[]byte(full), []byte(`{"request_id":"r"}`), requestOf(200)}
	var r Request
	for _, value := range values {
		_ = DecodeRequest(value, &r) // makes room
	}
	allocs := testing.AllocsPerRun(100, func() {
		for _, value := range values {
			if err := DecodeRequest(value, &r); err != nil {
				t.Fatal(err)
			}
		}
	})
	if want := float64(len(values)); allocs > want && !raceEnabled {
		t.Errorf("%v allocations for %v messages", allocs, want)
	}
}

// requestOf returns a request with n candidates, of the usual length.
func requestOf(n int) []byte {
	r := Request{
		RequestID: "req-0a1b2c3d", UserID: "user-42", Context: Context{MoodFunny, GroupCouple, SessionMedium},
		Limit: 3, Diversity: math.NaN(), RequestedAt: time.Date(2026, 1, 31, 19, 30, 0, 0, time.UTC),
	}
	for i := range n {
		r.Candidates = append(r.Candidates, fmt.Sprintf("film-%06d", i))
	}
	return AppendRequest(nil, &r)
}

func BenchmarkDecodeRequest(b *testing.B) {
	for _, n := range []int{0, 200} {
		b.Run(fmt.Sprintf("candidates=%d", n), func(b *testing.B) {
			value := requestOf(n)
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			var r Request
			for b.Loop() {
				if err := DecodeRequest(value, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
