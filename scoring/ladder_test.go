package scoring

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/fallback"
)

// fullEngine has everything that each tier needs: two models, popularity, a list for all contexts.
func fullEngine(t testing.TB, params Params, opts Options) *Engine {
	t.Helper()
	e, err := New(params, opts)
	if err != nil {
		t.Fatal(err)
	}
	setCatalog(t, e, sixty(), 1)
	deploy(t, e, Deployment{Model: loadModel(t, demoModel), Previous: loadModel(t, otherModel)})
	if err := e.SetEditorial(t.Context(), []schemas.EditorialList{{Name: "all", ItemIDs: []string{"i042", "i007"}}}); err != nil {
		t.Fatal(err)
	}
	return e
}

// sixty returns sixty items of all kinds.
func sixty() []schemas.Item { return randomItems(rand.New(rand.NewPCG(23, 24)), 60) }

// grace is known to have seen an item of the catalogue.
func grace() *schemas.Profile {
	return &schemas.Profile{UserID: "grace", AsOf: eight, Items: []schemas.ProfileItem{{ItemID: "i020", Seen: eight.Add(-time.Hour)}}}
}

// patch changes the rungs of the arm outside of experiments.
func (e *Engine) patch(change func(r *rung)) {
	next := *e.state.Load()
	a := *next.base
	a.rungs = slices.Clone(a.rungs)
	for i := range a.rungs {
		change(&a.rungs[i])
	}
	a.answers = newAnswers(&a)
	next.base, next.arms = &a, []*arm{&a}
	e.state.Store(&next)
}

// watchDrift watches the predictions of the model tier with d.
func (e *Engine) watchDrift(d *fallback.Drift) {
	e.patch(func(r *rung) {
		if r.tier == schemas.TierModel {
			r.watch = &watch{breaker: r.watch.breaker, changed: r.watch.changed, drift: d}
		}
	})
}

// fail makes tiers fail at every request, each with a reason of its own.
func (e *Engine) fail(reasons map[schemas.Tier]schemas.Reason) {
	e.patch(func(r *rung) {
		r.watch = newWatch(r, "", &e.inputs.params.Fallback, nil)
		reason, fails := reasons[r.tier]
		if !fails {
			return
		}
		r.rank = func(*Scorer, *rung, *question) schemas.Reason {
			if reason == schemas.ReasonPanic {
				panic("broken tier")
			}
			return reason
		}
	})
}

// failures are what makes each tier fail in the tests of subsets.
var failures = map[schemas.Tier]schemas.Reason{
	schemas.TierModel: schemas.ReasonPanic, schemas.TierPrevious: schemas.ReasonNonFiniteScore,
	schemas.TierSimilar: schemas.ReasonDeadlineExceeded, schemas.TierPopular: schemas.ReasonPanic,
	schemas.TierEditorial: schemas.ReasonPanic, schemas.TierBasic: schemas.ReasonPanic,
}

// Whatever subset of the tiers fails, under load, each request has an answer of the first tier that does not, and
// the codes of those above it; when all fail, the basic order answers all the same.
func TestEverySubsetOfFailingTiers(t *testing.T) {
	ladder := fallback.Ladder()
	for _, breaking := range []bool{false, true} {
		params := DefaultParams()
		if !breaking {
			params.Fallback.Breaker = fallback.BreakerParams{Window: 10_000, Failures: 10_000, Rest: time.Second, Probes: 1}
		}
		e := fullEngine(t, params, Options{Now: func() time.Time { return eight }})
		well := e.state.Load()
		for mask := range 1 << len(ladder) {
			e.state.Store(well)
			reasons := map[schemas.Tier]schemas.Reason{}
			want, codes := schemas.TierBasic, []schemas.Reason(nil)
			for i, tier := range ladder {
				if mask>>i&1 == 1 {
					reasons[tier] = failures[tier]
				}
			}
			for _, tier := range ladder {
				if reasons[tier] == "" {
					want = tier
					break
				}
				codes = append(codes, reasons[tier])
			}
			e.fail(reasons)
			if open := underLoad(t, e, want, codes, breaking); len(codes) > 0 && breaking != (open > 0) {
				t.Errorf("failing %v, breakers %v: %d circuits seen open", reasons, breaking, open)
			}
		}
	}
}

// underLoad decides from several goroutines and checks each decision. It returns how many circuits were seen open.
func underLoad(t *testing.T, e *Engine, want schemas.Tier, codes []schemas.Reason, breaking bool) int {
	const workers, requests = 4, 60
	open := new(counter)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			s := e.NewScorer()
			for n := range requests {
				req := schemas.Request{RequestID: fmt.Sprint(n), UserID: "grace", Limit: 3, RequestedAt: eight}
				var d schemas.Decision
				if err := s.Decide(&req, grace(), &d); err != nil {
					t.Error(err)
					return
				}
				checkLadder(t, &d, want, codes, breaking, open)
			}
		})
	}
	group.Wait()
	return open.n
}

