package workload

import (
	"strings"

	"recstream/internal/chaos/history"
)

// Sizes of what is large: the most that an event may have, and what a topic takes of one value, key or header with room
// for the rest of a small event. A dead letter has some 400 bytes more than its event: that is more than the topic takes.
const (
	maxEvent  = 256 << 10
	maxRecord = 1<<20 - 200
)

// badRequests are the ways for a request to be bad.
var badRequests = []kind{
	{name: "tombstone", code: "empty_message", raw: null},
	{name: "empty", code: "empty_message"},
	{name: "white space", code: "empty_message", value: " \r\n\t"},

	{name: "not JSON", code: "invalid_json", value: "request_id=$ID"},
	{name: "cut off", code: "invalid_json", value: `{"request_id":"$ID","user_id":"$USER","mood":"fun`, reads: both},
	{name: "cut off in the id", code: "invalid_json", value: `{"request_id":"$ID`},
	{name: "leading zero", code: "invalid_json", value: `{"request_id":"$ID","limit":03}`, reads: requestOnly},
	{name: "single quotes", code: "invalid_json", value: `{'request_id':'$ID'}`},
	{name: "NaN", code: "invalid_json", value: `{"request_id":"$ID","diversity":NaN}`, reads: requestOnly},
	{name: "trailing comma", code: "invalid_json", value: `{"request_id":"$ID",}`, reads: requestOnly},
	{name: "comment", code: "invalid_json", value: `{"request_id":"$ID"/* mine */}`, reads: requestOnly},
	{name: "control character in a string", code: "invalid_json", value: "{\"request_id\":\"$ID\",\"mood\":\"\x01\"}", reads: requestOnly},
	{name: "byte order mark", code: "invalid_json", value: "\ufeff{\"request_id\":\"$ID\"}"},
	{name: "UTF-16", code: "invalid_json", value: `{"request_id":"$ID"}`, raw: wide},
	{name: "random bytes", code: "invalid_json", raw: randomly},
	{name: "XML", code: "invalid_json", value: `<request id="$ID"/>`},

	{name: "two events", code: "trailing_data", value: `{"request_id":"$ID"} {"request_id":"other"}`, reads: requestOnly},
	{name: "brace too many", code: "trailing_data", value: `{"request_id":"$ID","user_id":"$USER"}}`, reads: both},

	{name: "user in Latin-1", code: "invalid_utf8", value: "{\"request_id\":\"$ID\",\"user_id\":\"Zo\xeb\"}", reads: requestOnly},
	{name: "id in Latin-1", code: "invalid_utf8", value: "{\"request_id\":\"r\xeb\",\"user_id\":\"$USER\"}", reads: userOnly},

	{name: "nested", code: "nesting_too_deep", value: `{"request_id":"$ID","mood":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`, reads: requestOnly},
	{name: "nested a thousand deep", code: "nesting_too_deep", value: `{"request_id":"$ID","x":` + strings.Repeat(`{"x":`, 1000) + `0` + strings.Repeat("}", 1001), reads: requestOnly},
	{name: "nested and cut off", code: "nesting_too_deep", value: `{"request_id":"$ID","x":` + strings.Repeat(`[`, 5000), reads: requestOnly},

	{name: "field twice", code: "duplicate_field", value: `{"request_id":"$ID","mood":"funny","mood":"action"}`, reads: requestOnly},
	{name: "id twice", code: "duplicate_field", value: `{"request_id":"$ID","user_id":"$USER","request_id":"other"}`, reads: both},

	{name: "unknown field", code: "unknown_field", value: `{"request_id":"$ID","exlude":["a"]}`, reads: requestOnly},
	{name: "field in capitals", code: "unknown_field", value: `{"request_id":"$ID","Mood":"funny"}`, reads: requestOnly},
	{name: "a feedback", code: "unknown_field", value: `{"request_id":"$ID","user_id":"$USER","item_id":"i","action":"click"}`, reads: both},

	{name: "no id", code: "missing_field", value: `{"user_id":"$USER","mood":"funny"}`, reads: userOnly},
	{name: "id null", code: "missing_field", value: `{"request_id":null}`},
	{name: "no fields", code: "missing_field", value: `{}`},

	{name: "id a number", code: "wrong_type", value: `{"request_id":17,"user_id":"$USER"}`, reads: userOnly},
	{name: "an array", code: "wrong_type", value: `[{"request_id":"$ID"}]`},
	{name: "a string", code: "wrong_type", value: `"$ID"`},
	{name: "true", code: "wrong_type", value: `true`},
	{name: "null", code: "wrong_type", value: `null`},
	{name: "limit a string", code: "wrong_type", value: `{"request_id":"$ID","limit":"three"}`, reads: requestOnly},
	{name: "limit a fraction", code: "wrong_type", value: `{"request_id":"$ID","limit":2.5}`, reads: requestOnly},
	{name: "candidates a string", code: "wrong_type", value: `{"request_id":"$ID","candidates":"a"}`, reads: requestOnly},
	{name: "candidate null", code: "wrong_type", value: `{"request_id":"$ID","candidates":["a",null]}`, reads: requestOnly},
	{name: "boolean a number", code: "wrong_type", value: `{"request_id":"$ID","explain":1}`, reads: requestOnly},

	{name: "unknown mood", code: "unknown_value", value: `{"request_id":"$ID","mood":"hungry"}`, reads: requestOnly},
	{name: "empty company", code: "unknown_value", value: `{"request_id":"$ID","group_size":""}`, reads: requestOnly},
	{name: "session in capitals", code: "unknown_value", value: `{"request_id":"$ID","session_length":"Short"}`, reads: requestOnly},

	{name: "limit too high", code: "out_of_range", value: `{"request_id":"$ID","limit":101}`, reads: requestOnly},
	{name: "limit zero", code: "out_of_range", value: `{"request_id":"$ID","limit":0}`, reads: requestOnly},
	{name: "limit beyond numbers", code: "out_of_range", value: `{"request_id":"$ID","limit":1e999}`, reads: requestOnly},
	{name: "diversity above 1", code: "out_of_range", value: `{"request_id":"$ID","diversity":1.01}`, reads: requestOnly},
	{name: "deadline negative", code: "out_of_range", value: `{"request_id":"$ID","deadline_ms":-1}`, reads: requestOnly},

	{name: "id too long", code: "too_long", value: `{"request_id":"` + strings.Repeat("r", 129) + `"}`},
	{name: "user too long in bytes", code: "too_long", value: `{"request_id":"$ID","user_id":"` + strings.Repeat("é", 65) + `"}`, reads: requestOnly},
	{name: "too many candidates", code: "too_many", value: `{"request_id":"$ID","candidates":["a"` + strings.Repeat(`,"a"`, 10_000) + `]}`, reads: requestOnly},

	{name: "time in words", code: "invalid_time", value: `{"request_id":"$ID","requested_at":"yesterday"}`, reads: requestOnly},
	{name: "time too early", code: "invalid_time", value: `{"request_id":"$ID","requested_at":"1969-12-31T23:59:59Z"}`, reads: requestOnly},
	{name: "time without zone", code: "invalid_time", value: `{"request_id":"$ID","requested_at":"2026-01-31T19:30:00"}`, reads: requestOnly},

	{name: "NUL in the id", code: "invalid_text", value: `{"request_id":"a\u0000b"}`},
	{name: "empty id", code: "invalid_text", value: `{"request_id":"","user_id":"$USER"}`, reads: userOnly},
	{name: "half a surrogate pair", code: "invalid_text", value: `{"request_id":"$ID","user_id":"\ud83c"}`, reads: requestOnly},
	{name: "DEL in the user", code: "invalid_text", value: "{\"request_id\":\"$ID\",\"user_id\":\"a\x7f\"}", reads: requestOnly},

	{name: "a byte too large", code: "message_too_large", value: `{"request_id":"$ID","user_id":"$USER"}`, raw: longer(maxEvent + 1), reads: both, heavy: true},
	{name: "large", code: "message_too_large", value: `{"request_id":"$ID","mood":"$FILL"}`, raw: longer(3 * maxEvent), reads: requestOnly, heavy: true},
	{name: "its letter just fits", code: "message_too_large", value: `{"request_id":"$ID","mood":"$FILL"}`, raw: longer(maxRecord - 8192), reads: requestOnly, heavy: true},
	{name: "its letter is too large", code: "message_too_large", value: `{"request_id":"$ID","mood":"$FILL"}`, raw: longer(maxRecord), reads: requestOnly, heavy: true, large: true},
	{name: "its key is too large", code: "missing_field", value: `{}`, heavy: true, large: true,
		key: func(*Generator) history.Bytes { return manyBytes(maxRecord) }},
	{name: "its headers are too large", code: "missing_field", value: `{}`, heavy: true, large: true,
		headers: func(*Generator) []history.Header {
			return []history.Header{{Key: "large", Value: manyBytes(maxRecord / 2)}, {Key: "large", Value: manyBytes(maxRecord / 2)}}
		}},
}
