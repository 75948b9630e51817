package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// badEvent is an event that is refused, and what its app meant.
type badEvent struct {
	name, code string
	feedback   bool
	value      []byte
}

// badEvents are ways for an event to be bad: those of requests, and of feedback.
func badEvents() (list []badEvent) {
	for _, k := range badKinds {
		list = append(list, badEvent{k.name, k.code, false, k.value})
	}
	request := func(name, code, fields string) {
		list = append(list, badEvent{name, code, false, []byte(`{"request_id":"x",` + fields + `}`)})
	}
	request("unknown company", schemas.CodeUnknownValue, `"group_size":"crowd"`)
	request("unknown session", schemas.CodeUnknownValue, `"session_length":"week"`)
	request("limit 0", schemas.CodeOutOfRange, `"limit":0`)
	request("limit below", schemas.CodeOutOfRange, `"limit":-1`)
	request("broken limit", schemas.CodeWrongType, `"limit":1.5`)
	request("diversity above", schemas.CodeOutOfRange, `"diversity":1.5`)
	request("deadline below", schemas.CodeOutOfRange, `"deadline_ms":-5`)
	request("mood a number", schemas.CodeWrongType, `"mood":3`)
	request("candidates a text", schemas.CodeWrongType, `"candidates":"a"`)
	request("candidate a number", schemas.CodeWrongType, `"candidates":[1]`)
	request("empty candidate", schemas.CodeInvalidText, `"candidates":[""]`)
	request("long user", schemas.CodeTooLong, `"user_id":"`+strings.Repeat("u", 200)+`"`)
	request("control character", schemas.CodeInvalidText, `"user_id":"a\u0007b"`)
	request("half a pair", schemas.CodeInvalidText, `"user_id":"\ud800"`)
	request("time a number", schemas.CodeWrongType, `"requested_at":12`)
	request("year 10000", schemas.CodeInvalidTime, `"requested_at":"10000-01-01T00:00:00Z"`)
	list = append(list,
		badEvent{"an array", schemas.CodeWrongType, false, []byte(`[]`)},
		badEvent{"white space", schemas.CodeEmptyMessage, false, []byte(" \n\t")},
		badEvent{"bytes", schemas.CodeInvalidJSON, false, []byte{0, 1, 2, 0xfe, 0xff}},
		badEvent{"empty id", schemas.CodeInvalidText, false, []byte(`{"request_id":""}`)})
	feedback := func(name, code, value string) {
		list = append(list, badEvent{name, code, true, []byte(value)})
	}
	feedback("feedback not JSON", schemas.CodeInvalidJSON, `oops`)
	feedback("feedback without item", schemas.CodeMissingField, `{"request_id":"x","action":"click"}`)
	feedback("feedback without action", schemas.CodeMissingField, `{"request_id":"x","item_id":"i"}`)
	feedback("feedback of no kind", schemas.CodeUnknownValue, `{"request_id":"x","item_id":"i","action":"hug"}`)
	feedback("rating without value", schemas.CodeMissingField, `{"request_id":"x","item_id":"i","action":"rating"}`)
	feedback("feedback field", schemas.CodeUnknownField, `{"request_id":"x","item_id":"i","action":"click","vlaue":1}`)
	feedback("feedback from the future", schemas.CodeInvalidTime, `{"request_id":"x","item_id":"i","action":"click","at":"2090-01-01T00:00:00Z"}`)
	feedback("value a text", schemas.CodeWrongType, `{"request_id":"x","item_id":"i","action":"rating","value":"5"}`)
	return list
}

// shownLetter is what dlq show prints of a letter, as far as it is looked at.
type shownLetter struct {
	Partition   int       `json:"partition"`
	Offset      int64     `json:"offset"`
	At          time.Time `json:"at"`
	Reason      string    `json:"reason"`
	From        struct{ Topic string }
	Omitted     int     `json:"value_omitted"`
	Redrives    int     `json:"redrives"`
	Key         string  `json:"key"`
	Value       *string `json:"value"`
	ValueBase64 []byte  `json:"value_base64"`
	Headers     []struct{ Key, Value string }
	Redriven    []struct{ State, Outcome string }
}

func (l *shownLetter) bytes() []byte {
	if l.Value != nil {
		return []byte(*l.Value)
	}
	return l.ValueBase64
}

