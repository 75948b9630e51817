package explain

import (
	"fmt"
	"slices"
	"strings"

	"recstream/schemas"
)

// Each ground is a clause, or "" where the facts do not have it.

// ofTier is the ground of a tier without a model: that which it ranks by.
func (f *Facts) ofTier() string {
	switch f.Tier {
	case schemas.TierModel, schemas.TierPrevious: // the terms of the score and the contributions say more
	case schemas.TierSimilar:
		if f.SimilarTo == nil && f.Profile != nil && f.Terms[schemas.TermBase] > 0 {
			return "similar to what you chose before"
		}
		return f.similar()
	case schemas.TierPopular:
		if f.Terms[schemas.TermBase] > 0 {
			return "popular" + f.audience()
		}
	case schemas.TierEditorial:
		if list := clean(f.List); list != "" {
			return "from the list " + list
		}
		return "from a list that people made"
	case schemas.TierBasic:
		return "next in the catalogue's order"
	}
	return ""
}

// ranked is what can be said where there is no ground.
func (f *Facts) ranked() string {
	if text := f.Tier.Meaning(); text != "" {
		return text
	}
	return "one of the items that may be shown"
}

// audience says with whom an item is popular, "" where that is with everybody.
func (f *Facts) audience() string {
	if !f.InContext || f.Context == (schemas.Context{}) {
		return ""
	}
	return " with " + audiences[f.Context.GroupSize] + moodPhrases[f.Context.Mood] + timePhrases[f.Context.SessionLength]
}

// similar says what the item is like, where likeness counted and the two have something in common.
func (f *Facts) similar() string {
	other := f.SimilarTo
	if other == nil || f.Item == nil || f.Item.ID == other.ID {
		return ""
	}
	if f.Tier != schemas.TierSimilar && !(f.Terms[schemas.TermSimilarity] > 0) {
		return ""
	}
	title := clean(other.Title)
	if title == "" {
		title = clean(other.ID)
	}
	if franchise := clean(f.Item.Franchise); franchise != "" && f.Item.Franchise == other.Franchise {
		return "of the franchise " + franchise + ", like " + title
	}
	if common(f.Item.Genres, other.Genres) || common(f.Item.Tags, other.Tags) {
		return "similar to " + title
	}
	return ""
}

func common(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// boosted names the business rules. Several can pull either way; what is known is what they come to together.
func (f *Facts) boosted() string {
	boost := f.Terms[schemas.TermBoost]
	if !(boost > 0) && !(boost < 0) {
		return ""
	}
	verbs := [2]string{"promotes it", "promote it"}
	if boost < 0 {
		verbs = [2]string{"moves it down", "move it down"}
	}
	var rules []string
	for _, name := range f.Boosts {
		if name = clean(name); name != "" {
			rules = append(rules, name)
		}
	}
	switch len(rules) {
	case 0:
		return "a business rule " + verbs[0]
	case 1:
		return "the rule " + rules[0] + " " + verbs[0]
	case 2:
		return "the rules " + rules[0] + " and " + rules[1] + " together " + verbs[1]
	}
	return fmt.Sprintf("the rule %s and %d others together %s", rules[0], len(rules)-1, verbs[1])
}

// fresh says that the item is new, or that its newness counts for something.
func (f *Facts) fresh() string {
	switch {
	case f.New:
		return "new in the catalogue"
	case f.matters(schemas.TermFreshness):
		return "moved up for how new it is"
	}
	return ""
}

// popular says that the popularity in the catalogue counts for something.
func (f *Facts) popular() string {
	if f.Tier != schemas.TierPopular && f.matters(schemas.TermPopularity) {
		return "moved up for its popularity"
	}
	return ""
}

// notable is the share of what speaks for an item from which on a term is worth a word.
const notable = 0.1

// matters reports whether a term is a notable part of those that raise the score.
func (f *Facts) matters(term int) bool {
	up := 0.0
	for _, v := range f.Terms {
		up += max(v, 0)
	}
	return f.Terms[term] > 0 && f.Terms[term] >= notable*up
}

// strongestPoint names the feature that raises the model's score most; not the user's taste again, where a liked
// genre was named.
func (f *Facts) strongestPoint(genre string) string {
	for i := range f.Contributions {
		c := &f.Contributions[i]
		said := genre != "" && strings.HasPrefix(c.Label, taste)
		if label := clean(c.Label); c.Contribution > 0 && label != "" && !said {
			return "most in its favour is " + label
		}
	}
	return ""
}
