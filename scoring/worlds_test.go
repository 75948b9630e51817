package scoring

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/experiment"
	"recstream/scoring/model"
	"recstream/scoring/profile"
)

// world is an instance with its stores in which everything changes: the catalogue, the parameters, the models, the
// experiments, the profiles, the outcomes; and in which tiers panic, doubt themselves and take their time.
type world struct {
	*rand.Rand
	t      *testing.T
	engine *Engine
	now    time.Time
	faulty bool // tiers may fail
	still  bool // outcomes and lists never change
	models []*model.Model
	users  []string
	items  int

	outcomes []schemas.ItemPopularity
	lists    []schemas.EditorialList

	// What is kept: the topic, the store of models, and what the database has, the present and the past.
	requests map[string]schemas.Request
	store    map[string]*model.Model // by hash
	configs  map[string]Params       // by version
	catalog  map[string]schemas.Item
	catalogs [][]schemas.Item // by version
	profiles map[string]*schemas.Profile
	versions map[schemas.ProfileKey]*schemas.Profile
	ledger   map[string]*schemas.Decision

	about map[string]*schemas.Profile // what the instance has read of users, perhaps a while ago
}

func need(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 77)), t: t, now: eight, items: 60, still: seed%2 == 0,
		requests: map[string]schemas.Request{}, store: map[string]*model.Model{}, configs: map[string]Params{},
		catalog: map[string]schemas.Item{}, profiles: map[string]*schemas.Profile{}, versions: map[schemas.ProfileKey]*schemas.Profile{},
		ledger: map[string]*schemas.Decision{}, about: map[string]*schemas.Profile{}}
	for n := range 12 {
		w.users = append(w.users, fmt.Sprint("user ", n))
	}
	var err error
	w.engine, err = New(w.params(), Options{Now: func() time.Time { return w.now }})
	need(t, err)
	for n, m := range []*model.Model{loadModel(t, demoModel), loadModel(t, otherModel), personalModel(t, "1"), personalModel(t, "2", drifting)} {
		m.Ref.ID = int32(n)
		w.models, w.store[m.Ref.SHA256] = append(w.models, m), m
	}
	w.takeOutcomes()
	w.importItems(w.randomItems())
	w.deploy()
	return w
}

// drifting gives a model predictions in its training that it never makes.
func drifting(m *model.Manifest) {
	values := make([]float64, 1000)
	for i := range values {
		values[i] = 0.999 + float64(i)/1e6
	}
	m.Profile = &model.Profile{Rows: len(values), Score: model.NewHistogram("prediction", values)}
	for _, f := range personal {
		m.Profile.Features = append(m.Profile.Features, model.NewHistogram(f.Name, values))
	}
}

func pick[T any](w *world, list ...T) T { return list[w.IntN(len(list))] }

// randomItems are what the catalogue may have: some are new, some expire, some are the same to a model.
func (w *world) randomItems() []schemas.Item {
	items := randomItems(w.Rand, w.items)
	for i := range items {
		it := &items[i]
		it.AddedAt = w.now.Add(-time.Duration(w.IntN(400)) * time.Hour)
		it.Hidden = w.IntN(12) == 0
		it.Franchise = pick(w, "", "", "Alien")
		if w.IntN(5) == 0 {
			it.ExpiresAt = w.now.Add(time.Duration(w.IntN(200)-50) * time.Minute)
		}
		if i%6 == 0 {
			it.Genres, it.Year, it.DurationMin, it.Popularity = []string{"Music"}, 1990, 100, 0
		}
	}
	return items
}

