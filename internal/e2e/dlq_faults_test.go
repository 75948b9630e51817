package e2e

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/schemas"
)

// committedEvents reads all events of requests and feedback that a read_committed reader sees: those that this test
// published first, then those that were sent back.
func (s *stack) committedEvents(t *testing.T) (list []kafka.Message) {
	t.Helper()
	var back []kafka.Message
	for _, topic := range []string{s.requests(), s.feedback()} {
		ends, err := s.endOffsets(t, topic)
		if err != nil {
			t.Fatal(err)
		}
		for p := range partitions {
			source := committed.Partition{Client: s.client, Topic: topic, Number: p, MaxBytes: 1 << 20, Timeout: 10 * time.Second}
			for offset := int64(0); offset < ends[p]; {
				records, err := source.Fetch(within(t), offset, 100*time.Millisecond)
				if err != nil {
					t.Fatal(err)
				}
				for {
					r, err := records.Read()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					m := message(p, r)
					m.Topic = topic
					if header(m, "dlq_redrive_id") != "" {
						back = append(back, m)
					} else {
						list = append(list, m)
					}
				}
				offset = records.Next()
			}
		}
	}
	return append(list, back...)
}

// writeLetters writes n letters of valid requests into the topic, as if a version before had refused them.
func (s *stack) writeLetters(t *testing.T, n int, at time.Time) {
	t.Helper()
	messages := make([]kafka.Message, n)
	for i := range messages {
		m := goodMessage(i)
		m.Time = at
		m.Headers = []kafka.Header{{Key: "trace", Value: []byte{0xff}}}
		for _, h := range [][2]string{{schemas.HeaderDLQReason, "record_refused"}, {schemas.HeaderDLQDetail, "d"}, {schemas.HeaderDLQStage, "record"},
			{schemas.HeaderDLQTopic, s.requests()}, {schemas.HeaderDLQPartition, strconv.Itoa(i % partitions)}, {schemas.HeaderDLQOffset, strconv.Itoa(i)},
			{schemas.HeaderDLQAttempts, "1"}, {schemas.HeaderDLQAt, at.Format(time.RFC3339Nano)}} {
			m.Headers = append(m.Headers, kafka.Header{Key: h[0], Value: []byte(h[1])})
		}
		messages[i] = m
	}
	s.publishTo(t, s.deadLetters(), messages...)
}

// TestRedriveIsKilled kills redrives at random; in the end every letter was sent once.
func TestRedriveIsKilled(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		const letters = 400
		s.writeLetters(t, letters, time.Now())
		seed := time.Now().UnixNano()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		args := []string{"dlq", "redrive", "--reason", "record_refused", "--rate", "400"}
		kills := 0
		for ; kills < 12; kills++ {
			cmd := exec.Command(program, args...)
			cmd.Env = s.env
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Duration(100+random.IntN(250))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			timer.Stop()
			if err == nil {
				break
			}
		}
		s.output(t, 0, args...)
		sent := map[string]int{}
		for _, m := range s.committedEvents(t) {
			sent[header(m, "dlq_redrive_id")]++
		}
		ids := map[string]int{}
		rows, err := s.db.Pool().Query(within(t), `SELECT id::text, letter_partition || '/' || letter_offset FROM redrives WHERE state = 'sent'`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, letter string
			if err := rows.Scan(&id, &letter); err != nil {
				t.Fatal(err)
			}
			ids[letter]++
			if sent[id] != 1 {
				t.Errorf("the event of letter %s, sent as %s, is there %d times", letter, id, sent[id])
			}
		}
		var unfinished, runs int
		err = s.db.Pool().QueryRow(within(t), `SELECT count(*) FILTER (WHERE finished_at IS NULL), count(*) FROM redrive_runs`).Scan(&unfinished, &runs)
		if err != nil || unfinished != 0 {
			t.Errorf("%d runs are unfinished, error %v", unfinished, err)
		}
		if len(sent) != letters || len(ids) != letters {
			t.Errorf("%d events and %d rows of %d letters", len(sent), len(ids), letters)
		}
		t.Logf("%d kills, %d runs", kills, runs)
	})
}

