package scoring

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
)

// seen counts what worlds have shown.
type seen map[string]int

func (n seen) note(d *schemas.Decision) {
	n["tier "+string(d.Tier)]++
	for _, code := range d.Degraded {
		n["code "+string(code)]++
	}
	for _, code := range d.ColdStart {
		n["cold "+string(code)]++
	}
	for name, is := range map[string]bool{"experiment": d.Experiment != nil, "profile": d.ProfileVersion > 0, "user features": len(d.UserFeatures) > 0,
		"pair features": len(d.PairFeatures) > 0, "explanation": d.Explanation != nil, "pins": d.Pinned > 0, "nothing": d.Considered == 0,
		"every tier has failed": len(d.Degraded) > 0 && d.Tier == schemas.TierBasic && len(d.Degraded) >= 4 && d.Degraded[len(d.Degraded)-1] != schemas.ReasonNoEligibleItems} {
		if is {
			n[name]++
		}
	}
}

// What is stored of a decision, and what that names, make it again: all that was decided, to the bit.
func TestStoredDecisionsAreMadeAgain(t *testing.T) {
	shown, gaps := seen{}, 0
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("world ", seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.live(60)
			gaps += w.compare(shown)
		})
	}
	all := []string{"experiment", "profile", "user features", "pair features", "explanation", "pins", "nothing", "every tier has failed", "remembered answer", "remembered score"}
	for _, tier := range DefaultParams().Fallback.Tiers {
		all = append(all, "tier "+string(tier))
	}
	for code := range everyReason() {
		all = append(all, "code "+string(code))
	}
	for _, code := range []schemas.ColdStart{schemas.ColdAnonymousUser, schemas.ColdEmptyContext, schemas.ColdNewItem, schemas.ColdUnknownUser} {
		all = append(all, "cold "+string(code))
	}
	for _, name := range all {
		if shown[name] == 0 {
			t.Errorf("no decision shows %s", name)
		}
	}
	if gaps == 0 {
		t.Error("no decision has a gap")
	}
	t.Logf("%d with gaps, %v", gaps, shown)
}

func everyReason() map[schemas.Reason]bool {
	return map[schemas.Reason]bool{schemas.ReasonModelMissing: true, schemas.ReasonModelLoadFailed: true, schemas.ReasonFeatureMismatch: true,
		schemas.ReasonPreviousMissing: true, schemas.ReasonNonFiniteScore: true, schemas.ReasonConstantScores: true, schemas.ReasonDriftExceeded: true,
		schemas.ReasonMissingFeatures: true, schemas.ReasonEvaluatorsDisagree: true, schemas.ReasonDeadlineExceeded: true, schemas.ReasonPanic: true,
		schemas.ReasonCircuitOpen: true, schemas.ReasonSwitchedOff: true, schemas.ReasonNoHistory: true, schemas.ReasonNoEditorialList: true,
		schemas.ReasonNoEligibleItems: true}
}

// compare makes every decision again, in any order, by engines that remember nothing, and twice by others that remember
// all: to the second all the first has made is known. It returns how many have a gap.
func (w *world) compare(shown seen) (gaps int) {
	w.t.Helper()
	plain := &past{world: w, without: both, engines: map[string]*Engine{}}
	remembering := &past{world: w, engines: map[string]*Engine{}}
	for _, d := range w.ledger { // in Go's order, which is none
		shown.note(d)
		open := len(Gaps(d)) > 0
		if open {
			gaps++
		}
		got := plain.again(d)
		if !sameInAll(got, d) && (!open || w.still) { // outcomes and lists are those of then
			w.t.Fatalf("%+v\n got %s\nwant %s", w.requests[d.RequestID], inWords(got), inWords(d))
		}
		for range 2 {
			if other := remembering.again(d); !sameInAll(other, got) {
				w.t.Fatalf("%+v\n   remembered %s\nmade afresh %s", w.requests[d.RequestID], inWords(other), inWords(got))
			}
		}
	}
	if plain.hits(CacheAnswers)+plain.hits(CacheScores) > 0 {
		w.t.Error("engines without caches remember")
	}
	shown["remembered answer"] += int(remembering.hits(CacheAnswers))
	shown["remembered score"] += int(remembering.hits(CacheScores))
	return gaps
}

// sameInAll compares decisions in all that Decide sets, and in what is emitted.
func sameInAll(a, b *schemas.Decision) bool {
	return inWords(a) == inWords(b) && string(schemas.AppendResult(nil, a)) == string(schemas.AppendResult(nil, b))
}

// Deciding again leaves no trace: no breaker or drift window is another one after it.
func TestRedecideLeavesNoTrace(t *testing.T) {
	e := fullEngine(t, DefaultParams(), Options{Now: func() time.Time { return eight }})
	sick := sicken(t, e)
	s := e.NewScorer()
	req := schemas.Request{RequestID: "r", RequestedAt: eight}
	var got schemas.Decision
	before := fmt.Sprintf("%+v", e.Tiers())
	for range 200 {
		if err := s.Redecide(&req, nil, &schemas.Decision{}, &got); err != nil {
			t.Fatal(err)
		}
	}
	if got.Degraded[0] != schemas.ReasonPanic || fmt.Sprintf("%+v", e.Tiers()) != before {
		t.Errorf("%v, tiers\n     %+v\nwere %s", got.Degraded, e.Tiers(), before)
	}
	*sick = false
	if d := decide(t, s, &req); d.Tier != schemas.TierModel {
		t.Errorf("then %s %v", d.Tier, d.Degraded)
	}
	again := fmt.Sprintf("%+v", e.Tiers())
	for range 200 { // of which all but one are remembered
		if err := s.Redecide(&req, nil, &schemas.Decision{}, &got); err != nil {
			t.Fatal(err)
		}
	}
	if hits := stats(t, e, CacheAnswers).Hits; got.Tier != schemas.TierModel || hits < 199 {
		t.Errorf("%s %v, %d answers were remembered", got.Tier, got.Degraded, hits)
	}
	if after := fmt.Sprintf("%+v", e.Tiers()); after != again {
		t.Errorf("remembered answers changed the tiers to\n     %s\nwere %s", after, again)
	}
}

