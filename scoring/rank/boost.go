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
	age, expiry Range // in days
	used        bool  // an item matches
}

func newRule(b *Boost) rule {
	return rule{name: b.Name, add: b.Add, from: b.From, until: b.Until, age: b.AgeDays, expiry: b.ExpiresDays}
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

// window is a span of times, Unix microseconds: in which an item has to be added, or to expire, for a rule to hold for it.
type window struct{ from, before int64 }

// added is the window of when an item of such an age, in days, was added. An age is whole microseconds, and 0 for what
// is added later.
func added(age Range, now int64) window {
	w, bounded := around(age, now)
	if !bounded {
		return w
	}
	if age.Max != nil {
		w.from = now - micros(*age.Max) + 1
	}
	if age.Min != nil && *age.Min > 0 {
		w.before = now - micros(*age.Min) + 1
	}
	return w
}

// expiring is the window of when an item expires that has so many days left. What is left is whole microseconds, and 0
// for what has expired.
func expiring(left Range, now int64) window {
	w, bounded := around(left, now)
	if !bounded {
		return w
	}
	if left.Min != nil && *left.Min > 0 {
		w.from = now + micros(*left.Min)
	}
	if left.Max != nil {
		w.before = now + micros(*left.Max)
	}
	return w
}

// around is the window without the bounds of a range of days that are not negative: of all times for a range without
// ends, of none where no item can match, else of all that are known, which are to be bounded.
func around(days Range, now int64) (w window, bounded bool) {
	switch {
	case !days.bounded():
		return window{always, never}, false
	case now == unknown || (days.Max != nil && *days.Max <= 0):
		return window{never, never}, false
	}
	return window{always + 1, never}, true
}

func (w window) has(t int64) bool { return w.from <= t && t < w.before }

// micros returns days as microseconds, the fraction of one as a whole one, and no more than a time can be.
func micros(days float64) int64 {
	const day = float64(24 * time.Hour / time.Microsecond)
	return int64(min(math.Ceil(days*day), 1<<60))
}

// bounded reports whether the range has an end.
func (r Range) bounded() bool { return r.Min != nil || r.Max != nil }

// holds reports whether a value, if it is known, is in the range.
func (r Range) holds(v float64, known bool) bool {
	if !r.bounded() {
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
