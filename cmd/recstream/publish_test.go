package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/schemas"
)

const badLines = `{"request_id":"r1","user_id":"ada","mood":"funny"}
{"request_id":"r2","limit":1000}

not JSON
{"request_id":"r3"}
`

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "requests.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPublishFile(t *testing.T) {
	tests := map[string]struct {
		force  bool
		stdin  bool
		status int
		values int
	}{
		"invalid lines are left out":  {status: 1, values: 2},
		"from standard input":         {stdin: true, status: 1, values: 2},
		"invalid lines are forced in": {force: true, values: 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			address, environ := startBroker(t)
			args, stdin := []string{"publish", writeFile(t, badLines)}, ""
			if tt.stdin {
				args[1], stdin = "-", badLines
			}
			if tt.force {
				args = append(args, "--force")
			}
			got := recstream(t, environ, stdin, args...)
			if got.status != tt.status {
				t.Errorf("status %d, want %d", got.status, tt.status)
			}
			for _, want := range []string{"line 2: limit: ", "line 4: invalid_json: ",
				"sent " + counted(tt.values, "request") + " to recommendation.requests", "; 2 invalid lines"} {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("no %q in\n%s", want, got.stderr)
				}
			}
			values := map[string]string{}
			for _, r := range published(t, address, tt.values) {
				values[string(r.Value)] = string(r.Key)
			}
			if key := values[`{"request_id":"r1","user_id":"ada","mood":"funny"}`]; key != "ada" {
				t.Errorf("the first line has the key %q, want its user", key)
			}
			if key := values[`{"request_id":"r3"}`]; key != "r3" {
				t.Errorf("the last line has the key %q, want its request id", key)
			}
			if _, there := values["not JSON"]; there != tt.force {
				t.Errorf("the line that is no JSON: published %v, want %v", there, tt.force)
			}
		})
	}
}

func TestPublishFileThatIsNotThere(t *testing.T) {
	_, environ := startBroker(t)
	got := recstream(t, environ, "", "publish", "/nowhere/requests.jsonl")
	if got.status != 1 || !strings.Contains(got.stderr, "recstream: open /nowhere/requests.jsonl") {
		t.Errorf("status %d: %s", got.status, got.stderr)
	}
}

func TestPublishLongLine(t *testing.T) {
	_, environ := startBroker(t)
	got := recstream(t, environ, "{\"request_id\":\"r1\"}\n"+strings.Repeat("x", maxLine+1), "publish", "-")
	if got.status != 1 || !strings.Contains(got.stderr, "recstream: line 2: is longer than 1048576 bytes") ||
		!strings.Contains(got.stderr, "sent 1 request") {
		t.Errorf("status %d: %s", got.status, got.stderr)
	}
}

// TestPublishGenerated holds the records against Kafka's own rules: partition by murmur2 of the key.
func TestPublishGenerated(t *testing.T) {
	const n = 300
	address, environ := startBroker(t)
	got := recstream(t, environ, "", "publish", "--generate", fmt.Sprint(n), "--seed", "7", "--users", "20")
	if got.status != 0 {
		t.Fatal(got.stderr)
	}
	partitioner := kgo.StickyKeyPartitioner(nil).ForTopic("any")
	ids := map[string]bool{}
	for _, r := range published(t, address, n) {
		var request schemas.Request
		if err := schemas.DecodeRequest(r.Value, &request); err != nil {
			t.Fatal(err)
		}
		if string(r.Key) != request.PartitionKey() {
			t.Fatalf("key %q, want %q", r.Key, request.PartitionKey())
		}
		if want := partitioner.Partition(r, 6); int(r.Partition) != want {
			t.Fatalf("key %q is in partition %d, want %d", r.Key, r.Partition, want)
		}
		if age := time.Since(request.RequestedAt); age < 0 || age > time.Minute {
			t.Fatalf("requested_at is %v ago", age)
		}
		checkHeaders(t, r, request.RequestID)
		ids[request.RequestID] = true
	}
	if len(ids) != n {
		t.Errorf("%d different ids, want %d", len(ids), n)
	}
	if got := recstream(t, environ, "", "publish", "--generate", "1", "--seed", "7", "--users", "20"); got.status != 0 {
		t.Fatal(got.stderr)
	}
	var again schemas.Request
	for _, r := range published(t, address, n+1) {
		if err := schemas.DecodeRequest(r.Value, &again); err != nil {
			t.Fatal(err)
		}
		if !ids[again.RequestID] {
			t.Error("the same seed made another id")
		}
	}
}

func checkHeaders(t *testing.T, r *kgo.Record, id string) {
	t.Helper()
	headers := map[string]string{}
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	at, err := time.Parse(time.RFC3339Nano, headers["ce_time"])
	if err != nil || time.Since(at) > time.Minute {
		t.Fatalf("ce_time %q: %v", headers["ce_time"], err)
	}
	delete(headers, "ce_time")
	want := map[string]string{
		"content-type": "application/json", "ce_specversion": "1.0", "ce_id": id,
		"ce_type": "recommendation.request.v1", "ce_source": "/recstream/publish",
	}
	if fmt.Sprint(headers) != fmt.Sprint(want) {
		t.Fatalf("headers %v, want %v", headers, want)
	}
}

