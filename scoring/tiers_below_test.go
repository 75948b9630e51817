package scoring

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/fallback"
)

// below is an engine whose models are off.
func below(t testing.TB, items []schemas.Item, off ...schemas.Tier) *Engine {
	t.Helper()
	params := DefaultParams()
	params.Fallback.SwitchedOff = append([]schemas.Tier{schemas.TierModel, schemas.TierPrevious}, off...)
	e, err := New(params, Options{Now: func() time.Time { return eight }})
	if err != nil {
		t.Fatal(err)
	}
	setCatalog(t, e, items, 1)
	return e
}

func shelf() []schemas.Item {
	return []schemas.Item{
		{ID: "airplane", Title: "Airplane!", Genres: []string{"Comedy"}, Year: 1980, Popularity: 10},
		{ID: "alien", Title: "Alien", Genres: []string{"Horror", "Science Fiction"}, Year: 1979, Franchise: "Alien", Popularity: 30},
		{ID: "aliens", Title: "Aliens", Genres: []string{"Action", "Science Fiction"}, Year: 1986, Franchise: "Alien", Popularity: 20},
		{ID: "brazil", Title: "Brazil", Genres: []string{"Drama", "Science Fiction"}, Year: 1985},
		{ID: "casablanca", Title: "Casablanca", Genres: []string{"Drama", "Romance"}, Year: 1942, Popularity: 5},
	}
}

func TestSimilarTier(t *testing.T) {
	e := below(t, shelf())
	history := func(items ...schemas.ProfileItem) *schemas.Profile {
		return &schemas.Profile{UserID: "ada", Items: items}
	}
	day := 24 * time.Hour
	tests := []struct {
		name  string
		known *schemas.Profile
		req   schemas.Request
		tier  schemas.Tier
		first string
	}{
		{"to the request's item, which is left out", nil, schemas.Request{SimilarTo: "alien"}, schemas.TierSimilar, "aliens"},
		{"to what was seen", history(schemas.ProfileItem{ItemID: "casablanca", Seen: eight}), schemas.Request{UserID: "ada"}, schemas.TierSimilar, "casablanca"},
		{"without what was seen", history(schemas.ProfileItem{ItemID: "casablanca", Seen: eight}),
			schemas.Request{UserID: "ada", ExcludeSeen: true}, schemas.TierSimilar, "brazil"},
		{"rather to what was seen last", history(schemas.ProfileItem{ItemID: "airplane", Seen: eight.Add(-90 * day)},
			schemas.ProfileItem{ItemID: "aliens", Seen: eight}), schemas.Request{UserID: "ada"}, schemas.TierSimilar, "aliens"},
		{"not to what is seen later", history(schemas.ProfileItem{ItemID: "casablanca", Seen: eight.Add(1)}), schemas.Request{UserID: "ada"}, schemas.TierPopular, "alien"},
		{"not to what was dismissed", history(schemas.ProfileItem{ItemID: "casablanca", Seen: eight.Add(-day), Dismissed: eight.Add(-1)}),
			schemas.Request{UserID: "ada"}, schemas.TierPopular, "alien"},
		{"not to what the catalogue has not", history(schemas.ProfileItem{ItemID: "zardoz", Seen: eight}), schemas.Request{UserID: "ada"}, schemas.TierPopular, "alien"},
		{"unlike everything", nil, schemas.Request{SimilarTo: "casablanca", Candidates: []string{"airplane", "alien"}}, schemas.TierPopular, "alien"},
		{"of nobody", nil, schemas.Request{}, schemas.TierPopular, "alien"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.RequestedAt = eight
			d := decideFor(t, e.NewScorer(), &tt.req, tt.known)
			if d.Tier != tt.tier || d.Items[0].ItemID != tt.first {
				t.Errorf("tier %s, items %q; want %s, %s first", d.Tier, itemIDs(d), tt.tier, tt.first)
			}
			noHistory := slices.Contains(d.Degraded, schemas.ReasonNoHistory)
			if noHistory != (tt.tier == schemas.TierPopular) {
				t.Errorf("degraded %v", d.Degraded)
			}
		})
	}
}

