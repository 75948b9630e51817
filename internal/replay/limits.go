package replay

import (
	"cmp"
	"fmt"
)

// Limits are what a report may show at the most before a replay counts as failed. Nil is no limit.
type Limits struct {
	Differing      *int64   `json:"max_differing,omitempty"`      // requests that are compared and not reproduced to the byte
	Irreproducible *int64   `json:"max_irreproducible,omitempty"` // requests that cannot be compared, for a cause, and events that were lost
	Overlap        *float64 `json:"min_overlap,omitempty"`        // least mean overlap of all items
}

// Any reports whether there is a limit.
func (l Limits) Any() bool { return l != Limits{} }

// Or returns the limits, and those of others where there is none.
func (l Limits) Or(others Limits) Limits {
	return Limits{cmp.Or(l.Differing, others.Differing), cmp.Or(l.Irreproducible, others.Irreproducible), cmp.Or(l.Overlap, others.Overlap)}
}

// Exceeded says which limits a report exceeds, in plain words. One of nothing shows nothing, so it exceeds any.
func (l Limits) Exceeded(r *Report) (list []string) {
	if l.Any() && r.Compared == 0 {
		list = append(list, "nothing was compared: check --from, --to and the filter")
	}
	if n := r.Differing(); l.Differing != nil && n > *l.Differing {
		list = append(list, fmt.Sprintf("%d requests differ, at most %d may", n, *l.Differing))
	}
	if n := Sum(r.Irreproducible) + r.Lost; l.Irreproducible != nil && n > *l.Irreproducible {
		list = append(list, fmt.Sprintf("%d requests cannot be reproduced, at most %d may be so", n, *l.Irreproducible))
	}
	if l.Overlap != nil && float64(r.Overlap) < *l.Overlap {
		list = append(list, fmt.Sprintf("the overlap is %.4f, at least %v is wanted", r.Overlap, *l.Overlap))
	}
	return list
}
