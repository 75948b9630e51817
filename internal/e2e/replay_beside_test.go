package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/logbook"
	"recstream/internal/postgres"
	"recstream/internal/replay"
)

// How much TestReplayBesideLiveTraffic replays, and how fast at the most, a second.
const (
	besideRequests = 1200
	besideRate     = 300
)

// TestReplayBesideLiveTraffic replays while an instance answers requests: the replay keeps to its rate, whatever it could
// do, every live request is answered meanwhile, and both get all done.
func TestReplayBesideLiveTraffic(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		s.serve(t)
		published := s.publishGood(t, 0, besideRequests)
		s.awaitCommitted(t)

		began := time.Now()
		beside := s.startReplay(t, "run", "--rate", fmt.Sprint(besideRate), "--max-differing", "0", "--max-irreproducible", "0")
		rounds := 0
		for more := true; more; more = s.keepsToRate(t, began) {
			published += s.publishGood(t, published, 50)
			s.awaitCommitted(t)
			rounds++
		}
		if err := beside.Wait(); err != nil {
			t.Errorf("the replay ended with %v", err)
		}
		t.Logf("%d live requests in %d rounds while %d were replayed in %s", published-besideRequests, rounds, besideRequests,
			time.Since(began).Round(time.Millisecond))

		answered := map[string]bool{}
		for _, partition := range s.readResults(t) {
			for _, r := range partition {
				answered[r.RequestID] = true
			}
		}
		var live, replayed int
		err := s.db.Pool().QueryRow(within(t), `SELECT count(*) FILTER (WHERE run_id = 0), count(*) FILTER (WHERE run_id = 1) FROM decisions`).
			Scan(&live, &replayed)
		if err != nil || len(answered) != published || live != published || replayed != besideRequests {
			t.Errorf("%d live requests answered and %d stored of %d, %d replayed of %d (%v)", len(answered), live, published, replayed, besideRequests, err)
		}
	})
}

// publishGood publishes n requests from a number up, and returns n.
func (s *stack) publishGood(t *testing.T, from, n int) int {
	t.Helper()
	var messages []kafka.Message
	for i := range n {
		messages = append(messages, goodMessage(from+i))
	}
	s.publish(t, messages...)
	return n
}

// startReplay starts a replay command, and returns once its first replay has its range.
func (s *stack) startReplay(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(within(t), program, append([]string{"replay"}, args...)...)
	cmd.Env, cmd.SysProcAttr = s.env, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log := book{new(logbook.Book)}
	cmd.Stderr = log
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the replay:\n%s", log.tail(20))
		}
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a replay", func() (bool, string) {
		_, err := s.db.Replay(within(t), 1)
		if err != nil && !errors.Is(err, postgres.ErrNoReplay) {
			t.Fatal(err)
		}
		return err == nil, "none"
	})
	return cmd
}

// keepsToRate looks how far the replay is that began then or later, and reports whether it goes on. It may be ahead of
// its rate by one batch, a tenth of a second's.
func (s *stack) keepsToRate(t *testing.T, began time.Time) bool {
	t.Helper()
	now, err := s.db.Replay(within(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	done, total := replay.Progress(now)
	if most := besideRate*time.Since(began).Seconds() + besideRate/10; float64(done) > most {
		t.Errorf("%d requests are replayed after %s, more than the %.0f of its rate", done, time.Since(began), most)
	}
	if total != besideRequests {
		t.Fatalf("the replay has %d offsets, want %d", total, besideRequests)
	}
	return now.State == postgres.ReplayRunning
}