func decideFor(t testing.TB, s *Scorer, req *schemas.Request, known *schemas.Profile) *schemas.Decision {
	t.Helper()
	var d schemas.Decision
	if err := s.Decide(req, known, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// What outcomes say outweighs the catalogue in its context, and counts less in the others.
func TestPopularTierFollowsOutcomes(t *testing.T) {
	e := below(t, shelf())
	funny := schemas.Context{Mood: schemas.MoodDramatic}
	s := e.NewScorer()
	if d := decide(t, s, &schemas.Request{Context: funny, Limit: 1}); d.Items[0].ItemID != "alien" {
		t.Errorf("by the catalogue: %q", itemIDs(d))
	}
	if err := e.SetOutcomes(t.Context(), []schemas.ItemPopularity{{Context: funny, ItemID: "casablanca", Weight: 500, AsOf: eight}}); err != nil {
		t.Fatal(err)
	}
	d := decide(t, s, &schemas.Request{Context: funny, Limit: 2})
	if d.Tier != schemas.TierPopular || d.Items[0].ItemID != "casablanca" || d.Items[0].Score != 1 || d.Items[1].Score >= 0.5 {
		t.Errorf("by outcomes: tier %s, %+v", d.Tier, d.Items)
	}
	if err := e.SetOutcomes(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if d := decide(t, s, &schemas.Request{Context: funny, Limit: 1}); d.Items[0].ItemID != "alien" {
		t.Errorf("without outcomes: %q", itemIDs(d))
	}
}

func TestEditorialTier(t *testing.T) {
	e := below(t, shelf(), schemas.TierSimilar, schemas.TierPopular)
	lists := []schemas.EditorialList{
		{Name: "space", Context: schemas.Context{Mood: schemas.MoodAction}, ItemIDs: []string{"aliens", "zardoz", "alien"}},
		{Name: "urgent", Context: schemas.Context{Mood: schemas.MoodAction}, Priority: 1, ItemIDs: []string{"brazil"}},
		{Name: "night", StartsAt: eight, EndsAt: eight.Add(time.Hour), ItemIDs: []string{"casablanca"}},
	}
	if err := e.SetEditorial(t.Context(), lists); err != nil {
		t.Fatal(err)
	}
	action := schemas.Context{Mood: schemas.MoodAction}
	tests := []struct {
		name  string
		req   schemas.Request
		tier  schemas.Tier
		items string
	}{
		{"lists by priority, then what is left", schemas.Request{Context: action, RequestedAt: eight.Add(-1)}, schemas.TierEditorial, "brazil aliens alien"},
		{"of all contexts, in its hour", schemas.Request{RequestedAt: eight, Limit: 2}, schemas.TierEditorial, "casablanca airplane"},
		{"not before", schemas.Request{RequestedAt: eight.Add(-1), Limit: 2}, schemas.TierBasic, "airplane alien"},
		{"not after", schemas.Request{RequestedAt: eight.Add(time.Hour), Limit: 2}, schemas.TierBasic, "airplane alien"},
		{"nor what is excluded", schemas.Request{RequestedAt: eight, Limit: 2, Exclude: []string{"casablanca"}}, schemas.TierBasic, "airplane alien"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := decide(t, e.NewScorer(), &tt.req)
			if got := strings.Join(itemIDs(d), " "); d.Tier != tt.tier || got != tt.items {
				t.Errorf("tier %s, %s; want %s, %s", d.Tier, got, tt.tier, tt.items)
			}
			if slices.Contains(d.Degraded, schemas.ReasonNoEditorialList) != (tt.tier == schemas.TierBasic) {
				t.Errorf("degraded %v", d.Degraded)
			}
		})
	}
}

// In every tier: pins come first, and nothing is recommended that is hidden, expired, excluded or seen.
func TestRequestIsHonouredInEveryTier(t *testing.T) {
	for i, want := range fallback.Ladder() {
		t.Run(string(want), func(t *testing.T) {
			e := fullEngine(t, DefaultParams(), Options{Now: func() time.Time { return eight }})
			items := sixty()
			items[4].Hidden, items[5].ExpiresAt = true, eight
			setCatalog(t, e, items, 2)
			params := e.Params()
			params.Fallback.SwitchedOff = fallback.Ladder()[:i]
			setParams(t, e, params)
			req := schemas.Request{UserID: "grace", Limit: 60, RequestedAt: eight, Exclude: []string{"i006", "i042"}, ExcludeSeen: true,
				Pins: []string{"i050", "i004", "i005", "i006", "i020", "i003", "i050"}}
			d := decideFor(t, e.NewScorer(), &req, grace())
			got := itemIDs(d)
			if d.Tier != want || d.Pinned != 2 || !slices.Equal(got[:2], []string{"i050", "i003"}) {
				t.Errorf("tier %s, %d pinned, %q", d.Tier, d.Pinned, got)
			}
			for _, id := range []string{"i004", "i005", "i006", "i042", "i020"} {
				if slices.Contains(got, id) {
					t.Errorf("%s is recommended", id)
				}
			}
			if len(got) != 55 || d.Considered != 55 {
				t.Errorf("%d items of %d", len(got), d.Considered)
			}
			for n := range d.Items {
				if it := &d.Items[n]; it.Terms.Sum() != it.Score {
					t.Errorf("%s: terms %v, score %v", it.ItemID, it.Terms, it.Score)
				}
			}
		})
	}
}

// When even the last tier panics, there is an answer: pins, then what is eligible.
func TestStandInHonoursPinsAndLimit(t *testing.T) {
	e := fullEngine(t, DefaultParams(), Options{})
	e.fail(failures)
	d := decide(t, e.NewScorer(), &schemas.Request{Limit: 2, Pins: []string{"i030"}})
	if d.Tier != schemas.TierBasic || d.Pinned != 1 || !slices.Equal(itemIDs(d), []string{"i030", "i000"}) || len(d.Degraded) != 6 {
		t.Errorf("%+v", d)
	}
	if d := decide(t, e.NewScorer(), &schemas.Request{Limit: 1, Pins: []string{"i030", "i031"}}); !slices.Equal(itemIDs(d), []string{"i030"}) {
		t.Errorf("%+v", d)
	}
}

func TestColdStart(t *testing.T) {
	items := numbered(30)
	items[29].AddedAt, items[0].AddedAt = eight.Add(-24*time.Hour), eight.Add(-365*24*time.Hour)
	e := newEngine(t, items)
	deploy(t, e, Deployment{Model: personalModel(t, "1")})
	funny := schemas.Context{Mood: schemas.MoodFunny}
	tests := []struct {
		name  string
		known *schemas.Profile
		req   schemas.Request
		want  []schemas.ColdStart
	}{
		{"all is known", ada(), schemas.Request{UserID: "ada", Context: funny, Candidates: []string{"i000"}}, nil},
		{"anonymous", nil, schemas.Request{Context: funny, Candidates: []string{"i000"}}, []schemas.ColdStart{schemas.ColdAnonymousUser}},
		{"unknown user", nil, schemas.Request{UserID: "eve", Context: funny, Candidates: []string{"i000"}}, []schemas.ColdStart{schemas.ColdUnknownUser}},
		{"empty context, new item", ada(), schemas.Request{UserID: "ada", Candidates: []string{"i029"}},
			[]schemas.ColdStart{schemas.ColdEmptyContext, schemas.ColdNewItem}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.RequestedAt = eight
			if d := decideFor(t, e.NewScorer(), &tt.req, tt.known); !slices.Equal(d.ColdStart, tt.want) {
				t.Errorf("%q, want %q", d.ColdStart, tt.want)
			}
		})
	}
}

// The profile is wanted where the decision depends on it.
func TestNeedsProfile(t *testing.T) {
	params := DefaultParams()
	e := fullEngine(t, params, Options{Now: func() time.Time { return eight }})
	needs := func(req schemas.Request) bool {
		s := e.NewScorer()
		if s.NeedsProfile(&req) {
			t.Error("before the batch begins")
		}
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		return s.NeedsProfile(&req)
	}
	ada, plain := schemas.Request{UserID: "ada"}, schemas.Request{}
	if needs(ada) || needs(plain) || !needs(schemas.Request{UserID: "ada", ExcludeSeen: true}) {
		t.Error("with a model of the context alone")
	}
	params.Rank.Weights.Affinity = 0.1
	setParams(t, e, params)
	if !needs(ada) || needs(plain) {
		t.Error("with an affinity")
	}
	setParams(t, e, DefaultParams())
	e.fail(map[schemas.Tier]schemas.Reason{schemas.TierModel: schemas.ReasonNonFiniteScore})
	decide(t, e.NewScorer(), &ada)
	if needs(ada) {
		t.Error("while the previous model is steady")
	}
	deploy(t, e, Deployment{Model: loadModel(t, demoModel)})
	e.fail(map[schemas.Tier]schemas.Reason{schemas.TierModel: schemas.ReasonNonFiniteScore})
	decide(t, e.NewScorer(), &ada)
	if !needs(ada) {
		t.Error("while the model fails")
	}
}

// What a request that asks for it is told, tier by tier.
func TestExplanations(t *testing.T) {
	reasons := map[schemas.Tier]string{}
	for i, tier := range fallback.Ladder() {
		e := fullEngine(t, DefaultParams(), Options{Now: func() time.Time { return eight }})
		params := e.Params()
		params.Fallback.SwitchedOff = fallback.Ladder()[:i]
		setParams(t, e, params)
		req := schemas.Request{UserID: "grace", Limit: 3, RequestedAt: eight, Explain: true, Candidates: append(namesOf(30), "i042", "nothing")}
		d := decideFor(t, e.NewScorer(), &req, grace())
		if d.Tier != tier || !d.Explain || d.Explanation == nil || len(d.Explanation.Items) != 3 {
			t.Fatalf("%s: %+v", tier, d)
		}
		reasons[tier] = d.Explanation.Items[0].Reason
		checkContributions(t, e, d, &req)
		dropped := d.Explanation.Dropped
		if len(dropped) != 29 || dropped[0].ItemID != "nothing" || dropped[0].Reason != schemas.DropUnknown || dropped[1].Reason != schemas.DropBelowLimit {
			t.Errorf("%s: %d dropped, %+v", tier, len(dropped), dropped)
		}
	}
	t.Log(reasons)
	if !strings.Contains(reasons[schemas.TierEditorial], "all") || reasons[schemas.TierBasic] == "" || reasons[schemas.TierModel] == "" {
		t.Errorf("reasons %q", reasons)
	}
}

// checkContributions compares with the model's own explanation: they are the five strongest.
func checkContributions(t *testing.T, e *Engine, d *schemas.Decision, req *schemas.Request) {
	t.Helper()
	if d.Model == nil {
		if n := len(d.Explanation.Items[0].Contributions); n != 0 {
			t.Errorf("%s: %d contributions", d.Tier, n)
		}
		return
	}
	var m *boundModel
	for _, b := range e.state.Load().models {
		if b.ref == d.Model {
			m = b
		}
	}
	explainer, err := m.model.Forest().NewExplainer()
	if err != nil {
		t.Fatal(err)
	}
	s := e.NewScorer()
	for n, item := range d.Items {
		i, _ := e.state.Load().catalog.Lookup(item.ItemID)
		x := make([]float64, len(m.features.Names()))
		m.features.Prepare(&s.buffers.inputs, req, grace())
		m.features.Vector(x, &s.buffers.inputs, e.state.Load().catalog.Item(i))
		want := make([]float64, len(x)+1)
		explainer.Contributions(x, want)
		got := d.Explanation.Items[n].Contributions
		if len(got) != 5 {
			t.Errorf("%s: %d contributions", item.ItemID, len(got))
		}
		for k, c := range got {
			if c.Contribution != want[slices.Index(m.features.Names(), c.Feature)] || k > 0 && math.Abs(c.Contribution) > math.Abs(got[k-1].Contribution) {
				t.Errorf("%s: %+v", item.ItemID, got)
			}
		}
	}
}

func TestExplanationsAreKept(t *testing.T) {
	for keep, share := range map[Keep][2]int{KeepAsked: {0, 0}, KeepSampled: {60, 140}, KeepAlways: {1000, 1000}} {
		params := DefaultParams()
		params.Explain.Keep, params.Explain.SampleRate = keep, 0.1
		e := fullEngine(t, params, Options{})
		s, kept := e.NewScorer(), 0
		for n := range 1000 {
			d := decide(t, s, &schemas.Request{RequestID: fmt.Sprint("request-", n)})
			if d.Explain {
				t.Fatal("nobody asked")
			}
			if d.Explanation != nil {
				kept++
			}
		}
		if kept < share[0] || kept > share[1] {
			t.Errorf("%s: %d of 1000 kept", keep, kept)
		}
	}
}
