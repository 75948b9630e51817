package scoring

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/feature"
	"recstream/scoring/model"
)

func TestDecideFillsTheDecision(t *testing.T) {
	e := newEngine(t, numbered(5))
	setCatalog(t, e, numbered(6), 42)
	e.setPredictor(t, byYear, schemas.ModelRef{ID: 3, Name: "demo", Version: "v", SHA256: "abc"})
	req := schemas.Request{RequestID: "r", UserID: "u", Context: schemas.Context{Mood: schemas.MoodFunny}, Limit: 1,
		RequestedAt: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)}
	source := schemas.Source{Topic: "t", Partition: 1, Offset: 2}
	got := schemas.Decision{Tier: "old", Degraded: []schemas.Reason{"old"}, Items: []schemas.ScoredItem{{ItemID: "old"}},
		ScoreTime: time.Second, Source: source}
	if err := e.NewScorer().Decide(&req, nil, &got); err != nil {
		t.Fatal(err)
	}
	want := schemas.Decision{
		RequestID: "r", UserID: "u", Context: req.Context, RequestedAt: req.RequestedAt,
		Tier: schemas.TierModel, Degraded: []schemas.Reason{},
		Model:         &schemas.ModelRef{ID: 3, Name: "demo", Version: "v", SHA256: "abc"},
		ConfigVersion: e.ConfigVersion(), CatalogVersion: 42, Considered: 6,
		Items:     []schemas.ScoredItem{{ItemID: "i005", Title: "Title 5", Prediction: 0.1905, Score: 0.1905, Terms: schemas.Terms{0.1905}}},
		ScoreTime: time.Second, Source: source,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLimit(t *testing.T) {
	params := DefaultParams()
	params.MaxItems = 10
	e, err := New(params, Options{})
	if err != nil {
		t.Fatal(err)
	}
	setCatalog(t, e, numbered(30), 1)
	for _, tt := range []struct {
		name        string
		limit, want int
	}{
		{"none", 0, schemas.DefaultLimit}, {"negative", -1, schemas.DefaultLimit},
		{"given", 7, 7}, {"above the maximum", 11, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := len(decide(t, e.NewScorer(), &schemas.Request{Limit: tt.limit}).Items); got != tt.want {
				t.Errorf("%d items, want %d", got, tt.want)
			}
		})
	}
}

func TestNoCatalogIsAnError(t *testing.T) {
	e, err := New(DefaultParams(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	deploy(t, e, Deployment{Model: loadModel(t, demoModel)})
	s := e.NewScorer()
	if err := s.Decide(&schemas.Request{}, nil, new(schemas.Decision)); !errors.Is(err, ErrNoCatalog) {
		t.Errorf("error %v, want ErrNoCatalog", err)
	}
	setCatalog(t, e, numbered(1), 1)
	if d := decide(t, s, &schemas.Request{}); len(d.Items) != 1 {
		t.Errorf("once there is a catalogue: %+v", d)
	}
}

// A context that cannot be is a panic in the filter, outside the tiers.
func TestPanicOutsideTheTiersIsAnError(t *testing.T) {
	s := newEngine(t, numbered(5)).NewScorer()
	err := s.Decide(&schemas.Request{Context: schemas.Context{Mood: 200}}, nil, new(schemas.Decision))
	stopped, ok := errors.AsType[*PanicError](err)
	if !ok || stopped.Code() != "panic" || stopped.Transient() || stopped.Tier != "" || len(stopped.Stack) == 0 || s.LastPanic() != stopped {
		t.Fatalf("error %#v", err)
	}
	if d := decide(t, s, &schemas.Request{}); len(d.Items) != 3 || s.LastPanic() != nil {
		t.Errorf("after the panic: %+v, last panic %v", d, s.LastPanic())
	}
}

// A batch is decided by what was in force when it began.
func TestBeginFixesTheState(t *testing.T) {
	e := newEngine(t, numbered(5))
	use(byYear)(t, e)
	s := e.NewScorer()
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	deploy(t, e, Deployment{Reason: schemas.ReasonModelMissing})
	setCatalog(t, e, numbered(9), 2)
	if d := decide(t, s, &schemas.Request{}); d.Tier != schemas.TierModel || d.CatalogVersion != 1 {
		t.Errorf("in the batch: tier %s, catalogue %d", d.Tier, d.CatalogVersion)
	}
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	d := decide(t, s, &schemas.Request{})
	if !slices.Equal(d.Degraded, belowModels(schemas.ReasonModelMissing)) || d.CatalogVersion != 2 || d.Considered != 9 {
		t.Errorf("in the next: %+v", d)
	}
}

// The answer is the naive one: predict all with the model itself, sort all, cut. Predictions of the demo
// model are often alike, so ties are met too.
func TestEqualsNaiveRanking(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	m := loadModel(t, demoModel)
	for range 10 {
		items := randomItems(random, 50+random.IntN(200))
		e := newEngine(t, items)
		deploy(t, e, Deployment{Model: m})
		s := e.NewScorer()
		for range 20 {
			req := randomRequest(random, len(items))
			want := naive(t, e, m, &req)
			if got := decide(t, s, &req); got.Tier != schemas.TierModel || !equalItems(got.Items, want) {
				t.Fatalf("request %+v:\ngot  %+v\nwant %+v", req, got, want)
			}
		}
	}
}

func randomRequest(random *rand.Rand, n int) schemas.Request {
	req := schemas.Request{Limit: 1 + random.IntN(schemas.MaxLimit)}
	req.Mood = schemas.Mood(random.IntN(int(schemas.NumMoods)))
	req.GroupSize = schemas.GroupSize(random.IntN(int(schemas.NumGroupSizes)))
	if random.IntN(2) == 0 {
		names := namesOf(n)
		random.Shuffle(n, func(i, j int) { names[i], names[j] = names[j], names[i] })
		req.Candidates = names[:1+random.IntN(n)]
	}
	return req
}

func naive(t *testing.T, e *Engine, m *model.Model, req *schemas.Request) []schemas.ScoredItem {
	t.Helper()
	c := e.state.Load().catalog
	eligible := c.InContext(req.Context)
	if req.Candidates != nil {
		eligible = nil
		for _, id := range req.Candidates {
			i, _ := c.Lookup(id)
			eligible = append(eligible, i)
		}
	}
	var all []schemas.ScoredItem
	var in feature.Inputs
	x := make([]float64, len(m.Features().Names()))
	for _, i := range eligible {
		m.Features().Prepare(&in, req, nil)
		m.Features().Vector(x, &in, c.Item(i))
		p := m.Prediction(m.Raw(x))
		all = append(all, schemas.ScoredItem{ItemID: c.Item(i).ID, Title: c.Item(i).Title, Prediction: p, Score: p})
	}
	slices.SortFunc(all, func(a, b schemas.ScoredItem) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ItemID, b.ItemID))
	})
	return all[:min(len(all), req.Limit)]
}