type counter struct {
	sync.Mutex
	n int
}

func checkLadder(t *testing.T, d *schemas.Decision, tier schemas.Tier, codes []schemas.Reason, breaking bool, open *counter) {
	t.Helper()
	ok := d.Tier == tier && len(d.Items) == 3 && len(d.Degraded) == len(codes)
	for i := range d.Degraded {
		if !ok {
			break
		}
		rests := breaking && d.Degraded[i] == schemas.ReasonCircuitOpen
		if rests {
			open.Lock()
			open.n++
			open.Unlock()
		}
		ok = rests || d.Degraded[i] == codes[i]
	}
	if !ok {
		t.Errorf("tier %s, degraded %v, %d items; want %s, %v", d.Tier, d.Degraded, len(d.Items), tier, codes)
	}
}

// Each trigger by itself: the request goes to the previous model with its code, and the next good one is the model's.
func TestTriggers(t *testing.T) {
	personalised := schemas.Request{UserID: "nobody", Limit: 3, RequestedAt: eight}
	tests := []struct {
		name  string
		code  schemas.Reason
		setup func(t *testing.T, e *Engine)
		req   schemas.Request
		tier  schemas.Tier
	}{
		{"model missing", schemas.ReasonModelMissing, func(t *testing.T, e *Engine) {
			deploy(t, e, Deployment{Previous: loadModel(t, otherModel)})
		}, personalised, schemas.TierPrevious},
		{"load failed", schemas.ReasonModelLoadFailed, func(t *testing.T, e *Engine) {
			deploy(t, e, Deployment{Reason: schemas.ReasonModelLoadFailed, Previous: loadModel(t, otherModel)})
		}, personalised, schemas.TierPrevious},
		{"feature mismatch", schemas.ReasonFeatureMismatch, func(t *testing.T, e *Engine) {
			deploy(t, e, Deployment{Reason: schemas.ReasonFeatureMismatch, Previous: loadModel(t, otherModel)})
		}, personalised, schemas.TierPrevious},
		{"switched off", schemas.ReasonSwitchedOff, func(t *testing.T, e *Engine) {
			params := e.Params()
			params.Fallback.SwitchedOff = []schemas.Tier{schemas.TierModel}
			setParams(t, e, params)
		}, personalised, schemas.TierPrevious},
		{"missing features", schemas.ReasonMissingFeatures, func(t *testing.T, e *Engine) {
			params := e.Params()
			params.Fallback.MaxMissingFeatures = 0.4
			setParams(t, e, params)
			deploy(t, e, Deployment{Model: personalModel(t, "1"), Previous: loadModel(t, otherModel)})
		}, schemas.Request{UserID: "nobody", Limit: 3}, schemas.TierPrevious},
		{"non-finite", schemas.ReasonNonFiniteScore, rate(constantly(math.NaN())), personalised, schemas.TierPrevious},
		{"constant", schemas.ReasonConstantScores, rate(constantly(0.5)), personalised, schemas.TierPrevious},
		{"panic", schemas.ReasonPanic, rate(panicking), personalised, schemas.TierPrevious},
		{"evaluators disagree", schemas.ReasonEvaluatorsDisagree, func(t *testing.T, e *Engine) {
			params := e.Params()
			params.Fallback.VerifyEvery = 1
			setParams(t, e, params)
			rate(byYear)(t, e)
		}, personalised, schemas.TierPrevious},
		{"drift", schemas.ReasonDriftExceeded, func(_ *testing.T, e *Engine) {
			d := fallback.NewDrift([]float64{-2, -1.5, -1}, []int{50, 50}, fallback.DriftParams{Window: 100, MaxPSI: 0.2})
			for range 1000 {
				d.Observe([]float64{0.5}, nil)
			}
			e.watchDrift(d)
		}, personalised, schemas.TierPrevious},
		{"deadline of the request", schemas.ReasonDeadlineExceeded, func(*testing.T, *Engine) {},
			schemas.Request{UserID: "nobody", RequestedAt: eight.Add(-time.Second), DeadlineMS: 999}, schemas.TierPopular},
		{"deadline of the configuration", schemas.ReasonDeadlineExceeded, func(t *testing.T, e *Engine) {
			params := e.Params()
			params.Fallback.Deadline = time.Second
			setParams(t, e, params)
		}, schemas.Request{UserID: "nobody", RequestedAt: eight.Add(-time.Second - 1)}, schemas.TierPopular},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := fullEngine(t, DefaultParams(), Options{Now: func() time.Time { return eight }})
			tt.setup(t, e)
			s := e.NewScorer()
			d := decide(t, s, &tt.req)
			if d.Tier != tt.tier || len(d.Items) == 0 || d.Degraded[0] != tt.code {
				t.Errorf("tier %s, degraded %v, %d items; want %s for %s", d.Tier, d.Degraded, len(d.Items), tt.tier, tt.code)
			}
			deploy(t, e, Deployment{})
			setParams(t, e, DefaultParams())
			deploy(t, e, Deployment{Model: loadModel(t, demoModel)})
			tt.req.DeadlineMS = 0
			if d := decide(t, s, &tt.req); d.Tier != schemas.TierModel || len(d.Degraded) > 0 {
				t.Errorf("when it is over: tier %s, degraded %v", d.Tier, d.Degraded)
			}
		})
	}
}

