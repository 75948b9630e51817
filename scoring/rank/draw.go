package rank

import "math"

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
func (r *Ranker) full() bool { return r.dry || r.drawn >= r.capacity() }

// draw takes the next best candidates into the pool: as many as are drawn already, within the capacity of the pool.
// Beyond it, or where the order is all that counts, it passes over those that a cap has no room for. The candidates are
// dry if there are not as many.
func (r *Ranker) draw() {
	size := r.drawn
	if size == 0 {
		size = r.firstDraw()
	}
	fill := r.diversity > 0 && !r.full()
	if fill {
		size = min(size, r.capacity()-r.drawn)
	}
	before := r.drawn
	if r.keys == nil {
		r.drawInOrder(size)
	} else {
		r.drawBest(size, !fill)
	}
	r.dry = r.drawn < before+size
}

// drawInOrder draws candidates in the order of the query.
func (r *Ranker) drawInOrder(size int) {
	from := 0
	if r.drawn > 0 {
		from = int(r.last.candidate) + 1
	}
	for i := from; i < len(r.q.Items) && size > 0; i++ {
		if e := r.entry(i); r.open(e.item, true) {
			r.admit(e)
			r.drawn, r.last = r.drawn+1, e
			size--
		}
	}
}

// drawBest draws the best by key of those that come after the last. Most candidates take one comparison.
func (r *Ranker) drawBest(size int, capped bool) {
	floor := math.Inf(-1)
	r.best.reset(size, r.q.Raw)
	for i, key := range r.keys {
		if key >= floor {
			floor = r.consider(i, capped)
		}
	}
	drawn := r.best.heap
	if len(drawn) == 0 {
		return
	}
	r.drawn, r.last = r.drawn+len(drawn), drawn[0]
	for i := len(drawn) - 1; i >= 0; i-- { // the better ones, which go to the top of the pool, first
		r.admit(drawn[i])
	}
}

// consider takes a candidate among the best, if it is. It returns the key below which none can be. What a cap has
// no room for is passed over before its key is made.
func (r *Ranker) consider(candidate int, capped bool) (floor float64) {
	s, item := &r.best, r.q.Items[candidate]
	if r.open(item, capped) {
		e := entry{r.key(candidate), item, int32(candidate)}
		if s.wants(e) && (r.drawn == 0 || r.last.before(e, r.q.Raw)) {
			s.add(e)
		}
	}
	if len(s.heap) < s.size {
		return math.Inf(-1)
	}
	return s.heap[0].key
}

// open reports whether the item is not chosen, nor, if capped says to look, kept out by a cap.
func (r *Ranker) open(item int32, capped bool) bool {
	return !r.taken.has(item) && (!capped || r.caps.full(item) == "")
}

// admit lets a candidate into the pool, unless a cap keeps it out for good.
func (r *Ranker) admit(e entry) {
	if r.caps.full(e.item) != "" {
		return
	}
	drawn := rival{entry: e}
	drawn.worth = e.key + r.penalty(&drawn)
	if r.onPage() && r.hasLikelyTwin(&drawn) {
		r.held = append(r.held, drawn)
		return
	}
	r.pool.push(drawn, r.q.Raw)
}
