package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"recstream/schemas"
)

// recommend publishes a request event and waits for its result. A request id that was answered within the look-back
// window, or that is being waited for, is not published again.
func (s *Server) recommend(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	event, req, given, err := decodeRequest(body)
	if err != nil {
		return identified(err, req.RequestID)
	}
	prefer := preferred(r.Header, s.cfg.Settings.WaitDefault, s.cfg.Settings.WaitMax)
	ctx, cancel := context.WithTimeout(r.Context(), max(prefer.wait, beginPatience))
	defer cancel()
	c, first := s.waiting.join(req.RequestID, s.cfg.Now())
	defer s.waiting.leave(c)
	if first { // others may join, so it goes on when this client has gone
		e := Event{ID: c.id, Key: []byte(req.PartitionKey()), Value: event, TraceParent: r.Header.Get("traceparent")}
		s.begin(ctx, func(ctx context.Context) *Problem { return s.publish(ctx, c, given, e) }, func(p *Problem) { s.waiting.begun(c, p) })
	}
	s.await(ctx, c, prefer.wait)
	return s.answer(w, c, prefer)
}

// publish sees to it that there will be a result: it is in the ledger, or the request is published now.
func (s *Server) publish(ctx context.Context, c *call, given bool, e Event) *Problem {
	if given {
		found, err := s.find(ctx, []string{c.id}, false, repeatTimeout)
		if err != nil { // whoever decides looks again
			s.cfg.Log.Warn("a repeated request would not be noticed: the ledger cannot be read", "error", err)
		} else if d := found[c.id]; d != nil {
			s.waiting.end(c, resultEvent(d), nil)
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := s.cfg.Requests.Publish(ctx, e); err != nil {
		s.cfg.Log.Warn("a request was not published", "error", err)
		return unpublished(err, unsurePublished)
	}
	return nil
}

const unsurePublished = "the request may have been published or not; send it again with this request_id"

// await returns when the call is done or its wait is over, but not before the request is published; and in any case
// when ctx ends, for which the client or its time may be gone, or the server is to end.
func (s *Server) await(ctx context.Context, c *call, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-c.done:
		return
	case <-timer.C:
	case <-ctx.Done():
	case <-s.hurry:
	}
	select {
	case <-c.done:
	case <-c.published:
	case <-ctx.Done():
	case <-s.hurry:
	}
}

// answer writes what there is of a call by now.
func (s *Server) answer(w http.ResponseWriter, c *call, prefer preference) error {
	h := w.Header()
	h.Add("Vary", "Prefer")
	if prefer.applied != "" {
		h.Set("Preference-Applied", prefer.applied)
	}
	location := "/v1/recommendations/" + url.PathEscape(c.id)
	switch {
	case isClosed(c.done):
	case isClosed(c.published):
		h.Set("Location", location)
		setRetryAfter(w, time.Second)
		return writeJSON(w, http.StatusAccepted, pending{c.id, "pending"})
	default:
		h.Set("Location", location)
		return identified(problem(CodeBrokerUnavailable, unsurePublished), c.id)
	}
	if c.problem != nil {
		h.Set("Location", location)
		return identified(c.problem, c.id)
	}
	if p := rejected(c.value); p != nil {
		return identified(p, c.id)
	}
	h.Set("Content-Location", location)
	writeBytes(w, http.StatusOK, c.value)
	return nil
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// pending is the body of an answer without a result.
type pending struct {
	RequestID string `json:"request_id"`
	Status    string `json:"status"`
}

// identified adds the request's id to a problem, as far as there is one.
func identified(err error, id string) error {
	p, ok := err.(*Problem) //nolint:errorlint // it is made in this package, and not wrapped
	if !ok {
		return err
	}
	named := *p
	named.RequestID = id
	return &named
}

// rejected returns the problem of a result that is a rejection, nil for another.
func rejected(value []byte) *Problem {
	var result struct {
		Status schemas.Status       `json:"status"`
		Error  *schemas.ResultError `json:"error"`
	}
	if err := json.Unmarshal(value, &result); err != nil || result.Status != schemas.StatusRejected || result.Error == nil {
		return nil
	}
	return rejection(result.Error)
}

// recommendation looks a decision up in the ledger.
func (s *Server) recommendation(w http.ResponseWriter, r *http.Request) error {
	explain, err := boolParameter(r.URL.Query(), "explain")
	if err != nil {
		return err
	}
	id := r.PathValue("request_id")
	unknown := problem(CodeUnknownRequest, "the ledger has no decision for this request_id: it is not decided yet, was rejected, or was never published")
	if !isID(id) {
		return unknown
	}
	found, err := s.find(r.Context(), []string{id}, true, ledgerTimeout)
	if err != nil {
		s.cfg.Log.Warn("a decision was not looked up", "error", err)
		return identified(problem(CodeLedgerUnavailable, "try again later"), id)
	}
	d := found[id]
	switch {
	case d == nil:
		return identified(unknown, id)
	case explain:
		body, err := explainedEvent(d)
		if err != nil {
			return err
		}
		writeBytes(w, http.StatusOK, body)
	default:
		writeBytes(w, http.StatusOK, resultEvent(d))
	}
	return nil
}

// find asks the ledger, which has little time: there is something else to do where it is away. Few ask at the same
// time: the connections are for the consumers first.
func (s *Server) find(ctx context.Context, ids []string, ever bool, timeout time.Duration) (map[string]*schemas.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.lookUps.take(ctx); err != nil {
		return nil, fmt.Errorf("wait for other look-ups: %w", err)
	}
	defer s.lookUps.free()
	return s.cfg.Ledger.Find(ctx, ids, s.cfg.Now(), ever)
}

// resultEvent returns the bytes of the decision's result event.
func resultEvent(d *schemas.Decision) []byte { return schemas.AppendResult(nil, d) }

// explainedEvent returns the result event as if the request had asked for the explanation, with the items that were
// dropped, as far as they were kept.
func explainedEvent(d *schemas.Decision) ([]byte, error) {
	explained := *d
	explained.Explain = true
	body := schemas.AppendResult(nil, &explained)
	if d.Explanation == nil || len(d.Explanation.Dropped) == 0 {
		return body, nil
	}
	dropped, err := json.Marshal(d.Explanation.Dropped)
	if err != nil {
		return nil, fmt.Errorf("write what was dropped: %w", err)
	}
	return append(append(append(body[:len(body)-1], `,"dropped":`...), dropped...), '}'), nil
}

// boolParameter returns a parameter of the query that is true or false; absent is false.
func boolParameter(query url.Values, name string) (bool, error) {
	switch query.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, problem(CodeInvalidParameter, name+" is to be true or false")
	}
}

// isID reports whether a text can be the id of anything; the ledger is not asked for others.
func isID(text string) bool {
	return text != "" && len(text) <= schemas.MaxIDBytes && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
