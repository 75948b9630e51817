package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"go.uber.org/goleak"

	"recstream/internal/config"
	"recstream/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	aToken  = "correct-horse-battery"
	another = "staple-of-tokens-two"
)

// patience bounds every wait of a test.
const patience = 20 * time.Second

// topic is a publisher whose events stay here.
type topic struct {
	mu        sync.Mutex
	events    []Event
	err       error
	onPublish func(Event)
}

func (p *topic) Publish(ctx context.Context, e Event) error {
	p.mu.Lock()
	p.events = append(p.events, e)
	err, told := p.err, p.onPublish
	p.mu.Unlock()
	if told != nil {
		told(e)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func (p *topic) published() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Event(nil), p.events...)
}

// feed is the topic of results.
type feed struct {
	blind atomic.Bool
	ran   chan struct{}
	take  func([]byte)
}

func (f *feed) Run(ctx context.Context, _ func() bool, take func([]byte)) {
	f.take = take
	close(f.ran)
	<-ctx.Done()
}

func (f *feed) Whole() bool { return !f.blind.Load() }

// put hands a value on as the topic does: whoever takes it may keep nothing of it.
func (f *feed) put(value []byte) {
	<-f.ran
	lent := bytes.Clone(value)
	f.take(lent)
	clear(lent)
}

// ledger is a ledger in memory.
type ledger struct {
	mu        sync.Mutex
	decisions map[string]*schemas.Decision
	err       error
	asked     int
	ever      bool // of the last look-up
}

func (l *ledger) Find(_ context.Context, ids []string, _ time.Time, ever bool) (map[string]*schemas.Decision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	l.ever = ever
	if l.err != nil {
		return nil, l.err
	}
	found := map[string]*schemas.Decision{}
	for _, id := range ids {
		if d := l.decisions[id]; d != nil {
			found[id] = d
		}
	}
	return found, nil
}

func (l *ledger) put(d *schemas.Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decisions[d.RequestID] = d
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// house is the rest of an instance.
type house struct {
	checks []Check
	err    error
}

func (h *house) Status(context.Context) Status {
	ref := ModelRef{"films", "3", strings.Repeat("ab", 32)}
	since := exampleTime
	return Status{Instance: "host/1", Version: "v1", StartedAt: exampleTime, Delivery: "exactly_once", ConfigVersion: "c0ffee", CatalogVersion: 7, Items: 2,
		Models:     []ServingModel{{ModelRef: ref, Method: "leaves", Bytes: 100}},
		Tiers:      []Tier{{Tier: "model", Model: &ref, State: "open", Since: &since, Reason: "panic"}, {Tier: "basic", State: "closed"}},
		Partitions: []Partition{{Topic: "requests", Partition: 1, Committed: 5, End: 9, Lag: 4}}}
}

func (h *house) Models(context.Context) (Models, error) {
	ref := ModelRef{"films", "3", strings.Repeat("ab", 32)}
	return Models{Active: &ActiveModel{ModelRef: ref, Since: exampleTime}, Previous: &ref}, h.err
}

func (h *house) Checks(context.Context) []Check { return h.checks }

func (h *house) Item(id string) *schemas.Item {
	switch id {
	case "film-1":
		return &schemas.Item{ID: id, Title: "One", Genres: []string{"Comedy"}, DurationMin: 91.5, Year: 1999, AddedAt: exampleTime,
			Suitability: []schemas.GroupSize{schemas.GroupCouple}, Franchise: "Numbers", Tags: []string{"x"}}
	case "a/b":
		return &schemas.Item{ID: id, Title: "Slash"}
	case "panic":
		panic("a broken catalogue")
	}
	return nil
}

var exampleTime = time.Date(2026, 3, 1, 20, 15, 0, 0, time.UTC)

// decision is what was decided for a request.
func decision(id string) *schemas.Decision {
	return &schemas.Decision{RequestID: id, UserID: "ada", Tier: schemas.TierPopular, Degraded: []schemas.Reason{schemas.ReasonModelMissing},
		ConfigVersion: "c0ffee", Items: []schemas.ScoredItem{{ItemID: "film-1", Title: "One", Score: 1}}, ScoredAt: exampleTime,
		Source: schemas.Source{Topic: "requests", Partition: 1, Offset: 2}}
}

func rejectionOf(id string) []byte {
	return schemas.AppendRejection(nil, &schemas.Rejection{Code: "panic", Field: "candidates", Detail: "scoring broke", RequestID: id}, schemas.Source{Topic: "requests"})
}

// bridge is a server with all that it works with, and a client that checks what it says.
type bridge struct {
	*Server
	requests, fed topic
	results       feed
	ledger        ledger
	house         house
	token         string // that the client sends
	client        http.Client
	stop          context.CancelFunc
	done          chan struct{}
	log           syncBuffer
}

// startBridge starts a server that is open; change may alter its configuration first.
func startBridge(t *testing.T, change func(*Config)) *bridge {
	t.Helper()
	b := &bridge{done: make(chan struct{})}
	b.ledger.decisions = map[string]*schemas.Decision{}
	b.results.ran = make(chan struct{})
	b.client.Transport = &http.Transport{}
	settings := config.Default().HTTP
	settings.Listen = "127.0.0.1:0"
	cfg := Config{Settings: settings, Requests: &b.requests, Feedback: &b.fed, Results: &b.results, Ledger: &b.ledger, LookUps: 2,
		Items: &b.house, Info: &b.house, Now: time.Now, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = io.WriteString(w, "up 1\n")
		})}
	if change != nil {
		change(&cfg)
	}
	b.Server = New(cfg)
	if err := b.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Open()
	var ctx context.Context
	ctx, b.stop = context.WithCancel(context.Background())
	go func() {
		defer close(b.done)
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		b.client.CloseIdleConnections()
		b.stop()
		await(t, "the server's end", b.done)
	})
	return b
}

