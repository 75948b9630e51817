package rank

import "math"

// rival is a candidate that may be chosen, or was.
type rival struct {
	entry
	worth  float64 // its score as compared with the first seen of the chosen; with all of them it is that or less
	near   float64 // the largest similarity to those
	seen   int32
	twin   bool // it is nearly identical to one of them
	gone   bool // chosen, or a cap has no room for it
	pinned bool
}

// chooseRest fills the answer, as far as there are candidates that may follow.
func (r *Ranker) chooseRest() {
	for len(r.chosen) < r.q.Limit {
		if next := r.winner(); next != nil {
			r.choose(next)
		} else if r.dry || !r.draw() {
			return
		}
	}
}

// winner returns the rival that is to be chosen next, nil if none in the pool may be. It draws more of the pool where
// one of these might win.
func (r *Ranker) winner() (best *rival) {
	for {
		best = r.bestDrawn()
		if r.diversity == 0 || r.full() || (best != nil && r.outdoes(best, &r.pool[len(r.pool)-1])) {
			return best
		}
		r.draw()
	}
}

// bestDrawn is the winner among those that are drawn.
//
// What was chosen since a rival was compared can only lower its worth, so one that does not beat the best so far with
// what it was worth then need not be compared again: most never are.
func (r *Ranker) bestDrawn() (best *rival) {
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

// outdoes reports whether e is worth more than all that come after last can be, unlike as they may be to what
// was chosen. Rounding is allowed for.
func (r *Ranker) outdoes(e, last *rival) bool {
	return e.worth > (1-r.diversity)*last.key+slack*math.Abs(last.key)
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
		if similarity >= p.NearIdentical || x.SameTitle(e.item, other) {
			e.twin = true
		}
	}
	e.worth = e.key + r.penalty(e)
}

// How many candidates are drawn at first, at least: as many more than the answer needs where some may not be allowed
// to follow, and as many where the best are compared with one another.
const (
	spare      = 4
	contenders = 32
)

// firstDraw is how many candidates are drawn at first.
func (r *Ranker) firstDraw() int {
	size, p := r.q.Limit-len(r.chosen), &r.q.Plan.params
	switch {
	case r.diversity > 0:
		return min(max(contenders, 2*size), r.capacity())
	case r.caps.any() || len(r.chosen) < p.Page:
		return size + max(spare, size/2)
	}
	return size
}

// capacity is the size of the pool, before it has to grow.
func (r *Ranker) capacity() int { return max(r.q.Plan.params.Diversity.Pool, r.q.Limit) }

// full reports whether the whole pool is drawn.
func (r *Ranker) full() bool { return r.dry || len(r.pool) >= r.capacity() }

// draw takes the next best candidates: as many as are drawn already, within the capacity of the pool. Beyond
// it, or where the order is all that counts, it passes over those that a cap has no room for. It returns false if there
// are no more.
func (r *Ranker) draw() bool {
	drawn := len(r.pool)
	size := drawn
	if drawn == 0 {
		size = r.firstDraw()
	}
	fill := r.diversity > 0 && !r.full()
	if fill {
		size = min(size, r.capacity()-drawn)
	}
	if r.keys == nil {
		r.drawInOrder(size)
	} else {
		r.drawBest(size, !fill)
	}
	r.dry = len(r.pool) < drawn+size
	return len(r.pool) > drawn
}

// drawInOrder draws candidates in the order of the query.
func (r *Ranker) drawInOrder(size int) {
	from := 0
	if n := len(r.pool); n > 0 {
		from = int(r.pool[n-1].candidate) + 1
	}
	for i := from; i < len(r.q.Items) && size > 0; i++ {
		if e := r.entry(i); r.open(e, true) {
			r.pool = append(r.pool, rival{entry: e})
			size--
		}
	}
}

// drawBest draws the best by key of those that come after the pool.
func (r *Ranker) drawBest(size int, capped bool) {
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
		if !s.wants(e) || (again && !last.before(e, r.q.Raw)) || !r.open(e, capped) {
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

// open reports whether the candidate is not chosen, nor, if capped says to look, kept out by a cap.
func (r *Ranker) open(e entry, capped bool) bool {
	return !r.taken.has(e.item) && (!capped || r.caps.full(e.item) == "")
}
