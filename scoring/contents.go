package scoring

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/similarity"
)

// contents are what is made of a catalogue's items beforehand, whatever the parameters.
type contents struct {
	index *similarity.Index
	lists []list
}

// list is an editorial list over a catalogue.
type list struct {
	*schemas.EditorialList
	items []int32 // those that the catalogue has
}

func newContents(c *catalog.Snapshot, lists []schemas.EditorialList) *contents {
	x := &contents{index: similarity.New(c.Items())}
	return x.withLists(c, lists)
}

// withLists returns the contents with other lists: those of a larger priority first, then by name.
func (x *contents) withLists(c *catalog.Snapshot, lists []schemas.EditorialList) *contents {
	next := &contents{index: x.index}
	for i := range lists {
		l := list{EditorialList: &lists[i]}
		for _, id := range lists[i].ItemIDs {
			if place, ok := c.Lookup(id); ok && !slices.Contains(l.items, place) {
				l.items = append(l.items, place)
			}
		}
		next.lists = append(next.lists, l)
	}
	slices.SortFunc(next.lists, func(a, b list) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Name, b.Name))
	})
	return next
}

// suits reports whether the list is for a context at a time.
func (l *list) suits(c schemas.Context, at time.Time) bool {
	return (l.Mood == schemas.MoodUnknown || l.Mood == c.Mood) &&
		(l.GroupSize == schemas.GroupUnknown || l.GroupSize == c.GroupSize) &&
		(l.SessionLength == schemas.SessionUnknown || l.SessionLength == c.SessionLength) &&
		!at.Before(l.StartsAt) && (l.EndsAt.IsZero() || at.Before(l.EndsAt))
}
