package scoring

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/experiment"
	"recstream/scoring/fallback"
)

// Whatever tiers the ladder has, in whatever order, the first that can answers, and each above it has its code.
func TestOddLadders(t *testing.T) {
	random := rand.New(rand.NewPCG(51, 52))
	models := Deployment{Model: loadModel(t, demoModel), Previous: loadModel(t, otherModel)}
	lists := []schemas.EditorialList{{Name: "all", ItemIDs: []string{"i042", "i007"}}}
	e := fullEngine(t, DefaultParams(), Options{Now: func() time.Time { return eight }})
	for range 100 {
		ladder := slices.Clone(fallback.Ladder()[:5])
		random.Shuffle(len(ladder), func(i, j int) { ladder[i], ladder[j] = ladder[j], ladder[i] })
		ladder = append(ladder[:random.IntN(6)], schemas.TierBasic)
		params := DefaultParams()
		params.Fallback.Tiers = ladder
		setParams(t, e, params)
		able := map[schemas.Tier]bool{schemas.TierBasic: true, schemas.TierSimilar: true, schemas.TierModel: true, schemas.TierPrevious: true,
			schemas.TierPopular: true, schemas.TierEditorial: true}
		deployment, items, list := models, sixty(), lists
		if random.IntN(2) == 0 {
			deployment, able[schemas.TierModel], able[schemas.TierPrevious] = Deployment{}, false, false
		}
		if random.IntN(2) == 0 {
			items, able[schemas.TierPopular] = withoutPopularity(items), false
		}
		if random.IntN(2) == 0 {
			list, able[schemas.TierEditorial] = nil, false
		}
		deploy(t, e, deployment)
		setCatalog(t, e, items, 2)
		if err := e.SetEditorial(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		want := slices.IndexFunc(ladder, func(tier schemas.Tier) bool { return able[tier] })
		s := e.NewScorer()
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		req := schemas.Request{UserID: "grace", Limit: 4, RequestedAt: eight, Explain: random.IntN(2) == 0}
		known := grace()
		if !s.NeedsProfile(&req) {
			known = nil // nobody looked it up
		}
		d := decideFor(t, s, &req, known)
		if d.Tier != ladder[want] || len(d.Degraded) != want || len(d.Items) != 4 {
			t.Fatalf("ladder %v, able %v: tier %s, degraded %v, %d items", ladder, able, d.Tier, d.Degraded, len(d.Items))
		}
	}
}

// A request that comes to the similar tier is not the less its user's for a tier above it that is well and has
// nothing for the request.
func TestSimilarBelowOtherTiersKnowsTheUser(t *testing.T) {
	for _, above := range []schemas.Tier{schemas.TierPopular, schemas.TierEditorial} {
		params := DefaultParams()
		params.Fallback.Tiers = []schemas.Tier{above, schemas.TierSimilar, schemas.TierBasic}
		e, err := New(params, Options{})
		if err != nil {
			t.Fatal(err)
		}
		setCatalog(t, e, withoutPopularity(sixty()), 1)
		s := e.NewScorer()
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		if !s.NeedsProfile(&schemas.Request{UserID: "grace"}) {
			t.Errorf("below %s: the profile is not looked up", above)
		}
	}
}

// Shadows are scored beside the answers, later, and nobody waits for them: no deadline holds for them.
func TestShadowsHaveNoDeadline(t *testing.T) {
	params := DefaultParams()
	params.Fallback.Deadline = time.Second
	e := fullEngine(t, params, Options{Now: func() time.Time { return eight.Add(time.Hour) }})
	deploy(t, e, Deployment{Experiments: []Experiment{{
		Experiment: experiment.Experiment{Name: "trial", Shadows: []experiment.Variant{{Name: "next"}}},
		Shadows:    []Arm{{Model: loadModel(t, demoModel)}},
	}}})
	s := e.NewScorer()
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	for _, req := range []schemas.Request{{UserID: "u1", RequestedAt: eight}, {UserID: "u1", RequestedAt: eight, DeadlineMS: 5}} {
		var d schemas.Decision
		if err := s.Shadow(0, &req, nil, &d); err != nil {
			t.Fatal(err)
		}
		if d.Tier != schemas.TierModel {
			t.Errorf("tier %s, degraded %v", d.Tier, d.Degraded)
		}
	}
}

// A variant with parameters of its own has a ladder and breakers of its own.
func TestVariantsHaveLaddersOfTheirOwn(t *testing.T) {
	other := DefaultParams()
	other.Fallback.Tiers = []schemas.Tier{schemas.TierEditorial, schemas.TierModel, schemas.TierBasic}
	nervous := DefaultParams()
	nervous.Fallback.Breaker = fallback.BreakerParams{Window: 1, Failures: 1, Rest: time.Nanosecond, Probes: 1}
	x := Experiment{Experiment: experiment.Experiment{Name: "ladders", Seed: "s",
		Variants: []experiment.Variant{{Name: "same", Weight: 0.34}, {Name: "editorial", Weight: 0.33}, {Name: "nervous", Weight: 0.33}}},
		Arms: []Arm{{}, {Params: &other}, {Params: &nervous}}}
	e := fullEngine(t, DefaultParams(), Options{})
	deploy(t, e, Deployment{Model: loadModel(t, demoModel), Experiments: []Experiment{x}})
	want := map[string]schemas.Tier{"same": schemas.TierModel, "editorial": schemas.TierEditorial, "nervous": schemas.TierModel}
	seen := map[string]int{}
	s := e.NewScorer()
	for n := range 60 {
		d := decide(t, s, &schemas.Request{UserID: fmt.Sprint("user-", n), Limit: 3})
		if d.Experiment == nil || d.Tier != want[d.Experiment.Variant] || len(d.Degraded) > 0 {
			t.Fatalf("%+v, tier %s, degraded %v", d.Experiment, d.Tier, d.Degraded)
		}
		seen[d.Experiment.Variant]++
	}
	watches := map[*watch]bool{}
	for _, a := range e.state.Load().arms {
		for i := range a.rungs {
			watches[a.rungs[i].watch] = true
		}
	}
	if len(seen) != 3 || len(watches) != 6+3+6 {
		t.Errorf("variants %v, %d breakers", seen, len(watches))
	}
}

// The most nervous breaker opens at once and closes at once, and there is always an answer.
func TestBreakerOfOneRequest(t *testing.T) {
	now := eight
	params := DefaultParams()
	params.Fallback.Breaker = fallback.BreakerParams{Window: 1, Failures: 1, Rest: time.Second, Probes: 1}
	e := fullEngine(t, params, Options{Now: func() time.Time { return now }})
	sick := sicken(t, e)
	s := e.NewScorer()
	var got []string
	for _, step := range []struct {
		sick bool
		wait time.Duration
	}{{true, 0}, {true, 0}, {true, time.Second}, {false, 0}, {false, time.Second}, {true, 0}, {false, 0}} {
		*sick, now = step.sick, now.Add(step.wait)
		d := decide(t, s, &schemas.Request{Limit: 3, Exclude: []string{"i001"}, RequestedAt: eight})
		got = append(got, fmt.Sprint(d.Tier, d.Degraded, " ", len(d.Items)))
	}
	previous := func(code string) string { return "previous_model[" + code + "] 3" }
	want := []string{previous("panic"), previous("circuit_open"), previous("panic"), previous("circuit_open"), "model[] 3",
		previous("panic"), previous("circuit_open")}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Requests and catalogues that nobody thinks of, in each tier.
func TestOddRequestsInEveryTier(t *testing.T) {
	bare := make([]schemas.Item, 150) // nothing is known of them but their year and popularity
	var all []string
	for i := range bare {
		bare[i] = schemas.Item{ID: fmt.Sprintf("i%03d", i), Year: 2000, Popularity: float64(1 + i%7)}
		all = append(all, bare[i].ID)
	}
	capped := DefaultParams()
	capped.Rank.Caps.Genre, capped.Rank.Caps.Franchise, capped.Rank.Caps.YearBand = 1, 1, 1
	few := DefaultParams()
	few.MaxItems = 2
	long := append(slices.Repeat([]string{"nothing"}, 500), append(slices.Clone(all), all...)...)
	tests := []struct {
		name   string
		params Params
		items  []schemas.Item
		req    schemas.Request
		count  int // of items; -1 is any but none
		pinned int
	}{
		{"next to nothing is known of the items", DefaultParams(), bare, schemas.Request{Limit: 100}, 100, 0},
		{"pins without candidates", DefaultParams(), sixty(), schemas.Request{Candidates: []string{}, Pins: []string{"i009", "i003"}, Limit: 5}, 2, 2},
		{"more pins than an answer can have", DefaultParams(), bare, schemas.Request{Pins: long, Limit: 100}, 100, 100},
		{"more pins than are wanted", DefaultParams(), bare, schemas.Request{Pins: long, Limit: 3}, 3, 3},
		{"more pins than are allowed", few, bare, schemas.Request{Pins: long, Limit: 3}, 2, 2},
		{"like an item that is not there", DefaultParams(), sixty(), schemas.Request{SimilarTo: "nothing", Limit: 5}, 5, 0},
		{"like a pin", DefaultParams(), sixty(), schemas.Request{SimilarTo: "i009", Pins: []string{"i009", "i003"}, Limit: 5}, 5, 1},
		{"caps of one", capped, sixty(), schemas.Request{Limit: 100}, -1, 0},
		{"caps of one, and pins of one genre", capped, numbered(30), schemas.Request{Limit: 100, Pins: namesOf(7)}, 7, 7},
		{"diversity alone", DefaultParams(), sixty(), schemas.Request{Limit: 60, Diversity: 1}, 60, 0},
		{"one candidate, over and over", DefaultParams(), sixty(), schemas.Request{Candidates: slices.Repeat([]string{"i020"}, 300), Limit: 100}, 1, 0},
	}
	e := fullEngine(t, DefaultParams(), Options{})
	for _, tt := range tests {
		for i, tier := range fallback.Ladder() {
			t.Run(tt.name+"/"+string(tier), func(t *testing.T) {
				tt.params.Fallback.SwitchedOff = fallback.Ladder()[:i]
				tt.params.Fallback.ConstantScoresMin = 1000
				tt.params.Rank.NearIdentical = 2
				setParams(t, e, tt.params)
				for n := range tt.items {
					tt.items[n].Title = fmt.Sprint("Title ", n)
				}
				setCatalog(t, e, tt.items, 2)
				if err := e.SetEditorial(t.Context(), []schemas.EditorialList{{Name: "all", ItemIDs: all}}); err != nil {
					t.Fatal(err)
				}
				tt.req.UserID, tt.req.RequestedAt, tt.req.Explain = "grace", eight, true
				d := decideFor(t, e.NewScorer(), &tt.req, grace())
				if d.Tier != tier || d.Pinned != tt.pinned || len(d.Items) != tt.count && (tt.count >= 0 || len(d.Items) == 0) {
					t.Errorf("tier %s, degraded %v, %d items, %d pinned; want %d, %d", d.Tier, d.Degraded, len(d.Items), d.Pinned, tt.count, tt.pinned)
				}
				got := itemIDs(d)
				for n, id := range got {
					if slices.Contains(got[:n], id) {
						t.Errorf("%s is there twice", id)
					}
				}
			})
		}
	}
}

// What the answer of last resort drops is not what another request's answer dropped.
func TestStandInExplainsItself(t *testing.T) {
	e := fullEngine(t, DefaultParams(), Options{})
	s := e.NewScorer()
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	decide(t, s, &schemas.Request{Limit: 10, Explain: true})
	reasons := map[schemas.Tier]schemas.Reason{}
	for tier := range failures {
		reasons[tier] = schemas.ReasonCircuitOpen // it is not asked, as when its breaker is open
	}
	e.fail(reasons)
	s.state = e.state.Load()
	d := decide(t, s, &schemas.Request{Limit: 3, Explain: true})
	for _, dropped := range d.Explanation.Dropped {
		if slices.Contains(itemIDs(d), dropped.ItemID) {
			t.Errorf("%s is recommended and dropped", dropped.ItemID)
		}
	}
	if len(d.Items) != 3 || d.Tier != schemas.TierBasic {
		t.Errorf("%+v", d)
	}
}