// params are new ones: their version is kept with their text, as upkeep does.
func (w *world) params() Params {
	p := DefaultParams()
	p.Fallback.Tiers = pick(w, p.Fallback.Tiers, p.Fallback.Tiers, []schemas.Tier{schemas.TierModel, schemas.TierEditorial, schemas.TierPopular, schemas.TierBasic},
		[]schemas.Tier{schemas.TierSimilar, schemas.TierModel, schemas.TierPrevious, schemas.TierBasic})
	p.Fallback.SwitchedOff = pick(w, nil, nil, nil, []schemas.Tier{schemas.TierModel}, []schemas.Tier{schemas.TierPopular, schemas.TierPrevious})
	p.Fallback.Breaker.Window, p.Fallback.Breaker.Failures = 20, pick(w, 2, 5)
	p.Fallback.Deadline = pick(w, 0, 300*time.Millisecond)
	p.Fallback.ConstantScoresMin, p.Fallback.MaxMissingFeatures = pick(w, 2, 20), pick(w, 0.2, 0.5, 1)
	p.Fallback.Drift = pick(w, p.Fallback.Drift, p.Fallback.Drift, p.Fallback.Drift)
	p.Fallback.Drift.Window = pick(w, 100, 5000)
	p.Fallback.VerifyEvery = pick(w, 0, 3)
	p.Rank.Weights.Affinity, p.Rank.Weights.Freshness, p.Rank.Weights.Popularity = pick(w, 0, 0.4), pick(w, 0, 0.3), pick(w, 0, 0.2)
	p.Rank.Weights.Similarity, p.Rank.Diversity.Strength, p.Rank.Caps.Genre = pick(w, 0, 0.5), pick(w, 0, 0.4), pick(w, 0, 2)
	p.Explain.Keep, p.Explain.SampleRate = pick(w, KeepAsked, KeepSampled, KeepAlways), 0.3
	p.MaxItems = pick(w, 5, schemas.MaxLimit)
	need(w.t, p.Validate())
	w.configs[p.Version()] = p
	return p
}

// importItems makes the next version of the catalogue and puts it into force.
func (w *world) importItems(items []schemas.Item) {
	for _, it := range items {
		w.catalog[it.ID] = it
	}
	var all []schemas.Item
	for _, it := range w.catalog {
		all = append(all, it)
	}
	slices.SortFunc(all, func(a, b schemas.Item) int { return cmp.Compare(a.ID, b.ID) })
	w.catalogs = append(w.catalogs, all)
	need(w.t, w.engine.SetCatalog(w.t.Context(), snapshot(w.t, all, int64(len(w.catalogs)-1))))
}

// takeOutcomes puts popularity and lists into force.
func (w *world) takeOutcomes() {
	w.outcomes, w.lists = nil, nil
	for n := range w.IntN(9) {
		id := fmt.Sprintf("i%03d", w.IntN(w.items))
		w.outcomes = append(w.outcomes, schemas.ItemPopularity{ItemID: id, Weight: float64(1 + w.IntN(50)), AsOf: eight})
		w.lists = append(w.lists, schemas.EditorialList{Name: fmt.Sprint(n), Context: schemas.Context{Mood: schemas.Mood(w.IntN(3))}, ItemIDs: []string{id}})
	}
	need(w.t, w.engine.SetOutcomes(w.t.Context(), w.outcomes))
	need(w.t, w.engine.SetEditorial(w.t.Context(), w.lists))
}

// deploy puts models and experiments into force.
func (w *world) deploy() {
	some := func() *model.Model { return pick(w, append([]*model.Model{nil}, w.models...)...) }
	d := Deployment{Model: some(), Previous: some(), Reason: pick(w, "", schemas.ReasonModelLoadFailed, schemas.ReasonFeatureMismatch)}
	for n := range w.IntN(3) {
		half := 0.5
		x := Experiment{Experiment: experiment.Experiment{Name: fmt.Sprint("x", n), Coverage: &half}}
		for _, name := range []string{"a", "b"} {
			x.Variants = append(x.Variants, experiment.Variant{Name: name})
			a := Arm{Model: some()}
			if a.Model == nil {
				a.Reason = pick(w, "", schemas.ReasonModelMissing)
			}
			if w.IntN(2) == 0 {
				p := w.params()
				a.Params = &p
			}
			x.Arms = append(x.Arms, a)
		}
		d.Experiments = append(d.Experiments, x)
	}
	need(w.t, w.engine.Deploy(w.t.Context(), d))
}

