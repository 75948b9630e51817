package deadletter

import (
	"cmp"
	"slices"
	"time"

	"recstream/schemas"
)

// Group is what letters of one cause have in common.
type Group struct {
	Reason, Stage, Topic string // Topic is where the events came from
	Letters              int64
	CameBack             int64 // of events that had been sent back before
	SentBack             int64 // were sent back themselves, as far as the audit was asked
	First, Last          time.Time
	Example              schemas.Source // the place of the latest letter
}

// Groups counts letters by their cause.
type Groups struct {
	byCause map[cause]*Group
}

type cause struct{ reason, stage, topic string }

// maxGroups bounds the memory: codes are few, but anybody can write into a topic.
const maxGroups = 1000

// others are the letters of all causes above maxGroups.
var others = cause{reason: "(others)"}

// Add counts a letter.
func (g *Groups) Add(l *Letter) {
	if g.byCause == nil {
		g.byCause = map[cause]*Group{}
	}
	c := cause{l.Reason, l.Stage, l.From.Topic}
	one := g.byCause[c]
	if one == nil && len(g.byCause) >= maxGroups {
		c = others
		one = g.byCause[c]
	}
	if one == nil {
		one = &Group{Reason: c.reason, Stage: c.stage, Topic: c.topic, First: l.At}
		g.byCause[c] = one
	}
	one.Letters++
	if l.Redrives > 0 {
		one.CameBack++
	}
	if l.SentBack {
		one.SentBack++
	}
	if l.At.Before(one.First) {
		one.First = l.At
	}
	if !l.At.Before(one.Last) {
		one.Last, one.Example = l.At, l.Place
	}
}

// List returns the groups, the largest first.
func (g *Groups) List() []*Group {
	var list []*Group
	for _, one := range g.byCause {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Topic, b.Topic))
	})
	return list
}
