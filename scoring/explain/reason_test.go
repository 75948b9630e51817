package explain_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"recstream/schemas"
	"recstream/scoring/explain"
)

var (
	evening = schemas.Context{Mood: schemas.MoodRelaxing, GroupSize: schemas.GroupCouple, SessionLength: schemas.SessionShort}
	heat    = &schemas.Item{ID: "heat", Title: "Heat", Genres: []string{"Action", "Crime"}, DurationMin: 170}
)

func comedy() *schemas.Item {
	return &schemas.Item{ID: "up", Title: "Up", Genres: []string{"Animation", "Comedy"}, DurationMin: 89}
}

func likesComedy(weight float64) *schemas.Profile {
	return &schemas.Profile{Genres: []schemas.GenreWeight{{Genre: "Action", Weight: 50}, {Genre: "Comedy", Weight: weight}}}
}

func contributions(labels ...string) (list []schemas.Contribution) {
	for i, label := range labels {
		list = append(list, schemas.Contribution{Label: label, Contribution: 1 / float64(i+1)})
	}
	return list
}

func TestReason(t *testing.T) {
	base := schemas.Terms{schemas.TermBase: 0.5}
	with := func(term int, v float64) schemas.Terms {
		terms := base
		terms[term] = v
		return terms
	}
	against := contributions("genre: Comedy", "year")
	against[0].Contribution = -1
	tests := []struct {
		name  string
		facts explain.Facts
		want  string
	}{
		{"nothing is known", explain.Facts{}, "one of the items that may be shown"},
		{"a pin", explain.Facts{Pinned: true, Item: comedy(), Tier: schemas.TierModel, Terms: base}, "chosen by the app"},

		{"model alone", explain.Facts{Tier: schemas.TierModel, Terms: base}, "ranked by the model's prediction"},
		{"previous model", explain.Facts{Tier: schemas.TierPrevious, Item: heat, Terms: base},
			"long action title; ranked by the prediction of the last model that served before this one"},
		{"suits the moment", explain.Facts{Tier: schemas.TierModel, Item: comedy(), Context: evening, Suits: true},
			"short animation, fits a short relaxed session for two; ranked by the model's prediction"},
		{"the request's own candidates need not suit", explain.Facts{Tier: schemas.TierModel, Item: comedy(), Context: evening},
			"short animation; ranked by the model's prediction"},
		{"taste that the score counted", explain.Facts{Tier: schemas.TierModel, Item: comedy(), Context: evening, Suits: true,
			Profile: likesComedy(4), Terms: with(schemas.TermAffinity, 0.1)},
			"short comedy, fits a short relaxed session for two; you like comedies"},
		{"taste that the model counted", explain.Facts{Tier: schemas.TierModel, Item: comedy(), Profile: likesComedy(4),
			Contributions: contributions("minutes", "how much you like its genres")}, "short comedy; you like comedies; most in its favour is minutes"},
		{"taste that nothing counted", explain.Facts{Tier: schemas.TierModel, Item: comedy(), Profile: likesComedy(4), Terms: base},
			"short animation; ranked by the model's prediction"},
		{"taste that counted against it", explain.Facts{Tier: schemas.TierModel, Item: comedy(), Profile: likesComedy(4),
			Terms: with(schemas.TermAffinity, -0.1)}, "short animation; ranked by the model's prediction"},
		{"taste that has faded", explain.Facts{Tier: schemas.TierModel, Item: comedy(), Profile: likesComedy(0.9),
			Terms: with(schemas.TermAffinity, 0.1)}, "short animation; ranked by the model's prediction"},
		{"taste without a profile", explain.Facts{Tier: schemas.TierModel, Item: comedy(), Terms: with(schemas.TermAffinity, 0.1)},
			"short animation; ranked by the model's prediction"},
		{"strongest point", explain.Facts{Tier: schemas.TierModel, Item: heat, Contributions: contributions("genre: Action", "year")},
			"long action title; most in its favour is genre: Action"},
		{"what speaks against it is no point", explain.Facts{Tier: schemas.TierModel, Item: heat, Contributions: against},
			"long action title; most in its favour is year"},
		{"nothing in its favour", explain.Facts{Tier: schemas.TierModel, Item: heat, Contributions: against[:1]},
			"long action title; ranked by the model's prediction"},

		{"similar to an item", explain.Facts{Tier: schemas.TierSimilar, SimilarTo: heat, Terms: base,
			Item: &schemas.Item{ID: "ronin", Genres: []string{"Thriller", "Crime"}, DurationMin: 122}}, "thriller; similar to Heat"},
		{"similar by a tag", explain.Facts{Tier: schemas.TierModel, SimilarTo: &schemas.Item{ID: "x", Tags: []string{"noir"}},
			Item: &schemas.Item{Tags: []string{"noir"}}, Terms: with(schemas.TermSimilarity, 0.1)}, "similar to x"},
		{"of one franchise", explain.Facts{Tier: schemas.TierModel, Terms: with(schemas.TermSimilarity, 0.3),
			SimilarTo: &schemas.Item{ID: "alien", Title: "Alien", Franchise: "Alien"}, Item: &schemas.Item{ID: "aliens", Franchise: "Alien"}},
			"of the franchise Alien, like Alien"},
		{"nothing in common", explain.Facts{Tier: schemas.TierSimilar, SimilarTo: heat, Item: comedy()},
			"short animation; ranked by similarity to what the user chose before, or to the item that the request names"},
		{"likeness that nothing counted", explain.Facts{Tier: schemas.TierModel, SimilarTo: heat, Item: &schemas.Item{Genres: []string{"Crime"}}},
			"crime title; ranked by the model's prediction"},
		{"similar to the history", explain.Facts{Tier: schemas.TierSimilar, Profile: &schemas.Profile{}, Item: heat, Terms: base},
			"long action title; similar to what you chose before"},
		{"not like the history", explain.Facts{Tier: schemas.TierSimilar, Profile: &schemas.Profile{}},
			"ranked by similarity to what the user chose before, or to the item that the request names"},

		{"popular", explain.Facts{Tier: schemas.TierPopular, Context: evening, Item: heat, Terms: base}, "long action title; popular"},
		{"popular in the context", explain.Facts{Tier: schemas.TierPopular, InContext: true, Terms: base,
			Context: schemas.Context{Mood: schemas.MoodAction, GroupSize: schemas.GroupGroup}}, "popular with groups in the mood for action"},
		{"popular in the whole context", explain.Facts{Tier: schemas.TierPopular, InContext: true, Terms: base, Context: evening},
			"popular with couples in the mood to relax with little time"},
		{"popular in an empty context", explain.Facts{Tier: schemas.TierPopular, InContext: true, Terms: base}, "popular"},
		{"not popular", explain.Facts{Tier: schemas.TierPopular, InContext: true, Context: evening}, "ranked by popularity within the context"},
		{"from a list", explain.Facts{Tier: schemas.TierEditorial, List: "Halloween"}, "from the list Halloween"},
		{"from a list without a name", explain.Facts{Tier: schemas.TierEditorial}, "from a list that people made"},
		{"from the catalogue", explain.Facts{Tier: schemas.TierBasic, Item: comedy(), Suits: true,
			Context: schemas.Context{GroupSize: schemas.GroupSolo}}, "short animation, fits a session on your own; next in the catalogue's order"},

		{"promoted", explain.Facts{Tier: schemas.TierModel, Terms: with(schemas.TermBoost, 0.2), Boosts: []string{"Summer"}},
			"the rule Summer promotes it"},
		{"demoted by two", explain.Facts{Tier: schemas.TierModel, Terms: with(schemas.TermBoost, -0.2), Boosts: []string{"Old", "Long"}},
			"the rules Old and Long together move it down"},
		{"promoted by many", explain.Facts{Tier: schemas.TierModel, Terms: with(schemas.TermBoost, 0.2), Boosts: []string{"A", "B", "C", "D"}},
			"the rule A and 3 others together promote it"},
		{"promoted by nobody", explain.Facts{Tier: schemas.TierModel, Terms: with(schemas.TermBoost, 0.2)}, "a business rule promotes it"},
		{"rules that cancel out", explain.Facts{Tier: schemas.TierModel, Terms: base, Boosts: []string{"A", "B"}}, "ranked by the model's prediction"},
		{"new", explain.Facts{Tier: schemas.TierModel, New: true}, "new in the catalogue"},
		{"fresh", explain.Facts{Tier: schemas.TierModel, Terms: with(schemas.TermFreshness, 0.2)}, "moved up for how new it is"},
		{"hardly fresh", explain.Facts{Tier: schemas.TierModel, Terms: with(schemas.TermFreshness, 0.01)}, "ranked by the model's prediction"},
		{"popular in the catalogue", explain.Facts{Tier: schemas.TierModel, Terms: with(schemas.TermPopularity, 0.2)}, "moved up for its popularity"},
		{"popular twice", explain.Facts{Tier: schemas.TierPopular, Terms: with(schemas.TermPopularity, 0.2)}, "popular"},
		{"two grounds of three", explain.Facts{Tier: schemas.TierEditorial, List: "Halloween", New: true, Terms: with(schemas.TermBoost, 1)},
			"from the list Halloween; a business rule promotes it"},

		{"a genre by another name", explain.Facts{Tier: schemas.TierBasic, Item: &schemas.Item{Genres: []string{" Film\nNoir "}}},
			"film noir; next in the catalogue's order"},
		{"a binge", explain.Facts{Tier: schemas.TierBasic, Item: heat, Suits: true,
			Context: schemas.Context{Mood: schemas.MoodAction, SessionLength: schemas.SessionBinge}},
			"long action title, fits an action-packed binge; next in the catalogue's order"},
		{"without a duration the time is not claimed", explain.Facts{Tier: schemas.TierBasic, Suits: true, Context: evening,
			Item: &schemas.Item{Genres: []string{"Comedy"}}}, "comedy, fits a relaxed session for two; next in the catalogue's order"},
		{"without genres the mood is not claimed", explain.Facts{Tier: schemas.TierBasic, Suits: true, Context: evening,
			Item: &schemas.Item{DurationMin: 100}}, "fits a short session for two; next in the catalogue's order"},
		{"a long name", explain.Facts{Tier: schemas.TierEditorial, List: strings.Repeat("né ", 40)},
			"from the list né né né né né né né né né né né n…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := explain.Reason(&tt.facts); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// What is too long goes clause by clause, the tier's own ground last.
func TestReasonIsCutByClauses(t *testing.T) {
	long := strings.Repeat("x", 60)
	f := explain.Facts{
		Tier: schemas.TierSimilar, Context: schemas.Context{Mood: schemas.MoodAction, GroupSize: schemas.GroupSolo}, Suits: true,
		Item:      &schemas.Item{ID: "a", Genres: []string{"Science Fiction"}, Franchise: "Alien", DurationMin: 60},
		SimilarTo: &schemas.Item{ID: "b", Title: "Alien", Franchise: "Alien"},
		New:       true,
	}
	const head, ground = "short science fiction title, fits an action-packed session on your own; ", "of the franchise Alien, like Alien"
	for _, tt := range []struct{ name, title, franchise, want string }{
		{"all", "Alien", "Alien", head + ground + "; new in the catalogue"},
		{"without the second ground", "Alien", long[:40], head + "of the franchise " + long[:40] + ", like Alien"},
		{"without the head", long, long, "of the franchise " + long[:45] + "…, like " + long[:45] + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.Item.Franchise, f.SimilarTo.Franchise, f.SimilarTo.Title = tt.franchise, tt.franchise, tt.title
			if got := explain.Reason(&f); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// A reason of any facts is one line of text that is not too long.
func TestReasonOfAnyFacts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	for range 20_000 {
		f := anyFacts(random)
		reason := explain.Reason(f)
		switch {
		case reason == "" || len(reason) > explain.MaxReason:
			t.Fatalf("%d bytes: %q of %+v", len(reason), reason, f)
		case !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl):
			t.Fatalf("no line of text: %q of %+v", reason, f)
		case reason != explain.Reason(f):
			t.Fatalf("another reason each time: %q of %+v", reason, f)
		}
		seen[reason] = true
	}
	if len(seen) < 5_000 {
		t.Errorf("only %d different reasons: the facts are not any", len(seen))
	}
}

func anyFacts(random *rand.Rand) *explain.Facts {
	pieces := []string{"", "Comedy", "a", "\n", "\x1b", "\xff\xfe", "é", "\u2028", "🎬", "İ", strings.Repeat("long ", 20), "\ufffd"}
	text := func() (s string) {
		for range random.IntN(5) {
			s += pieces[random.IntN(len(pieces))]
		}
		return s
	}
	texts := func() (list []string) {
		for range random.IntN(4) {
			list = append(list, text())
		}
		return list
	}
	number := func() float64 {
		odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 0, 0, math.MaxFloat64, -1}
		if i := random.IntN(2 * len(odd)); i < len(odd) {
			return odd[i]
		}
		return random.NormFloat64() * 100
	}
	item := func() *schemas.Item {
		if random.IntN(4) == 0 {
			return nil
		}
		return &schemas.Item{ID: text(), Title: text(), Genres: texts(), Tags: texts(), Franchise: text(), DurationMin: number()}
	}
	tiers := []schemas.Tier{"", "x", schemas.TierModel, schemas.TierPrevious, schemas.TierSimilar, schemas.TierPopular, schemas.TierEditorial, schemas.TierBasic}
	yes := func() bool { return random.IntN(2) == 0 }
	f := &explain.Facts{
		Tier: tiers[random.IntN(len(tiers))], Suits: yes(), Item: item(), SimilarTo: item(), InContext: yes(), List: text(),
		Boosts: texts(), New: random.IntN(8) == 0, Pinned: random.IntN(16) == 0,
		Context: schemas.Context{Mood: schemas.Mood(random.IntN(int(schemas.NumMoods))),
			GroupSize:     schemas.GroupSize(random.IntN(int(schemas.NumGroupSizes))),
			SessionLength: schemas.SessionLength(random.IntN(int(schemas.NumSessionLengths)))},
	}
	for i := range f.Terms {
		f.Terms[i] = number()
	}
	if yes() {
		f.Profile = &schemas.Profile{}
		for _, g := range texts() {
			f.Profile.Genres = append(f.Profile.Genres, schemas.GenreWeight{Genre: g, Weight: number()})
		}
	}
	for _, label := range texts() {
		f.Contributions = append(f.Contributions, schemas.Contribution{Label: label, Contribution: number()})
	}
	return f
}
