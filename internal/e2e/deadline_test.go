package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
)

// wave is how many requests with deadlines one after the other are published at once.
const wave = 2000

// TestDeadlinesOpenTheBreaker publishes requests whose deadlines come one shortly after the other, faster than a
// model scores all films: those that are too late already go by, and the next one's deadline passes while the model
// scores. That is a failure of the model's, so the tier rests, and every request is answered all the same. When
// there are no deadlines any more it is tried again, and trusted again; each step has a row.
func TestDeadlinesOpenTheBreaker(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		file := filepath.Join(s.dir, "scoring.yaml")
		text := "fallback: {slow: 1ns, breaker: {window: 50, failures: 5, rest: 300ms, probes: 3}, drift: {window: 0}}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// The model that knows the users: what it says is made afresh for each request.
		i := s.serve(t, "RECSTREAM_SCORING_FILE="+file, "RECSTREAM_MODEL_PATH=../demo/data/films/3")
		n := 0
		for apart := 50 * time.Microsecond; s.changes(t) == "" && apart < 10*time.Millisecond; apart *= 2 {
			s.publish(t, messagesOf(deadlines(n, time.Now().Add(200*time.Millisecond), apart))...)
			n += wave
			s.awaitCommitted(t)
		}
		eventually(t, "a breaker that opens", func() (bool, string) {
			changes := s.changes(t)
			return strings.HasPrefix(changes, "closed open deadline_exceeded"), changes
		})
		eventually(t, "a breaker that closes", func() (bool, string) {
			r := unhurried(n)
			s.publish(t, messagesOf([]schemas.Request{r})...)
			n++
			changes := s.changes(t)
			return strings.HasSuffix(changes, "half_open closed "), changes
		})
		s.awaitCommitted(t)
		i.stop(t)
		s.checkChain(t)
		s.checkAnswersInTime(t, n)
	})
}

// deadlines are requests whose deadlines are apart, the first at a time.
func deadlines(from int, first time.Time, apart time.Duration) (requests []schemas.Request) {
	const wait = 10 * time.Second
	for k := range wave {
		r := unhurried(from + k)
		r.RequestedAt = first.Add(time.Duration(k)*apart - wait).UTC().Truncate(time.Microsecond)
		r.DeadlineMS = int(wait / time.Millisecond)
		requests = append(requests, r)
	}
	return requests
}

// unhurried is a request for the best of all films. It excludes something, so that no answer is at hand.
func unhurried(i int) schemas.Request {
	return schemas.Request{RequestID: fmt.Sprintf("r-%06d", i), UserID: "ada", Limit: 1, Exclude: []string{"nothing"},
		Diversity: math.NaN(), RequestedAt: time.Now().UTC().Truncate(time.Microsecond)}
}

// changes are what became of the model tier, a line each.
func (s *stack) changes(t *testing.T) (text string) {
	t.Helper()
	if err := s.db.Pool().QueryRow(within(t), `SELECT coalesce(string_agg(concat(from_state, ' ', to_state, ' ', reason), E'\n' ORDER BY id), '')
		FROM tier_changes WHERE tier = 'model'`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// checkChain wants each change to begin where the one before ended, for the cause that there was.
func (s *stack) checkChain(t *testing.T) {
	t.Helper()
	state, steps := "closed", map[string]int{}
	for line := range strings.SplitSeq(s.changes(t), "\n") {
		words := strings.Split(line, " ")
		if words[0] != state || (words[1] == "closed") != (words[2] == "") || words[1] != "closed" && words[2] != "deadline_exceeded" {
			t.Errorf("change %q while %s", line, state)
		}
		state = words[1]
		steps[words[0]+" "+words[1]]++
	}
	t.Logf("changes %v", steps)
	for _, step := range []string{"closed open", "open half_open", "half_open closed"} {
		if steps[step] == 0 {
			t.Errorf("never from %s", step)
		}
	}
	var others int
	if err := s.db.Pool().QueryRow(within(t), `SELECT count(*) FROM tier_changes WHERE tier <> 'model' OR model_id IS NULL`).Scan(&others); err != nil || others > 0 {
		t.Errorf("%d changes of other tiers, or without their model: %v", others, err)
	}
}

// checkAnswersInTime wants each of the requests to have been answered, once, by the model or for a reason.
func (s *stack) checkAnswersInTime(t *testing.T, n int) {
	t.Helper()
	right := map[string]bool{
		"model:": true,
		"popular:deadline_exceeded,previous_missing,deadline_exceeded": true, // too late
		"popular:circuit_open,previous_missing,no_history":             true, // in time, while the model rests
		"popular:circuit_open,previous_missing,deadline_exceeded":      true, // the time ran out between the two tiers
	}
	seen := map[string]int{}
	for id, row := range s.findRows(t, 0, n) {
		codes := make([]string, len(row.Degraded))
		for i, code := range row.Degraded {
			codes[i] = string(code)
		}
		answer := string(row.Tier) + ":" + strings.Join(codes, ",")
		if seen[answer]++; !right[answer] || len(row.Items) != 1 {
			t.Fatalf("%s is answered by %s with %d items", id, answer, len(row.Items))
		}
	}
	results := 0
	for _, partition := range s.readResults(t) {
		results += len(partition)
	}
	t.Logf("%d requests: %v", n, seen)
	if results != n || seen["model:"] == 0 || seen["popular:circuit_open,previous_missing,no_history"] == 0 {
		t.Errorf("%d results of %d requests: %v", results, n, seen)
	}
}
