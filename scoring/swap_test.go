package scoring

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/catalog"
)

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
	checking           sync.WaitGroup
}

// decided waits for batches. It fails when nobody decides any more.
func (w *swaps) decided(t *testing.T, batches int) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for range batches {
		select {
		case <-w.batches:
		case <-deadline.C:
			t.Fatal("nothing is decided")
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// check decides batches until done is closed. Each batch has to be of one of the states that were in
// force between the end of the last swap before it began and the last one that was announced when it had begun.
func (w *swaps) check(t *testing.T, done <-chan struct{}) {
	defer w.checking.Done()
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
		if !t.Failed() && !w.hasState(first, last, got) { // one is enough to tell
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
	defer w.checking.Wait()
	defer close(done)
	const numWorkers = 4
	for range numWorkers {
		w.checking.Add(1)
		go w.check(t, done)
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
		w.decided(t, 2*numWorkers) // so that all have decided in the state, and remember
		w.announced.Store(int64(n))
		v.set(t, e, part, now[part])
		w.applied.Store(int64(n))
	}
	if hits := stats(t, e, CacheAnswers).Hits; hits < 1000 {
		t.Errorf("%d answers were remembered: there was nothing to go stale", hits)
	}
}
