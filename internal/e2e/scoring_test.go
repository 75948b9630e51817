package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestScoringParametersChangeWhileServing changes the file of parameters under an instance that answers requests: by
// the interval, and by SIGHUP. No request is lost, a wrong file changes nothing, and the text of each version that a
// decision names is kept.
func TestScoringParametersChangeWhileServing(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		file := filepath.Join(s.dir, "scoring.yaml")
		put := func(text string) {
			t.Helper()
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put("max_items: 1 # one\n")
		byInterval := s.serve(t, "RECSTREAM_SCORING_FILE="+file, "RECSTREAM_SCORING_RELOAD_INTERVAL=100ms")
		n := 0
		// answered publishes requests until one has that many items, and returns its version.
		answered := func(items int) (version string) {
			t.Helper()
			eventually(t, fmt.Sprintf("%d items", items), func() (bool, string) {
				s.publish(t, goodMessage(n))
				n++
				s.awaitCommitted(t)
				var got int
				err := s.db.Pool().QueryRow(t.Context(), `SELECT cardinality(item_ids), config_version FROM decisions
					ORDER BY request_id DESC LIMIT 1`).Scan(&got, &version)
				return err == nil && got == items, fmt.Sprint(got, err)
			})
			return version
		}
		one := answered(1)
		put("max_items: 2 # two\n")
		two := answered(2)
		put("max_items: 0\nrank: {page: many}\n")
		eventually(t, "refusal", func() (bool, string) {
			return contains(byInterval.log.String(), "refused", "2 mistakes", "scoring.yaml:2"), byInterval.log.tail(3)
		})
		if version := answered(2); version != two {
			t.Errorf("a wrong file changes the version from %s to %s", two, version)
		}
		byInterval.stop(t)

		put("max_items: 1\n")
		bySignal := s.serve(t, "RECSTREAM_SCORING_FILE="+file, "RECSTREAM_SCORING_RELOAD_INTERVAL=1h")
		if version := answered(1); version != one {
			t.Errorf("version %s, want %s as before", version, one)
		}
		put("max_items: 2\n")
		if err := bySignal.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		answered(2)
		bySignal.stop(t)
		s.checkLedger(t, &workload{good: n})

		for version, text := range map[string]string{one: "max_items: 1 # one\n", two: "max_items: 2 # two\n"} {
			if got := s.command(t, "scoring", "show", version); got != text {
				t.Errorf("version %s shows %q, want %q", version, got, text)
			}
		}
		if lines := strings.Split(strings.TrimSpace(s.command(t, "scoring", "list")), "\n"); len(lines) != 3 {
			t.Errorf("list: %q", lines)
		}
	})
}
