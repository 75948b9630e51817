package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// TestEveryRequestHasOneOutcome is the main job: nothing goes wrong but the events themselves.
func TestEveryRequestHasOneOutcome(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		w := newWorkload(10_000)
		i := s.serve(t)
		s.publish(t, w.messages...)
		s.check(t, w)
		i.stop(t)
		s.checkLedger(t, w)
	})
}

// TestRepeatedRequestsAreAnsweredWithTheStoredDecision publishes ids a second time, within a batch, and after a
// restart with another model: one row, and the same bytes under the same ce_id.
func TestRepeatedRequestsAreAnsweredWithTheStoredDecision(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		const n = 200
		i := s.serve(t)
		publishTwice := func() {
			var messages []kafka.Message
			for id := range n {
				messages = append(messages, goodMessage(id), goodMessage(id))
			}
			s.publish(t, messages...)
			s.awaitCommitted(t)
		}
		publishTwice()
		i.stop(t)
		other, err := os.ReadFile("../../scoring/model/testdata/other.txt")
		if err != nil {
			t.Fatal(err)
		}
		s.putModel(t, other)
		s.serve(t)
		publishTwice()

		answers := map[string][]result{}
		for _, partition := range s.readResults(t) {
			for _, r := range partition {
				answers[r.RequestID] = append(answers[r.RequestID], r)
			}
		}
		if len(answers) != n {
			t.Errorf("%d requests answered, want %d", len(answers), n)
		}
		for id, list := range answers {
			if len(list) != 4 {
				t.Errorf("%s published 4 times has %d results", id, len(list))
			}
			for _, r := range list[1:] {
				if r.id != list[0].id || string(r.value) != string(list[0].value) {
					t.Errorf("%s: results differ\n%s %s\n%s %s", id, list[0].id, list[0].value, r.id, r.value)
				}
			}
		}
		s.checkLedger(t, &workload{good: n})
	})
}

// TestModelTroubleDegradesAndRecovers changes the model file under a running instance. Every result says what
// was the matter, and nothing has to be restarted.
func TestModelTroubleDegradesAndRecovers(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		good, err := os.ReadFile(s.modelPath())
		if err != nil {
			t.Fatal(err)
		}
		first := s.serve(t)
		n := 0
		// answeredBy publishes requests until one is answered as wanted.
		answeredBy := func(tier schemas.Tier, degraded string) {
			t.Helper()
			eventually(t, fmt.Sprintf("tier %s, degraded %s", tier, degraded), func() (bool, string) {
				s.publish(t, goodMessage(n))
				n++
				s.awaitCommitted(t)
				var row struct{ tier, degraded string }
				err := s.db.Pool().QueryRow(t.Context(), `SELECT tier, array_to_string(degraded, ',') FROM decisions
					ORDER BY request_id DESC LIMIT 1`).Scan(&row.tier, &row.degraded)
				return err == nil && row.tier == string(tier) && row.degraded == degraded, fmt.Sprint(row, err)
			})
		}
		execute := func(statement string, args ...any) {
			t.Helper()
			if _, err := s.db.Pool().Exec(within(t), statement, args...); err != nil {
				t.Fatal(err)
			}
		}
		answeredBy(schemas.TierModel, "")
		if err := os.Remove(s.modelPath()); err != nil {
			t.Fatal(err)
		}
		answeredBy(schemas.TierPrevious, "model_missing")
		s.putModel(t, good[:len(good)/2])
		answeredBy(schemas.TierPrevious, "model_load_failed")
		s.putModel(t, []byte(strings.Replace(string(good), "mood_funny", "mood_bored", 1)))
		answeredBy(schemas.TierPrevious, "feature_mismatch")
		s.putModel(t, good)
		answeredBy(schemas.TierModel, "")

		// One that was started without a model has no previous one either. The catalogue and the lists are
		// refreshed without a restart.
		if err := os.Remove(s.modelPath()); err != nil {
			t.Fatal(err)
		}
		first.stop(t)
		s.serve(t)
		answeredBy(schemas.TierPopular, "model_missing,previous_missing,no_history")
		execute(`UPDATE items SET popularity = NULL`)
		answeredBy(schemas.TierBasic, "model_missing,previous_missing,no_history,popularity_missing,no_editorial_list")
		execute(`INSERT INTO editorial_lists (name, item_ids) SELECT 'all', array_agg(id) FROM items`)
		answeredBy(schemas.TierEditorial, "model_missing,previous_missing,no_history,popularity_missing")
		execute(`UPDATE items SET hidden = true`)
		answeredBy(schemas.TierBasic, "model_missing,no_eligible_items")

		results := 0
		for _, partition := range s.readResults(t) {
			for _, r := range partition {
				results++
				ranked := r.Tier == schemas.TierModel || r.Tier == schemas.TierPrevious
				if (r.Tier == schemas.TierModel) != (len(r.Degraded) == 0) || ranked != (r.Model != nil) {
					t.Errorf("result does not say who answered: %s", r.value)
				}
			}
		}
		if results != n {
			t.Errorf("%d results of %d requests", results, n)
		}
	})
}
