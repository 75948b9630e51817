package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"recstream/schemas"
)

func TestEventThatTheTopicRefuses(t *testing.T) {
	b := startBridge(t, nil)
	b.requests.err = fmt.Errorf("request: %w: MessageSizeTooLarge", ErrTooLarge)
	a := b.send(t, "POST", post, `{"request_id":"r1"}`)
	if p := a.problem(t); a.StatusCode != http.StatusRequestEntityTooLarge || p.Code != schemas.CodeMessageTooLarge || p.RequestID != "r1" {
		t.Errorf("%s %s", a.Status, a.body)
	}
	b.fed.err = b.requests.err
	a = b.send(t, "POST", "/v1/feedback", `{"request_id":"r1","item_id":"film-1","action":"play"}`)
	if a.StatusCode != http.StatusRequestEntityTooLarge || a.problem(t).Code != schemas.CodeMessageTooLarge {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestPublisherThatPanics wants the process to live, and those who wait to be told.
func TestPublisherThatPanics(t *testing.T) {
	b := startBridge(t, nil)
	b.requests.onPublish = func(Event) { panic("a broken publisher") }
	a := b.send(t, "POST", post, `{"request_id":"r1"}`)
	if a.StatusCode != http.StatusInternalServerError || a.problem(t).Code != CodeInternal || !strings.Contains(b.log.String(), "a broken publisher") {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

func TestBrokerThatRefuses(t *testing.T) {
	b := startBridge(t, nil)
	b.requests.err = errors.New("no broker")
	a := b.send(t, "POST", post, `{}`)
	p := a.problem(t)
	if a.StatusCode != http.StatusServiceUnavailable || p.Code != CodeBrokerUnavailable || len(p.RequestID) != 36 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s", a.Status, a.body)
	}
	b.fed.err = errors.New("no broker")
	a = b.send(t, "POST", "/v1/feedback", `{"request_id":"r1","item_id":"film-1","action":"play"}`)
	if a.StatusCode != http.StatusServiceUnavailable || a.problem(t).Code != CodeBrokerUnavailable {
		t.Errorf("%s %s", a.Status, a.body)
	}
}