// TestLoopsEnd sends a bad event back until it is left alone.
func TestLoopsEnd(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		s.serve(t)
		s.publish(t, kafka.Message{Key: []byte("k"), Value: []byte("{"), Headers: []kafka.Header{{Key: "dlq_reason", Value: []byte("of the app")}}})
		for round := range 3 {
			s.awaitLetters(t, round+1)
			if r := s.redrive(t, 0, "--all", "--force"); r.Sent != 1 {
				t.Fatalf("round %d: %+v", round, r)
			}
		}
		s.awaitLetters(t, 4)
		if r := s.redrive(t, 1, "--all", "--force"); r.Sent != 0 {
			t.Errorf("fourth time: %+v", r)
		}
		last := s.showLetters(t)[3]
		if last.Redrives != 3 || len(last.Headers) != 3 || last.Headers[0].Value != "of the app" {
			t.Errorf("last letter %+v", last)
		}
		if first := s.showLetters(t)[0]; len(first.Redriven) != 1 || !strings.Contains(first.Redriven[0].Outcome, "rejected again: invalid_json, see ") {
			t.Errorf("first letter: %+v", first.Redriven)
		}
		if r := s.redrive(t, 0, "--key", "k", "--force", "--max-redrives", "4", "--max", "1"); r.Sent != 1 {
			t.Errorf("with a higher bound: %+v", r)
		}
	})
}

func (s *stack) awaitLetters(t *testing.T, n int) {
	t.Helper()
	eventually(t, "dead letters", func() (bool, string) {
		ends, err := s.endOffsets(t, s.deadLetters())
		if err != nil {
			return false, err.Error()
		}
		found := len(s.readDeadLetters(t)["k"])
		return found == n, fmt.Sprint(found, ends)
	})
}

// TestOmittedValueComesFromItsTopic has an event whose letter is too large for the topic: it is sent back all the same.
func TestOmittedValueComesFromItsTopic(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		s.serve(t)
		value := []byte(`{"request_id":"x"` + strings.Repeat(" ", 1_048_300-18) + "}")
		w := s.writer()
		defer w.Close()
		w.BatchBytes = 2 << 20
		if err := w.WriteMessages(within(t), kafka.Message{Key: []byte("k"), Value: value}); err != nil {
			t.Fatal(err)
		}
		s.awaitLetters(t, 1)
		if l := s.showLetters(t)[0]; l.Omitted < len(value) || l.Reason != schemas.CodeMessageTooLarge {
			t.Fatalf("letter %+v", l)
		}
		if r := s.redrive(t, 1, "--all"); r.Sent != 0 || !strings.Contains(r.LeftAlone[0].Why, "refused again") {
			t.Errorf("without force: %+v", r)
		}
		if r := s.redrive(t, 0, "--all", "--force"); r.Sent != 1 {
			t.Errorf("with force: %+v", r)
		}
		s.awaitLetters(t, 2)
		list := s.showLetters(t)
		if list[1].Omitted <= list[0].Omitted || list[1].Redrives != 1 {
			t.Errorf("the next letter: %d bytes left out, %d redrives; want more than %d, and 1", list[1].Omitted, list[1].Redrives, list[0].Omitted)
		}
	})
}

// TestPurge deletes what is old, no more and no less, and only when it is told to.
func TestPurge(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		s.writeLetters(t, 200, time.Now().Add(-3*time.Hour))
		s.writeLetters(t, 100, time.Now().Add(-time.Hour))
		s.writeLetters(t, 50, time.Now().Add(-3*time.Hour)) // behind younger ones
		for _, yes := range []bool{false, true, true} {
			args := []string{"dlq", "purge", "--older-than", "2h", "-o", "json"}
			if yes {
				args = append(args, "--yes")
			}
			var r struct {
				Deleted bool
				Letters int
			}
			before := len(s.showLetters(t))
			mustDecode(t, []byte(s.output(t, 0, args...)), &r)
			after := len(s.showLetters(t))
			if want := map[bool]int{false: 350, true: 150}[yes]; after != want || r.Deleted != yes || r.Letters != before-150 {
				t.Errorf("yes %v: %+v, %d letters before, %d after", yes, r, before, after)
			}
		}
		var letters int
		if err := s.db.Pool().QueryRow(within(t), `SELECT sum(letters) FROM dead_letter_purges WHERE done_at IS NOT NULL`).Scan(&letters); err != nil || letters != 200 {
			t.Errorf("audit of %d letters, error %v", letters, err)
		}
	})
}
