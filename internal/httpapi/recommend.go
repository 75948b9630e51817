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
	timer := time.NewTimer(prefer.wait)
	defer timer.Stop()

	c, first := s.waiting.join(req.RequestID, s.cfg.Now())
	defer s.waiting.leave(c)
	if first {
		// What was begun is brought to its end, though its client may go: others may have joined.
		s.begin(context.WithoutCancel(r.Context()), c.id, given, Event{ID: c.id, Key: []byte(req.PartitionKey()), Value: event,
			TraceParent: r.Header.Get("traceparent")})
	}
	s.await(r.Context(), c, timer.C)
	return s.answer(w, c, prefer)
}

// begin sees to it that there will be a result: it is in the ledger, or the request is published now.
func (s *Server) begin(ctx context.Context, id string, given bool, e Event) {
	if given {
		found, err := s.find(ctx, []string{id}, false)
		if err != nil { // whoever decides looks again
			s.cfg.Log.Warn("a repeated request would not be noticed: the ledger cannot be read", "error", err)
		} else if d := found[id]; d != nil {
			s.waiting.settle(id, resultEvent(d), nil)
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := s.cfg.Requests.Publish(ctx, e); err != nil {
		s.cfg.Log.Warn("a request was not published", "error", err)
		s.waiting.settle(id, nil, problem(CodeBrokerUnavailable, "the request may have been published or not; send it again with this request_id"))
	}
}

// await returns when the call is done, its time is up, its client is gone, or the server is to end.
func (s *Server) await(ctx context.Context, c *call, timeout <-chan time.Time) {
	select {
	case <-c.done: // whatever else is the case
		return
	default:
	}
	select {
	case <-c.done:
	case <-timeout:
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
	select {
	case <-c.done:
	default:
		h.Set("Location", location)
		setRetryAfter(w, time.Second)
		return writeJSON(w, http.StatusAccepted, pending{c.id, "pending"})
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
	found, err := s.find(r.Context(), []string{id}, true)
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

// find asks the ledger, which has little time: there is something else to do where it is away.
func (s *Server) find(ctx context.Context, ids []string, ever bool) (map[string]*schemas.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
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