// trouble makes every tier of the state in force one that may fail.
func (w *world) trouble() {
	for _, a := range w.engine.state.Load().arms {
		for i := range a.rungs {
			r := &a.rungs[i]
			well := ranks[r.tier]
			r.rank = func(s *Scorer, r *rung, q *question) schemas.Reason { return w.rankSomehow(well, s, r, q) }
		}
	}
}

func (w *world) rankSomehow(well func(*Scorer, *rung, *question) schemas.Reason, s *Scorer, r *rung, q *question) schemas.Reason {
	if !w.faulty {
		return well(s, r, q)
	}
	switch w.IntN(12) {
	case 0:
		panic("at once")
	case 1:
		w.now = w.now.Add(200 * time.Millisecond)
	case 2:
		if reason := well(s, r, q); reason != "" || r.model == nil {
			return reason
		}
		return pick(w, schemas.ReasonEvaluatorsDisagree, schemas.ReasonNonFiniteScore)
	case 3:
		if reason := well(s, r, q); reason != "" {
			return reason
		}
		panic("at the end")
	}
	return well(s, r, q)
}

// change changes something.
func (w *world) change() {
	switch w.IntN(8) {
	case 0:
		w.importItems(w.randomItems()[:1+w.IntN(20)])
	case 1:
		delete(w.catalog, fmt.Sprintf("i%03d", w.IntN(w.items)))
		w.importItems(nil)
	case 2:
		need(w.t, w.engine.SetParams(w.t.Context(), w.params()))
	case 3:
		w.deploy()
	case 4:
		if !w.still {
			w.takeOutcomes()
		}
	case 5:
		w.faulty = !w.faulty
	case 6:
		clear(w.about)
	}
	w.now = w.now.Add(time.Duration(w.IntN(40)) * time.Second)
	w.trouble()
}

// hear takes in feedback, which makes new versions of profiles.
func (w *world) hear() {
	for range 1 + w.IntN(6) {
		f := &schemas.Feedback{RequestID: "r", UserID: pick(w, w.users[:10]...), ItemID: fmt.Sprintf("i%03d", w.IntN(w.items)),
			Action: schemas.Action(1 + w.IntN(6)), Value: 4, At: w.now.Add(-time.Duration(w.IntN(1e6)) * time.Second).Truncate(time.Microsecond)}
		next := schemas.Profile{UserID: f.UserID}
		if p := w.profiles[f.UserID]; p != nil {
			next = *p
			next.Genres, next.Items = slices.Clone(p.Genres), slices.Clone(p.Items)
		}
		next.Version++
		profile.Apply(&next, f, w.engine.Item(f.ItemID), profile.DefaultHalfLife)
		w.profiles[f.UserID], w.versions[schemas.ProfileKey{UserID: f.UserID, Version: next.Version}] = &next, &next
	}
}

func (w *world) request() schemas.Request {
	ids := func() (list []string) {
		for range w.IntN(8) {
			list = append(list, fmt.Sprintf("i%03d", pick(w, w.IntN(w.items+2), 6*w.IntN(w.items/6))))
		}
		return list
	}
	req := schemas.Request{
		RequestID: fmt.Sprint("request ", len(w.requests)), UserID: pick(w, append(w.users, "")...),
		Context: schemas.Context{Mood: schemas.Mood(w.IntN(3)), GroupSize: schemas.GroupSize(w.IntN(2)), SessionLength: schemas.SessionLength(w.IntN(2))},
		Limit:   pick(w, 0, 5, 20), Diversity: pick(w, math.NaN(), 0.5), Explain: w.IntN(4) == 0, ExcludeSeen: w.IntN(4) == 0,
		DeadlineMS:  pick(w, 0, 0, 100),
		RequestedAt: w.now.Add(-time.Duration(w.IntN(200)) * time.Millisecond).Truncate(time.Microsecond),
	}
	switch w.IntN(6) {
	case 0:
		req.Candidates = append(ids(), "unknown")
	case 1:
		req.Pins, req.Exclude = ids(), ids()
	case 2:
		req.SimilarTo = fmt.Sprintf("i%03d", w.IntN(w.items))
	case 3:
		req.Candidates = []string{}
	}
	return req
}

