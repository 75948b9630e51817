package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"recstream/schemas"
)

const post = "/v1/recommendations"

func TestRecommend(t *testing.T) {
	b := startBridge(t, nil)
	b.answerAtOnce()
	body := `{"request_id":"r1","user_id":"ada","mood":"funny","limit":3}`
	a := b.send(t, "POST", post, body, "traceparent", "00-1-2-01")
	if want := schemas.AppendResult(nil, decision("r1")); a.StatusCode != http.StatusOK || !bytes.Equal(a.body, want) {
		t.Errorf("%s %s\nwant %s", a.Status, a.body, want)
	}
	if a.Header.Get("Content-Location") != post+"/r1" || a.Header.Get("Preference-Applied") != "" || a.Header.Get("Vary") != "Prefer" {
		t.Errorf("headers %v", a.Header)
	}
	events := b.requests.published()
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	if e := events[0]; e.ID != "r1" || string(e.Key) != "ada" || string(e.Value) != body || e.TraceParent != "00-1-2-01" {
		t.Errorf("published %+v", e)
	}
	got := b.send(t, "GET", post+"/r1", "")
	if got.StatusCode != http.StatusOK || !bytes.Equal(got.body, a.body) {
		t.Errorf("looked up: %s %s", got.Status, got.body)
	}
}

