package catalog

import (
	"slices"

	"recstream/schemas"
)

// Filter finds the candidates of one request after another, in buffers that it reuses: once they have grown
// it allocates nothing. It is for one goroutine at a time; the zero value is ready. It keeps 4 bytes for
// each item of the catalogue.
type Filter struct {
	// marks[i] is round for an item that this request excludes, round+1 for one that is taken for it.
	marks []uint32
	round uint32
	out   []int32
	pins  []int32
}

// Eligible returns the items of s that req may be offered to a user of that profile, nil for none.
//
// Without explicit candidates these are the items that suit the request's context, in the catalogue's order.
// With them (req.Candidates not nil) the context does not count: they are the candidates in the request's
// order, without those that are unknown and without repetitions. Pins come on top, at the end where they are
// not among them already. Either way an item is left out that is hidden, that req excludes, that the user has
// seen by req.RequestedAt where req excludes that, that req wants the like of, or that has expired by
// req.RequestedAt (to the microsecond). At the zero time nothing has expired.
//
// The result is valid until the next call, may belong to the snapshot, and must not be changed.
func (f *Filter) Eligible(s *Snapshot, req *schemas.Request, known *schemas.Profile) []int32 {
	now := req.RequestedAt.UnixMicro()
	f.pins = f.pins[:0]
	if IsPlain(req) && s.era(now) == 0 {
		return s.InContext(req.Context)
	}
	f.exclude(s, req, known)
	f.out = f.out[:0]
	if req.Candidates != nil {
		f.takeNamed(s, req.Candidates, now)
	} else {
		f.takeContext(s, req.Context, now)
	}
	f.takePins(s, req.Pins, now)
	return f.out
}

// IsPlain reports whether the request asks for nothing but its context: which items it may be offered depends on that
// and on the time's era alone.
func IsPlain(req *schemas.Request) bool {
	return req.Candidates == nil && len(req.Exclude) == 0 && len(req.Pins) == 0 && !req.ExcludeSeen && req.SimilarTo == ""
}

// Pins returns the pins among the items that Eligible returned last, in the request's order. The list is valid
// until its next call.
func (f *Filter) Pins() []int32 { return f.pins }

// exclude starts a new round and marks the excluded items.
func (f *Filter) exclude(s *Snapshot, req *schemas.Request, known *schemas.Profile) {
	if len(f.marks) != s.Len() {
		f.marks = make([]uint32, s.Len())
		f.round = 0
	}
	f.round += 2
	if f.round == 0 { // the counter wrapped: marks of old rounds would count again
		clear(f.marks)
		f.round = 2
	}
	for _, id := range req.Exclude {
		f.mark(s, id)
	}
	if req.SimilarTo != "" {
		f.mark(s, req.SimilarTo)
	}
	if !req.ExcludeSeen || known == nil {
		return
	}
	for i := range known.Items {
		if known.Items[i].SeenBy(req.RequestedAt) {
			f.mark(s, known.Items[i].ItemID)
		}
	}
}

func (f *Filter) mark(s *Snapshot, id string) {
	if i, ok := s.index[id]; ok {
		f.marks[i] = f.round
	}
}

// take takes an item, unless it is marked or out of date; hidden items always are.
func (f *Filter) take(s *Snapshot, i int32, now int64) {
	if f.marks[i] < f.round && now < s.expires[i] {
		f.marks[i] = f.round + 1
		f.out = append(f.out, i)
	}
}

// takeNamed takes the candidates that the request lists. Marking what was taken drops repetitions.
func (f *Filter) takeNamed(s *Snapshot, ids []string, now int64) {
	for _, id := range ids {
		if i, ok := s.index[id]; ok {
			f.take(s, i, now)
		}
	}
}

// takeContext takes what suits the context.
func (f *Filter) takeContext(s *Snapshot, c schemas.Context, now int64) {
	for _, i := range s.InContext(c) {
		f.take(s, i, now)
	}
}

// takePins takes the pins that are not taken yet, and notes all that are, as many as an answer can have.
func (f *Filter) takePins(s *Snapshot, ids []string, now int64) {
	for _, id := range ids {
		if len(f.pins) == schemas.MaxLimit {
			return
		}
		i, ok := s.index[id]
		if !ok {
			continue
		}
		f.take(s, i, now)
		if f.marks[i] == f.round+1 && !slices.Contains(f.pins, i) {
			f.pins = append(f.pins, i)
		}
	}
}

// Refusal returns why the request that Eligible was asked for last may not be offered the item of that id, ""
// where it may.
func (f *Filter) Refusal(s *Snapshot, req *schemas.Request, id string) schemas.DropCode {
	i, ok := s.index[id]
	switch {
	case !ok:
		return schemas.DropUnknown
	case s.items[i].Hidden:
		return schemas.DropHidden
	case req.RequestedAt.UnixMicro() >= s.expires[i]:
		return schemas.DropExpired
	case IsPlain(req) || f.marks[i] != f.round:
		return ""
	case slices.Contains(req.Exclude, id) || id == req.SimilarTo:
		return schemas.DropExcluded
	}
	return schemas.DropSeen
}
