package httpapi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"recstream/internal/config"
	"recstream/schemas"
)

func withTokens(c *Config) { c.Settings.Tokens = config.Secrets{aToken, another} }

func TestTokens(t *testing.T) {
	tests := map[string]struct {
		header string
		ok     bool
	}{
		"first":          {"Bearer " + aToken, true},
		"second":         {"Bearer " + another, true},
		"scheme's case":  {"bearer " + aToken, true},
		"two spaces":     {"Bearer  " + aToken, true},
		"none":           {"", false},
		"another scheme": {"Basic " + aToken, false},
		"no token":       {"Bearer", false},
		"empty token":    {"Bearer ", false},
		"a part of it":   {"Bearer " + aToken[:len(aToken)-1], false},
		"more than it":   {"Bearer " + aToken + "x", false},
		"another case":   {"Bearer " + strings.ToUpper(aToken), false},
		"both":           {"Bearer " + aToken + " " + another, false},
	}
	b := startBridge(t, withTokens)
	b.answerAtOnce()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, call := range [][3]string{{"POST", post, "{}"}, {"GET", "/v1/items/film-1", ""}, {"GET", "/v1/status", ""},
				{"GET", "/v1/models", ""}, {"GET", "/openapi.json", ""}, {"GET", "/metrics", ""}, {"GET", "/nowhere", ""},
				{"GET", "//v1/status", ""}, {"GET", "/v1/items/../status", ""},
				{"POST", "/v1/feedback", `{"request_id":"r","item_id":"i","action":"click"}`}} {
				a := b.send(t, call[0], call[1], call[2], "Authorization", test.header)
				if refused := a.StatusCode == http.StatusUnauthorized; refused == test.ok {
					t.Errorf("%s %s: %s", call[0], call[1], a.Status)
				}
			}
			for _, path := range []string{"/healthz", "/readyz"} {
				if a := b.send(t, "GET", path, "", "Authorization", test.header); a.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", path, a.Status)
				}
			}
		})
	}
	if text := b.log.String(); strings.Contains(text, aToken) || strings.Contains(text, another) {
		t.Error("a token is in the log")
	}
}

func TestOpenMetrics(t *testing.T) {
	b := startBridge(t, func(c *Config) { withTokens(c); c.Settings.OpenMetrics = true })
	if a := b.send(t, "GET", "/metrics", ""); a.StatusCode != http.StatusOK || string(a.body) != "up 1\n" {
		t.Errorf("%s %s", a.Status, a.body)
	}
	b = startBridge(t, func(c *Config) { c.Metrics = nil })
	if a := b.send(t, "GET", "/metrics", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestRate wants each token to have a budget of its own, and those who watch over the instance not to need any.
func TestRate(t *testing.T) {
	b := startBridge(t, func(c *Config) { withTokens(c); c.Settings.Rate = 3 })
	b.token = aToken
	limited := 0
	for range 10 { // within a second there are few more than the burst
		if a := b.send(t, "GET", "/v1/items/film-1", ""); a.StatusCode == http.StatusTooManyRequests {
			limited++
			if a.problem(t).Code != CodeRateLimited {
				t.Errorf("%s", a.body)
			}
		}
		for _, path := range []string{"/readyz", "/healthz", "/metrics", "/v1/status"} {
			if a := b.send(t, "GET", path, ""); a.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", path, a.Status)
			}
		}
	}
	if limited == 0 {
		t.Error("never limited")
	}
	b.token = another
	if a := b.send(t, "GET", "/v1/items/film-1", ""); a.StatusCode != http.StatusOK {
		t.Errorf("the other token: %s", a.Status)
	}
}

func TestMaxInFlight(t *testing.T) {
	b := startBridge(t, func(c *Config) { c.Settings.MaxInFlight = 1 })
	first := make(chan *answer, 1)
	go func() { first <- b.send(t, "POST", post, `{"request_id":"r1"}`, "Prefer", "wait=20") }()
	eventually(t, "the first to wait", func() bool { return b.usersOf("r1") == 1 && len(b.requests.published()) == 1 })
	a := b.send(t, "POST", post, `{"request_id":"r2"}`)
	if a.StatusCode != http.StatusServiceUnavailable || a.problem(t).Code != CodeOverloaded || a.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s", a.Status, a.body)
	}
	for _, path := range []string{"/readyz", "/healthz", "/metrics", "/v1/status"} {
		if a := b.send(t, "GET", path, ""); a.StatusCode != http.StatusOK {
			t.Errorf("%s while all places are taken: %s", path, a.Status)
		}
	}
	b.results.put(schemas.AppendResult(nil, decision("r1")))
	if a := <-first; a.StatusCode != http.StatusOK {
		t.Errorf("the first: %s", a.Status)
	}
	b.answerAtOnce()
	if a := b.send(t, "POST", post, `{"request_id":"r2"}`); a.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", a.Status)
	}
}

// TestMaxConnections wants a connection above the limit to be served when another ends.
func TestMaxConnections(t *testing.T) {
	b := startBridge(t, func(c *Config) { c.Settings.MaxConnections = 1 })
	held := dial(t, b)
	if _, err := io.WriteString(held, "GET /healthz HTTP/1.1\r\nHost: x\r\n"); err != nil { // not ended
		t.Fatal(err)
	}
	other := dial(t, b)
	if _, err := io.WriteString(other, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = other.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := other.Read(make([]byte, 1)); !isTimeout(err) {
		t.Fatalf("the second connection is served: %v", err)
	}
	_ = held.Close()
	_ = other.SetReadDeadline(time.Now().Add(patience))
	if text, err := io.ReadAll(other); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200") {
		t.Errorf("%s %v", text, err)
	}
}

func dial(t *testing.T, b *bridge) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestSlowClients wants what does not come in time to be given up.
func TestSlowClients(t *testing.T) {
	b := startBridge(t, func(c *Config) {
		c.Settings.HeaderTimeout, c.Settings.ReadTimeout, c.Settings.IdleTimeout = 100*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	})
	head := "POST " + post + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
	tests := map[string]struct{ sent, want string }{
		"nothing":       {"", ""},
		"half a header": {head, "HTTP/1.1 408"},
		"half a body":   {head + "\r\n{", "HTTP/1.1 408"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, b)
			if _, err := io.WriteString(conn, test.sent); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			text, err := io.ReadAll(conn)
			if isTimeout(err) {
				t.Fatal("the connection stays")
			}
			if name == "half a body" && (!strings.HasPrefix(string(text), test.want) || !strings.Contains(string(text), CodeTimeout)) {
				t.Errorf("%q", text)
			}
		})
	}
	eventually(t, "all places to be free", func() bool { return len(b.guard.inFlight) == 0 })
}

func TestLargeHeader(t *testing.T) {
	b := startBridge(t, nil)
	req := b.request(t, "GET", "/healthz", nil, "X", strings.Repeat("x", 64<<10))
	res, err := b.client.Do(req)
	if err != nil {
		if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset") || strings.Contains(err.Error(), "broken pipe") {
			return // it hung up while the header was being sent
		}
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s", res.Status)
	}
}
