package scoring

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/fallback"
	"recstream/scoring/feature"
	"recstream/scoring/model"
	"recstream/scoring/rank"
)

// both are all caches.
var both = []Cache{CacheScores, CacheAnswers}

// sameDecision compares every field, numbers to the bit.
func sameDecision(a, b *schemas.Decision) bool {
	if !equalItems(a.Items, b.Items) || !equalFloats(a.UserFeatures, b.UserFeatures) || !equalFloats(a.PairFeatures, b.PairFeatures) {
		return false
	}
	for i := range a.Items {
		if !equalFloats(a.Items[i].Terms[:], b.Items[i].Terms[:]) {
			return false
		}
	}
	rest, other := *a, *b
	for _, d := range []*schemas.Decision{&rest, &other} {
		d.Items, d.UserFeatures, d.PairFeatures = nil, nil, nil
		d.Degraded, d.ColdStart = slices.Clip(d.Degraded), slices.Clip(d.ColdStart)
		if len(d.Degraded) == 0 {
			d.Degraded = nil
		}
		if len(d.ColdStart) == 0 {
			d.ColdStart = nil
		}
	}
	return reflect.DeepEqual(&rest, &other)
}

// stats are those of one of an engine's caches.
func stats(t testing.TB, e *Engine, name Cache) CacheStats {
	t.Helper()
	for _, c := range e.Caches() {
		if c.Name == string(name) {
			return c
		}
	}
	t.Fatalf("no cache is called %s", name)
	return CacheStats{}
}

// kinds are models of each kind: what they predict depends on context and item, on the limit, on the hour, on the user.
func kinds(t testing.TB) []*model.Model {
	year := feature.Feature{Name: "year", Source: feature.SourceItem, Kind: feature.KindNumber, Field: "year"}
	number := func(name string) []feature.Feature {
		return []feature.Feature{year, {Name: name, Source: feature.SourceRequest, Kind: feature.KindNumber, Field: name}}
	}
	years := []float64{1940, 1960, 1985, 2010}
	return []*model.Model{
		loadModel(t, demoModel),
		randomModel(t, "l", number("limit"), [][]float64{years, {2, 4, 8}}),
		randomModel(t, "h", number("hour"), [][]float64{years, {6, 12, 19.5, 20.5}}),
		personalModel(t, "1"),
	}
}

// datedItems are random items, some of them new, some of which expire soon, some hidden.
func datedItems(random *rand.Rand, n int) []schemas.Item {
	items := randomItems(random, n)
	for i := range items {
		switch random.IntN(4) {
		case 0:
			items[i].AddedAt = eight.Add(-time.Duration(random.IntN(20*24)) * time.Hour)
		case 1:
			items[i].Hidden = random.IntN(10) == 0
		}
	}
	for i := range random.IntN(4) {
		items[random.IntN(n)].ExpiresAt = eight.Add(time.Duration(i) * time.Hour)
	}
	return items
}

func randomParams(random *rand.Rand) Params {
	p := DefaultParams()
	p.Fallback.VerifyEvery = []int{0, 7, 1000}[random.IntN(3)]
	p.Fallback.ConstantScoresMin = 1000
	if random.IntN(3) == 0 {
		return p
	}
	some := func(v float64) float64 { return v * float64(random.IntN(2)) }
	p.Rank.Weights = rank.Weights{Base: 1, Affinity: some(0.3), Freshness: some(some(0.2)), Popularity: some(0.2), Similarity: 1}
	p.Rank.Diversity.Strength = some(0.4)
	p.Rank.Caps.Genre, p.Rank.Caps.YearBand = random.IntN(4), random.IntN(4)
	p.MaxItems = []int{4, 100}[random.IntN(2)]
	comedies := rank.Boost{Name: "comedies", Add: 0.1, Genres: []string{"Comedy"}}
	week := 7.0
	switch random.IntN(5) {
	case 0:
		comedies.From = eight.Add(time.Hour)
	case 1:
		comedies.Until = eight.Add(time.Hour)
	case 2:
		comedies.AgeDays.Max = &week
	}
	p.Rank.Boosts = []rank.Boost{comedies}
	return p
}

// someRequest is plain most of the time, and one of few.
func someRequest(random *rand.Rand) schemas.Request {
	limits, strengths := []int{0, 3, 3, 10}, []float64{math.NaN(), math.NaN(), 0, 0.6}
	req := schemas.Request{RequestID: fmt.Sprint("r", random.IntN(100)), Limit: limits[random.IntN(4)],
		Diversity: strengths[random.IntN(4)], UserID: []string{"", "", "ada", "bob"}[random.IntN(4)],
		RequestedAt: eight.Add(time.Duration(random.IntN(4)) * time.Hour)}
	req.Mood = schemas.Mood(random.IntN(2))
	if random.IntN(10) == 0 {
		req.RequestedAt = time.Time{}
	}
	id := fmt.Sprintf("i%03d", random.IntN(60))
	switch random.IntN(16) {
	case 0:
		req.Exclude = []string{id}
	case 1:
		req.Pins = []string{id}
	case 2:
		req.SimilarTo = id
	case 3:
		req.Candidates = []string{id, "i001", "i002", "i003"}
	case 4:
		req.ExcludeSeen = true
	case 5:
		req.Explain = true
	case 6:
		req.DeadlineMS = 1 + random.IntN(2*3600*1000)
	}
	return req
}

