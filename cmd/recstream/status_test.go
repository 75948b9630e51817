package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"recstream/internal/httpapi"
)

const statusToken = "a-token-of-the-tests"

// instanceSaying answers /v1/status with a status, if it is asked with the token.
func instanceSaying(t *testing.T, st httpapi.Status) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/status" {
			http.NotFound(w, r)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+statusToken {
			w.Header().Set("Content-Type", httpapi.ContentTypeProblem)
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(httpapi.Problem{Code: httpapi.CodeUnauthorized, Detail: "send a token"})
			return
		}
		_ = json.NewEncoder(w).Encode(st)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func exampleStatus() httpapi.Status {
	ref := httpapi.ModelRef{Name: "films", Version: "3", SHA256: strings.Repeat("ab", 32)}
	psi := 0.125
	return httpapi.Status{Instance: "host:1", Version: "v1", Ready: true, Delivery: "at_least_once", ConfigVersion: "c0ffee", CatalogVersion: 7, Items: 2,
		Models: []httpapi.ServingModel{{ModelRef: ref, Method: "masks-32", Bytes: 100, Remembered: true}},
		Tiers: []httpapi.Tier{{Tier: "model", Model: &ref, State: "open", Reason: "panic", Failures: 5, PSI: &psi},
			{Tier: "basic", State: "closed"}},
		Partitions: []httpapi.Partition{{Topic: "requests", Partition: 1, Committed: 5, End: 9, Lag: 4}}}
}

func TestStatusCommand(t *testing.T) {
	url := instanceSaying(t, exampleStatus())
	env := []string{"RECSTREAM_HTTP_TOKENS=" + statusToken}
	table := recstream(t, env, "", "status", "--url", url)
	for _, line := range []string{
		"instance host:1, version v1, since 0001-01-01T00:00:00Z, ready\n",
		"catalogue 7 with 2 items, configuration c0ffee, delivery at_least_once\n",
		"model  films@3  open    -      panic   5         0.125\n",
		"basic  -        closed  -      -       0         -\n",
		"films@3  abababababab  masks-32  100    yes\n",
		"requests  1          5          9    4\n",
	} {
		if !strings.Contains(table.stdout, line) {
			t.Errorf("the table lacks %q:\n%s", line, table.stdout)
		}
	}
	var st httpapi.Status
	if out := recstream(t, env, "", "status", "--url", url+"/", "-o", "json"); json.Unmarshal([]byte(out.stdout), &st) != nil || st.Instance != "host:1" {
		t.Errorf("JSON: %s %s", out.stdout, out.stderr)
	}
	listen := append(env, "RECSTREAM_HTTP_LISTEN="+strings.TrimPrefix(url, "http://"))
	if out := recstream(t, listen, "", "status"); out.status != exitOK {
		t.Errorf("by http.listen: %d %s", out.status, out.stderr)
	}
}

func TestStatusOfAnInstanceThatIsNotReady(t *testing.T) {
	st := exampleStatus()
	st.Ready, st.Checks = false, []httpapi.Check{{Name: "broker", Detail: "is away"}, {Name: "database", OK: true}}
	out := recstream(t, []string{"RECSTREAM_HTTP_TOKENS=" + statusToken}, "", "status", "--url", instanceSaying(t, st))
	if out.status != exitRuntime || !strings.Contains(out.stderr, "not ready: broker (is away)") || !strings.Contains(out.stdout, "TIER") {
		t.Errorf("%d %s %s", out.status, out.stdout, out.stderr)
	}
}

func TestStatusThatCannotBeHad(t *testing.T) {
	url := instanceSaying(t, exampleStatus())
	tests := map[string]struct {
		args []string
		code int
		want string
	}{
		"no instance named": {nil, exitUsage, "--url"},
		"no URL":            {[]string{"--url", "localhost"}, exitUsage, "is no URL of an instance"},
		"nobody there":      {[]string{"--url", "http://127.0.0.1:1"}, exitRuntime, "http.listen set?"},
		"no token":          {[]string{"--url", url}, exitRuntime, "RECSTREAM_HTTP_TOKENS"},
		"another server":    {[]string{"--url", url + "/elsewhere"}, exitRuntime, "is that URL one of recstream's?"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out := recstream(t, nil, "", append([]string{"status"}, test.args...)...)
			if out.status != test.code || !strings.Contains(out.stderr, test.want) {
				t.Errorf("%d %s", out.status, out.stderr)
			}
		})
	}
}
