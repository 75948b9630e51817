package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
)

var row = postgres.Replay{RunID: 7, State: postgres.ReplayDone, CreatedAt: at, Topic: "requests",
	Partitions: []postgres.ReplayPartition{{Partition: 0, From: 10, To: 210, Next: 210}}}

func TestFilter(t *testing.T) {
	live := decision()
	basic := &schemas.Decision{Tier: schemas.TierBasic}
	tests := map[string]struct {
		filter     Filter
		request    bool // takes the request r of ada
		live, none bool // takes it with that live decision, and without any
		basic      bool // takes one that the basic tier answered
	}{
		"all":                    {Filter{}, true, true, true, true},
		"its id":                 {Filter{RequestIDs: []string{"q", "r"}}, true, true, true, true},
		"another id":             {Filter{RequestIDs: []string{"q"}}, false, true, true, true},
		"another user":           {Filter{Users: []string{"bob"}}, false, true, true, true},
		"its tier":               {Filter{Tiers: []schemas.Tier{schemas.TierModel}}, true, true, false, false},
		"another tier":           {Filter{Tiers: []schemas.Tier{schemas.TierBasic}}, true, false, false, true},
		"its model":              {Filter{Models: []string{"films"}}, true, true, false, false},
		"its version":            {Filter{Models: []string{"films@1"}}, true, true, false, false},
		"another model":          {Filter{Models: []string{"films@2"}}, true, false, false, false},
		"tier and another model": {Filter{Tiers: []schemas.Tier{schemas.TierModel}, Models: []string{"other"}}, true, false, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &schemas.Request{RequestID: "r", UserID: "ada"}
			ready := test.filter.ready()
			got := []bool{ready.takesRequest(r), test.filter.takesLive(live), test.filter.takesLive(nil), test.filter.takesLive(basic)}
			if want := []bool{test.request, test.live, test.none, test.basic}; !slices.Equal(got, want) {
				t.Errorf("takes %v, want %v", got, want)
			}
		})
	}
}

