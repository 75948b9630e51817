package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"recstream/internal/config"
	"recstream/internal/devstack"
	"recstream/internal/httpapi"
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

// TestWebOfAnInstanceThatStarts has neither servers nor a group yet.
func TestWebOfAnInstanceThatStarts(t *testing.T) {
	broker, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	cfg := config.Default()
	cfg.HTTP.Listen, cfg.Kafka.Brokers, cfg.Database.URL = "127.0.0.1:0", []string{broker.Addr().String()}, "postgres://127.0.0.1:1/none"
	p, err := newPipeline(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	var shared atomic.Bool
	p.transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		shared.Store(true)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	w, err := p.startWeb(t.Context(), p.services())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	conn, err := broker.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if shared.Load() {
		t.Error("the results are followed over the connections of the consumers and publishers")
	}
	status, body := getReady(t, w)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `{"name":"consumers","ok":false,"detail":"a consumer group is not joined yet"}`) {
		t.Errorf("%d %s", status, body)
	}
}

func getReady(t *testing.T, w *web) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.server.Addr().String()+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestLookUpsLeaveConnections wants the consumers to find some, whatever HTTP and the background do.
func TestLookUpsLeaveConnections(t *testing.T) {
	for connections, want := range map[int]int{2: 1, 4: 1, 8: 2, 100: 25} {
		if got := lookUps(connections); got != want {
			t.Errorf("%d of %d connections, want %d", got, connections, want)
		}
	}
}

// TestTopicThatRefusesForGood wants the bridge to be told in its own words.
func TestTopicThatRefusesForGood(t *testing.T) {
	broker, err := devstack.StartBroker(devstack.BrokerOptions{Topics: map[string]int{"requests": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	cfg := config.Default()
	cfg.Kafka.Brokers, cfg.Database.URL = broker.Addr(), "postgres://127.0.0.1:1/none"
	p, err := newPipeline(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	publisher := eventPublisher{p.newPublisher("requests"), "recommendation.request"}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	var running sync.WaitGroup
	running.Go(func() { publisher.Run(ctx) })
	defer running.Wait()
	defer cancel()
	err = publisher.Publish(ctx, httpapi.Event{ID: "r1", Value: make([]byte, 2<<20)})
	if !errors.Is(err, httpapi.ErrTooLarge) {
		t.Errorf("error %v, want %v", err, httpapi.ErrTooLarge)
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