// Engines and scorers that have seen other requests, in another order, decide alike.
func TestDeterminism(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	items := randomItems(random, 300)
	requests := make([]schemas.Request, 50)
	for i := range requests {
		requests[i] = randomRequest(random, len(items))
	}
	decideAll := func(order []int) []*schemas.Decision {
		shuffled := slices.Clone(items)
		random.Shuffle(len(items), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		e := newEngine(t, shuffled)
		deploy(t, e, Deployment{Model: loadModel(t, demoModel)})
		s := e.NewScorer()
		decisions := make([]*schemas.Decision, len(requests))
		for _, i := range order {
			decisions[i] = decide(t, s, &requests[i])
		}
		return decisions
	}
	ascending := make([]int, len(requests))
	for i := range ascending {
		ascending[i] = i
	}
	if a, b := decideAll(ascending), decideAll(random.Perm(len(requests))); !reflect.DeepEqual(a, b) {
		t.Error("the decisions differ")
	}
}

const swapWorkers = 4

// While models and catalogues are swapped, every decision is one model's over one catalogue.
func TestConcurrentSwaps(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	catalogs := [2][]schemas.Item{randomItems(random, 60), randomItems(random, 40)}
	req := schemas.Request{Limit: 5}
	expected := make(map[string]*schemas.Decision) // by model and catalogue
	paths := [2]string{demoModel, otherModel}
	e := newEngine(t, catalogs[0])
	for _, path := range paths {
		for version, items := range catalogs {
			deploy(t, e, Deployment{Model: loadModel(t, path)})
			setCatalog(t, e, items, int64(version))
			d := decide(t, e.NewScorer(), &req)
			expected[stateName(d)] = d
		}
	}
	if len(expected) != 4 {
		t.Fatalf("%d different states, want 4", len(expected))
	}
	models := [2]*model.Model{loadModel(t, paths[0]), loadModel(t, paths[1])}
	snapshots := [2]*catalog.Snapshot{snapshot(t, catalogs[0], 0), snapshot(t, catalogs[1], 1)}
	turns := make(chan struct{})
	var workers sync.WaitGroup
	for range swapWorkers {
		workers.Go(func() {
			s := e.NewScorer()
			for range turns {
				var d schemas.Decision
				if err := errors.Join(s.Begin(), s.Decide(&req, nil, &d)); err != nil {
					t.Error(err)
				}
				if want := expected[stateName(&d)]; want == nil || !equalItems(d.Items, want.Items) {
					t.Errorf("%s, degraded %q, last panic %v: %+v, want %+v", stateName(&d), d.Degraded, s.LastPanic(), d.Items, want)
				}
			}
		})
	}
	for i := range 200 {
		deploy(t, e, Deployment{Model: models[i%2]})
		if err := e.SetCatalog(t.Context(), snapshots[i/2%2]); err != nil {
			t.Fatal(err)
		}
		for range swapWorkers { // all at once on the new state, some of them into the next swap
			turns <- struct{}{}
		}
	}
	close(turns)
	workers.Wait()
}

func stateName(d *schemas.Decision) string {
	if d.Model == nil {
		return string(d.Tier)
	}
	return d.Model.Name + string(rune('0'+d.CatalogVersion))
}

// Each stage has its time: what models say is apart from the rest, and what is remembered takes neither filter nor model.
func TestStages(t *testing.T) {
	now := eight
	e := fullEngine(t, DefaultParams(), Options{Now: func() time.Time { now = now.Add(time.Millisecond); return now }})
	s := e.NewScorer()
	excluding := plain()
	excluding.Exclude = []string{"i001"}
	tests := []struct {
		name                string
		req                 *schemas.Request
		filter, score, rank bool
	}{
		{"first", plain(), true, true, true},
		{"remembered", plain(), false, false, true},
		{"not plain", excluding, true, true, true},
	}
	for _, tt := range tests {
		began := now
		decide(t, s, tt.req)
		got := s.Stages()
		if got.Filter > 0 != tt.filter || got.Score > 0 != tt.score || got.Rank > 0 != tt.rank ||
			got.Filter+got.Score+got.Rank != now.Sub(began)-time.Millisecond {
			t.Errorf("%s: %+v in %v", tt.name, got, now.Sub(began))
		}
	}
	deploy(t, e, Deployment{})
	decide(t, s, plain())
	if got := s.Stages(); got.Filter == 0 || got.Score != 0 || got.Rank == 0 {
		t.Errorf("without a model: %+v", got)
	}
}