// A decision is the same, field by field, with caches and without.
func TestCachesChangeNothing(t *testing.T) {
	known := map[string]*schemas.Profile{"ada": ada()}
	models := kinds(t)
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(31, seed))
		items, params := datedItems(random, 60), randomParams(random)
		d := Deployment{Model: models[seed%4]}
		if random.IntN(10) == 0 {
			d = Deployment{Previous: models[seed%4]}
		}
		engine := func(without []Cache) *Engine {
			e, err := New(params, Options{Without: without, Now: func() time.Time { return eight.Add(time.Hour) }})
			if err != nil {
				t.Fatal(err)
			}
			setCatalog(t, e, items, 1)
			deploy(t, e, d)
			return e
		}
		cached, afresh := engine(nil), engine(both)
		a, b := cached.NewScorer(), afresh.NewScorer()
		for n := range 250 {
			req := someRequest(random)
			var got, want schemas.Decision
			if err := a.Decide(&req, known[req.UserID], &got); err != nil {
				t.Fatal(err)
			}
			if err := b.Decide(&req, known[req.UserID], &want); err != nil {
				t.Fatal(err)
			}
			if !sameDecision(&got, &want) {
				t.Fatalf("seed %d, request %d, %+v\nwith caches %+v\nwithout     %+v", seed, n, req, got, want)
			}
		}
		wantLookups(t, seed, cached, afresh)
	}
}

// wantLookups checks that the caches were of use, where they can be, and that those of the other engine are not there.
func wantLookups(t *testing.T, seed uint64, cached, afresh *Engine) {
	t.Helper()
	a := cached.state.Load().base
	scores, answers := stats(t, cached, CacheScores), stats(t, cached, CacheAnswers)
	timeless := seed%4 != 2 && a.rungs[0].model != nil && a.plan.Timeless()
	if used := answers.Hits > 0 && answers.Bytes > 0; used != timeless {
		t.Errorf("seed %d: answers %+v, and the time counts is %v", seed, answers, !timeless)
	}
	if !timeless && answers != (CacheStats{Name: answers.Name}) {
		t.Errorf("seed %d: answers %+v, where none can be remembered", seed, answers)
	}
	if used := scores.Hits > 100 && scores.Bytes > 0; used != (seed%4 == 0) {
		t.Errorf("seed %d: scores %+v", seed, scores)
	}
	for _, c := range afresh.Caches() {
		if c != (CacheStats{Name: c.Name}) {
			t.Errorf("seed %d: without caches there is %+v", seed, c)
		}
	}
}

// plain asks for nothing but its context, at eight.
func plain() *schemas.Request {
	return &schemas.Request{RequestID: "r", Limit: 3, RequestedAt: eight}
}

// What expires makes room: each era has answers of its own, and a request of an earlier one takes no room from those
// of now.
func TestAnswersOfAnEra(t *testing.T) {
	items := sixty()
	for i := range 3 {
		items[i].ExpiresAt = eight.Add(time.Duration(i) * time.Hour)
	}
	e := newEngine(t, items)
	deploy(t, e, Deployment{Model: loadModel(t, demoModel)})
	s := e.NewScorer()
	ask := func(hours int) {
		for n := range 2 * answersAContext {
			req := plain()
			req.RequestedAt, req.Limit = eight.Add(time.Duration(hours)*time.Hour-1), 1+n%answersAContext
			if d := decide(t, s, req); d.Considered != 60-hours {
				t.Fatalf("%d were considered in era %d", d.Considered, hours)
			}
		}
	}
	for _, step := range []struct {
		hours int
		hits  uint64
	}{{0, 4}, {1, 4}, {3, 4}, {2, 0}, {3, 8}} {
		before := stats(t, e, CacheAnswers).Hits
		ask(step.hours)
		if got := stats(t, e, CacheAnswers).Hits - before; got != step.hits {
			t.Errorf("%d hours later %d of 8 were remembered, want %d", step.hours, got, step.hits)
		}
	}
}