// Codes of the moment stand, those of the request come again or not, and an empty one has the tier tried.
func TestRedecideTakesTheMomentFromTheRow(t *testing.T) {
	off := DefaultParams()
	off.Fallback.SwitchedOff = []schemas.Tier{schemas.TierModel}
	codes := func(text string) (list []schemas.Reason) {
		for _, code := range strings.Split(text, " ") {
			list = append(list, schemas.Reason(strings.Trim(code, "-")))
		}
		return list
	}
	for name, tt := range map[string]struct {
		params    Params
		models    Deployment
		then, now string
		tier      schemas.Tier
	}{
		"none":                          {DefaultParams(), Deployment{Model: loadModel(t, demoModel)}, "", "[]", schemas.TierModel},
		"a breaker":                     {DefaultParams(), Deployment{Model: loadModel(t, demoModel)}, "circuit_open previous_missing", "[circuit_open previous_missing no_history]", schemas.TierPopular},
		"a breaker, not minded":         {DefaultParams(), Deployment{Model: loadModel(t, demoModel)}, "- previous_missing", "[]", schemas.TierModel},
		"of the request, mended":        {DefaultParams(), Deployment{Model: loadModel(t, demoModel)}, "constant_scores", "[]", schemas.TierModel},
		"of the request, without model": {DefaultParams(), Deployment{Previous: loadModel(t, demoModel)}, "constant_scores", "[constant_scores]", schemas.TierPrevious},
		"of a model that is not given":  {DefaultParams(), Deployment{}, "missing_features deadline_exceeded", "[missing_features deadline_exceeded no_history]", schemas.TierPopular},
		"switched off by now":           {off, Deployment{Model: loadModel(t, demoModel)}, "circuit_open", "[switched_off previous_missing no_history]", schemas.TierPopular},
		"switched off then":             {DefaultParams(), Deployment{Model: loadModel(t, demoModel)}, "switched_off", "[]", schemas.TierModel},
		"nothing was eligible then":     {DefaultParams(), Deployment{Model: loadModel(t, demoModel)}, "model_missing no_eligible_items", "[model_missing previous_missing no_history]", schemas.TierPopular},
		"all have failed":               {DefaultParams(), Deployment{Model: loadModel(t, demoModel)}, "panic panic panic panic panic panic", "[panic panic panic panic panic panic]", schemas.TierBasic},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := New(tt.params, Options{})
			need(t, err)
			setCatalog(t, e, sixty(), 1)
			deploy(t, e, tt.models)
			var got schemas.Decision
			need(t, e.NewScorer().Redecide(&schemas.Request{RequestID: "r", RequestedAt: eight}, nil, &schemas.Decision{Degraded: codes(tt.then)}, &got))
			if fmt.Sprint(got.Degraded) != tt.now || got.Tier != tt.tier || len(got.Items) != schemas.DefaultLimit {
				t.Errorf("%s %v with %d items, want %s %s", got.Tier, got.Degraded, len(got.Items), tt.tier, tt.now)
			}
		})
	}
}

func TestRedecideWaitsForACatalogue(t *testing.T) {
	e, err := New(DefaultParams(), Options{})
	need(t, err)
	if err := e.NewScorer().Redecide(&schemas.Request{}, nil, &schemas.Decision{}, new(schemas.Decision)); !errors.Is(err, ErrNoCatalog) {
		t.Errorf("error %v", err)
	}
}

func TestGaps(t *testing.T) {
	for name, tt := range map[string]struct {
		stored schemas.Decision
		want   string
	}{
		"none":                      {schemas.Decision{Tier: schemas.TierModel, UserID: "ada", ProfileVersion: 3}, "[]"},
		"popular":                   {schemas.Decision{Tier: schemas.TierPopular}, "[popularity_not_kept]"},
		"a list":                    {schemas.Decision{Tier: schemas.TierEditorial}, "[editorial_not_kept]"},
		"of the version before":     {schemas.Decision{Tier: schemas.TierModel, UserID: "ada", ProfileVersion: -1}, "[profile_version_not_kept]"},
		"the same, of nobody":       {schemas.Decision{Tier: schemas.TierModel, ProfileVersion: -1}, "[]"},
		"two of them":               {schemas.Decision{Tier: schemas.TierPopular, UserID: "ada", ProfileVersion: -1}, "[popularity_not_kept profile_version_not_kept]"},
		"a code is taken as it was": {schemas.Decision{Tier: schemas.TierBasic, Degraded: []schemas.Reason{schemas.ReasonPopularityMissing}}, "[]"},
	} {
		if got := fmt.Sprint(Gaps(&tt.stored)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// Decide notes the version of the profile that it was given, and none where it was given none.
func TestDecisionNotesTheProfilesVersion(t *testing.T) {
	s := fullEngine(t, DefaultParams(), Options{}).NewScorer()
	known := grace()
	known.Version = 7
	var d schemas.Decision
	for _, want := range []int64{7, 0} {
		need(t, s.Decide(&schemas.Request{RequestID: "r", UserID: "grace", RequestedAt: eight}, known, &d))
		if d.ProfileVersion != want {
			t.Errorf("version %d, want %d", d.ProfileVersion, want)
		}
		known = nil
	}
}