func (s *stack) showLetters(t *testing.T, args ...string) (list []shownLetter) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(s.output(t, 0, append([]string{"dlq", "show", "-o", "json", "--limit", "1000"}, args...)...)))
	for {
		var l shownLetter
		err := decoder.Decode(&l)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, l)
	}
}

// output runs a command of the program that must end with a status, and returns its standard output.
func (s *stack) output(t *testing.T, status int, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(within(t), program, args...)
	cmd.Env = s.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != status {
		t.Fatalf("recstream %s: %v, want status %d\n%s%s", strings.Join(args, " "), err, status, &stdout, &stderr)
	}
	return stdout.String()
}

// redriven is what dlq redrive says that it did.
type redriven struct {
	Chosen, Sent, Mended int
	Continued            bool
	LeftAlone            []struct {
		Letters int
		Why     string
	} `json:"left_alone"`
}

func (s *stack) redrive(t *testing.T, status int, args ...string) (r redriven) {
	t.Helper()
	mustDecode(t, []byte(s.output(t, status, append([]string{"dlq", "redrive", "-o", "json"}, args...)...)), &r)
	return r
}

// TestDeadLettersRoundTrip takes every kind of bad event from its refusal to its one answer.
func TestDeadLettersRoundTrip(t *testing.T) {
	kinds := badEvents()
	if len(kinds) < 40 {
		t.Fatalf("%d kinds, want 40", len(kinds))
	}
	onEachKafka(t, func(t *testing.T, s *stack) {
		i := s.serve(t)
		for n, kind := range kinds {
			m := kafka.Message{Key: []byte(fmt.Sprintf("dlq-%02d", n)), Value: kind.value, Headers: []kafka.Header{
				{Key: "kind", Value: []byte(kind.name)}, {Key: "kind", Value: []byte("again")}}}
			if kind.feedback {
				s.publishTo(t, s.feedback(), m)
			} else {
				s.publish(t, m)
			}
		}
		s.awaitAll(t)
		s.checkList(t, kinds)
		letters := s.checkShown(t, kinds)

		if r := s.redrive(t, 1, "--all"); r.Sent != 0 || r.Chosen != len(kinds) {
			t.Errorf("what would be refused again: %+v", r)
		}
		before := s.committedEvents(t)
		file := writeMended(t, kinds, letters)
		if r := s.redrive(t, 0, "--mended", file, "--dry-run"); r.Sent != len(kinds) {
			t.Errorf("dry run: %+v", r)
		}
		if n := len(s.committedEvents(t)); n != len(before) {
			t.Errorf("a dry run sent %d events", n-len(before))
		}
		if r := s.redrive(t, 0, "--mended", file, "--why", "mended"); r.Sent != len(kinds) || r.Mended != len(kinds) {
			t.Errorf("redrive: %+v", r)
		}
		if r := s.redrive(t, 0, "--mended", file); r.Sent != 0 || len(r.LeftAlone) != 1 || r.LeftAlone[0].Letters != len(kinds) {
			t.Errorf("second redrive: %+v", r)
		}
		s.awaitAll(t)
		s.checkAnswered(t, kinds)
		s.checkSentBack(t, kinds, s.committedEvents(t)[len(before):])
		for _, l := range s.showLetters(t) {
			if len(l.Redriven) != 1 || l.Redriven[0].State != "sent" || !strings.Contains(l.Redriven[0].Outcome, "answered by tier") && !strings.Contains(l.Redriven[0].Outcome, "stored") {
				t.Errorf("%s: redriven %+v", l.Key, l.Redriven)
			}
		}
		i.stop(t)
	})
}

// awaitAll waits until requests and feedback are committed.
func (s *stack) awaitAll(t *testing.T) {
	t.Helper()
	s.awaitCommitted(t)
	s.awaitGroup(t, s.name+"-feedback", s.feedback())
}

func (s *stack) checkList(t *testing.T, kinds []badEvent) {
	t.Helper()
	type group struct{ reason, from string }
	want := map[group]int{}
	for _, k := range kinds {
		want[group{k.code, s.topicOf(k)}]++
	}
	var list struct {
		Letters int
		Groups  []struct {
			Reason, Stage, From string
			Letters             int
			First, Last         time.Time
		}
	}
	mustDecode(t, []byte(s.output(t, 0, "dlq", "list", "-o", "json")), &list)
	if list.Letters != len(kinds) || len(list.Groups) != len(want) {
		t.Errorf("%d letters in %d groups, want %d in %d", list.Letters, len(list.Groups), len(kinds), len(want))
	}
	for _, g := range list.Groups {
		if want[group{g.Reason, g.From}] != g.Letters || g.Stage != "decode" || g.Last.Before(g.First) || time.Since(g.First) > patience {
			t.Errorf("group %+v, want %d", g, want[group{g.Reason, g.From}])
		}
	}
}

