package explain

import (
	"slices"
	"strings"

	"recstream/schemas"
)

// MaxReason is the longest reason, in bytes.
const MaxReason = 160

// Facts are what is known of how one item came to be recommended. What is zero is not known, and not claimed.
type Facts struct {
	Tier    schemas.Tier
	Context schemas.Context
	// Suits says that the rules for the context chose the item. It is false where the request named the candidates:
	// then nobody asked whether they suit the moment.
	Suits     bool
	Item      *schemas.Item
	Profile   *schemas.Profile // faded to the request's time; nil unknown
	SimilarTo *schemas.Item    // that the request asks for the like of; nil where it does not
	// InContext says that the popular tier's measure is from outcomes in this very context, and not from those of all.
	InContext bool
	List      string // of the editorial tier
	Terms     schemas.Terms
	Boosts    []string // names of the business rules that hold for the item
	New       bool     // too new for anybody to have seen it
	Pinned    bool
	// Contributions to the model's score, the strongest first; nil where no model ranked.
	Contributions []schemas.Contribution
}

// Reason says in one line why the item was recommended: what it is and whether it suits the moment, then one or two
// grounds, the tier's own first. It is never empty, has at most [MaxReason] bytes of valid UTF-8, and no line break.
func Reason(f *Facts) string {
	if f.Pinned {
		return "chosen by the app"
	}
	genre := f.likedGenre()
	var grounds []string
	for _, g := range []string{
		f.ofTier(), likes(genre), f.similar(), f.boosted(), f.fresh(), f.popular(), f.strongestPoint(genre),
	} {
		if g != "" && !slices.Contains(grounds, g) {
			grounds = append(grounds, g)
		}
	}
	if len(grounds) == 0 {
		grounds = []string{f.ranked()}
	}
	return join(f.head(genre), grounds[:min(len(grounds), 2)])
}

// join puts the clauses into a line. Where it gets too long, the second ground goes first, then the head.
func join(head string, grounds []string) string {
	clauses := grounds
	if head != "" {
		clauses = append([]string{head}, grounds...)
	}
	line := strings.Join(clauses, "; ")
	switch {
	case len(line) <= MaxReason:
		return line
	case len(grounds) > 1:
		return join(head, grounds[:1])
	case head != "":
		return join("", grounds)
	}
	return cut(line, MaxReason)
}

// head says what the item is, and that it fits the moment.
func (f *Facts) head(genre string) string {
	if f.Item == nil {
		return ""
	}
	var parts []string
	for _, part := range []string{describe(f.Item, genre), f.fit()} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

// Films are called short up to shortMinutes, and long from longMinutes on.
const (
	shortMinutes = 90
	longMinutes  = 150
)

// describe names a genre, the one given or else the item's first, and how long the item is if that is unusual.
func describe(it *schemas.Item, genre string) string {
	if genre == "" && len(it.Genres) > 0 {
		genre = it.Genres[0]
	}
	noun := nounOf(genre).one
	if noun == "" {
		return ""
	}
	switch {
	case it.DurationMin > 0 && it.DurationMin <= shortMinutes:
		return "short " + noun
	case it.DurationMin >= longMinutes:
		return "long " + noun
	}
	return noun
}

// fit says which moment the item fits, as far as the rules could look at it: without genres it passes for every
// mood, and without a duration for every session.
func (f *Facts) fit() string {
	if !f.Suits {
		return ""
	}
	adjectives, noun := "", "session"
	if f.Item.DurationMin > 0 {
		adjectives, noun = sessionAdjectives[f.Context.SessionLength], sessionNouns[f.Context.SessionLength]
	}
	if len(f.Item.Genres) > 0 {
		adjectives += moodAdjectives[f.Context.Mood]
	}
	company := companies[f.Context.GroupSize]
	if adjectives == "" && company == "" && noun == "session" {
		return ""
	}
	phrase := adjectives + noun + company
	if strings.ContainsRune("aeiou", rune(phrase[0])) {
		return "fits an " + phrase
	}
	return "fits a " + phrase
}

// likedLeast is the weight in a profile from which on a genre is liked: what one click adds, not faded.
const likedLeast = 1

// likedGenre returns the item's genre that the user likes best, "" where none is liked or the score did not count it.
func (f *Facts) likedGenre() string {
	counted := f.Terms[schemas.TermAffinity] > 0 || slices.ContainsFunc(f.Contributions, func(c schemas.Contribution) bool {
		return c.Contribution > 0 && strings.HasPrefix(c.Label, taste)
	})
	if f.Profile == nil || f.Item == nil || !counted {
		return ""
	}
	best, most := "", 0.0
	for _, g := range f.Profile.Genres {
		if g.Weight >= likedLeast && g.Weight > most && slices.Contains(f.Item.Genres, g.Genre) {
			best, most = g.Genre, g.Weight
		}
	}
	return best
}

func likes(genre string) string {
	if noun := nounOf(genre).many; noun != "" {
		return "you like " + noun
	}
	return ""
}