func TestPublishOne(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string // up to the time
	}{
		"a moment": {[]string{"--user", "ada", "--mood", "funny", "--group", "couple", "--session", "short", "--limit", "5"},
			`{"request_id":"r1","user_id":"ada","mood":"funny","group_size":"couple","session_length":"short","limit":5,`},
		"wishes": {[]string{"--similar-to", "heat", "--pins", "up,spy", "--exclude", "ronin", "--exclude-seen", "--diversity", "0.5",
			"--explain", "--deadline", "50ms"}, `{"request_id":"r1","limit":3,"exclude":["ronin"],"exclude_seen":true,"pins":["up","spy"],` +
			`"similar_to":"heat","diversity":0.5,"explain":true,"deadline_ms":50,`},
		"no diversity is one": {[]string{"--diversity", "0"}, `{"request_id":"r1","limit":3,"diversity":0,`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			address, environ := startBroker(t)
			got := recstream(t, environ, "", append([]string{"publish", "--id", "r1"}, tt.args...)...)
			if got.status != 0 {
				t.Fatal(got.stderr)
			}
			if value := string(published(t, address, 1)[0].Value); !strings.HasPrefix(value, tt.want+`"requested_at":"`) {
				t.Errorf("got %s, want %s…", value, tt.want)
			}
		})
	}
}

func TestPublishOneRefuses(t *testing.T) {
	tests := map[string]struct {
		flag, value, want string
	}{
		"no items":              {"--limit", "0", "limit: must be at least 1"},
		"too much diversity":    {"--diversity", "2", "diversity: must be from 0 to 1"},
		"no number":             {"--diversity", "nan", "diversity: must be 0 to 1"},
		"endless diversity":     {"--diversity", "inf", "diversity: must be 0 to 1"},
		"negative deadline":     {"--deadline", "-1s", "deadline: must be at least 1ms"},
		"deadline that is none": {"--deadline", "1us", "deadline: must be at least 1ms"},
		"deadline too late":     {"--deadline", "25h", "deadline_ms: "},
		"empty pin":             {"--pins", "up,", "pins[1]: must not be empty"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := recstream(t, nil, "", "publish", tt.flag, tt.value)
			if got.status != exitUsage || !strings.Contains(got.stderr, "recstream: "+tt.want) {
				t.Errorf("status %d: %s", got.status, got.stderr)
			}
		})
	}
}

func TestPublishWait(t *testing.T) {
	address, environ := startBroker(t)
	serveRequests(t, address)

	got := recstream(t, environ, "", "publish", "--generate", "50", "--wait")
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if got.status != 0 || len(lines) != 50 || !strings.Contains(got.stderr, "results: 50 ok, 0 missing") {
		t.Fatalf("status %d, %d results\n%s", got.status, len(lines), got.stderr)
	}
	var one schemas.Result
	if err := json.Unmarshal([]byte(lines[0]), &one); err != nil || one.Items[0].Title != "Airplane!" {
		t.Errorf("result %s: %v", lines[0], err)
	}

	got = recstream(t, environ, "", "publish", "--user", "ada", "--id", "mine", "--wait", "-o", "table")
	if got.status != 0 || !strings.Contains(got.stdout, "REQUEST") || !strings.Contains(got.stdout, "Airplane! 0.938") {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}

	// Of the forced lines one has an id that the rejection can be told to; the same id twice gets two results.
	got = recstream(t, environ, badLines+"{\"request_id\":\"r3\"}\n", "publish", "-", "--force", "--wait")
	if got.status != 0 || !strings.Contains(got.stderr, "results: 3 ok, 1 rejected, 0 missing") {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
}

func TestPublishWaitInVain(t *testing.T) {
	_, environ := startBroker(t)
	got := recstream(t, environ, "", "publish", "--user", "ada", "--wait", "--timeout", "50ms")
	if got.status != 1 || got.stdout != "" ||
		!strings.Contains(got.stderr, "recstream: 1 result missing, and none has come for 50ms\nhint: is 'recstream serve' running") {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
}

// TestPublishRate publishes 21 requests at 200 a second: the last is due after 100 ms.
func TestPublishRate(t *testing.T) {
	_, environ := startBroker(t)
	started := time.Now()
	got := recstream(t, environ, "", "publish", "--generate", "21", "--rate", "200")
	if took := time.Since(started); got.status != 0 || took < 100*time.Millisecond {
		t.Errorf("status %d after %v, want 100ms or more\n%s", got.status, took, got.stderr)
	}
}

// TestPublishInterrupted ends the command while it waits: for input that never comes, though what came
// was sent at once, and for the time of the next request.
func TestPublishInterrupted(t *testing.T) {
	tests := map[string][]string{
		"silent input": {"publish", "-"},
		"slow rate":    {"publish", "--generate", "2", "--rate", "0.001"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			address, environ := startBroker(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			input, feed := io.Pipe()
			defer feed.Close()
			defer input.Close()
			go feed.Write([]byte("{\"request_id\":\"r1\"}\n")) // ends with input.Close at the latest
			var stdout, stderr bytes.Buffer
			status := make(chan int, 1)
			go func() { status <- run(ctx, args, environ, input, &stdout, &stderr) }()
			published(t, address, 1)
			cancel()
			select {
			case got := <-status:
				if got != 1 || !strings.Contains(stderr.String(), "recstream: interrupted\n") {
					t.Errorf("status %d: %s", got, stderr.String())
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the command goes on")
			}
		})
	}
}

func TestUnwritten(t *testing.T) {
	cause := errors.New("too large")
	tests := map[string]struct {
		err  error
		lost int
		want error
	}{
		"all written":  {nil, 0, nil},
		"none written": {cause, 3, cause},
		"some written": {kafka.WriteErrors{nil, cause, nil}, 1, cause},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			lost, err := unwritten(3, tt.err)
			if lost != tt.lost || !errors.Is(err, tt.want) {
				t.Errorf("got %d, %v, want %d, %v", lost, err, tt.lost, tt.want)
			}
		})
	}
}
