// Package catalog holds the items that can be recommended, as an immutable snapshot, and decides which of
// them a request may be offered.
//
// It promises that a snapshot never changes once built, so any number of goroutines read it without locks,
// and that eligibility depends on the snapshot and the request alone: the time that items expire against is
// the request's own, so a request that is replayed sees the same candidates.
package catalog

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"

	"recstream/schemas"
)

// Expiries, in Unix microseconds, of items that never expire and of items that always have.
const (
	never  = math.MaxInt64
	always = math.MinInt64
)

// Snapshot is one version of the catalogue, ordered by item id. Items are spoken of by their place in that
// order, from 0 to Len()-1.
type Snapshot struct {
	version  int64
	items    []schemas.Item
	index    map[string]int32
	expires  []int64 // Unix microseconds, or never; always for a hidden item
	expiries []int64 // those of items that are not hidden, ascending, each once, without never
	rules    Rules
	eligible [schemas.NumContexts][]int32
}

// New builds a snapshot of items under rules. It costs about one pass over the items for each of the
// schemas.NumContexts contexts, and at most 4·NumContexts bytes an item beside the item itself; build it in
// the background. The slice is copied, what its items point to is kept and must not change any more.
// A duration, year or popularity that is not finite counts as missing.
//
// It returns an error for invalid rules, and for an id that is empty or appears twice.
func New(items []schemas.Item, version int64, rules Rules) (*Snapshot, error) {
	if err := rules.Validate(); err != nil {
		return nil, fmt.Errorf("build catalogue: %w", err)
	}
	s := &Snapshot{version: version, items: slices.Clone(items)}
	slices.SortFunc(s.items, func(a, b schemas.Item) int { return cmp.Compare(a.ID, b.ID) })
	if err := s.fillIndex(); err != nil {
		return nil, fmt.Errorf("build catalogue: %w", err)
	}
	s.fillColumns()
	s.fillContexts(&rules)
	return s, nil
}

// fillIndex makes the index by id. An id has to stand for one item, or decisions would be ambiguous.
func (s *Snapshot) fillIndex() error {
	s.index = make(map[string]int32, len(s.items))
	for i := range s.items {
		id := s.items[i].ID
		if id == "" {
			return fmt.Errorf("item %q has an empty id", s.items[i].Title)
		}
		if _, dup := s.index[id]; dup {
			return fmt.Errorf("item id %q appears twice", id)
		}
		s.index[id] = int32(i)
	}
	return nil
}

// WithRules returns the same items under other rules, s itself where it has these. The two share all but the
// contexts' lists.
func (s *Snapshot) WithRules(rules Rules) (*Snapshot, error) {
	if reflect.DeepEqual(rules, s.rules) {
		return s, nil
	}
	if err := rules.Validate(); err != nil {
		return nil, fmt.Errorf("build catalogue: %w", err)
	}
	other := *s
	other.fillContexts(&rules)
	return &other, nil
}

// SameItems reports whether other, nil for none, has the same items, under whatever rules.
func (s *Snapshot) SameItems(other *Snapshot) bool {
	return other != nil && len(s.items) == len(other.items) && (len(s.items) == 0 || &s.items[0] == &other.items[0])
}

// fillColumns makes what is looked up item by item: clean numbers, expiry.
func (s *Snapshot) fillColumns() {
	s.expires = make([]int64, len(s.items))
	for i := range s.items {
		it := &s.items[i]
		for _, v := range []*float64{&it.DurationMin, &it.Year, &it.Popularity} {
			if math.IsNaN(*v) || math.IsInf(*v, 0) {
				*v = 0
			}
		}
		s.expires[i] = expiry(it)
		if !it.Hidden && s.expires[i] != never {
			s.expiries = append(s.expiries, s.expires[i])
		}
	}
	slices.Sort(s.expiries)
	s.expiries = slices.Clip(slices.Compact(s.expiries))
}

// expiry folds hiding into expiry, so that a request checks one number an item.
func expiry(it *schemas.Item) int64 {
	switch {
	case it.Hidden:
		return always
	case it.ExpiresAt.IsZero():
		return never
	}
	return it.ExpiresAt.UnixMicro()
}

// suits are the values of each dimension of a context that an item suits, bit v for value v.
type suits struct{ mood, group, session uint8 }

// fillContexts applies the rules once an item, then combines the outcomes for each context.
func (s *Snapshot) fillContexts(rules *Rules) {
	s.rules = *rules
	all := make([]suits, len(s.items))
	for i := range s.items {
		all[i] = suitsOf(&s.items[i], rules)
	}
	for m := range schemas.NumMoods {
		for g := range schemas.NumGroupSizes {
			for l := range schemas.NumSessionLengths {
				c := schemas.Context{Mood: m, GroupSize: g, SessionLength: l}
				s.eligible[c.Index()] = indicesFor(all, c)
			}
		}
	}
}

// suitsOf returns the contexts that an item suits; a hidden one suits none.
func suitsOf(it *schemas.Item, rules *Rules) (u suits) {
	if it.Hidden {
		return suits{}
	}
	for m := range schemas.NumMoods {
		u.mood |= bit(rules.suitsMood(it.Genres, m)) << m
	}
	for g := range schemas.NumGroupSizes {
		u.group |= bit(rules.suitsGroup(it, g)) << g
	}
	for l := range schemas.NumSessionLengths {
		u.session |= bit(rules.suitsSession(it.DurationMin, l)) << l
	}
	return u
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func indicesFor(all []suits, c schemas.Context) []int32 {
	var list []int32
	for i, u := range all {
		if u.mood>>c.Mood&(u.group>>c.GroupSize)&(u.session>>c.SessionLength)&1 == 1 {
			list = append(list, int32(i))
		}
	}
	return slices.Clip(list)
}

// Era numbers the spans of time between two expiries, from 0: at all times of one era the same items have expired.
func (s *Snapshot) Era(at time.Time) int { return s.era(at.UnixMicro()) }

func (s *Snapshot) era(now int64) int {
	passed, _ := slices.BinarySearch(s.expiries, now+1)
	return passed
}

// Version is the number that the snapshot was built with.
func (s *Snapshot) Version() int64 { return s.version }

// Len is the number of items, hidden ones included.
func (s *Snapshot) Len() int { return len(s.items) }

// Items returns all items, in order. They belong to the snapshot and must not be changed.
func (s *Snapshot) Items() []schemas.Item { return s.items }

// Item returns item i. It belongs to the snapshot and must not be changed.
func (s *Snapshot) Item(i int32) *schemas.Item { return &s.items[i] }

// Lookup returns the place of the item with that id.
func (s *Snapshot) Lookup(id string) (i int32, ok bool) {
	i, ok = s.index[id]
	return i, ok
}

// InContext returns the items that suit c, in ascending order, before expiry and a request's exclusions.
// The list belongs to the snapshot and must not be changed.
func (s *Snapshot) InContext(c schemas.Context) []int32 { return s.eligible[c.Index()] }