func (s *stack) topicOf(k badEvent) string {
	if k.feedback {
		return s.feedback()
	}
	return s.requests()
}

// checkShown compares every letter with its event, and returns them by kind.
func (s *stack) checkShown(t *testing.T, kinds []badEvent) []shownLetter {
	t.Helper()
	byKind := make([]shownLetter, len(kinds))
	for _, l := range s.showLetters(t) {
		n, err := strconv.Atoi(strings.TrimPrefix(l.Key, "dlq-"))
		if err != nil {
			t.Fatal(err)
		}
		k := kinds[n]
		if l.Reason != k.code || l.From.Topic != s.topicOf(k) || l.Redrives != 0 || len(l.Redriven) != 0 {
			t.Errorf("%s: shown as %+v", k.name, l)
		}
		if l.Omitted == 0 && !bytes.Equal(l.bytes(), k.value) {
			t.Errorf("%s: value %q, want %q", k.name, l.bytes(), k.value)
		}
		if len(l.Headers) != 2 || l.Headers[0].Value != k.name || l.Headers[1].Value != "again" {
			t.Errorf("%s: headers %v", k.name, l.Headers)
		}
		byKind[n] = l
	}
	return byKind
}

// writeMended writes a file of mended letters; of every second the value is an object in place of its text.
func writeMended(t *testing.T, kinds []badEvent, letters []shownLetter) (path string) {
	t.Helper()
	var b bytes.Buffer
	for n, l := range letters {
		var value any = json.RawMessage(fmt.Sprintf(`{"request_id": "m-%02d", "mood": "funny"}`, n))
		if kinds[n].feedback {
			value = json.RawMessage(fmt.Sprintf(`{"request_id": "m-%02d", "item_id": "i", "action": "click"}`, n))
		}
		if n%2 == 0 {
			value = string(value.(json.RawMessage))
		}
		text, err := json.Marshal(map[string]any{"partition": l.Partition, "offset": l.Offset, "at": l.At, "key": l.Key, "value": value})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	path = filepath.Join(t.TempDir(), "mended.json")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkAnswered looks for one row and one result of every mended event.
func (s *stack) checkAnswered(t *testing.T, kinds []badEvent) {
	t.Helper()
	results := map[string]int{}
	for _, partition := range s.readResults(t) {
		for _, r := range partition {
			if r.Status == schemas.StatusOK {
				results[r.RequestID]++
			}
		}
	}
	for n, k := range kinds {
		id, table, want := fmt.Sprintf("m-%02d", n), "decisions", 1
		if k.feedback {
			table, want = "outcomes", 0
		}
		var rows int
		if err := s.db.Pool().QueryRow(within(t), `SELECT count(*) FROM `+table+` WHERE request_id = $1`, id).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		if rows != 1 || results[id] != want {
			t.Errorf("%s: %d rows, %d results", k.name, rows, results[id])
		}
	}
	if n := len(s.readDeadLetters(t)); n != len(kinds) {
		t.Errorf("letters of %d keys, want %d", n, len(kinds))
	}
}

// checkSentBack looks at the events that were sent back: their own key and headers, and two more.
func (s *stack) checkSentBack(t *testing.T, kinds []badEvent, events []kafka.Message) {
	t.Helper()
	if len(events) != len(kinds) {
		t.Errorf("%d events were sent, want %d", len(events), len(kinds))
	}
	for _, m := range events {
		n, err := strconv.Atoi(strings.TrimPrefix(string(m.Key), "dlq-"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, h := range m.Headers {
			names = append(names, h.Key)
		}
		if got := strings.Join(names, " "); got != "kind kind dlq_redrives dlq_redrive_id" || header(m, "kind") != kinds[n].name ||
			header(m, "dlq_redrives") != "1" || m.Topic != s.topicOf(kinds[n]) {
			t.Errorf("%s: sent back to %s with headers %v", kinds[n].name, m.Topic, m.Headers)
		}
	}
}
