package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"recstream/schemas"
)

func TestUnknownPathsAndMethods(t *testing.T) {
	b := startBridge(t, nil)
	tests := map[string]struct {
		method, path string
		status       int
		allow        string
	}{
		"root":            {"GET", "/", 404, ""},
		"unknown":         {"GET", "/v2/items/x", 404, ""},
		"below an item":   {"GET", "/v1/items/x/y", 404, ""},
		"no id":           {"GET", "/v1/items/", 404, ""},
		"two slashes":     {"GET", "//v1/status", 404, ""},
		"only slashes":    {"GET", "//", 404, ""},
		"two dots":        {"GET", "/v1/items/../status", 404, ""},
		"dots at the end": {"POST", "/v1/models/..", 404, ""},
		"one dot":         {"GET", "/./healthz", 404, ""},
		"slash at end":    {"GET", "/v1/status/", 404, ""},
		"delete":          {"DELETE", post, 405, "POST"},
		"get of a post":   {"GET", post, 405, "POST"},
		"put":             {"PUT", post + "/r1", 405, "GET, HEAD"},
		"options":         {"OPTIONS", "/v1/status", 405, "GET, HEAD"},
		"made up":         {"FROB", "/healthz", 405, "GET, HEAD"},
		"post of a probe": {"POST", "/readyz", 405, "GET, HEAD"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := b.send(t, test.method, test.path, "")
			if a.StatusCode != test.status || a.Header.Get("Allow") != test.allow {
				t.Errorf("%s, allow %q", a.Status, a.Header.Get("Allow"))
			}
			if from := a.Request.Response; from != nil {
				t.Errorf("%s to %s", from.Status, from.Header.Get("Location"))
			}
		})
	}
	if a := b.send(t, "HEAD", "/v1/items/film-1", ""); a.StatusCode != http.StatusOK || len(a.body) != 0 {
		t.Errorf("HEAD: %s %s", a.Status, a.body)
	}
}

