package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// TestAddressThatIsTaken wants an instance to end at once, and to say what to do.
func TestAddressThatIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	out := recstream(t, []string{"RECSTREAM_HTTP_LISTEN=" + listener.Addr().String(), "RECSTREAM_KAFKA_BROKERS=127.0.0.1:1",
		"RECSTREAM_DATABASE_URL=postgres://127.0.0.1:1/none"}, "", "serve")
	if out.status != exitUsage || !strings.Contains(out.stderr, "http.listen: ") || !strings.Contains(out.stderr, "hint: ") {
		t.Errorf("%d %s", out.status, out.stderr)
	}
}

func TestAddressThatOthersReach(t *testing.T) {
	out := recstream(t, []string{"RECSTREAM_HTTP_LISTEN=:8080"}, "", "serve")
	if out.status != exitUsage || !strings.Contains(out.stderr, "set http.tokens, or listen on 127.0.0.1:8080") {
		t.Errorf("%d %s", out.status, out.stderr)
	}
}

// TestProbe wants a server to be asked seldom, and its errors not to be shown to everybody.
func TestProbe(t *testing.T) {
	asked := 0
	var answer error
	p := probe{ask: func(ctx context.Context) error {
		asked++
		if _, ok := ctx.Deadline(); !ok {
			t.Error("it may take for ever")
		}
		return answer
	}}
	for range 3 {
		if c := p.check(t.Context(), "database"); !c.OK || c.Name != "database" || c.Detail != "" {
			t.Errorf("%+v", c)
		}
	}
	answer = errors.New("dial db.internal:5432: refused")
	p.asked = p.asked.Add(-2 * probeTTL)
	if c := p.check(t.Context(), "database"); c.OK || c.Detail == "" || strings.Contains(c.Detail, "db.internal") {
		t.Errorf("%+v", c)
	}
	if asked != 2 || time.Since(p.asked) > time.Minute {
		t.Errorf("asked %d times, want 2", asked)
	}
}
