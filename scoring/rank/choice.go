package rank

import (
	"math"
)

// rival is a candidate that may be chosen, or was.
type rival struct {
	entry
	worth  float64 // its score as compared with the first seen of the chosen; with all of them it is that or less
	near   float64 // the largest similarity to those
	seen   int32
	twin   bool // it is nearly identical to one of them on the first page
	gone   bool // chosen, or a cap has no room for it
	pinned bool
}

// chooseRest fills the answer, as far as there are candidates that may follow.
func (r *Ranker) chooseRest() {
	for len(r.chosen) < r.q.Limit {
		if next := r.winner(); next != nil {
			r.choose(next)
		} else if !r.draw() {
			return
		}
	}
}

// winner returns the rival in the pool that is to be chosen next, nil if none may be.
//
// What was chosen since a rival was compared can only lower its worth, so one that does not beat the best so far with
// what it was worth then need not be compared again: most never are.
func (r *Ranker) winner() (best *rival) {
	for r.head < len(r.pool) && r.pool[r.head].gone {
		r.head++
	}
	for i := r.head; i < len(r.pool); i++ {
		e := &r.pool[i]
		if e.gone || (best != nil && !r.beats(e, best)) || !r.allowed(e) {
			continue
		}
		if r.diversity == 0 {
			return e // the pool is in order
		}
		if best == nil || r.beats(e, best) {
			best = e
		}
	}
	return best
}

// beats tells whether e is to be chosen before f.
func (r *Ranker) beats(e, f *rival) bool {
	return entry{e.worth, e.item, e.candidate}.before(entry{f.worth, f.item, f.candidate}, r.q.Raw)
}

// allowed reports whether the rival may be chosen now. It brings its worth up to date.
func (r *Ranker) allowed(e *rival) bool {
	if r.caps.full(e.item) != "" {
		e.gone = true
		return false
	}
	firstPage := len(r.chosen) < r.q.Plan.params.Page
	if r.diversity > 0 || firstPage {
		r.compare(e)
	}
	return !(firstPage && e.twin)
}

// compare compares a rival with what was chosen since it was last compared.
func (r *Ranker) compare(e *rival) {
	x, p := r.q.Plan.x, &r.q.Plan.params
	for ; int(e.seen) < len(r.chosen); e.seen++ {
		other := r.chosen[e.seen].item
		similarity := x.Similarity(e.item, other)
		e.near = max(e.near, similarity)
		if int(e.seen) < p.Page && (similarity >= p.NearIdentical || x.SameTitle(e.item, other)) {
			e.twin = true
		}
	}
	e.worth = e.key + r.penalty(e)
}

// spare is how many more candidates are drawn than the answer needs where some may not be allowed to follow: at
// least that many, and half of what it needs.
const spare = 4

// firstDraw is how many candidates are drawn at first.
func (r *Ranker) firstDraw() int {
	size, p := r.q.Limit-len(r.chosen), &r.q.Plan.params
	switch {
	case r.diversity > 0:
		return max(size, p.Diversity.Pool)
	case r.caps.any() || len(r.chosen) < p.Page:
		return size + max(spare, size/2)
	}
	return size
}

// draw takes the next best candidates that the caps leave room for into the pool: as many as it has drawn until now.
// It returns false if there are none.
func (r *Ranker) draw() bool {
	drawn := len(r.pool)
	size := drawn
	if drawn == 0 {
		size = r.firstDraw()
	}
	if r.keys == nil {
		r.drawInOrder(size)
	} else {
		r.drawBest(size)
	}
	return len(r.pool) > drawn
}

// drawInOrder draws candidates in the order of the query.
func (r *Ranker) drawInOrder(size int) {
	from := 0
	if n := len(r.pool); n > 0 {
		from = int(r.pool[n-1].candidate) + 1
	}
	for i := from; i < len(r.q.Items) && size > 0; i++ {
		if e := r.entry(i); r.open(e) {
			r.pool = append(r.pool, rival{entry: e})
			size--
		}
	}
}

// drawBest draws the best by key of those that come after the pool.
func (r *Ranker) drawBest(size int) {
	var last entry
	again := len(r.pool) > 0
	if again {
		last = r.pool[len(r.pool)-1].entry
	}
	s, floor := &r.best, math.Inf(-1)
	s.reset(size, r.q.Raw)
	for i, key := range r.keys {
		if key < floor {
			continue
		}
		if r.lazy {
			key = r.key(i)
		}
		e := entry{key, r.q.Items[i], int32(i)}
		if !s.wants(e) || (again && !last.before(e, r.q.Raw)) || !r.open(e) {
			continue
		}
		s.add(e)
		if len(s.heap) == size {
			floor = s.heap[0].key
		}
	}
	for _, e := range s.sorted() {
		drawn := rival{entry: e}
		drawn.worth = e.key + r.penalty(&drawn)
		r.pool = append(r.pool, drawn)
	}
}

// open reports whether the candidate is neither chosen nor kept out by a cap.
func (r *Ranker) open(e entry) bool {
	return !r.taken.has(e.item) && r.caps.full(e.item) == ""
}