func TestItem(t *testing.T) {
	b := startBridge(t, nil)
	a := b.send(t, "GET", "/v1/items/film-1", "")
	want := `{"item_id":"film-1","title":"One","genres":["Comedy"],"duration_min":91.5,"year":1999,"added_at":"2026-03-01T20:15:00Z",` +
		`"hidden":false,"suitability":["couple"],"franchise":"Numbers","tags":["x"]}`
	if a.StatusCode != http.StatusOK || string(a.body) != want {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if a = b.send(t, "GET", "/v1/items/a%2Fb", ""); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), `"genres":[]`) {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if a = b.send(t, "GET", "/v1/items/none", ""); a.StatusCode != http.StatusNotFound || a.problem(t).Code != CodeUnknownItem {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if a = b.send(t, "GET", "/v1/items/panic", ""); a.StatusCode != http.StatusInternalServerError || a.problem(t).Code != CodeInternal ||
		!strings.Contains(b.log.String(), "a broken catalogue") {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

func TestFeedback(t *testing.T) {
	b := startBridge(t, nil)
	body := `{"request_id":"r1","user_id":"ada","item_id":"film-1","action":"play"}`
	a := b.send(t, "POST", "/v1/feedback", body, "traceparent", "00-1-2-01")
	events := b.fed.published()
	if a.StatusCode != http.StatusAccepted || len(events) != 1 {
		t.Fatalf("%s %s, %d events", a.Status, a.body, len(events))
	}
	if e := events[0]; len(e.ID) != 36 || string(e.Key) != "ada" || string(e.Value) != body || e.TraceParent != "00-1-2-01" {
		t.Errorf("published %+v", e)
	}
	tests := map[string]struct {
		body, code, field string
		status            int
	}{
		"no item":       {`{"request_id":"r1","action":"play"}`, schemas.CodeMissingField, "item_id", 422},
		"rating's none": {`{"request_id":"r1","item_id":"x","action":"rating"}`, schemas.CodeMissingField, "value", 422},
		"no JSON":       {`play`, schemas.CodeInvalidJSON, "", 400},
		"several":       {`[` + body + `]`, schemas.CodeWrongType, "", 422},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := b.send(t, "POST", "/v1/feedback", test.body)
			if p := a.problem(t); a.StatusCode != test.status || p.Code != test.code || p.Field != test.field {
				t.Errorf("%s %s", a.Status, a.body)
			}
		})
	}
	if len(b.fed.published()) != 1 {
		t.Error("what is no feedback was published")
	}
}

func TestModels(t *testing.T) {
	b := startBridge(t, nil)
	if a := b.send(t, "GET", "/v1/models", ""); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), `"version":"3"`) {
		t.Errorf("%s %s", a.Status, a.body)
	}
	b.house.err = errors.New("no database")
	if a := b.send(t, "GET", "/v1/models", ""); a.StatusCode != http.StatusServiceUnavailable || a.problem(t).Code != CodeLedgerUnavailable {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestReadiness follows an instance from its start to its stop.
func TestReadiness(t *testing.T) {
	b := startBridge(t, nil)
	ready := func() (status int, body readiness) {
		a := b.send(t, "GET", "/readyz", "")
		if err := json.Unmarshal(a.body, &body); err != nil {
			t.Fatal(err)
		}
		var st Status
		if err := json.Unmarshal(b.send(t, "GET", "/v1/status", "").body, &st); err != nil || st.Ready != body.Ready || len(st.Checks) != len(body.Checks) {
			t.Errorf("the status says %v %v, %v", st.Ready, st.Checks, err)
		}
		return a.StatusCode, body
	}
	b.house.checks = []Check{{Name: "database", OK: true}}
	if status, body := ready(); status != http.StatusOK || !body.Ready || len(body.Checks) != 2 {
		t.Errorf("open: %d %+v", status, body)
	}
	b.house.checks = []Check{{Name: "database", Detail: "is away"}}
	if status, body := ready(); status != http.StatusServiceUnavailable || body.Ready || body.Checks[1].Detail != "is away" {
		t.Errorf("without a database: %d %+v", status, body)
	}
	b.house.checks = nil
	b.open.Store(false)
	if status, body := ready(); status != http.StatusServiceUnavailable || body.Ready {
		t.Errorf("starting: %d %+v", status, body)
	}
	if a := b.send(t, "POST", post, "{}"); a.StatusCode != http.StatusServiceUnavailable || a.problem(t).Code != CodeNotReady || len(b.requests.published()) != 0 {
		t.Errorf("starting: %s %s", a.Status, a.body)
	}
	if a := b.send(t, "GET", "/healthz", ""); a.StatusCode != http.StatusOK {
		t.Errorf("starting: %s", a.Status)
	}
}

// TestStopAnswersWhatWaits has one request whose result comes during the stop, and one whose result never comes.
func TestStopAnswersWhatWaits(t *testing.T) {
	t.Parallel()
	b := startBridge(t, func(c *Config) { c.Settings.DrainTimeout = 2 * time.Second })
	ask := func(id string) <-chan *answer {
		out := make(chan *answer, 1)
		go func() { out <- b.send(t, "POST", post, `{"request_id":"`+id+`"}`, "Prefer", "wait=20") }()
		eventually(t, "the request to wait", func() bool { return b.usersOf(id) == 1 })
		return out
	}
	answered, left := ask("r1"), ask("r2")
	eventually(t, "both to be published", func() bool { return len(b.requests.published()) == 2 })
	began := time.Now()
	b.stop()
	eventually(t, "the stop", b.draining.Load)
	b.results.put(schemas.AppendResult(nil, decision("r1")))
	if a := <-answered; a.StatusCode != http.StatusOK {
		t.Errorf("result during the stop: %s", a.Status)
	}
	if a := <-left; a.StatusCode != http.StatusAccepted || a.Header.Get("Location") == "" {
		t.Errorf("no result: %s", a.Status)
	}
	await(t, "the end", b.done)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if res, err := b.client.Do(b.request(t, "GET", "/healthz", nil)); err == nil {
		_ = res.Body.Close()
		t.Error("requests are taken after the stop")
	}
}

func TestListenOnATakenAddress(t *testing.T) {
	b := startBridge(t, nil)
	cfg := b.Server.cfg
	cfg.Settings.Listen = b.Addr().String()
	if err := New(cfg).Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "http.listen") {
		t.Errorf("error %v", err)
	}
}

func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	b := startBridge(t, func(c *Config) {
		c.Observe = func(route, method string, status int, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, strings.Join([]string{route, method, http.StatusText(status)}, " "))
			if took < 0 {
				t.Error("it took less than no time")
			}
		}
	})
	b.send(t, "GET", "/v1/items/film-1", "")
	b.send(t, "GET", "/v1/items/panic", "")
	b.send(t, "GET", "/nowhere", "")
	b.client.CloseIdleConnections()
	want := "/v1/items/{item_id} GET OK|/v1/items/{item_id} GET Internal Server Error| GET Not Found"
	eventually(t, want, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(seen, "|") == want
	})
}
