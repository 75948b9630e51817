package rank

// entry is a candidate with what it is ordered by.
type entry struct {
	// The sum of its terms, diversity aside; its raw number where that is enough; without raw numbers, falling down the
	// list of candidates.
	key             float64
	item, candidate int32
}

// before tells whether e comes before f: by key, largest first, then by raw number, then by place in the catalogue.
func (e entry) before(f entry, raw []float64) bool {
	if e.key != f.key {
		return e.key > f.key
	}
	return e.first(f, raw)
}

// first tells whether e comes before f where all else is equal.
func (e entry) first(f entry, raw []float64) bool {
	if raw[e.candidate] != raw[f.candidate] {
		return raw[e.candidate] > raw[f.candidate]
	}
	return e.item < f.item
}

// selection keeps the best of what it is offered: a heap whose root is the worst kept. Most offers end at the
// comparison with the root.
type selection struct {
	heap []entry
	size int
	raw  []float64 // for before
}

// reset empties the selection and sets how many it keeps, 1 or more.
func (s *selection) reset(size int, raw []float64) {
	s.heap, s.size, s.raw = s.heap[:0], size, raw
}

// wants reports whether e would be kept.
func (s *selection) wants(e entry) bool {
	return len(s.heap) < s.size || e.before(s.heap[0], s.raw)
}

// add takes in an entry that it wants; the worst makes room.
func (s *selection) add(e entry) {
	if len(s.heap) == s.size {
		s.sink(e, s.size)
		return
	}
	s.heap = append(s.heap, e)
	at := len(s.heap) - 1
	for at > 0 {
		parent := (at - 1) / 2
		if !s.heap[parent].before(e, s.raw) {
			break
		}
		s.heap[at] = s.heap[parent]
		at = parent
	}
	s.heap[at] = e
}

// sink puts e in place of the root, among the first n.
func (s *selection) sink(e entry, n int) {
	h, at := s.heap[:n], 0
	for {
		child := 2*at + 1
		if child >= len(h) {
			break
		}
		if right := child + 1; right < len(h) && h[child].before(h[right], s.raw) {
			child = right
		}
		if !e.before(h[child], s.raw) {
			break
		}
		h[at] = h[child]
		at = child
	}
	h[at] = e
}

// sorted returns what was kept, best first. The selection is to be reset then.
func (s *selection) sorted() []entry {
	for n := len(s.heap) - 1; n > 0; n-- {
		worst, last := s.heap[0], s.heap[n]
		s.sink(last, n)
		s.heap[n] = worst
	}
	return s.heap
}
