package schemas

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestDecodeFeedback(t *testing.T) {
	at := time.Date(2026, 1, 31, 21, 10, 0, 0, time.UTC)
	tests := []struct {
		name, value string
		want        Feedback
	}{
		{"every field", `{"request_id":"r","user_id":"u","item_id":"i","action":"rating","value":-4.5,"at":"2026-01-31T21:10:00Z"}`,
			Feedback{"r", "u", "i", ActionRating, -4.5, at}},
		{"only what is required", `{"request_id":"r","item_id":"i","action":"click"}`,
			Feedback{RequestID: "r", ItemID: "i", Action: ActionClick, Value: math.NaN()}},
		{"null is absent", `{"request_id":"r","user_id":null,"item_id":"i","action":"play","value":null,"at":null}`,
			Feedback{RequestID: "r", ItemID: "i", Action: ActionPlay, Value: math.NaN()}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Feedback
			if err := DecodeFeedback([]byte(tt.value), &got); err != nil {
				t.Fatal(err)
			}
			if !sameFeedback(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func sameFeedback(a, b Feedback) bool {
	if math.IsNaN(a.Value) && math.IsNaN(b.Value) {
		a.Value, b.Value = 0, 0
	}
	return a == b
}

func TestDecodeFeedbackRefuses(t *testing.T) {
	tests := []struct{ name, value, code, field, request, user string }{
		{"no item", `{"request_id":"r","user_id":"u","action":"play"}`, CodeMissingField, "item_id", "r", "u"},
		{"no action", `{"request_id":"r","item_id":"i"}`, CodeMissingField, "action", "r", ""},
		{"empty action", `{"action":"","request_id":"r","item_id":"i"}`, CodeUnknownValue, "action", "r", ""},
		{"rating without value", `{"request_id":"r","item_id":"i","action":"rating"}`, CodeMissingField, "value", "r", ""},
		{"field of a request", `{"request_id":"r","item_id":"i","action":"play","mood":"funny"}`, CodeUnknownField, "mood", "r", ""},
		{"overflow", `{"request_id":"r","item_id":"i","action":"play","value":-1e999}`, CodeOutOfRange, "value", "r", ""},
		{"cut off", `{"request_id":"r","user_id":"u","item_id":"i","action":"pl`, CodeInvalidJSON, "", "r", "u"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Feedback{ItemID: "old", Action: ActionClick}
			err := DecodeFeedback([]byte(tt.value), &got)
			var refusal *DecodeError
			if !errors.As(err, &refusal) || refusal.Code != tt.code || refusal.Field != tt.field {
				t.Errorf("got %v, want code %s of field %q", err, tt.code, tt.field)
			}
			if want := (Feedback{RequestID: tt.request, UserID: tt.user, Value: math.NaN()}); !sameFeedback(got, want) {
				t.Errorf("left %+v, want %+v", got, want)
			}
		})
	}
}

func BenchmarkDecodeFeedback(b *testing.B) {
	value := []byte(`{"request_id":"req-0a1b2c3d","user_id":"user-42","item_id":"film-7","action":"play","at":"2026-01-31T21:10:00Z"}`)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	var f Feedback
	for b.Loop() {
		if err := DecodeFeedback(value, &f); err != nil {
			b.Fatal(err)
		}
	}
}