// decide decides a batch of requests as a worker does, and stores the decisions.
func (w *world) decide(s *Scorer) {
	need(w.t, s.Begin())
	defer s.End()
	for range 10 {
		req, d := w.request(), new(schemas.Decision)
		if p := w.profiles[req.UserID]; p != nil && s.NeedsProfile(&req) && w.about[req.UserID] == nil {
			w.about[req.UserID] = p
		}
		need(w.t, s.Decide(&req, w.about[req.UserID], d))
		w.requests[req.RequestID], w.ledger[req.RequestID] = req, d
	}
}

// live lets time pass.
func (w *world) live(batches int) {
	s := w.engine.NewScorer()
	for range batches {
		for range w.IntN(3) {
			w.change()
		}
		w.hear()
		w.decide(s)
	}
}

// past makes engines of what is kept.
type past struct {
	*world
	without []Cache
	engines map[string]*Engine
}

// hits is how often a cache of the engines knew what was looked up.
func (p *past) hits(name Cache) (sum uint64) {
	for _, e := range p.engines {
		sum += stats(p.t, e, name).Hits
	}
	return sum
}

// longAfter is when decisions are made again.
var longAfter = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)

// engineOf returns the engine of a stored decision, made of what it names.
func (p *past) engineOf(d *schemas.Decision) *Engine {
	key := fmt.Sprint(d.ConfigVersion, d.CatalogVersion, d.Tier, d.Model != nil && d.Tier == schemas.TierPrevious)
	var deployment Deployment
	if d.Model != nil {
		key += d.Model.SHA256
		m := p.store[d.Model.SHA256]
		if deployment.Model = m; d.Tier == schemas.TierPrevious {
			deployment.Model, deployment.Previous = nil, m
		}
	}
	if e := p.engines[key]; e != nil {
		return e
	}
	params, kept := p.configs[d.ConfigVersion]
	if !kept {
		p.t.Fatalf("version %s of the parameters is nowhere", d.ConfigVersion)
	}
	e, err := New(params, Options{Now: func() time.Time { return longAfter }, Without: p.without})
	need(p.t, err)
	s := snapshot(p.t, p.catalogs[d.CatalogVersion], d.CatalogVersion)
	need(p.t, errors.Join(e.SetOutcomes(p.t.Context(), p.outcomes), e.SetEditorial(p.t.Context(), p.lists),
		e.Deploy(p.t.Context(), deployment), e.SetCatalog(p.t.Context(), s)))
	p.engines[key] = e
	return e
}

// again makes a stored decision again.
func (p *past) again(stored *schemas.Decision) *schemas.Decision {
	var known *schemas.Profile
	if stored.ProfileVersion != 0 {
		known = p.versions[schemas.ProfileKey{UserID: stored.UserID, Version: stored.ProfileVersion}]
	}
	req, got := p.requests[stored.RequestID], new(schemas.Decision)
	need(p.t, p.engineOf(stored).NewScorer().Redecide(&req, known, stored, got))
	return got
}

// inWords tells everything of a decision, numbers to the bit.
func inWords(d *schemas.Decision) string {
	plain := *d
	plain.Model, plain.Experiment, plain.Explanation = nil, nil, nil
	explanation, err := json.Marshal(d.Explanation)
	if err != nil {
		explanation = []byte(err.Error())
	}
	text := fmt.Sprintf("%+v\n%s\n", plain, explanation)
	if d.Model != nil {
		text += fmt.Sprintf("model %+v\n", *d.Model)
	}
	if d.Experiment != nil {
		text += fmt.Sprintf("experiment %+v\n", *d.Experiment)
	}
	return text
}
