package producer

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
)

func exampleOutcome() *schemas.Outcome {
	at := time.Date(2026, 1, 31, 20, 15, 0, 250_000_000, time.UTC)
	return &schemas.Outcome{
		Message: &schemas.Message{
			Source:  schemas.Source{Topic: "recommendation.requests", Partition: 3, Offset: 99},
			Key:     []byte("ada"),
			Headers: []schemas.Header{{Key: "traceparent", Value: []byte("00-1-2-01")}, {Key: "other", Value: []byte("x")}},
			Time:    at,
		},
		Decision: &schemas.Decision{
			RequestID: "r-1", UserID: "ada", Tier: schemas.TierModel, Degraded: []schemas.Reason{},
			Model: &schemas.ModelRef{Name: "demo", Version: "1", SHA256: strings.Repeat("0", 64)}, ConfigVersion: "abc",
			Items:    []schemas.ScoredItem{{ItemID: "a", Title: "A", Prediction: 0.5, Score: 0.5}},
			ScoredAt: at, Source: schemas.Source{Topic: "recommendation.requests", Partition: 3, Offset: 42},
		},
	}
}

func headersOf(list []schemas.Header) map[string]string {
	m := map[string]string{}
	for _, h := range list {
		m[h.Key] = string(h.Value)
	}
	return m
}

func TestResultIsThatOfTheStoredDecision(t *testing.T) {
	var e encoder
	key, value, headers, ms := e.result("/recstream/g", exampleOutcome())
	got := headersOf(headers)
	want := map[string]string{
		"content-type": "application/json", "ce_specversion": "1.0", "ce_type": "recommendation.result.v1",
		"ce_id": "r-1@recommendation.requests/3/42", "ce_source": "/recstream/g", "ce_time": "2026-01-31T20:15:00.25Z",
		"traceparent": "00-1-2-01",
	}
	if len(got) != len(want) {
		t.Errorf("headers %v, want %v", got, want)
	}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("header %s: %q, want %q", name, got[name], v)
		}
	}
	var result schemas.Result
	if err := json.Unmarshal(value, &result); err != nil || result.RequestID != "r-1" {
		t.Errorf("value %s: %v", value, err)
	}
	if string(key) != "ada" || ms != exampleOutcome().Decision.ScoredAt.UnixMilli() {
		t.Errorf("key %q, time %d", key, ms)
	}
}

func TestLongTraceParentIsNotHandedOn(t *testing.T) {
	out := exampleOutcome()
	out.Message.Headers = []schemas.Header{{Key: "traceparent", Value: make([]byte, 1_048_000)}}
	var e encoder
	if _, _, headers, _ := e.result("/recstream/g", out); headersOf(headers)["traceparent"] != "" {
		t.Error("a trace parent of a megabyte goes into the result")
	}
}

func TestAnonymousResultIsKeyedByRequest(t *testing.T) {
	out := exampleOutcome()
	out.Decision.UserID = ""
	var e encoder
	if key, _, _, _ := e.result("/recstream/g", out); string(key) != "r-1" {
		t.Errorf("key %q, want r-1", key)
	}
}

func TestDeadLetterKeepsTheEventsHeadersAndSaysWhy(t *testing.T) {
	out := exampleOutcome()
	out.Decision = nil
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	out.Rejection = &schemas.Rejection{Code: "missing_field", Field: "request_id", Detail: "is required",
		Stage: "decode", Attempts: 1, At: at}
	var e encoder
	headers, ms := e.deadLetter("/recstream/g", out)
	for i, h := range out.Message.Headers {
		if headers[i].Key != h.Key || string(headers[i].Value) != string(h.Value) {
			t.Errorf("header %d is %s=%s, want the event's own %s=%s", i, headers[i].Key, headers[i].Value, h.Key, h.Value)
		}
	}
	got := headersOf(headers)
	for name, want := range map[string]string{
		"dlq_reason": "missing_field", "dlq_detail": "request_id: is required", "dlq_stage": "decode",
		"dlq_topic": "recommendation.requests", "dlq_partition": "3", "dlq_offset": "99",
		"dlq_attempts": "1", "dlq_at": "2026-02-01T00:00:00Z",
		"ce_specversion": "1.0", "ce_type": "recommendation.dead-letter.v1", "ce_source": "/recstream/g",
		"ce_id": "dlq@recommendation.requests/3/99", "ce_time": "2026-01-31T20:15:00.25Z",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if ms != at.UnixMilli() {
		t.Errorf("time %d", ms)
	}
}

func TestDeadLetterOfACloudEventKeepsItsIdentity(t *testing.T) {
	out := exampleOutcome()
	out.Decision, out.Rejection = nil, &schemas.Rejection{Code: "c"}
	out.Message.Headers = []schemas.Header{{Key: "ce_id", Value: []byte("the app's")}, {Key: "ce_type", Value: []byte("x")}}
	var e encoder
	headers, _ := e.deadLetter("/recstream/g", out)
	if len(headers) != 2+deadLetterHeaders || headersOf(headers)["ce_id"] != "the app's" || headersOf(headers)["ce_type"] != "x" {
		t.Errorf("headers %v", headersOf(headers))
	}
}
