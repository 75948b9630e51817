package scoring

// ranked is an item's place in the catalogue and what it is ordered by.
type ranked struct {
	item  int32
	score float64
}

// before tells whether a comes before b: by score, largest first, and among equals by item id, which is the
// catalogue's order.
func (a ranked) before(b ranked) bool {
	return a.score > b.score || (a.score == b.score && a.item < b.item)
}

// ranking keeps the best of what it is offered, best first. It inserts into a sorted list: for the few
// items that are returned that beats a heap, and most offers end at the first comparison.
type ranking struct {
	best  []ranked
	limit int
}

// reset empties the ranking and sets how many it keeps, 1 or more.
func (r *ranking) reset(limit int) {
	r.best, r.limit = r.best[:0], limit
}

// offer considers one item. The score must not be NaN.
func (r *ranking) offer(item int32, score float64) {
	if len(r.best) == r.limit && !(ranked{item, score}).before(r.best[len(r.best)-1]) {
		return
	}
	r.insert(ranked{item, score})
}

func (r *ranking) insert(x ranked) {
	if len(r.best) < r.limit {
		r.best = append(r.best, x)
	}
	at := len(r.best) - 1
	for ; at > 0 && x.before(r.best[at-1]); at-- {
		r.best[at] = r.best[at-1]
	}
	r.best[at] = x
}