func TestLiveOf(t *testing.T) {
	here, before := decision(), decision()
	before.Source.Offset = 4
	elsewhere := decision()
	elsewhere.Source.Topic = "original"
	e := &event{message: schemas.Message{Source: here.Source}}
	tests := map[string]struct {
		found    []*schemas.Decision
		live     *schemas.Decision
		repeated bool
	}{
		"none":                  {nil, nil, false},
		"its own":               {[]*schemas.Decision{here}, here, false},
		"its own and another's": {[]*schemas.Decision{before, here}, here, false},
		"another's":             {[]*schemas.Decision{before}, nil, true},
		"of a copied topic":     {[]*schemas.Decision{elsewhere}, elsewhere, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if live, repeated := liveOf(e, test.found); live != test.live || repeated != test.repeated {
				t.Errorf("live %v, repeated %t", live, repeated)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	var f Figures
	f.group(Group{}).merge(&Counts{Compared: 10, Identical: 8, Overlap: [4]int64{9 * overlapUnit}})
	countCode(&f.Irreproducible, "x")
	report := newReport(&row, &Plan{}, &f)
	n := func(n int64) *int64 { return &n }
	least := func(v float64) *float64 { return &v }
	none := Limits{}
	tests := map[string]struct {
		limits Limits
		report *Report
		want   int
	}{
		"none":           {none, report, 0},
		"all kept":       {Limits{n(2), n(1), least(0.9)}, report, 0},
		"differing":      {Limits{Differing: n(1)}, report, 1},
		"irreproducible": {Limits{Irreproducible: n(0)}, report, 1},
		"lost":           {Limits{Irreproducible: n(0)}, newReport(&row, &Plan{}, &Figures{Lost: 1}), 2},
		"overlap":        {Limits{Overlap: least(0.91)}, report, 1},
		"all":            {Limits{n(0), n(0), least(1)}, report, 3},
		"of nothing":     {Limits{n(0), n(0), least(0)}, newReport(&row, &Plan{}, &Figures{}), 1},
		"one of nothing": {Limits{Differing: n(0)}, newReport(&row, &Plan{}, &Figures{Read: 9, Filtered: 9}), 1},
		"none of it":     {none, newReport(&row, &Plan{}, &Figures{Read: 9, Filtered: 9}), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.limits.Exceeded(test.report); len(got) != test.want {
				t.Errorf("exceeded %q, want %d", got, test.want)
			}
		})
	}
}

// Limits are kept with the plan, those that are given anew count in their place, and none are none.
func TestLimitsAreKept(t *testing.T) {
	zero, one, half := int64(0), int64(1), 0.5
	text, err := json.Marshal(Plan{Limits: Limits{Differing: &zero, Overlap: &half}})
	if err != nil || !strings.Contains(string(text), `"limits":{"max_differing":0,"min_overlap":0.5}`) {
		t.Fatalf("stored as %s (%v)", text, err)
	}
	var stored Plan
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	all := Limits{Differing: &one}.Or(stored.Limits)
	if *all.Differing != 1 || all.Irreproducible != nil || *all.Overlap != 0.5 || !all.Any() {
		t.Errorf("limits %+v", all)
	}
	if text, err := json.Marshal(Plan{}); err != nil || strings.Contains(string(text), "limits") || (Limits{}).Or(Limits{}).Any() {
		t.Errorf("no limits are stored as %s (%v)", text, err)
	}
}

// A mean of nothing is no number, and stays so when the report is stored.
func TestReportOfNothing(t *testing.T) {
	text, err := json.Marshal(newReport(&row, &Plan{}, &Figures{}))
	if err != nil || !strings.Contains(string(text), `"overlap":null,"overlap_1":null`) {
		t.Fatalf("%s (%v)", text, err)
	}
	var back Report
	if err := json.Unmarshal(text, &back); err != nil || !math.IsNaN(float64(back.Overlap)) {
		t.Errorf("read back: overlap %v (%v)", back.Overlap, err)
	}
	back.Overlap = 0.5
	if text, err = json.Marshal(back.Line); err != nil || !strings.Contains(string(text), `"overlap":0.5,`) {
		t.Errorf("%s (%v)", text, err)
	}
}

// Two that take at once share the rate; nobody waits for what was not used.
func TestLimiterSharesTheRate(t *testing.T) {
	l := limiter{rate: 2000}
	began := time.Now()
	var taking sync.WaitGroup
	for range 2 {
		taking.Go(func() {
			for range 5 {
				if err := l.take(t.Context(), 20); err != nil {
					t.Error(err)
				}
			}
		})
	}
	taking.Wait()
	// The last of the ten begins when the nine before have had their time: 9 · 20 / 2000 s.
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("200 were taken within %s, at 2000 a second", took)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	l.due = time.Now().Add(time.Hour)
	if err := l.take(ended, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of a context that has ended", err)
	}
	if err := (&limiter{}).take(t.Context(), 1e9); err != nil {
		t.Error(err)
	}
}

func TestCacheMakesOnceAndForgetsTheOldest(t *testing.T) {
	made := map[string]int{}
	moment := errors.New("of the moment")
	c := newCache(2, func(_ context.Context, key string) (string, error) {
		made[key]++
		switch key {
		case "gap":
			return "", &gapError{gap: scoring.GapConfig}
		case "away":
			return "", moment
		}
		return key + "!", nil
	})
	for _, key := range []string{"a", "a", "b", "a", "c", "a", "b"} { // b made room for c
		if v, err := c.get(t.Context(), key); v != key+"!" || err != nil {
			t.Fatal(v, err)
		}
	}
	for range 2 {
		_, err := c.get(t.Context(), "gap")
		_, away := c.get(t.Context(), "away")
		if gap := (*gapError)(nil); !errors.As(err, &gap) || !errors.Is(away, moment) {
			t.Fatal(err, away)
		}
	}
	if got, want := fmt.Sprint(made), "map[a:1 away:2 b:2 c:1 gap:1]"; got != want {
		t.Errorf("made %s, want %s", got, want)
	}
}
