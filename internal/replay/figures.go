package replay

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"

	"recstream/schemas"
)

// Figures count what became of the events of a partition, or of several. The zero value has nothing.
type Figures struct {
	Read     int64 `json:"read"`     // events
	Lost     int64 `json:"lost"`     // offsets whose events Kafka had deleted before they were read
	Filtered int64 `json:"filtered"` // requests that the filter leaves out
	Repeated int64 `json:"repeated"` // requests whose id was published before: they were answered with that decision
	Alone    int64 `json:"alone"`    // requests that were decided and have no live decision to be compared with

	Rejected       map[string]int64 `json:"rejected,omitempty"`       // events that are no valid request, by code
	Irreproducible map[string]int64 `json:"irreproducible,omitempty"` // requests that were not decided, by cause

	Scores Sketch `json:"scores"` // differences of an item's scores, by item that both decisions have

	groups map[Group]*Counts
}

// Group is what requests that were compared are counted by.
type Group struct {
	LiveModel   string          `json:"live_model"`   // name@version; "" where none ranked
	ReplayModel string          `json:"replay_model"` // the same
	Context     schemas.Context `json:"context"`
}

// Counts are what the comparisons of a group came to.
type Counts struct {
	Compared  int64 `json:"compared"`
	Identical int64 `json:"identical"` // to the byte
	Tier      int64 `json:"tier"`      // another tier answered
	Items     int64 `json:"items"`     // other items
	Rank      int64 `json:"rank"`      // other items, or another order
	Score     int64 `json:"score"`     // another score of an item that both have
	Other     int64 `json:"other"`     // something else, and none of these
	// Overlap are sums over the requests, in parts of overlapUnit: of all items, of the first, the first three, the
	// first ten. Whole numbers have the same sum in whatever order, and so the same report.
	Overlap [4]int64 `json:"overlap"`
}

// overlapUnit is the sum of one request whose items are all the same.
const overlapUnit = 1e9

// add counts a comparison.
func (c *Counts) add(r *comparison) {
	c.Compared++
	for n := range r.overlaps {
		c.Overlap[n] += int64(math.Round(r.overlaps[n] * overlapUnit))
	}
	if r.identical {
		c.Identical++
		return
	}
	count(&c.Tier, r.tier)
	count(&c.Items, r.items)
	count(&c.Rank, r.rank)
	count(&c.Score, r.score)
	count(&c.Other, !r.tier && !r.rank && !r.score)
}

func count(n *int64, counts bool) {
	if counts {
		*n++
	}
}

// merge adds what another one has.
func (c *Counts) merge(o *Counts) {
	c.Compared, c.Identical = c.Compared+o.Compared, c.Identical+o.Identical
	c.Tier, c.Items, c.Rank, c.Score, c.Other = c.Tier+o.Tier, c.Items+o.Items, c.Rank+o.Rank, c.Score+o.Score, c.Other+o.Other
	for n := range c.Overlap {
		c.Overlap[n] += o.Overlap[n]
	}
}

// compared counts a comparison under its group.
func (f *Figures) compared(live, replayed *schemas.Decision, r *comparison) {
	g := Group{label(live.Model), label(replayed.Model), live.Context}
	f.group(g).add(r)
}

func (f *Figures) group(g Group) *Counts {
	c := f.groups[g]
	if c == nil {
		if f.groups == nil {
			f.groups = map[Group]*Counts{}
		}
		c = new(Counts)
		f.groups[g] = c
	}
	return c
}

// countCode counts by code.
func countCode(m *map[string]int64, code string) {
	if *m == nil {
		*m = map[string]int64{}
	}
	(*m)[code]++
}

// Groups returns what the comparisons came to, in a fixed order.
func (f *Figures) Groups() []GroupCounts {
	list := make([]GroupCounts, 0, len(f.groups))
	for g, c := range f.groups {
		list = append(list, GroupCounts{g, *c})
	}
	slices.SortFunc(list, func(a, b GroupCounts) int {
		return cmp.Or(cmp.Compare(a.LiveModel, b.LiveModel), cmp.Compare(a.ReplayModel, b.ReplayModel),
			cmp.Compare(a.Context.Index(), b.Context.Index()))
	})
	return list
}

// GroupCounts is a group with its counts.
type GroupCounts struct {
	Group
	Counts
}

// Total returns what all comparisons came to.
func (f *Figures) Total() (sum Counts) {
	for _, c := range f.groups {
		sum.merge(c)
	}
	return sum
}

// Merge adds what other figures have.
func (f *Figures) Merge(o *Figures) {
	f.Read, f.Lost, f.Filtered = f.Read+o.Read, f.Lost+o.Lost, f.Filtered+o.Filtered
	f.Repeated, f.Alone = f.Repeated+o.Repeated, f.Alone+o.Alone
	f.Rejected, f.Irreproducible = mergeCodes(f.Rejected, o.Rejected), mergeCodes(f.Irreproducible, o.Irreproducible)
	f.Scores.Merge(&o.Scores)
	for g, c := range o.groups {
		f.group(g).merge(c)
	}
}

func mergeCodes(into, from map[string]int64) map[string]int64 {
	if into == nil && len(from) > 0 {
		into = map[string]int64{}
	}
	for code, n := range from {
		into[code] += n
	}
	return into
}

// clone returns a copy that shares nothing.
func (f *Figures) clone() *Figures {
	c := *f
	c.Rejected, c.Irreproducible, c.Scores = maps.Clone(f.Rejected), maps.Clone(f.Irreproducible), f.Scores.clone()
	c.groups = make(map[Group]*Counts, len(f.groups))
	for g, counts := range f.groups {
		copied := *counts
		c.groups[g] = &copied
	}
	return &c
}

// bare are figures without their methods, so that encoding/json does not come back to them.
type bare Figures

// storedFigures are figures as they are kept between batches.
type storedFigures struct {
	*bare
	Groups []GroupCounts `json:"groups,omitempty"`
}

// MarshalJSON writes all that there is.
func (f *Figures) MarshalJSON() ([]byte, error) {
	return json.Marshal(storedFigures{(*bare)(f), f.Groups()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Figures) UnmarshalJSON(text []byte) error {
	*f = Figures{}
	stored := storedFigures{bare: (*bare)(f)}
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	for _, g := range stored.Groups {
		f.group(g.Group).merge(&g.Counts)
	}
	return nil
}
