package workload

// badFeedback are the ways for a feedback to be bad. Nobody waits for an answer to a feedback, so no id counts.
var badFeedback = []kind{
	{name: "tombstone", code: "empty_message", raw: null},
	{name: "not JSON", code: "invalid_json", value: "click"},
	{name: "cut off", code: "invalid_json", value: `{"request_id":"x","item_id":"i","acti`},
	{name: "two events", code: "trailing_data", value: `{"request_id":"x","item_id":"i","action":"click"} {}`},
	{name: "item in Latin-1", code: "invalid_utf8", value: "{\"request_id\":\"x\",\"item_id\":\"\xeb\",\"action\":\"click\"}"},
	{name: "action twice", code: "duplicate_field", value: `{"request_id":"x","item_id":"i","action":"click","action":"play"}`},
	{name: "a request", code: "unknown_field", value: `{"request_id":"x","mood":"funny"}`},
	{name: "no item", code: "missing_field", value: `{"request_id":"x","action":"click"}`},
	{name: "rating without value", code: "missing_field", value: `{"request_id":"x","item_id":"i","action":"rating"}`},
	{name: "value a string", code: "wrong_type", value: `{"request_id":"x","item_id":"i","action":"play","value":"5"}`},
	{name: "unknown action", code: "unknown_value", value: `{"request_id":"x","item_id":"i","action":"shrug"}`},
	{name: "value beyond numbers", code: "out_of_range", value: `{"request_id":"x","item_id":"i","action":"play","value":1e999}`},
	{name: "wrong clock", code: "invalid_time", value: `{"request_id":"x","user_id":"$USER","item_id":"i","action":"click","at":"2999-01-01T00:00:00Z"}`},
	{name: "before time", code: "invalid_time", value: `{"request_id":"x","item_id":"i","action":"click","at":"1969-01-01T00:00:00Z"}`},
	{name: "item too long", code: "too_long", value: `{"request_id":"x","item_id":"$FILL","action":"click"}`, raw: longer(200)},
	{name: "large", code: "message_too_large", value: `{"request_id":"x","item_id":"$FILL"}`, raw: longer(maxEvent + 1), heavy: true},
}