// answerAtOnce decides every request that is published.
func (b *bridge) answerAtOnce() {
	b.requests.onPublish = func(e Event) {
		d := decision(e.ID)
		b.ledger.put(d)
		b.results.put(schemas.AppendResult(nil, d))
	}
}

// answer is an answer of the server.
type answer struct {
	*http.Response
	body []byte
}

func (a *answer) problem(t *testing.T) Problem {
	t.Helper()
	var p Problem
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil || a.Header.Get("Content-Type") != ContentTypeProblem {
		t.Fatalf("no problem: %s %s %s", a.Status, a.Header.Get("Content-Type"), a.body)
	}
	if p.Status != a.StatusCode || p.Type != typePrefix+p.Code || p.Title == "" || p.Detail == "" || p.Instance == "" {
		t.Errorf("problem of a %d: %s", a.StatusCode, a.body)
	}
	return p
}

// send sends a request with a JSON body and checks the answer against the document.
func (b *bridge) send(t *testing.T, method, path, body string, header ...string) *answer {
	t.Helper()
	req := b.request(t, method, path, strings.NewReader(body), header...)
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return b.checked(t, req, res)
}

func (b *bridge) request(t *testing.T, method, path string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, "http://"+b.Addr().String()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// checked reads an answer. Where the document has the path and the method, the answer has to be as it says; other
// answers have to be problems.
func (b *bridge) checked(t *testing.T, req *http.Request, res *http.Response) *answer {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := &answer{res, body}
	if req.Method == http.MethodHead {
		return a
	}
	item, path := documented(t, req.URL.EscapedPath())
	if item == nil || res.StatusCode == http.StatusMethodNotAllowed {
		a.problem(t)
		return a
	}
	if err := conforms(t, req, item, path, a); err != nil {
		t.Errorf("%s %s: %s %s is not as the document says: %v", req.Method, req.URL, res.Status, body, err)
	}
	return a
}

// conforms checks an answer against the document.
func conforms(t *testing.T, req *http.Request, item *openapi3.PathItem, path string, a *answer) error {
	t.Helper()
	operation := item.GetOperation(req.Method)
	if operation == nil {
		t.Fatalf("the document has no %s %s", req.Method, path)
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req,
			Route: &routers.Route{Spec: document(t), Path: path, PathItem: item, Method: req.Method, Operation: operation}},
		Status: a.StatusCode, Header: a.Header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	input.SetBodyBytes(a.body)
	return openapi3filter.ValidateResponse(t.Context(), input)
}

// documented returns what the document says of a path, nil for one that it lacks.
func documented(t *testing.T, path string) (*openapi3.PathItem, string) {
	t.Helper()
	for _, prefix := range []string{"/v1/recommendations/", "/v1/items/"} {
		rest, ok := strings.CutPrefix(path, prefix)
		for name, item := range document(t).Paths.Map() {
			if ok && rest != "" && !strings.Contains(rest, "/") && strings.HasPrefix(name, prefix) {
				return item, name
			}
		}
	}
	return document(t).Paths.Value(path), path
}

var theDocument = sync.OnceValues(func() (*openapi3.T, error) {
	text, err := Document()
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(text)
})

// document is the document that is served.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := theDocument()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s: not before the deadline", what)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not before the deadline", what)
		}
	}
}

// syncBuffer is a buffer that a server writes to while the test reads.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
