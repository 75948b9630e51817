package rank

import (
	"math"
	"slices"
	"strings"
	"time"

	"recstream/schemas"
)

// rule is what is left of a Boost once its items are known.
type rule struct {
	name        string
	add         float64
	from, until time.Time
	ageDays     Range
	used        bool // an item matches
}

func newRule(b *Boost) rule {
	return rule{name: b.Name, add: b.Add, from: b.From, until: b.Until, ageDays: b.AgeDays}
}

// holds reports whether the rule's time has come and not passed.
func (r *rule) holds(at time.Time) bool {
	return !at.Before(r.from) && (r.until.IsZero() || at.Before(r.until))
}

// always and never are the ends of a window that leaves no time out, and of one that leaves all out.
const (
	always = math.MinInt64 // unknown too
	never  = math.MaxInt64
)

// window is the span of times, Unix microseconds, in which an item has to be added for a rule to hold for it.
type window struct{ from, before int64 }

// window is that of the rule at a time. An age is whole microseconds, and 0 for what is added later.
func (r *rule) window(now int64) window {
	w := window{always, never}
	least, most := r.ageDays.Min, r.ageDays.Max
	if least == nil && most == nil {
		return w
	}
	if now == unknown || (most != nil && *most <= 0) {
		return window{never, never}
	}
	w.from++ // not the unknown
	if most != nil {
		w.from = now - micros(*most) + 1
	}
	if least != nil && *least > 0 {
		w.before = now - micros(*least) + 1
	}
	return w
}

func (w window) has(added int64) bool { return w.from <= added && added < w.before }

// micros returns days as microseconds, the fraction of one as a whole one, and no more than a time can be.
func micros(days float64) int64 {
	const day = float64(24 * time.Hour / time.Microsecond)
	return int64(min(math.Ceil(days*day), 1<<60))
}

// holds reports whether a value, if it is known, is in the range.
func (r Range) holds(v float64, known bool) bool {
	if r.Min == nil && r.Max == nil {
		return true
	}
	return known && (r.Min == nil || v >= *r.Min) && (r.Max == nil || v < *r.Max)
}

// matcher has a rule's conditions on items, in a form that is quick to try. An empty one matches all.
type matcher struct {
	items, genres, franchises, tags map[string]bool
	groups                          []schemas.GroupSize
	title                           string // in lower case
	year, duration, popularity      Range
}

func newMatcher(b *Boost) matcher {
	m := matcher{
		items: setOf(b.Items), genres: setOf(b.Genres), franchises: setOf(b.Franchises), tags: setOf(b.Tags),
		title: strings.ToLower(b.Title),
		year:  b.Year, duration: b.Duration, popularity: b.Popularity,
	}
	for _, name := range b.Groups {
		if g, ok := schemas.ParseGroupSize(name); ok {
			m.groups = append(m.groups, g)
		}
	}
	return m
}

func setOf(names []string) map[string]bool {
	if len(names) == 0 {
		return nil
	}
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// matches tries all conditions, the cheap ones first.
func (m *matcher) matches(it *schemas.Item) bool {
	return m.year.holds(it.Year, known(it.Year) > 0) &&
		m.duration.holds(it.DurationMin, known(it.DurationMin) > 0) &&
		m.popularity.holds(it.Popularity, known(it.Popularity) > 0) &&
		(m.franchises == nil || m.franchises[it.Franchise]) &&
		(m.items == nil || m.items[it.ID]) &&
		(m.genres == nil || hasAny(m.genres, it.Genres)) &&
		(m.tags == nil || hasAny(m.tags, it.Tags)) &&
		(m.groups == nil || m.suits(it)) &&
		(m.title == "" || strings.Contains(strings.ToLower(it.Title), m.title))
}

func hasAny(set map[string]bool, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return set[name] })
}

// suits reports whether the item itself names one of the companies. One that suits all names none.
func (m *matcher) suits(it *schemas.Item) bool {
	return slices.ContainsFunc(m.groups, func(g schemas.GroupSize) bool { return slices.Contains(it.Suitability, g) })
}
