package scoring

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/catalog"
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
	if random.IntN(2) == 0 {
		items[random.IntN(n)].ExpiresAt = eight.Add(time.Hour)
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
	for seed := range uint64(60) {
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
		for n := range 400 {
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
	if used := answers.Hits > 10 && answers.Bytes > 0; used != timeless {
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

// versions are what an engine may be given, some of each.
type versions struct {
	deployments []Deployment
	params      []Params
	catalogs    []*catalog.Snapshot
	outcomes    [][]schemas.ItemPopularity
	lists       [][]schemas.EditorialList
}

// combination is one of each.
type combination [5]int

func twoOfEach(t *testing.T) *versions {
	demo, personal := loadModel(t, demoModel), personalModel(t, "1")
	diverse, listed := DefaultParams(), DefaultParams()
	diverse.Rank.Diversity.Strength, diverse.Rank.Weights.Popularity = 0.5, 0.3
	listed.Fallback.Tiers = []schemas.Tier{schemas.TierModel, schemas.TierEditorial, schemas.TierBasic}
	outcomes := func(items ...string) (list []schemas.ItemPopularity) {
		for n, id := range items {
			list = append(list, schemas.ItemPopularity{ItemID: id, Weight: float64(100 * (n + 1)), AsOf: eight})
		}
		return list
	}
	v := &versions{
		deployments: []Deployment{{Model: demo}, {Model: personal}, {Reason: schemas.ReasonModelLoadFailed}},
		params:      []Params{DefaultParams(), diverse, listed},
		outcomes:    [][]schemas.ItemPopularity{outcomes("i001", "i002", "i003"), outcomes("i030", "i020", "i010")},
		lists:       [][]schemas.EditorialList{{{Name: "a", ItemIDs: []string{"i042", "i007"}}}, {{Name: "b", ItemIDs: []string{"i033"}}}},
	}
	for n := range 2 {
		v.catalogs = append(v.catalogs, snapshot(t, randomItems(rand.New(rand.NewPCG(41, uint64(n))), 60+n), int64(n)))
	}
	return v
}

// set puts one part of a combination into force.
func (v *versions) set(t *testing.T, e *Engine, part, version int) {
	t.Helper()
	var err error
	switch part {
	case 0:
		err = e.Deploy(t.Context(), v.deployments[version])
	case 1:
		err = e.SetParams(t.Context(), v.params[version])
	case 2:
		err = e.SetCatalog(t.Context(), v.catalogs[version])
	case 3:
		err = e.SetOutcomes(t.Context(), v.outcomes[version])
	case 4:
		err = e.SetEditorial(t.Context(), v.lists[version])
	}
	if err != nil {
		t.Fatal(err)
	}
}

// swapped are requests of one batch, each of which is decided twice.
func swapped() (list []schemas.Request) {
	for n := range 6 {
		list = append(list, schemas.Request{RequestID: "r", Limit: 3 + n%2*5, Diversity: math.NaN(), RequestedAt: eight,
			Context: schemas.Context{Mood: schemas.Mood(n % 3)}})
	}
	return append(list, list...)
}

// expected are the decisions of an engine that remembers nothing.
func (v *versions) expected(t *testing.T, c combination) []schemas.Decision {
	t.Helper()
	e, err := New(DefaultParams(), Options{Without: both})
	if err != nil {
		t.Fatal(err)
	}
	for part, version := range c {
		v.set(t, e, part, version)
	}
	s := e.NewScorer()
	requests := swapped()
	list := make([]schemas.Decision, len(requests))
	for i := range requests {
		if err := s.Decide(&requests[i], nil, &list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// swaps is a sequence of swaps under load. Swap n is announced before it is made, and applied after.
type swaps struct {
	engine             *Engine
	expected           [100][]schemas.Decision // written before the swap is announced
	announced, applied atomic.Int64
	batches            chan struct{} // one for each batch
}

// check decides batches until done is closed. Each batch has to be of one of the states that were in force between
// the end of the last swap before it began and the last one that was announced when it had begun.
func (w *swaps) check(t *testing.T, done <-chan struct{}) {
	s := w.engine.NewScorer()
	requests := swapped()
	got := make([]schemas.Decision, len(requests))
	for {
		first := w.applied.Load()
		if err := s.Begin(); err != nil {
			t.Error(err)
			return
		}
		last := w.announced.Load()
		for i := range requests {
			if err := s.Decide(&requests[i], nil, &got[i]); err != nil {
				t.Error(err)
				return
			}
		}
		s.End()
		if !w.hasState(first, last, got) {
			t.Errorf("a batch between swaps %d and %d is of no state in force then: %+v", first, last, got)
		}
		select {
		case w.batches <- struct{}{}:
		case <-done:
			return
		}
	}
}

func (w *swaps) hasState(first, last int64, got []schemas.Decision) bool {
	for n := first; n <= last; n++ {
		same := true
		for i := range got {
			same = same && sameDecision(&got[i], &w.expected[n][i])
		}
		if same {
			return true
		}
	}
	return false
}

// While model, parameters, catalogue, popularity and editorial lists are swapped under load, each decision is the one
// of the state in force: nothing that is remembered outlives what it was made of.
func TestNothingStaleIsServed(t *testing.T) {
	v := twoOfEach(t)
	e, err := New(DefaultParams(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &swaps{engine: e, batches: make(chan struct{})}
	var now combination
	for part, version := range now {
		v.set(t, e, part, version)
	}
	known := map[combination][]schemas.Decision{now: v.expected(t, now)}
	w.expected[0] = known[now]
	done := make(chan struct{})
	var workers sync.WaitGroup
	const numWorkers = 4
	for range numWorkers {
		workers.Go(func() { w.check(t, done) })
	}
	random := rand.New(rand.NewPCG(43, 44))
	kinds := [5]int{len(v.deployments), len(v.params), len(v.catalogs), len(v.outcomes), len(v.lists)}
	for n := 1; n < len(w.expected); n++ {
		part := n % len(kinds)
		now[part] = (now[part] + 1 + random.IntN(kinds[part]-1)) % kinds[part]
		if known[now] == nil {
			known[now] = v.expected(t, now)
		}
		w.expected[n] = known[now]
		for range 2 * numWorkers { // so that all have decided in the state, and remember
			<-w.batches
		}
		w.announced.Store(int64(n))
		v.set(t, e, part, now[part])
		w.applied.Store(int64(n))
	}
	close(done)
	workers.Wait()
	if hits := stats(t, e, CacheAnswers).Hits; hits < 1000 {
		t.Errorf("%d answers were remembered: there was nothing to go stale", hits)
	}
}

// plain asks for nothing but its context, at eight.
func plain() *schemas.Request {
	return &schemas.Request{RequestID: "r", Limit: 3, RequestedAt: eight}
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
	e.patch(func(r *rung) {
		if r.tier == schemas.TierModel {
			w := *r.watch
			w.drift = watched
			r.watch = &w
		}
	})
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
