package chaos

import (
	"encoding/json"
	"fmt"
	"testing"

	"recstream/internal/chaos/history"
)

// refusedValues are the SQLSTATEs of a value that Postgres will never take.
var refusedValues = []string{"22003", "22008", "22021", "22P05"}

// TestRefusedValues has Postgres refuse rows for good, for what stands in them. Each of those events becomes a dead
// letter, and nothing around it is touched.
func TestRefusedValues(t *testing.T) {
	t.Parallel()
	s := open(t, setup{})
	s.exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			RAISE EXCEPTION 'planted' USING ERRCODE = split_part(NEW.user_id, ' ', 2);
		END
		$$;
		CREATE TRIGGER refused BEFORE INSERT ON decisions FOR EACH ROW WHEN (NEW.user_id LIKE 'refused %') EXECUTE FUNCTION refuse();
		CREATE TRIGGER refused BEFORE INSERT ON outcomes FOR EACH ROW WHEN (NEW.user_id LIKE 'refused %') EXECUTE FUNCTION refuse()`)
	r := s.begin(t, "9", fmt.Sprintf("Postgres: %d SQLSTATEs of values", len(refusedValues)))
	s.serve(t)
	s.serve(t)
	rounds := share(10)
	for n := range rounds {
		for _, code := range refusedValues {
			r.sendRefused(t, code, n)
		}
	}
	r.finish(t, share(10_000), 2*rounds*len(refusedValues))
}

// sendRefused publishes a request and a feedback that are refused with a code, among others that are not.
func (r *run) sendRefused(t *testing.T, code string, n int) {
	t.Helper()
	events := r.generator.Take(batch)
	for i := range events {
		if events[i].Topic == r.topics().Requests {
			r.sent.Add(1)
		}
	}
	r.sent.Add(1)
	request := map[string]any{"request_id": fmt.Sprintf("refused-%s-%d", code, n), "user_id": "refused " + code}
	feedback := map[string]any{"request_id": "any", "user_id": "refused " + code, "item_id": "any", "action": "click", "value": n}
	at := r.rng.IntN(len(events))
	events = append(events[:at:at], append([]history.Published{
		r.refused(t, r.topics().Requests, request), r.refused(t, r.topics().Feedback, feedback)}, events[at:]...)...)
	need(t, r.publisher.Publish(t.Context(), events...))
	r.struck("two values were refused with SQLSTATE %s", code)
	r.faults++ // they are two
}

// refused is an event that is sound, but for Postgres. Only whoever made a request is told.
func (r *run) refused(t *testing.T, topic string, event map[string]any) history.Published {
	t.Helper()
	value, err := json.Marshal(event)
	need(t, err)
	user := fmt.Sprint(event["user_id"])
	p := history.Published{Kind: history.Bad, Fault: user + " by Postgres", Codes: []string{"record_refused"},
		Key: history.Bytes(user), Value: value}
	p.Topic = topic
	if topic == r.topics().Requests {
		p.RequestID, p.UserID = fmt.Sprint(event["request_id"]), user
	}
	return p
}
