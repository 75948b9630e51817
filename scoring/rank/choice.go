package rank

import (
	"math"

	"recstream/scoring/similarity"
)

// chooseRest fills the answer, as far as there are candidates that may follow.
func (r *Ranker) chooseRest() {
	for len(r.chosen) < r.q.Limit && r.findWinner() {
		winner := r.pool.pop(r.q.Raw)
		r.choose(&winner)
	}
}

// findWinner brings the rival that is to be chosen next to the top of the pool. It draws candidates where the pool has none
// that may follow, and where one of those to come might win. It returns false if no candidate may follow.
//
// What was chosen since a rival was compared can only lower its worth. So where the top of the pool is compared
// with all that was chosen and stays at the top, the others need not be compared: most never are.
func (r *Ranker) findWinner() bool {
	r.admitHeld()
	for {
		switch {
		case len(r.pool) == 0:
			if r.dry {
				return false
			}
			r.draw()
		case r.caps.full(r.pool[0].item) != "":
			r.pool.pop(r.q.Raw)
		case r.isBehind(&r.pool[0]):
			r.examineTop()
		case r.diversity == 0 || r.full() || r.outdoes(&r.pool[0]):
			return true
		default:
			r.draw()
		}
	}
}

// isBehind reports whether something was chosen with which the rival has yet to be compared.
func (r *Ranker) isBehind(e *rival) bool {
	return int(e.seen) < len(r.chosen) && (r.diversity > 0 || r.onPage())
}

// onPage reports whether the next place is one of the first page.
func (r *Ranker) onPage() bool { return len(r.chosen) < r.q.Plan.params.Page }

// examineTop compares the top of the pool with what was chosen, as far as it takes to tell whether it stays there. One
// that is nearly identical to an item of the page has to wait for the page to be full.
func (r *Ranker) examineTop() {
	top, onPage := &r.pool[0], r.onPage()
	twin := (onPage && r.hasLikelyTwin(top)) || r.compare(top, r.pool.second())
	if twin && onPage {
		r.held = append(r.held, r.pool.pop(r.q.Raw))
		return
	}
	r.pool.sink(0, r.q.Raw)
}

// admitHeld lets those that had to wait into the pool, once the page is full.
func (r *Ranker) admitHeld() {
	if r.onPage() {
		return
	}
	for i := range r.held {
		r.pool.push(r.held[i], r.q.Raw)
	}
	r.held = r.held[:0]
}

// compare compares a rival with what was chosen since it was last compared, and brings its worth up to date, until it
// is worth less than least, or nearly identical to one of them, which it reports.
func (r *Ranker) compare(e *rival, least float64) (twin bool) {
	x, threshold := r.q.Plan.x, r.q.Plan.params.NearIdentical
	if r.diversity == 0 && threshold > similarity.MostUnrelated {
		e.seen = int32(len(r.chosen)) // only kin could be its twin
		return false
	}
	for int(e.seen) < len(r.chosen) && e.worth >= least && !twin {
		near := x.Similarity(e.item, r.chosen[e.seen].item)
		if near > e.near {
			e.near = near
			e.worth = e.key + r.penalty(e)
		}
		if twin = near >= threshold; twin {
			r.twinOf = int(e.seen)
		}
		e.seen++
	}
	return twin
}

// kin is what most items have in common that are nearly identical: the id of the title, and that of the franchise.
type kin struct{ title, franchise int32 }

func kinOf(x *similarity.Index, item int32) kin { return kin{x.Title(item), x.Franchise(item)} }

// hasLikelyTwin reports whether the rival is nearly identical to one of its kin that was chosen since it was last
// compared, or to that which another rival was found to be nearly identical to. Most rivals have no kin in an answer,
// which takes two looks.
func (r *Ranker) hasLikelyTwin(e *rival) bool {
	x, threshold, own := r.q.Plan.x, r.q.Plan.params.NearIdentical, kinOf(r.q.Plan.x, e.item)
	if int(e.seen) <= r.twinOf && r.twinOf < len(r.chosen) && x.Similarity(e.item, r.chosen[r.twinOf].item) >= threshold {
		return true
	}
	titled, related := r.titles.has(own.title), r.franchises.has(own.franchise)
	if !titled && !related {
		return false
	}
	for i := int(e.seen); i < len(r.chosen); i++ {
		k, other := r.kin[i], r.chosen[i].item
		if (titled && k.title == own.title && x.SameTitle(e.item, other)) ||
			(related && k.franchise == own.franchise && x.Similarity(e.item, other) >= threshold) {
			return true
		}
	}
	return false
}

// outdoes reports whether e is worth more than all that were not drawn yet can be, unlike as they may be to what
// was chosen. Rounding is allowed for.
func (r *Ranker) outdoes(e *rival) bool {
	return e.worth > (1-r.diversity)*r.last.key+slack*math.Abs(r.last.key)
}
