package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"recstream/schemas"
)

// Codes of problems that are not about an event. Those of events are schemas.Code…
const (
	CodeUnauthorized      = "unauthorized"
	CodeNotFound          = "not_found"
	CodeUnknownRequest    = "unknown_request"
	CodeUnknownItem       = "unknown_item"
	CodeMethodNotAllowed  = "method_not_allowed"
	CodeUnsupportedMedia  = "unsupported_media_type"
	CodeInvalidParameter  = "invalid_parameter"
	CodeTimeout           = "timeout"
	CodeRateLimited       = "rate_limited"
	CodeOverloaded        = "overloaded"
	CodeNotReady          = "not_ready"
	CodeBrokerUnavailable = "broker_unavailable"
	CodeLedgerUnavailable = "ledger_unavailable"
	CodeInternal          = "internal"
)

// ContentTypeProblem is the media type of a problem (RFC 9457).
const ContentTypeProblem = "application/problem+json"

// typePrefix makes of a code the URI that identifies the kind of problem.
const typePrefix = "urn:recstream:problem:"

// Problem is an error as RFC 9457 has it, with the members code, field and request_id on top.
type Problem struct {
	Type      string `json:"type"` // typePrefix and the code
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Instance  string `json:"instance"` // path of the request
	Code      string `json:"code"`
	Field     string `json:"field,omitempty"`      // of the event, at fault
	RequestID string `json:"request_id,omitempty"` // of the recommendation request, where it is known

	after time.Duration // when to try again; 0 says nothing of it
}

// Error returns the code and the detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// kinds are the status and the title of each problem that is not about an event.
var kinds = map[string]struct {
	status int
	title  string
	after  time.Duration
}{
	CodeUnauthorized:      {http.StatusUnauthorized, "No valid token", 0},
	CodeNotFound:          {http.StatusNotFound, "No such path", 0},
	CodeUnknownRequest:    {http.StatusNotFound, "No decision for this request", 0},
	CodeUnknownItem:       {http.StatusNotFound, "No such item", 0},
	CodeMethodNotAllowed:  {http.StatusMethodNotAllowed, "The path does not have this method", 0},
	CodeUnsupportedMedia:  {http.StatusUnsupportedMediaType, "The body is no JSON", 0},
	CodeInvalidParameter:  {http.StatusBadRequest, "A parameter has a value that it cannot have", 0},
	CodeTimeout:           {http.StatusRequestTimeout, "The request took too long to arrive", 0},
	CodeRateLimited:       {http.StatusTooManyRequests, "Too many requests", time.Second},
	CodeOverloaded:        {http.StatusServiceUnavailable, "Too many requests at the same time", time.Second},
	CodeNotReady:          {http.StatusServiceUnavailable, "Not ready", time.Second},
	CodeBrokerUnavailable: {http.StatusServiceUnavailable, "The event was not published", 2 * time.Second},
	CodeLedgerUnavailable: {http.StatusServiceUnavailable, "The ledger cannot be read", 2 * time.Second},
	CodeInternal:          {http.StatusInternalServerError, "A fault of this program", 0},
}

// problem returns a problem that is not about an event.
func problem(code, detail string) *Problem {
	k := kinds[code]
	return &Problem{Title: k.title, Status: k.status, Detail: detail, Code: code, after: k.after}
}

// refusal returns the problem of an event that is none: 400 for what is no JSON event at all, 413 for one that is too
// large, 422 for one with a wrong field.
func refusal(e *schemas.DecodeError) *Problem {
	p := &Problem{Title: "The event has a mistake", Status: http.StatusUnprocessableEntity, Detail: e.Detail, Code: e.Code, Field: e.Field}
	switch e.Code {
	case schemas.CodeMessageTooLarge:
		p.Title, p.Status = "The event is too large", http.StatusRequestEntityTooLarge
	case schemas.CodeEmptyMessage, schemas.CodeInvalidJSON, schemas.CodeInvalidUTF8, schemas.CodeTrailingData, schemas.CodeNestingTooDeep:
		p.Title, p.Status = "The body is no event", http.StatusBadRequest
	}
	return p
}

// tooLarge returns the problem of an event that is too large.
func tooLarge(detail string) *Problem {
	return refusal(&schemas.DecodeError{Code: schemas.CodeMessageTooLarge, Detail: detail})
}

// rejection returns the problem of a request that was published and could not be answered.
func rejection(e *schemas.ResultError) *Problem {
	return &Problem{Title: "The request was rejected", Status: http.StatusUnprocessableEntity, Detail: e.Detail, Code: e.Code, Field: e.Field}
}

// write sends the problem as the answer. Several requests may share one.
func (p Problem) write(w http.ResponseWriter, r *http.Request) {
	p.Type, p.Instance = typePrefix+p.Code, r.URL.EscapedPath()
	body, err := json.Marshal(&p)
	if err != nil {
		body = []byte(`{}`) // cannot be: it is all text
	}
	if p.after > 0 {
		setRetryAfter(w, p.after)
	}
	w.Header().Set("Content-Type", ContentTypeProblem)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a client that is gone is told nothing
}

// setRetryAfter writes whole seconds, rounded up.
func setRetryAfter(w http.ResponseWriter, after time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
}

// writeJSON sends v as the answer.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	writeBytes(w, status, body)
	return nil
}

// writeBytes sends JSON as the answer.
func writeBytes(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
