package catalog

import "recstream/schemas"

// Filter finds the candidates of one request after another, in buffers that it reuses: once they have grown
// it allocates nothing. It is for one goroutine at a time; the zero value is ready. It keeps 4 bytes for
// each item of the catalogue.
type Filter struct {
	// marks[i] == round says that item i is excluded by this request or already taken for it.
	marks []uint32
	round uint32
	out   []int32
}

// Eligible returns the items of s that req may be offered.
//
// Without explicit candidates these are the items that suit the request's context, in the catalogue's order.
// With them (req.Candidates not nil) the context does not count: they are the candidates in the request's
// order, without those that are unknown and without repetitions. Either way an item that is hidden, that
// req excludes, or that has expired by req.RequestedAt (to the microsecond) is left out. At the zero time
// nothing has expired.
//
// The result is valid until the next call, may belong to the snapshot, and must not be changed.
func (f *Filter) Eligible(s *Snapshot, req *schemas.Request) []int32 {
	now := req.RequestedAt.UnixMicro()
	if req.Candidates == nil && len(req.Exclude) == 0 && now < s.earliest {
		return s.InContext(req.Context)
	}
	f.exclude(s, req.Exclude)
	f.out = f.out[:0]
	if req.Candidates != nil {
		f.takeNamed(s, req.Candidates, now)
	} else {
		f.takeContext(s, req.Context, now)
	}
	return f.out
}

// exclude starts a new round and marks the excluded items.
func (f *Filter) exclude(s *Snapshot, ids []string) {
	if len(f.marks) != s.Len() {
		f.marks = make([]uint32, s.Len())
	}
	f.round++
	if f.round == 0 { // the counter wrapped: marks of old rounds would count again
		clear(f.marks)
		f.round = 1
	}
	for _, id := range ids {
		if i, ok := s.index[id]; ok {
			f.marks[i] = f.round
		}
	}
}

// takeNamed takes the candidates that the request lists. Marking what was taken drops repetitions.
func (f *Filter) takeNamed(s *Snapshot, ids []string, now int64) {
	for _, id := range ids {
		i, ok := s.index[id]
		if !ok || f.marks[i] == f.round || now >= s.expires[i] {
			continue // expires covers hidden items too
		}
		f.marks[i] = f.round
		f.out = append(f.out, i)
	}
}

// takeContext takes what suits the context and has not expired; hidden items are not in its list.
func (f *Filter) takeContext(s *Snapshot, c schemas.Context, now int64) {
	for _, i := range s.InContext(c) {
		if f.marks[i] != f.round && now < s.expires[i] {
			f.out = append(f.out, i)
		}
	}
}
