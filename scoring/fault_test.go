package scoring

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/experiment"
	"recstream/scoring/fallback"
	"recstream/scoring/model"
)

// slowEngine has a model that takes a time for each candidate, by a clock of its own.
func slowEngine(t *testing.T, params Params, perCandidate time.Duration, remembered bool) (e *Engine, now *time.Time, scored *int) {
	t.Helper()
	now, scored = new(time.Time), new(int)
	*now = eight
	e, err := New(params, Options{Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	setCatalog(t, e, numbered(3*scoredAtOnce), 1)
	deploy(t, e, Deployment{Model: loadModel(t, demoModel)})
	rate(func(x []float64) float64 { *scored++; *now = now.Add(perCandidate); return byYear(x) })(t, e)
	if remembered {
		e.state.Load().base.rungs[0].model.memo = newMemo(3 * scoredAtOnce)
	}
	return e, now, scored
}

// What a model has scored before time ran out is remembered, so that the next requests get further.
func TestScoresSurviveADeadline(t *testing.T) {
	e, now, scored := slowEngine(t, DefaultParams(), time.Millisecond, true)
	s := e.NewScorer()
	var tiers []schemas.Tier
	for range 4 {
		d := decide(t, s, &schemas.Request{RequestedAt: *now, DeadlineMS: 500, UserID: "ada"})
		tiers = append(tiers, d.Tier)
	}
	want := []schemas.Tier{schemas.TierPopular, schemas.TierPopular, schemas.TierModel, schemas.TierModel}
	if !slices.Equal(tiers, want) || *scored != 3*scoredAtOnce {
		t.Errorf("tiers %v, %d scored", tiers, *scored)
	}
}

// Apps that give too little time, or candidates that are all alike, do not close the tier to others.
func TestAppsOpenNoBreaker(t *testing.T) {
	e, now, _ := slowEngine(t, DefaultParams(), time.Microsecond, false)
	s := e.NewScorer()
	for range 200 {
		d := decide(t, s, &schemas.Request{RequestedAt: *now, DeadlineMS: 1})
		if d.Degraded[0] != schemas.ReasonDeadlineExceeded {
			t.Fatalf("degraded %v", d.Degraded)
		}
	}
	if d := decide(t, s, &schemas.Request{RequestedAt: *now}); d.Tier != schemas.TierModel {
		t.Errorf("after hurried requests: %s %v", d.Tier, d.Degraded)
	}
	rate(constantly(0.5))(t, e)
	for range 200 {
		if d := decide(t, s, &schemas.Request{Candidates: namesOf(50)}); d.Degraded[0] != schemas.ReasonConstantScores {
			t.Fatalf("degraded %v", d.Degraded)
		}
	}
	rate(byYear)(t, e)
	if d := decide(t, s, &schemas.Request{}); d.Tier != schemas.TierModel {
		t.Errorf("after candidates that are alike: %s %v", d.Tier, d.Degraded)
	}
}

// A tier that is slow itself is to blame.
func TestSlowTierOpensItsBreaker(t *testing.T) {
	e, now, _ := slowEngine(t, DefaultParams(), time.Millisecond, false)
	s := e.NewScorer()
	for range 20 {
		decide(t, s, &schemas.Request{RequestedAt: *now, DeadlineMS: 500})
	}
	if d := decide(t, s, &schemas.Request{RequestedAt: *now}); d.Degraded[0] != schemas.ReasonCircuitOpen {
		t.Errorf("%s %v", d.Tier, d.Degraded)
	}
}

// A defect in explaining costs the explanation, not the answer.
func TestPanicInAnExplanation(t *testing.T) {
	e := below(t, shelf())
	e.patch(func(r *rung) {
		if r.tier == schemas.TierPopular {
			r.rank = (*Scorer).rankByOrder
		}
	})
	e.state.Load().base.popularity = nil // asked by the explanation of this tier
	s := e.NewScorer()
	d := decide(t, s, &schemas.Request{Explain: true})
	if d.Tier != schemas.TierPopular || len(d.Items) != 3 || d.Explanation != nil || s.LastPanic() == nil {
		t.Errorf("%+v, panic %v", d, s.LastPanic())
	}
}

// A bundle whose training knew quite other predictions is left, which is told, and goes on scoring unseen; when its
// predictions are as they should be, it is back by itself, which is told too.
func TestDriftIsLeftAndOver(t *testing.T) {
	var changes []string
	e, err := New(DefaultParams(), Options{Changed: func(c TierChange) {
		changes = append(changes, fmt.Sprint(c.Tier, " ", c.From, " ", c.To, " ", c.Reason))
	}})
	if err != nil {
		t.Fatal(err)
	}
	setCatalog(t, e, sixty(), 1)
	profiled := func(center float64) *model.Profile {
		values := make([]float64, 1000)
		for i := range values {
			values[i] = center + float64(i)/1e6
		}
		p := &model.Profile{Rows: len(values), Score: model.NewHistogram("prediction", values)}
		for _, f := range personal {
			p.Features = append(p.Features, model.NewHistogram(f.Name, values))
		}
		return p
	}
	deploy(t, e, Deployment{Model: personalModel(t, "1", func(m *model.Manifest) { m.Profile = profiled(0.00001) }), Previous: loadModel(t, otherModel)})
	right := false
	rate(func(x []float64) float64 {
		if right {
			p := 0.00001 + (x[len(x)-1]-1930)/95/1000 // as those of the training
			return math.Log(p / (1 - p))
		}
		return 3 + x[len(x)-1]/1e5
	})(t, e)
	s := e.NewScorer()
	until := func(tier schemas.Tier) {
		t.Helper()
		for range 20_000 {
			if decide(t, s, &schemas.Request{RequestedAt: eight}).Tier == tier {
				return
			}
		}
		t.Fatalf("never answered by %s: %+v", tier, e.Tiers()[0])
	}
	until(schemas.TierModel)
	until(schemas.TierPrevious)
	if st := e.Tiers()[0]; st.State != "drifted" || st.Reason != schemas.ReasonDriftExceeded || st.PSI <= fallback.DefaultParams().Drift.MaxPSI {
		t.Errorf("status %+v", st)
	}
	right = true
	until(schemas.TierModel)
	want := []string{"model closed drifted drift_exceeded", "model drifted closed "}
	if !slices.Equal(changes, want) || e.Tiers()[0].State != "closed" {
		t.Errorf("changes %q, status %+v", changes, e.Tiers()[0])
	}
}

// What a variant with other parameters, or a shadow, makes of a model closes it to nobody else, and is told as its own.
func TestVariantsFailForThemselves(t *testing.T) {
	items := numbered(60)
	for i := range items { // comedies are all alike to the model, dramas are not
		items[i].Genres = []string{"Drama"}
		if i < 5 {
			items[i].Year, items[i].Genres = 0, []string{"Comedy"}
		}
	}
	strict := DefaultParams()
	strict.Fallback.ConstantScoresMin = 2
	for _, shadow := range []bool{false, true} {
		var changes []string
		e, err := New(DefaultParams(), Options{Now: func() time.Time { return eight }, Changed: func(c TierChange) {
			changes = append(changes, fmt.Sprint(c.Variant, " ", c.Tier, " ", c.To))
		}})
		if err != nil {
			t.Fatal(err)
		}
		setCatalog(t, e, items, 1)
		x := Experiment{Experiment: experiment.Experiment{Name: "x", Variants: []experiment.Variant{{Name: "strict"}}}, Arms: []Arm{{Params: &strict}}}
		if shadow {
			x = Experiment{Experiment: experiment.Experiment{Name: "x", Variants: []experiment.Variant{{Name: "control"}},
				Shadows: []experiment.Variant{{Name: "strict"}}}, Arms: []Arm{{}}, Shadows: []Arm{{Params: &strict}}}
		}
		deploy(t, e, Deployment{Model: loadModel(t, demoModel), Experiments: []Experiment{x}})
		s := e.NewScorer()
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		for n := range 60 {
			req := schemas.Request{RequestID: "r", UserID: fmt.Sprint("user-", n), RequestedAt: eight, Context: schemas.Context{Mood: schemas.MoodFunny}}
			d := decide(t, s, &req)
			for k := range s.NumShadows(req.UserID) {
				if err := s.Shadow(k, &req, nil, d); err != nil {
					t.Fatal(err)
				}
			}
			if d.Tier == schemas.TierModel {
				t.Fatalf("the strict one trusts the model: %+v", d)
			}
		}
		if d := decide(t, s, &schemas.Request{RequestedAt: eight, Context: schemas.Context{Mood: schemas.MoodDramatic}}); d.Tier != schemas.TierModel {
			t.Errorf("shadow %v: an anonymous request is answered by %s %v", shadow, d.Tier, d.Degraded)
		}
		if want := []string{"x/strict model open"}; !slices.Equal(changes, want) {
			t.Errorf("shadow %v: changes %q, want %q", shadow, changes, want)
		}
	}
}

// Candidates that a request names can be alike to a model that is well; then the next tier is to know the user.
func TestNamedCandidatesWantTheProfile(t *testing.T) {
	e := fullEngine(t, DefaultParams(), Options{Now: func() time.Time { return eight }})
	twins := make([]schemas.Item, 20)
	var names []string
	for i := range twins {
		twins[i] = sixty()[20]
		twins[i].ID = fmt.Sprint("twin-", i)
		names = append(names, twins[i].ID)
	}
	setCatalog(t, e, append(sixty(), twins...), 2)
	s := e.NewScorer()
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	req := schemas.Request{UserID: "grace", RequestedAt: eight, Candidates: names}
	if !s.NeedsProfile(&req) {
		t.Error("the profile is not wanted")
	}
	if d := decideFor(t, s, &req, grace()); d.Tier != schemas.TierSimilar {
		t.Errorf("tier %s, degraded %v", d.Tier, d.Degraded)
	}
}
