package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"recstream/internal/config"
	"recstream/schemas"
)

// hanging is a ledger and a topic that never answer. It counts who asks at the same time.
type hanging struct {
	mu             sync.Mutex
	together, most int
}

func (h *hanging) hang(ctx context.Context) error {
	h.count(1)
	defer h.count(-1)
	<-ctx.Done()
	return ctx.Err()
}

func (h *hanging) count(more int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.together += more
	h.most = max(h.most, h.together)
}

// peak is how many asked at the same time, at the most.
func (h *hanging) peak() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.most
}

func (h *hanging) Find(ctx context.Context, _ []string, _ time.Time, _ bool) (map[string]*schemas.Decision, error) {
	return nil, h.hang(ctx)
}

func (h *hanging) Publish(ctx context.Context, _ Event) error { return h.hang(ctx) }

// clocked is a server without a network, for tests whose clock goes on when all wait: what they measure is exact.
type clocked struct {
	*Server
	topic topic
	house house
}

func newClocked(t *testing.T, change func(*Config)) *clocked {
	t.Helper()
	c := &clocked{}
	cfg := Config{Settings: config.Default().HTTP, Requests: &c.topic, Feedback: &c.topic, Results: &feed{}, LookUps: 2,
		Ledger: &ledger{decisions: map[string]*schemas.Decision{}}, Items: &c.house, Info: &c.house, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	c.Server = New(cfg)
	c.Open()
	t.Cleanup(c.giveUp) // the test's clock stands still then: what was begun ends at once
	return c
}

// ask sends a request, and returns how long the answer took.
func (c *clocked) ask(ctx context.Context, method, path, prefer, body string) (*httptest.ResponseRecorder, time.Duration) {
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if prefer != "" {
		r.Header.Set("Prefer", prefer)
	}
	began, w := time.Now(), httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w, time.Since(began)
}

// post asks for recommendations.
func (c *clocked) post(ctx context.Context, prefer, id string) (*httptest.ResponseRecorder, time.Duration) {
	return c.ask(ctx, http.MethodPost, post, prefer, `{"request_id":"`+id+`"}`)
}

// decides has every request that is published be decided at once.
func (c *clocked) decides() {
	c.topic.onPublish = func(e Event) { c.waiting.take(schemas.AppendResult(nil, decision(e.ID))) }
}

// TestNobodyWaitsForServersThatHang wants each answer in the time that is preferred, or in that of the publishing.
func TestNobodyWaitsForServersThatHang(t *testing.T) {
	ledgerHangs := func(c *Config) { c.Ledger = &hanging{} }
	brokerHangs := func(c *Config) { c.Requests = &hanging{} }
	bothHang := func(c *Config) { ledgerHangs(c); brokerHangs(c) }
	tests := map[string]struct {
		hangs   func(*Config)
		decided bool
		prefer  string
		status  int
		took    time.Duration
	}{
		"ledger, decided":       {ledgerHangs, true, "wait=3", 200, repeatTimeout},
		"ledger, not decided":   {ledgerHangs, false, "wait=3", 202, 3 * time.Second},
		"ledger, no wait":       {ledgerHangs, false, "respond-async", 202, repeatTimeout},
		"broker":                {brokerHangs, false, "wait=3", 503, 3 * time.Second},
		"broker, no wait":       {brokerHangs, false, "respond-async", 503, beginPatience},
		"broker, usual wait":    {brokerHangs, false, "", 503, publishTimeout},
		"broker, long wait":     {brokerHangs, false, "wait=30", 503, publishTimeout},
		"both":                  {bothHang, false, "wait=1", 503, time.Second},
		"both, long wait":       {bothHang, false, "wait=30", 503, repeatTimeout + publishTimeout},
		"none, decided":         {nil, true, "wait=3", 200, 0},
		"none, no wait":         {nil, false, "respond-async", 202, 0},
		"none, nothing decided": {nil, false, "wait=30", 202, 30 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClocked(t, test.hangs)
				if test.decided {
					c.decides()
				}
				if w, took := c.post(t.Context(), test.prefer, "r1"); w.Code != test.status || took != test.took {
					t.Errorf("%d after %s, want %d after %s: %s", w.Code, took, test.status, test.took, w.Body)
				}
			})
		})
	}
}

func TestNobodyLooksUpForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, func(c *Config) { c.Ledger = &hanging{} })
		if w, took := c.ask(t.Context(), "GET", post+"/r1", "", ""); w.Code != http.StatusServiceUnavailable || took != ledgerTimeout {
			t.Errorf("%d after %s, want 503 after %s", w.Code, took, ledgerTimeout)
		}
	})
}

func TestFeedbackToABrokerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, func(c *Config) { c.Feedback = &hanging{} })
		body := `{"request_id":"r1","item_id":"film-1","action":"play"}`
		if w, took := c.ask(t.Context(), "POST", "/v1/feedback", "", body); w.Code != http.StatusServiceUnavailable || took != publishTimeout {
			t.Errorf("%d after %s, want 503 after %s", w.Code, took, publishTimeout)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // its client goes then
		defer cancel()
		if _, took := c.ask(ctx, "POST", "/v1/feedback", "", body); took != time.Second || len(c.guard.inFlight) != 0 {
			t.Errorf("its place was free after %s, want 1s", took)
		}
	})
}

