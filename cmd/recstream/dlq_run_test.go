package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/internal/deadletter"
	"recstream/internal/devstack"
	"recstream/internal/postgres"
	"recstream/schemas"
)

// startLetters runs an embedded broker with three letters: of two requests that would be taken now, and one that says
// nothing about itself, at 0/2. It returns the environment that names it.
func startLetters(t *testing.T) []string {
	t.Helper()
	broker, err := devstack.StartBroker(devstack.BrokerOptions{Topics: map[string]int{
		schemas.DefaultDeadLetterTopic: 1, schemas.DefaultRequestTopic: 1, schemas.DefaultFeedbackTopic: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	letter := func(id string, offset int) *kgo.Record {
		r := &kgo.Record{Topic: schemas.DefaultDeadLetterTopic, Value: fmt.Appendf(nil, `{"request_id":%q}`, id)}
		for _, h := range [][2]string{{schemas.HeaderDLQReason, "record_refused"}, {schemas.HeaderDLQStage, "record"},
			{schemas.HeaderDLQTopic, schemas.DefaultRequestTopic}, {schemas.HeaderDLQPartition, "0"}, {schemas.HeaderDLQOffset, fmt.Sprint(offset)}} {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
		}
		return r
	}
	foreign := &kgo.Record{Topic: schemas.DefaultDeadLetterTopic, Value: []byte("?")}
	client := newClient(t, broker.Addr()[0])
	if err := client.ProduceSync(t.Context(), letter("r-0", 0), letter("r-1", 1), foreign).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return []string{"RECSTREAM_KAFKA_BROKERS=" + strings.Join(broker.Addr(), ",")}
}

// letterStep is a call of the program and what comes of it.
type letterStep struct {
	args           string
	status         int
	stdout, stderr string // expressions that match a part; "" is anything
}

func (s letterStep) take(t *testing.T, environ []string) {
	t.Helper()
	got := recstream(t, environ, "", strings.Fields(s.args)...)
	for _, part := range []struct{ want, got string }{{s.stdout, got.stdout}, {s.stderr, got.stderr}} {
		if !regexp.MustCompile(part.want).MatchString(part.got) {
			t.Errorf("%s: lacks %q:\n%s", s.args, part.want, part.got)
		}
	}
	if got.status != s.status {
		t.Errorf("%s: status %d, want %d\n%s", s.args, got.status, s.status, got.stderr)
	}
}

// TestLettersWithoutTheDatabase has none to ask, and then one without tables: what Kafka has is shown all the same.
func TestLettersWithoutTheDatabase(t *testing.T) {
	broker := startLetters(t)
	for name, database := range map[string]struct{ url, hint string }{
		"none":      {"postgres://127.0.0.1:1/recstream", "start Postgres"},
		"no tables": {startDatabase(t), "run 'recstream migrate up' first"},
	} {
		t.Run(name, func(t *testing.T) {
			notKnown := `^which letters were sent back is not known: .*\nhint: .*` + database.hint
			for _, s := range []letterStep{
				{"dlq list", exitOK, `record_refused +record +recommendation.requests +2 +\? +66`, notKnown},
				{"dlq list", exitOK, `\n3 letters; how many are open is not known\n$`, ""},
				{"dlq list -o json", exitOK, `"letters": 2,\s+"share"`, notKnown},
				{"dlq show 0/0", exitOK, `r-0`, notKnown},
				{"dlq list --open", exitRuntime, `^$`, "hint: .*" + database.hint},
				{"dlq show --open", exitRuntime, `^$`, "hint: .*" + database.hint},
				{"dlq redrive --all", exitRuntime, `^$`, "hint: .*" + database.hint},
				{"dlq purge --older-than 0s", exitRuntime, `^$`, "hint: .*" + database.hint},
			} {
				s.take(t, append([]string{"RECSTREAM_DATABASE_URL=" + database.url}, broker...))
			}
		})
	}
}

// TestLettersAreWorkedOff goes the way of an operator, mistakes included.
func TestLettersAreWorkedOff(t *testing.T) {
	url := startDatabase(t)
	environ := append([]string{"RECSTREAM_DATABASE_URL=" + url}, startLetters(t)...)
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []letterStep{
		{"migrate up", exitOK, "", ""},
		{"dlq list", exitOK, `record_refused .* 2 +2 +66(?s:.*)\(none\) +\(none\) +\(none\) +1 +1 +33(?s:.*)\n3 letters, 3 of them open\n$`, "^$"},
		{"dlq list --reason (none)", exitOK, `\n1 letter, 1 of them open\n$`, "^$"},
		{"dlq show --topic (none)", exitOK, `reason +\(none\)\n`, ""},
		{"dlq list --reason unknown_field", exitOK, `^no such dead letters`, "^$"},

		{"dlq list --reason unknownfield", exitUsage, `^$`, `--reason: .*"unknownfield".*; there are \(none\), record_refused\n`},
		{"dlq list --stage nope", exitUsage, `^$`, `--stage: .*"nope".*; there are \(none\), record\n`},
		{"dlq show --topic nope", exitUsage, `^$`, `--topic: .*"nope"`},
		{"dlq redrive --reason unknownfield", exitUsage, `^$`, `"unknownfield"`},
		{"dlq redrive 0/0 9/99", exitRuntime, `^$`, `no dead letter in recommendation.dead-letters at 9/99\n`},
		{"dlq show 0/0 0/7", exitRuntime, `^$`, `at 0/7\n`},
		{"dlq redrive --mended nofile.json", exitUsage, `^$`, "nofile.json: no such file(?s:.*)dlq show -o json"},
		{"dlq redrive --mended " + broken, exitUsage, `^$`, "letter 1: unexpected EOF(?s:.*)dlq show -o json"},

		{"dlq redrive 0/2 --dry-run", exitRuntime, `would send 0 of 1 letter back`, "1 letter was left alone"},
		{"dlq redrive 0/0 --dry-run", exitOK, `would send 1 of 1 letter back`, "^$"},
		{"dlq redrive 0/0 --why test", exitOK, `SHARE(?s:.*)\nrun 1: sent 1 of 1 letter back, 0 of them mended\n$`, "^$"},
		{"dlq list", exitOK, `record_refused .* 2 +1 +66(?s:.*)\n3 letters, 2 of them open\n$`, "^$"},
		{"dlq list --open", exitOK, `record_refused .* 1 +1 +50(?s:.*)\n2 letters, 2 of them open\n$`, "^$"},
		{"dlq show --open --limit 1", exitOK, `dead letter 0/1 (?s:.*)r-1`, ""},
		{"dlq redrive --open", exitRuntime, `run 2: sent 1 of 2 letters back`, "1 letter was left alone"},
		{"dlq list --open", exitOK, `\n1 letter, 1 of them open\n$`, "^$"},
		{"dlq list -o json", exitOK, `"letters": 3,\s+"open": 1,`, "^$"},
		{"dlq purge --older-than 0s", exitOK, `would delete 3 letters from before .*, 1 of them never sent back, for ever; --yes does\n$`, "^$"},
	} {
		s.take(t, environ)
	}
	redriveElsewhere(t, url, environ)
	if got := documentedRows(t, url); len(got) != 2 || got[0] != 2 || got[1] != 1 {
		t.Errorf("the statements of docs/dead-letters.md return %v rows, want 2 runs and 1 kind of request without an answer", got)
	}
}

// redriveElsewhere has another process send letters back meanwhile.
func redriveElsewhere(t *testing.T, url string, environ []string) {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	held, err := db.LockRedrives(t.Context(), schemas.DefaultDeadLetterTopic)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	letterStep{"dlq redrive --all", exitRuntime, `^$`, "another redrive of this topic is running"}.take(t, environ)
}

// documentedRows runs each statement of the page and returns how many rows it has.
func documentedRows(t *testing.T, url string) (rows []int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(readDocument(t, "docs/dead-letters.md"), -1) {
		tag, err := conn.Exec(t.Context(), block[1])
		if err != nil {
			t.Errorf("%v\n%s", err, block[1])
		}
		rows = append(rows, tag.RowsAffected())
	}
	return rows
}

func TestRedriveProgress(t *testing.T) {
	var b bytes.Buffer
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	a := &app{stderr: &b}
	p := a.newRedriveProgress([]deadletter.Span{{First: 0, End: 500}, {Partition: 1, First: 100, End: 600}}, false)
	p.started, p.last, p.now = now, now, func() time.Time { return now }
	r := &deadletter.Report{Run: postgres.RedriveRun{ID: 12}}
	for range 21 {
		p.show(r)
		now = now.Add(time.Second)
		r.Sent, r.Read = r.Sent+10, r.Read+20
	}
	want := "run 12: sent 50 letters, 10/s; 100 of 1000 offsets read, 10 %\nrun 12: sent 100 letters, 10/s; 200 of 1000 offsets read, 20 %\n"
	if lines := strings.SplitAfter(b.String(), "\n"); len(lines) != 5 || !strings.HasPrefix(b.String(), want) {
		t.Errorf("lines\n%s", b.String())
	}
	p.dryRun = true
	if line := p.line(&deadletter.Report{Sent: 1}, 0); !strings.HasPrefix(line, "dry run: would send 1 letter, ") {
		t.Error(line)
	}
}
