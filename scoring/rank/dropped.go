package rank

import (
	"math"

	"recstream/schemas"
)

// Drop is a candidate that did not come into an answer.
type Drop struct {
	Candidate, Item int32            // index in Items, and place
	Score           float64          // the sum of its terms, diversity aside; NaN where there are no raw numbers
	Code            schemas.DropCode // why: a cap, a nearly identical item on the first page, or better ones
}

// Dropped appends to dst the candidates that the last Rank left out, the best by score first, at most so many. The
// query's slices must be as they were then.
//
// A candidate that scores lower than all that was chosen, pins aside, is below the limit, whatever else might be
// said of it. It is no part of the work of a request: it scans the candidates once more.
func (r *Ranker) Dropped(dst []Drop, most int) []Drop {
	if most < 1 || len(r.chosen) == 0 {
		return dst
	}
	for _, e := range r.missed(most) {
		d := Drop{e.candidate, e.item, math.NaN(), r.code(e)}
		switch {
		case r.keys == nil:
		case r.byRaw():
			d.Score = r.blend.base(r.blend.prediction(e.key))
		default:
			d.Score = e.key
		}
		dst = append(dst, d)
	}
	return dst
}

// missed returns the best of those that were not chosen, best first.
func (r *Ranker) missed(most int) []entry {
	s := &r.best
	s.reset(most, r.q.Raw)
	for i := range r.q.Items {
		e := r.entry(i)
		if !r.taken.has(e.item) && s.wants(e) {
			s.add(e)
		}
	}
	return s.sorted()
}

// code says why a candidate was not chosen.
func (r *Ranker) code(e entry) schemas.DropCode {
	if len(r.chosen) == r.q.Limit && r.behind(e) {
		return schemas.DropBelowLimit
	}
	if code := r.caps.full(e.item); code != "" {
		return code
	}
	if len(r.chosen) <= r.q.Plan.params.Page && r.hasTwin(e.item) {
		return schemas.DropNearIdentical
	}
	return schemas.DropBelowLimit
}

// behind reports whether a candidate comes after all that was chosen, pins aside.
func (r *Ranker) behind(e entry) bool {
	for i := range r.chosen {
		c := &r.chosen[i]
		if !c.pinned && e.before(c.entry, r.q.Raw) {
			return false
		}
	}
	return true
}

// hasTwin reports whether the item is nearly identical to one that was chosen.
func (r *Ranker) hasTwin(item int32) bool {
	p := r.q.Plan
	for i := range r.chosen {
		if p.x.NearIdentical(item, r.chosen[i].item, p.params.NearIdentical) {
			return true
		}
	}
	return false
}