func TestRequestIDIsMadeWhereThereIsNone(t *testing.T) {
	tests := map[string]string{
		"absent":         `{"user_id":"ada","exclude":["a\"b"]}`,
		"null":           ` {"user_id":"ada", "request_id" : null,"exclude":["a\"b"]} `,
		"nothing at all": ` {} `,
		"only null":      `{"request_id":null}`,
		"escaped name":   `{"request_\u0069d":null}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			b := startBridge(t, nil)
			b.answerAtOnce()
			a := b.send(t, "POST", post, body)
			var result schemas.Result
			if err := json.Unmarshal(a.body, &result); err != nil || a.StatusCode != http.StatusOK || len(result.RequestID) != 36 {
				t.Fatalf("%s %s", a.Status, a.body)
			}
			e := b.requests.published()[0]
			var want, got schemas.Request
			if err := schemas.DecodeRequest(e.Value, &got); err != nil || got.RequestID != result.RequestID || e.ID != result.RequestID {
				t.Fatalf("published %s: %v", e.Value, err)
			}
			if err := schemas.DecodeRequest([]byte(`{"request_id":"x",`+strings.TrimPrefix(strings.ReplaceAll(strings.TrimSpace(body), ` "request_id" : null,`, ""), "{")), &want); err == nil {
				if got.UserID != want.UserID || fmt.Sprint(got.Exclude) != fmt.Sprint(want.Exclude) {
					t.Errorf("published %s", e.Value)
				}
			}
			if b.ledger.asked != 0 {
				t.Error("the ledger was asked for an id that was just made")
			}
		})
	}
}

// TestBadEvents wants each invalid example of a request to be refused with the code that its dead letter has.
func TestBadEvents(t *testing.T) {
	tests := map[string]struct {
		body   string
		status int
		code   string
		field  string
		id     string
	}{
		"empty":                  {"", 400, schemas.CodeEmptyMessage, "", ""},
		"no JSON":                {"hello", 400, schemas.CodeInvalidJSON, "", ""},
		"cut off":                {`{"request_id":"x","mood":"fun`, 400, schemas.CodeInvalidJSON, "", "x"},
		"no UTF-8":               {"{\"request_id\":\"\xff\"}", 400, schemas.CodeInvalidUTF8, "request_id", ""},
		"two values":             {`{"request_id":"x"} {}`, 400, schemas.CodeTrailingData, "", "x"},
		"deep":                   {`{"request_id":"x","mood":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`, 400, schemas.CodeNestingTooDeep, "mood", "x"},
		"unknown field":          {`{"request_id":"x","exlude":[]}`, 422, schemas.CodeUnknownField, "exlude", "x"},
		"twice":                  {`{"request_id":"x","mood":"funny","mood":"funny"}`, 422, schemas.CodeDuplicateField, "mood", "x"},
		"id twice, first null":   {`{"request_id":null,"request_id":"x"}`, 422, schemas.CodeDuplicateField, "request_id", ""},
		"wrong type":             {`{"request_id":"x","limit":"3"}`, 422, schemas.CodeWrongType, "limit", "x"},
		"mistake and no id":      {`{"limit":"3"}`, 422, schemas.CodeWrongType, "limit", ""},
		"array":                  {`[]`, 422, schemas.CodeWrongType, "", ""},
		"limit":                  {`{"request_id":"x","limit":101}`, 422, schemas.CodeOutOfRange, "limit", "x"},
		"a dot":                  {`{"request_id":"."}`, 422, schemas.CodeInvalidText, "request_id", "."},
		"two dots":               {`{"request_id":".."}`, 422, schemas.CodeInvalidText, "request_id", ".."},
		"three dots":             {`{"request_id":"..."}`, 200, "", "", ""},
		"long id":                {`{"request_id":"` + strings.Repeat("x", 129) + `"}`, 422, schemas.CodeTooLong, "request_id", ""},
		"large":                  {`{"request_id":"x","user_id":"` + strings.Repeat("x", schemas.MaxMessageBytes) + `"}`, 413, schemas.CodeMessageTooLarge, "", ""},
		"large only with its id": {`{"user_id":"x"` + strings.Repeat(" ", schemas.MaxMessageBytes-15) + `}`, 200, "", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := startBridge(t, nil)
			b.answerAtOnce()
			a := b.send(t, "POST", post, test.body)
			if a.StatusCode != test.status {
				t.Fatalf("%s %s, want %d", a.Status, a.body, test.status)
			}
			if test.status == http.StatusOK {
				return
			}
			p := a.problem(t)
			if p.Code != test.code || p.Field != test.field || p.Instance != post {
				t.Errorf("%s, want code %s, field %q", a.body, test.code, test.field)
			}
			if test.id != "" && p.RequestID != test.id {
				t.Errorf("request id %q, want %q", p.RequestID, test.id)
			}
			if len(b.requests.published()) != 0 {
				t.Error("it was published all the same")
			}
		})
	}
}

func TestMediaTypes(t *testing.T) {
	b := startBridge(t, nil)
	b.answerAtOnce()
	tests := map[string]struct {
		header []string
		status int
	}{
		"JSON":               {[]string{"Content-Type", "application/json"}, 200},
		"with a charset":     {[]string{"Content-Type", "Application/JSON; charset=utf-8"}, 200},
		"none":               {[]string{"Content-Type", ""}, 415},
		"a form's":           {[]string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		"broken":             {[]string{"Content-Type", "application/json; charset"}, 415},
		"compressed":         {[]string{"Content-Encoding", "gzip"}, 415},
		"said to be as sent": {[]string{"Content-Encoding", "identity"}, 200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := b.send(t, "POST", post, `{}`, test.header...)
			if a.StatusCode != test.status {
				t.Fatalf("%s %s, want %d", a.Status, a.body, test.status)
			}
			if test.status == 415 && a.problem(t).Code != CodeUnsupportedMedia {
				t.Errorf("%s", a.body)
			}
		})
	}
}

func TestNoResultInTime(t *testing.T) {
	b := startBridge(t, nil)
	a := b.send(t, "POST", post, `{"request_id":"r/1 ü"}`, "Prefer", "wait=0")
	if a.StatusCode != http.StatusAccepted || a.Header.Get("Location") != post+"/r%2F1%20%C3%BC" || a.Header.Get("Retry-After") != "1" ||
		a.Header.Get("Preference-Applied") != "wait=0" || string(a.body) != `{"request_id":"r/1 ü","status":"pending"}` {
		t.Errorf("%s %v %s", a.Status, a.Header, a.body)
	}
	if n := b.Server.waiting.count.Load(); n != 0 {
		t.Errorf("%d calls are left", n)
	}
	location := a.Header.Get("Location")
	if a = b.send(t, "GET", location, ""); a.StatusCode != http.StatusNotFound || a.problem(t).Code != CodeUnknownRequest {
		t.Errorf("before it is decided: %s %s", a.Status, a.body)
	}
	b.ledger.put(decision("r/1 ü"))
	if a = b.send(t, "GET", location, ""); a.StatusCode != http.StatusOK {
		t.Errorf("once it is decided: %s %s", a.Status, a.body)
	}
	if !b.ledger.ever {
		t.Error("it is looked for within the look-back window only")
	}
}

func TestRespondAsync(t *testing.T) {
	b := startBridge(t, nil)
	a := b.send(t, "POST", post, `{}`, "Prefer", "respond-async")
	if a.StatusCode != http.StatusAccepted || a.Header.Get("Preference-Applied") != "respond-async" || len(b.requests.published()) != 1 {
		t.Errorf("%s %v", a.Status, a.Header)
	}
}

func TestRejectedResult(t *testing.T) {
	b := startBridge(t, nil)
	b.requests.onPublish = func(e Event) { b.results.put(rejectionOf(e.ID)) }
	a := b.send(t, "POST", post, `{"request_id":"r1"}`)
	p := a.problem(t)
	if a.StatusCode != http.StatusUnprocessableEntity || p.Code != "panic" || p.Field != "candidates" || p.Detail != "scoring broke" || p.RequestID != "r1" {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestRepeatedRequest wants the stored decision for an id that was decided, and nothing to be published.
func TestRepeatedRequest(t *testing.T) {
	b := startBridge(t, nil)
	stored := decision("r1")
	stored.UserID = "somebody else"
	b.ledger.put(stored)
	for range 2 {
		a := b.send(t, "POST", post, `{"request_id":"r1","limit":7}`)
		if a.StatusCode != http.StatusOK || !bytes.Equal(a.body, schemas.AppendResult(nil, stored)) {
			t.Errorf("%s %s", a.Status, a.body)
		}
	}
	if len(b.requests.published()) != 0 || b.ledger.ever {
		t.Errorf("%d published, asked for ever: %v", len(b.requests.published()), b.ledger.ever)
	}
}

// TestOneRequestWaitedForByMany wants one event and one result for all.
func TestOneRequestWaitedForByMany(t *testing.T) {
	b := startBridge(t, nil)
	const clients = 20
	answers := make([]*answer, clients)
	var asking sync.WaitGroup
	for i := range clients {
		asking.Go(func() { answers[i] = b.send(t, "POST", post, `{"request_id":"r1"}`, "Prefer", "wait=20") })
	}
	eventually(t, "all to wait", func() bool { return b.usersOf("r1") == clients && len(b.requests.published()) == 1 })
	b.results.put(schemas.AppendResult(nil, decision("other")))
	b.results.put(schemas.AppendResult(nil, decision("r1")))
	asking.Wait()
	for _, a := range answers {
		if a.StatusCode != http.StatusOK || !bytes.Equal(a.body, schemas.AppendResult(nil, decision("r1"))) {
			t.Fatalf("%s %s", a.Status, a.body)
		}
	}
	if n := len(b.requests.published()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// usersOf returns how many requests wait for an id.
func (b *bridge) usersOf(id string) int {
	w := b.Server.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.calls[id]
	switch {
	case c == nil:
		return 0
	case isClosed(c.published):
		return c.users
	default: // one publishes it
		return c.users - 1
	}
}

// TestBlindToResults has the decision come only to the ledger, as when the broker of the results is away.
func TestBlindToResults(t *testing.T) {
	t.Parallel()
	b := startBridge(t, nil)
	b.results.blind.Store(true)
	b.requests.onPublish = func(e Event) { b.ledger.put(decision(e.ID)) }
	if a := b.send(t, "POST", post, `{}`, "Prefer", "wait=20"); a.StatusCode != http.StatusOK {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestResultThatWasMissed has the topic seem whole, and the result never come.
func TestResultThatWasMissed(t *testing.T) {
	t.Parallel()
	b := startBridge(t, nil)
	b.requests.onPublish = func(e Event) { b.ledger.put(decision(e.ID)) }
	if a := b.send(t, "POST", post, `{}`, "Prefer", "wait=20"); a.StatusCode != http.StatusOK {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestLedgerAway wants requests to be answered from the topic, and look-ups to say what is the matter.
func TestLedgerAway(t *testing.T) {
	b := startBridge(t, nil)
	b.answerAtOnce()
	b.ledger.fail(errors.New("password=secret: connection refused"))
	if a := b.send(t, "POST", post, `{"request_id":"r1"}`); a.StatusCode != http.StatusOK {
		t.Errorf("%s %s", a.Status, a.body)
	}
	a := b.send(t, "GET", post+"/r1", "")
	if a.StatusCode != http.StatusServiceUnavailable || a.problem(t).Code != CodeLedgerUnavailable || bytes.Contains(a.body, []byte("secret")) {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestClientThatGoes wants its place to be free again, and the request to be answered for whoever asks next.
func TestClientThatGoes(t *testing.T) {
	b := startBridge(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	req := b.request(t, "POST", post, strings.NewReader(`{"request_id":"r1"}`), "Prefer", "wait=20").WithContext(ctx)
	gone := make(chan error, 1)
	go func() {
		res, err := b.client.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		gone <- err
	}()
	eventually(t, "the request to wait", func() bool { return b.usersOf("r1") == 1 && len(b.requests.published()) == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	eventually(t, "its place to be free", func() bool { return len(b.guard.inFlight) == 0 && !b.Server.waiting.any() })
	b.ledger.put(decision("r1"))
	b.results.put(schemas.AppendResult(nil, decision("r1"))) // nobody waits
	if a := b.send(t, "POST", post, `{"request_id":"r1"}`); a.StatusCode != http.StatusOK || len(b.requests.published()) != 1 {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestClientThatGoesWhilePublishing has somebody else wait for the same request.
func TestClientThatGoesWhilePublishing(t *testing.T) {
	b := startBridge(t, nil)
	publishing, proceed := make(chan struct{}), make(chan struct{})
	b.requests.onPublish = func(e Event) {
		close(publishing)
		<-proceed
		b.results.put(schemas.AppendResult(nil, decision(e.ID)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := b.request(t, "POST", post, strings.NewReader(`{"request_id":"r1"}`)).WithContext(ctx)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if res, err := b.client.Do(first); err == nil {
			_ = res.Body.Close()
		}
	}()
	await(t, "the publishing", publishing)
	second := make(chan *answer, 1)
	go func() { second <- b.send(t, "POST", post, `{"request_id":"r1"}`, "Prefer", "wait=20") }()
	eventually(t, "both to wait", func() bool { return b.usersOf("r1") == 2 })
	cancel()
	await(t, "the first to go", gone)
	close(proceed)
	if a := <-second; a.StatusCode != http.StatusOK {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

func TestExplain(t *testing.T) {
	b := startBridge(t, nil)
	d := decision("r1")
	score := 0.5
	d.Explanation = &schemas.Explanation{Items: []schemas.ItemExplanation{{Reason: "short comedy"}},
		Dropped: []schemas.Dropped{{ItemID: "film-2", Title: "Two", Reason: schemas.DropCapGenre, Score: &score}}}
	b.ledger.put(d)
	b.ledger.put(decision("r2"))
	plain := b.send(t, "GET", post+"/r1?explain=false", "")
	if !bytes.Equal(plain.body, schemas.AppendResult(nil, d)) || bytes.Contains(plain.body, []byte("short comedy")) {
		t.Errorf("without: %s", plain.body)
	}
	a := b.send(t, "GET", post+"/r1?explain=true", "")
	want := `,"dropped":[{"item_id":"film-2","title":"Two","reason":"cap_genre","score":0.5}]}`
	if a.StatusCode != http.StatusOK || !strings.HasSuffix(string(a.body), want) || !bytes.Contains(a.body, []byte("short comedy")) {
		t.Errorf("with: %s %s", a.Status, a.body)
	}
	if a = b.send(t, "GET", post+"/r2?explain=true", ""); !bytes.Equal(a.body, schemas.AppendResult(nil, decision("r2"))) {
		t.Errorf("nothing kept: %s", a.body)
	}
	if a = b.send(t, "GET", post+"/r1?explain=yes", ""); a.StatusCode != http.StatusBadRequest || a.problem(t).Code != CodeInvalidParameter {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

func TestIDsThatCannotBe(t *testing.T) {
	b := startBridge(t, nil)
	for name, id := range map[string]string{"long": strings.Repeat("x", 129), "NUL": "a%00b", "no UTF-8": "%ff"} {
		if a := b.send(t, "GET", post+"/"+id, ""); a.StatusCode != http.StatusNotFound || a.problem(t).Code != CodeUnknownRequest {
			t.Errorf("%s: %s %s", name, a.Status, a.body)
		}
	}
	if b.ledger.asked != 0 {
		t.Error("the ledger was asked for what cannot be")
	}
}

// TestTwoInstances asks one instance for what another decides: both follow the topic of results.
func TestTwoInstances(t *testing.T) {
	asked, other := startBridge(t, nil), startBridge(t, nil)
	asked.requests.onPublish = func(e Event) {
		value := schemas.AppendResult(nil, decision(e.ID))
		other.results.put(value)
		asked.results.put(value)
	}
	var load sync.WaitGroup
	for i := range 50 {
		load.Go(func() {
			if a := asked.send(t, "POST", post, fmt.Sprintf(`{"request_id":"r%d"}`, i)); a.StatusCode != http.StatusOK {
				t.Errorf("%s %s", a.Status, a.body)
			}
		})
	}
	load.Wait()
	if asked.Server.waiting.any() || other.Server.waiting.any() {
		t.Error("calls are left")
	}
}

func TestWaitIsBounded(t *testing.T) {
	t.Parallel()
	b := startBridge(t, func(c *Config) { c.Settings.WaitMax, c.Settings.WaitDefault = time.Second, 0 })
	began := time.Now()
	a := b.send(t, "POST", post, `{}`, "Prefer", "wait=3600")
	if took := time.Since(began); a.StatusCode != http.StatusAccepted || a.Header.Get("Preference-Applied") != "wait=1" || took < time.Second {
		t.Errorf("%s after %s, %v", a.Status, took, a.Header)
	}
	if a = b.send(t, "POST", post, `{}`); a.StatusCode != http.StatusAccepted || a.Header.Get("Preference-Applied") != "" {
		t.Errorf("%s %v", a.Status, a.Header)
	}
}
