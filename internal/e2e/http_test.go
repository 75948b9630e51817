package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"recstream/schemas"
)

const httpToken = "a-token-of-the-tests"

// serveHTTP starts an instance with HTTP on a free port, and waits until it is ready.
func (s *stack) serveHTTP(t *testing.T, extraEnv ...string) *webInstance {
	t.Helper()
	w := &webInstance{instance: s.serve(t, append([]string{"RECSTREAM_HTTP_LISTEN=127.0.0.1:0", "RECSTREAM_HTTP_TOKENS=" + httpToken}, extraEnv...)...)}
	listening := regexp.MustCompile(`listening for HTTP" address=(\S+)`)
	eventually(t, "an address", func() (bool, string) {
		if found := listening.FindStringSubmatch(w.log.String()); found != nil {
			w.url = "http://" + found[1]
		}
		return w.url != "", w.log.tail(5)
	})
	eventually(t, "a ready instance", func() (bool, string) {
		status, body, err := w.try(t, "GET", "/readyz", "")
		return status == http.StatusOK, fmt.Sprint(status, string(body), err)
	})
	return w
}

// webInstance is an instance with HTTP.
type webInstance struct {
	*instance
	url string
}

// try sends a request that waits long for its result.
func (w *webInstance) try(t *testing.T, method, path, body string) (int, []byte, error) {
	t.Helper()
	return w.tryPreferring(t, "wait=30", method, path, body)
}

func (w *webInstance) tryPreferring(t *testing.T, prefer, method, path, body string) (int, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+httpToken)
	req.Header.Set("Prefer", prefer)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

func (w *webInstance) send(t *testing.T, method, path, body string, want int) []byte {
	t.Helper()
	status, answer, err := w.try(t, method, path, body)
	if err != nil || status != want {
		t.Fatalf("%s %s: %d %s %v, want %d", method, path, status, answer, err, want)
	}
	return answer
}

// TestHTTP asks, looks up, explains and sends feedback over HTTP, and looks for all of it in the topics and tables.
func TestHTTP(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		w := s.serveHTTP(t)
		body := w.send(t, "POST", "/v1/recommendations", `{"request_id":"web-1","user_id":"ada","mood":"funny","explain":true}`, http.StatusOK)
		conforms(t, s, "result", body)
		var result schemas.Result
		mustDecode(t, body, &result)
		if result.RequestID != "web-1" || result.Tier != schemas.TierModel || len(result.Items) != 3 {
			t.Fatalf("result %s", body)
		}
		if again := w.send(t, "POST", "/v1/recommendations", `{"request_id":"web-1","limit":9}`, http.StatusOK); !bytes.Equal(again, body) {
			t.Errorf("asked again\n%s\nwant\n%s", again, body)
		}
		if got := w.send(t, "GET", "/v1/recommendations/web-1", "", http.StatusOK); !bytes.Equal(got, body) {
			t.Errorf("looked up\n%s\nwant\n%s", got, body)
		}
		if explained := w.send(t, "GET", "/v1/recommendations/web-1?explain=true", "", http.StatusOK); !bytes.Contains(explained, []byte(`"reason":`)) {
			t.Errorf("explained: %s", explained)
		}
		w.send(t, "GET", "/v1/items/"+result.Items[0].ItemID, "", http.StatusOK)
		w.send(t, "POST", "/v1/feedback", fmt.Sprintf(`{"request_id":"web-1","user_id":"ada","item_id":%q,"action":"play"}`, result.Items[0].ItemID), http.StatusAccepted)
		eventually(t, "the outcome", func() (bool, string) {
			var n int
			err := s.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM outcomes WHERE request_id = 'web-1' AND action = 'play'`).Scan(&n)
			return n == 1, fmt.Sprint(n, err)
		})
		if text := w.send(t, "GET", "/metrics", "", http.StatusOK); !bytes.Contains(text, []byte(`route="/v1/recommendations"`)) {
			t.Error("the metrics lack the requests over HTTP")
		}
		s.checkOneOfEach(t, body)
		s.checkStatusCommand(t, w)
		w.stop(t)
	})
}

// checkOneOfEach wants one result in the topic, with the bytes of the answer.
func (s *stack) checkOneOfEach(t *testing.T, body []byte) {
	t.Helper()
	n := 0
	for _, partition := range s.readResults(t) {
		for _, r := range partition {
			n++
			if !bytes.Equal(r.value, body) || r.key != "ada" {
				t.Errorf("result event %s, key %s, want %s", r.value, r.key, body)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d result events, want 1", n)
	}
}

// checkStatusCommand asks the instance with the program's own command.
func (s *stack) checkStatusCommand(t *testing.T, w *webInstance) {
	t.Helper()
	env := s.env
	defer func() { s.env = env }()
	s.env = append(append([]string{}, env...), "RECSTREAM_HTTP_TOKENS="+httpToken)
	table := s.command(t, "status", "--url", w.url)
	for _, want := range []string{", ready\n", "model", "closed", s.requests(), s.feedback()} {
		if !strings.Contains(table, want) {
			t.Errorf("the status lacks %q:\n%s", want, table)
		}
	}
}

// TestHTTPOfTwoInstances asks both of two instances that share the partitions: each answers what the other decides.
// One of them is stopped under load, and answers all that it took.
func TestHTTPOfTwoInstances(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		instances := []*webInstance{s.serveHTTP(t), s.serveHTTP(t)}
		const clients, each = 8, 40
		var mu sync.Mutex
		refused := 0
		var load sync.WaitGroup
		half := make(chan struct{}, clients)
		for c := range clients {
			load.Go(func() {
				for i := range each {
					if i == each/2 {
						half <- struct{}{}
					}
					id := fmt.Sprintf("web-%d-%d", c, i)
					body := fmt.Sprintf(`{"request_id":%q,"user_id":"u%d"}`, id, i*clients+c)
					status, answer, err := instances[c%2].try(t, "POST", "/v1/recommendations", body)
					if err != nil && c%2 == 1 { // stopped: as a balancer does, the other is asked
						mu.Lock()
						refused++
						mu.Unlock()
						status, answer, err = instances[0].try(t, "POST", "/v1/recommendations", body)
					}
					if err != nil || status != http.StatusOK || !bytes.Contains(answer, []byte(id)) {
						t.Errorf("%s: %d %s %v", id, status, answer, err)
					}
				}
			})
		}
		for range clients {
			<-half
		}
		instances[1].stop(t)
		load.Wait()
		t.Logf("%d requests went to the other instance after the stop", refused)
		var rows int
		if err := s.db.Pool().QueryRow(within(t), `SELECT count(*) FROM decisions`).Scan(&rows); err != nil || rows != clients*each {
			t.Errorf("%d rows, want %d: %v", rows, clients*each, err)
		}
	})
}

// TestHTTPWhileTheLedgerIsLocked wants an answer in time, and the decision once it can be stored.
func TestHTTPWhileTheLedgerIsLocked(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		w := s.serveHTTP(t)
		unlock := s.lockLedger(t)
		status, body, err := w.tryPreferring(t, "wait=1", "POST", "/v1/recommendations", `{"request_id":"web-locked"}`)
		if err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %s %v", status, body, err)
		}
		unlock()
		eventually(t, "the decision", func() (bool, string) {
			status, body, err := w.try(t, "GET", "/v1/recommendations/web-locked", "")
			return status == http.StatusOK, fmt.Sprint(status, string(body), err)
		})
	})
}