// Without trust in the tier nothing of it is remembered: whatever keeps requests away from the tier keeps them away
// from its answers.
func TestAnswersOfATierThatIsNotTrusted(t *testing.T) {
	drifted := fallback.NewDrift([]float64{-2, -1.5, -1}, []int{50, 50}, fallback.DriftParams{Window: 100, MaxPSI: 0.2})
	for range 1000 {
		drifted.Observe([]float64{0.5}, nil)
	}
	tests := []struct {
		name   string
		change func(t *testing.T, e *Engine)
		code   schemas.Reason
	}{
		{"open", func(_ *testing.T, e *Engine) {
			for range DefaultParams().Fallback.Breaker.Failures {
				e.state.Load().base.rungs[0].watch.breaker.Failure(eight, schemas.ReasonPanic)
			}
		}, schemas.ReasonCircuitOpen},
		{"drifted", func(_ *testing.T, e *Engine) { e.state.Load().base.rungs[0].watch.drift = drifted }, schemas.ReasonDriftExceeded},
		{"switched off", func(t *testing.T, e *Engine) {
			params := e.Params()
			params.Fallback.SwitchedOff = []schemas.Tier{schemas.TierModel}
			setParams(t, e, params)
		}, schemas.ReasonSwitchedOff},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := fullEngine(t, DefaultParams(), Options{Now: func() time.Time { return eight }})
			s := e.NewScorer()
			for range 2 {
				decide(t, s, plain())
			}
			if c := stats(t, e, CacheAnswers); c.Hits != 1 || c.Misses != 1 {
				t.Fatalf("before: %+v", c)
			}
			tt.change(t, e)
			if d := decide(t, s, plain()); d.Tier != schemas.TierPrevious || !slices.Equal(d.Degraded, []schemas.Reason{tt.code}) {
				t.Errorf("tier %s, degraded %v", d.Tier, d.Degraded)
			}
			if c := stats(t, e, CacheAnswers); c.Hits != 1 || c.Misses != 1 {
				t.Errorf("after: %+v", c)
			}
		})
	}
}

// The watch over drift sees the predictions of answers that are remembered, as it sees those of others.
func TestDriftOfRememberedAnswers(t *testing.T) {
	e := fullEngine(t, DefaultParams(), Options{})
	watched := fallback.NewDrift([]float64{0, 0.5, 1}, []int{50, 50}, fallback.DriftParams{Window: 1000, MaxPSI: 100})
	e.watchDrift(watched)
	s := e.NewScorer()
	decide(t, s, plain())
	for math.IsNaN(watched.PSI()) {
		if before := stats(t, e, CacheAnswers).Hits; before > 1000 {
			t.Fatalf("after %d answers nothing was seen", before)
		}
		decide(t, s, plain())
	}
	if hits := stats(t, e, CacheAnswers).Hits; hits < 50 {
		t.Errorf("%d answers filled the window of a thousand", hits)
	}
}

// A share of all decisions is verified, those that could be remembered too.
func TestRememberedAnswersAreVerified(t *testing.T) {
	params := DefaultParams()
	params.Fallback.VerifyEvery = 10
	e := fullEngine(t, params, Options{})
	s := e.NewScorer()
	for range 9 {
		decide(t, s, plain())
	}
	if c := stats(t, e, CacheAnswers); c.Hits != 8 {
		t.Fatalf("%+v", c)
	}
	disagree := e.state.Load().base.rungs[0].model
	for i := range *disagree.memo.columns[0].Load() {
		(*disagree.memo.columns[0].Load())[i].Store(encode(float64(i)))
	}
	if d := decide(t, s, plain()); d.Tier != schemas.TierPrevious || d.Degraded[0] != schemas.ReasonEvaluatorsDisagree {
		t.Errorf("the tenth: tier %s, degraded %v", d.Tier, d.Degraded)
	}
}

// An answer costs no allocation, whether it is remembered or there was no room for it.
func TestPlainRequestsAllocateNothing(t *testing.T) {
	e := fullEngine(t, DefaultParams(), Options{})
	s := e.NewScorer()
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	for n := range answersAContext {
		req := plain()
		req.Limit = 1 + n
		decide(t, s, req)
	}
	for name, limit := range map[string]int{"remembered": answersAContext, "no room": answersAContext + 1} {
		req := plain()
		req.Limit = limit
		var d schemas.Decision
		if n := testing.AllocsPerRun(100, func() {
			if err := s.Decide(req, nil, &d); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	s.End()
	if c := stats(t, e, CacheAnswers); c.Hits != 101 || c.Misses != answersAContext+101 {
		t.Errorf("%+v", c)
	}
}

// However many limits apps ask for, memory is bounded.
func TestAnswersAreBounded(t *testing.T) {
	e := fullEngine(t, DefaultParams(), Options{})
	s := e.NewScorer()
	for c := range schemas.NumContexts {
		for limit := range schemas.MaxLimit + 1 {
			req := plain()
			req.Limit = schemas.MaxLimit - limit
			req.Mood, req.GroupSize = schemas.Mood(c/16), schemas.GroupSize(c/4%4)
			req.SessionLength = schemas.SessionLength(c % 4)
			decide(t, s, req)
		}
	}
	c := stats(t, e, CacheAnswers)
	if most := int64(4 << 20); c.Bytes > most || c.Bytes < 100_000 {
		t.Errorf("%d bytes", c.Bytes)
	}
	if n := uint64(schemas.NumContexts * (schemas.MaxLimit + 1)); c.Hits != 0 || c.Misses < n-n/1000-1 {
		t.Errorf("%+v of %d", c, n)
	}
	if again := decide(t, s, &schemas.Request{RequestID: "r", Limit: 100, RequestedAt: eight}); len(again.Items) == 0 || stats(t, e, CacheAnswers).Hits != 1 {
		t.Errorf("the first is not remembered: %+v", stats(t, e, CacheAnswers))
	}
}
