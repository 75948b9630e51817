package rank

import "math"

// rival is a candidate that may be chosen, or was.
type rival struct {
	entry
	worth  float64 // its score as compared with the first seen of the chosen; with all of them it is that or less
	near   float64 // the largest similarity to those
	seen   int32
	pinned bool
}

// beats tells whether e is to be chosen before f, as far as they were compared.
func (e *rival) beats(f *rival, raw []float64) bool {
	if e.worth != f.worth {
		return e.worth > f.worth
	}
	return e.first(f.entry, raw)
}

// pool is a heap of rivals whose root beats all others. Where raw is asked for, it has the raw numbers of the query.
type pool []rival

func (p *pool) push(e rival, raw []float64) {
	h := append(*p, e)
	*p = h
	at := len(h) - 1
	for at > 0 {
		parent := (at - 1) / 2
		if !e.beats(&h[parent], raw) {
			break
		}
		h[at] = h[parent]
		at = parent
	}
	h[at] = e
}

// pop takes the root out.
func (p *pool) pop(raw []float64) rival {
	h := *p
	root, last := h[0], len(h)-1
	h[0] = h[last]
	*p = h[:last]
	if last > 1 {
		p.sink(0, raw)
	}
	return root
}

// sink moves the rival at a place, which may be worth less than before, to where it belongs.
func (p pool) sink(at int, raw []float64) {
	e := p[at]
	for {
		child := 2*at + 1
		if child >= len(p) {
			break
		}
		if right := child + 1; right < len(p) && p[right].beats(&p[child], raw) {
			child = right
		}
		if !p[child].beats(&e, raw) {
			break
		}
		p[at] = p[child]
		at = child
	}
	p[at] = e
}

// second is the largest worth of a rival that is not the root.
func (p pool) second() float64 {
	largest := math.Inf(-1)
	for i := 1; i < min(len(p), 3); i++ {
		largest = max(largest, p[i].worth)
	}
	return largest
}
