package scoring

import (
	"sync/atomic"
	"time"

	"recstream/schemas"
	"recstream/scoring/fallback"
)

// rung is a tier in the ladder of an arm.
type rung struct {
	tier   schemas.Tier
	rank   func(s *Scorer, r *rung, q *question) schemas.Reason
	model  *boundModel    // of the model tiers; nil where it is not there
	reason schemas.Reason // why the tier cannot be asked at all; "" where it can
	watch  *watch
}

// watch is what is known of how a tier fares. States hand it on, so that a new catalogue forgets nothing.
type watch struct {
	breaker *fallback.Breaker
	drift   *fallback.Drift // nil where there is nothing to compare with
	drifted atomic.Bool     // as it was told
	changed func(fallback.Change)
}

// watchKey is what has a watch of its own.
type watchKey struct {
	owner   string // see arm.owner
	tier    schemas.Tier
	sha256  string // of the model
	breaker fallback.BreakerParams
	drift   fallback.DriftParams
}

type watches map[watchKey]*watch

// TierChange says that a tier rests because it failed, is tried again, or is trusted again.
type TierChange struct {
	fallback.Change
	Tier    schemas.Tier
	Model   *schemas.ModelRef // of the model tiers
	Variant string            // experiment/variant, of one that has a ladder of its own; "" for all others
}

func newWatch(r *rung, owner string, p *fallback.Params, changed func(TierChange)) *watch {
	tier, ref := r.tier, (*schemas.ModelRef)(nil)
	if r.model != nil {
		ref = r.model.ref
	}
	w := &watch{changed: func(c fallback.Change) {
		if changed != nil {
			changed(TierChange{Change: c, Tier: tier, Model: ref, Variant: owner})
		}
	}}
	w.breaker = fallback.NewBreaker(p.Breaker, w.changed)
	if r.model != nil && p.Drift.Window > 0 {
		if h := r.model.trained(); h != nil {
			w.drift = fallback.NewDrift(h.Edges, h.Counts, p.Drift)
		}
	}
	return w
}

// report tells the breaker how a request went that it allowed. What is no fault of the tier does not count.
func (w *watch) report(now time.Time, reason schemas.Reason, fault bool) {
	switch {
	case reason == "":
		w.breaker.Success(now)
	case fault:
		w.breaker.Failure(now, reason)
	default:
		w.breaker.Cancel()
	}
}

// stateDrifted is that of a model that is left because its predictions of late are far from those of its training.
const stateDrifted fallback.State = "drifted"

// observe shows the drift watch the raw scores of a decision, also while the model has drifted: they alone tell when
// that is over. It reports whether the model has drifted, and tells when that changes.
func (w *watch) observe(now time.Time, scores []float64, predict func(float64) float64) bool {
	if w.drift == nil {
		return false
	}
	w.drift.Observe(scores, predict)
	drifted := w.drift.Exceeded()
	if w.drifted.Load() != drifted && w.drifted.CompareAndSwap(!drifted, drifted) {
		c := fallback.Change{From: fallback.Closed, To: stateDrifted, Reason: schemas.ReasonDriftExceeded, At: now}
		if !drifted {
			c = fallback.Change{From: stateDrifted, To: fallback.Closed, At: now}
		}
		w.changed(c)
	}
	return drifted
}

// TierStatus says how a tier fares.
type TierStatus struct {
	Tier     schemas.Tier
	Model    *schemas.ModelRef // of the model tiers; nil where there is none
	Variant  string            // as in TierChange
	State    string            // closed, open or half_open as of the breaker; drifted; unavailable
	Since    time.Time         // of a state of the breaker that is not closed
	Reason   schemas.Reason    // why it is not closed
	Failures int               // among the requests of late
	PSI      float64           // of the predictions of late against those of the training; NaN where it is not known
}

// stateUnavailable is that of a tier that cannot be asked, for the reason beside it.
const stateUnavailable = "unavailable"

// Tiers says how the tiers of all arms fare, each once, those outside of experiments first and in their order.
func (e *Engine) Tiers() []TierStatus {
	var all []TierStatus
	seen := map[*watch]bool{}
	for _, a := range e.state.Load().arms {
		for i := range a.rungs {
			if r := &a.rungs[i]; !seen[r.watch] {
				seen[r.watch] = true
				all = append(all, r.status(a.owner))
			}
		}
	}
	return all
}

func (r *rung) status(owner string) TierStatus {
	b := r.watch.breaker.Status()
	t := TierStatus{Tier: r.tier, Variant: owner, State: string(b.State), Since: b.Since, Reason: b.Reason, Failures: b.Failures, PSI: nan}
	if r.model != nil {
		t.Model = r.model.ref
	}
	if r.reason != "" {
		t.State, t.Reason = stateUnavailable, r.reason
	}
	if d := r.watch.drift; d != nil {
		t.PSI = d.PSI()
		if d.Exceeded() && t.State == string(fallback.Closed) {
			t.State, t.Reason = string(stateDrifted), schemas.ReasonDriftExceeded
		}
	}
	return t
}

// trusted reports whether the tier, which can be asked, would be asked now as a matter of course, and believed.
func (r *rung) trusted() bool {
	return r.watch.breaker.Closed() && (r.watch.drift == nil || !r.watch.drift.Exceeded())
}

// steady reports whether the tier answers as far as one can tell.
func (r *rung) steady() bool {
	if r.reason != "" {
		return false
	}
	b := r.watch.breaker.Status()
	return b.State == fallback.Closed && b.Failures == 0 && (r.watch.drift == nil || !r.watch.drift.Exceeded())
}
