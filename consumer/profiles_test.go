package consumer

import (
	"context"
	"slices"
	"testing"

	"recstream/schemas"
)

// people is who is known, and what was asked for.
type people struct {
	known   map[string]*schemas.Profile
	fetches [][]string
	fail    error
}

func (p *people) Fetch(_ context.Context, users []string, into map[string]*schemas.Profile) error {
	p.fetches = append(p.fetches, slices.Clone(users))
	for _, u := range users {
		if known := p.known[u]; known != nil {
			into[u] = known
		}
	}
	fail := p.fail
	p.fail = nil
	return fail
}

// The users of a batch's new requests are fetched at once; each request is decided with its user's profile.
func TestProfilesAreFetchedOnceABatch(t *testing.T) {
	b, ada := newBench(0), &schemas.Profile{UserID: "ada"}
	p := &people{known: map[string]*schemas.Profile{"ada": ada}, fail: errTransient}
	events := Requests{NewScorer: func() Scorer { return b.scorer }, Ledger: b.ledger, Profiles: p}
	b.handler = events.handler(&b.settler)
	b.scorer.profiles = true
	b.ledger.rows["old"] = schemas.Decision{RequestID: "old"}
	batch := requests(0, `{"request_id":"1","user_id":"bob"}`, `{"request_id":"2","user_id":"ada"}`, "3",
		`{"request_id":"4","user_id":"ada"}`, `{"request_id":"old","user_id":"eve"}`, `{"request_id":5,"user_id":"mallory"}`)
	must(t, b.settle(t.Context(), batch))
	if want := [][]string{{"ada", "bob"}, {"ada", "bob"}}; !slices.EqualFunc(p.fetches, want, slices.Equal) {
		t.Errorf("fetched %v, want %v: once, and again after the failure", p.fetches, want)
	}
	if got := b.scorer.about; len(got) != 2 || got["2"] != ada || got["4"] != ada {
		t.Errorf("decided with profiles %v", got)
	}
	b.scorer.profiles = false
	must(t, b.settle(t.Context(), requests(6, `{"request_id":"6","user_id":"ada"}`)))
	if len(p.fetches) != 2 || b.scorer.about["6"] != nil {
		t.Error("a batch that needs no profiles has them")
	}
}
