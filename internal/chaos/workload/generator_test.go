package workload

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"recstream/internal/chaos/history"
	"recstream/schemas"
)

var mixed = Options{Seed: 7, Topics: history.Topics{Requests: "requests", Feedback: "feedback"}, Items: []string{"a", "b", "c"},
	Feedback: 0.2, Bad: 0.2, Repeats: 0.2, Heavy: 2}

// TestEventsAreWhatTheyAreSaidToBe decodes events as recstream does.
func TestEventsAreWhatTheyAreSaidToBe(t *testing.T) {
	seen := map[string]int{}
	for _, p := range New(mixed).Take(5_000) {
		var id, user string
		var err error
		if p.Topic == mixed.Topics.Feedback {
			var f schemas.Feedback
			err = schemas.DecodeFeedback(p.Value, &f)
			if err == nil && f.At.After(defaultStart.AddDate(900, 0, 0)) {
				err = &schemas.DecodeError{Code: schemas.CodeInvalidTime} // the consumer's to find
			}
		} else {
			var r schemas.Request
			err = schemas.DecodeRequest(p.Value, &r)
			id, user = r.RequestID, r.UserID
		}
		code := ""
		var refused *schemas.DecodeError
		if errors.As(err, &refused) {
			code = refused.Code
		}
		seen[string(p.Kind)+p.Topic+p.Fault]++
		switch {
		case p.Kind != history.Bad && err != nil:
			t.Errorf("%s is bad: %v", p.Value, err)
		case p.Kind == history.Bad && code != p.Codes[0]:
			t.Errorf("%q is refused with %q, want %q", p.Fault, code, p.Codes[0])
		case p.Topic == mixed.Topics.Requests && p.RequestID != id:
			t.Errorf("%q: id %q can be read, is said to be %q", p.Fault, id, p.RequestID)
		case p.RequestID != "" && p.UserID != user:
			t.Errorf("%q: user %q can be read, is said to be %q", p.Fault, user, p.UserID)
		}
	}
	if want := len(badRequests) + len(badFeedback) + 2; len(seen) != want || len(badRequests) < 40 {
		t.Errorf("%d kinds of events, want %d", len(seen), want)
	}
}

func TestTheSameSeedMakesTheSameEvents(t *testing.T) {
	a, b := New(mixed), New(mixed)
	first := append(a.Take(700), a.Take(300)...)
	if second := b.Take(1000); !reflect.DeepEqual(first, second) {
		t.Error("events differ, with one seed")
	}
	other := mixed
	other.Seed++
	if reflect.DeepEqual(first, New(other).Take(1000)) {
		t.Error("events are equal, with two seeds")
	}
}

func TestSharesAreKept(t *testing.T) {
	for name, test := range map[string]struct {
		opts                          Options
		feedback, bad, repeated, null int // out of 10,000, give or take 500
	}{
		"all good":       {opts: Options{}, null: 90},
		"all bad":        {opts: Options{Bad: 1, Heavy: -1}, bad: 10_000, null: 400},
		"half repeated":  {opts: Options{Repeats: 0.5}, repeated: 5_000, null: 90},
		"a bit of each":  {opts: Options{Bad: 0.1, Repeats: 0.1, Feedback: 0.5, Heavy: -1}, feedback: 5_000, bad: 1_000, repeated: 450, null: 90},
		"feedback, bad":  {opts: Options{Bad: 1, Feedback: 1, Heavy: -1}, feedback: 10_000, bad: 10_000, null: 300},
		"nothing at all": {opts: Options{Repeats: 1}, repeated: 10_000, null: 90},
	} {
		t.Run(name, func(t *testing.T) {
			test.opts.Topics = mixed.Topics
			var feedback, bad, repeated, null int
			ids := map[string]bool{}
			for _, p := range New(test.opts).Take(10_000) {
				feedback += count(p.Topic == mixed.Topics.Feedback)
				bad += count(p.Kind == history.Bad)
				null += count(p.Key == nil)
				repeated += count(p.Kind == history.Good && ids[p.RequestID])
				ids[p.RequestID] = true
			}
			for _, c := range []struct {
				what      string
				got, want int
			}{{"feedback", feedback, test.feedback}, {"bad", bad, test.bad}, {"repeated", repeated, test.repeated}, {"null keys", null, test.null}} {
				if c.got < c.want-500 || c.got > c.want+500 || c.want > 0 && c.got == 0 {
					t.Errorf("%s: %d, want about %d", c.what, c.got, c.want)
				}
			}
		})
	}
}

func count(holds bool) int {
	if holds {
		return 1
	}
	return 0
}

func TestRepeatsAreCloseByAndFarAway(t *testing.T) {
	last := map[string]int{}
	near, far, differing := 0, 0, 0
	values := map[string]string{}
	for i, p := range New(Options{Topics: mixed.Topics, Repeats: 0.3}).Take(20_000) {
		if at, repeated := last[p.RequestID]; repeated {
			near += count(i-at < 10)
			far += count(i-at > 1000)
			differing += count(values[p.RequestID] != string(p.Value))
		}
		last[p.RequestID], values[p.RequestID] = i, string(p.Value)
	}
	if near < 500 || far < 500 || differing < 100 {
		t.Errorf("%d repeats near, %d far, %d differing", near, far, differing)
	}
}

func BenchmarkTake(b *testing.B) {
	g := New(Options{Topics: mixed.Topics, Bad: 0.01, Repeats: 0.01, Heavy: -1, Start: time.Now()})
	for b.Loop() {
		g.Take(1)
	}
}