// rate lets a function stand in for the evaluator of the model.
func rate(p predictorFunc) func(*testing.T, *Engine) {
	return func(_ *testing.T, e *Engine) {
		e.patch(func(r *rung) {
			if r.tier == schemas.TierModel {
				c := e.state.Load().catalog
				m := &boundModel{model: r.model.model, ref: r.model.ref, features: r.model.features, predict: r.model.predict}
				m.newRater = func() rater { return &funcRater{p, m.features, c} }
				r.model = m
			}
		})
	}
}

// sicken makes the evaluator of the model panic, until what it returns is set to false.
func sicken(t *testing.T, e *Engine) (sick *bool) {
	sick = new(bool)
	*sick = true
	rate(func(x []float64) float64 {
		if *sick {
			panic("broken tree")
		}
		return byYear(x)
	})(t, e)
	return sick
}

func setParams(t testing.TB, e *Engine, p Params) {
	t.Helper()
	if err := e.SetParams(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// A deadline that passes while a model scores stops it before the next lot of candidates.
func TestDeadlineWhileScoring(t *testing.T) {
	now := eight
	e, err := New(DefaultParams(), Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	setCatalog(t, e, numbered(3*scoredAtOnce), 1)
	deploy(t, e, Deployment{Model: loadModel(t, demoModel)})
	scored := 0
	rate(func(x []float64) float64 { scored++; now = now.Add(time.Millisecond); return byYear(x) })(t, e)
	d := decide(t, e.NewScorer(), &schemas.Request{RequestedAt: eight, DeadlineMS: 500})
	if d.Tier != schemas.TierPopular || d.Degraded[0] != schemas.ReasonDeadlineExceeded || scored != scoredAtOnce {
		t.Errorf("tier %s, degraded %v, %d scored", d.Tier, d.Degraded, scored)
	}
}

// A tier that fails again and again rests, is tried again after a while, and trusted again when it is well; each
// step is told.
func TestBreakerOpensAndRecovers(t *testing.T) {
	now := eight
	var changes []string
	params := DefaultParams()
	params.Fallback.Breaker = fallback.BreakerParams{Window: 10, Failures: 3, Rest: time.Minute, Probes: 2}
	e := fullEngine(t, params, Options{Now: func() time.Time { return now }, Changed: func(c TierChange) {
		changes = append(changes, fmt.Sprint(c.Tier, " ", c.Model.Name, " ", c.From, " ", c.To, " ", c.Reason))
	}})
	sick := sicken(t, e)
	s := e.NewScorer()
	var seen []string
	step := func() {
		d := decide(t, s, &schemas.Request{RequestID: "r", Limit: 3, RequestedAt: eight})
		seen = append(seen, fmt.Sprint(d.Tier, d.Degraded))
	}
	for range 4 {
		step()
	}
	if st := e.Tiers()[0]; st.State != "open" || st.Reason != schemas.ReasonPanic || st.Tier != schemas.TierModel {
		t.Errorf("status %+v", st)
	}
	now = now.Add(time.Minute)
	step() // on trial, and sick still
	now = now.Add(time.Minute)
	*sick = false
	for range 3 {
		step()
	}
	want := []string{"previous_model[panic]", "previous_model[panic]", "previous_model[panic]", "previous_model[circuit_open]",
		"previous_model[panic]", "model[]", "model[]", "model[]"}
	if !slices.Equal(seen, want) {
		t.Errorf("got  %v\nwant %v", seen, want)
	}
	wantChanges := []string{"model model closed open panic", "model model open half_open panic", "model model half_open open panic",
		"model model open half_open panic", "model model half_open closed "}
	if !slices.Equal(changes, wantChanges) {
		t.Errorf("changes %q\nwant    %q", changes, wantChanges)
	}
	if st := e.Tiers()[0]; st.State != "closed" {
		t.Errorf("status %+v", st)
	}
}