// TestClientThatGoesFreesItsPlace wants the place at once, what was begun to go on, and who asks again to join it.
func TestClientThatGoesFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, func(c *Config) { c.Ledger = &hanging{}; c.Settings.MaxInFlight = 1 })
		c.decides()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, took := c.post(ctx, "wait=20", "r1"); took != 100*time.Millisecond || len(c.guard.inFlight) != 0 {
			t.Errorf("its place was free after %s, want 100ms", took)
		}
		if w, took := c.post(t.Context(), "wait=20", "r1"); w.Code != http.StatusOK || took != repeatTimeout-100*time.Millisecond {
			t.Errorf("asked again: %d after %s", w.Code, took)
		}
		synctest.Wait()
		if n := len(c.topic.published()); n != 1 || len(c.begun) != 0 || c.waiting.any() {
			t.Errorf("%d events, %d on their way, somebody waits: %v", n, len(c.begun), c.waiting.any())
		}
	})
}

// TestClientsThatGoLeaveLittleBehind has more clients go than may be in hand.
func TestClientsThatGoLeaveLittleBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := &hanging{}
		c := newClocked(t, func(c *Config) { c.Requests = hangs; c.Settings.MaxInFlight = 2 })
		for _, id := range []string{"r1", "r2", "r3", "r4"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond) // it goes then
			c.post(ctx, "wait=20", id)
			cancel()
		}
		if n := hangs.peak(); n != 2 {
			t.Errorf("%d events were on their way together, want 2", n)
		}
		w, took := c.post(t.Context(), "respond-async", "r5")
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), CodeOverloaded) || took != beginPatience {
			t.Errorf("without a place: %d after %s, %s", w.Code, took, w.Body)
		}
	})
}

// TestPendingOncePublished has a client join a request that is still on its way to the topic.
func TestPendingOncePublished(t *testing.T) {
	tests := map[string]struct {
		err    error
		status int
	}{
		"published": {nil, http.StatusAccepted},
		"refused":   {errors.New("no broker"), http.StatusServiceUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const late = 300 * time.Millisecond
				c := newClocked(t, nil)
				c.topic.err = test.err
				c.topic.onPublish = func(Event) { <-time.After(late) }
				var first *httptest.ResponseRecorder
				asked := make(chan struct{})
				go func() {
					defer close(asked)
					first, _ = c.post(t.Context(), "wait=1", "r1")
				}()
				synctest.Wait()
				joined, took := c.post(t.Context(), "respond-async", "r1")
				if joined.Code != test.status || took != late {
					t.Errorf("who joined: %d after %s, want %d after %s", joined.Code, took, test.status, late)
				}
				if <-asked; first.Code != test.status || len(c.topic.published()) != 1 {
					t.Errorf("who was first: %d, %d events", first.Code, len(c.topic.published()))
				}
			})
		})
	}
}

// TestLookUpsTakeTurns wants no more of them at the same time than the database has connections for.
func TestLookUpsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := &hanging{}
		c := newClocked(t, func(c *Config) { c.Ledger = hangs })
		done := make(chan time.Duration)
		const clients = 20
		for range clients {
			go func() {
				_, took := c.ask(t.Context(), "GET", post+"/r1", "", "")
				done <- took
			}()
		}
		for range clients {
			if took := <-done; took != ledgerTimeout {
				t.Errorf("a look-up took %s, want %s, its turn included", took, ledgerTimeout)
			}
		}
		if n := hangs.peak(); n != 2 {
			t.Errorf("%d look-ups at the same time, want 2", n)
		}
	})
}

// TestModelsTakeTheirTurn has all connections for look-ups be in use.
func TestModelsTakeTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocked(t, func(c *Config) { c.LookUps = 1 })
		if err := c.lookUps.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w, took := c.ask(t.Context(), "GET", "/v1/models", "", ""); w.Code != http.StatusServiceUnavailable || took != ledgerTimeout {
			t.Errorf("%d after %s", w.Code, took)
		}
	})
}

// TestStopWaitsForWhatWasBegun has a publishing whose client is gone end before the drain timeout, or be cut off by it.
func TestStopWaitsForWhatWasBegun(t *testing.T) {
	tests := map[string]struct{ drain, took time.Duration }{
		"it ends by itself": {10 * time.Second, publishTimeout},
		"it is cut off":     {2 * time.Second, 2 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClocked(t, func(c *Config) { c.Requests = &hanging{}; c.Settings.DrainTimeout = test.drain })
				c.begin(t.Context(), func(ctx context.Context) *Problem {
					return c.publish(ctx, &call{id: "r1"}, false, Event{})
				}, func(*Problem) {})
				began := time.Now()
				if c.drain(&http.Server{}); time.Since(began) != test.took {
					t.Errorf("it took %s, want %s", time.Since(began), test.took)
				}
				if len(c.begun) != cap(c.begun) {
					t.Error("more may be begun")
				}
			})
		})
	}
}
