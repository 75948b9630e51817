package catalog_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/catalog"
)

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func TestInContext(t *testing.T) {
	items := []schemas.Item{
		{ID: "e-hidden", Genres: []string{"Comedy"}, DurationMin: 90, Hidden: true},
		{ID: "d-solo", Genres: []string{"Comedy"}, DurationMin: 150, Suitability: []schemas.GroupSize{schemas.GroupSolo}},
		{ID: "c-unknown", Genres: []string{"comedy"}},
		{ID: "b-action", Genres: []string{"Action", "Comedy"}, DurationMin: 100},
		{ID: "a-comedy", Genres: []string{"Comedy"}, DurationMin: 90},
	}
	rules := catalog.DefaultRules()
	rules.SessionMinutes.Short = catalog.Range{Min: 80, Max: 100}
	rules.GroupExcludedGenres.Couple = []string{"Action"}
	tests := []struct {
		name    string
		missing catalog.Missing
		context schemas.Context
		want    []string
	}{
		{"unknown context: all but hidden", catalog.MissingInclude, schemas.Context{},
			[]string{"a-comedy", "b-action", "c-unknown", "d-solo"}},
		{"mood matches case", catalog.MissingInclude, schemas.Context{Mood: schemas.MoodFunny},
			[]string{"a-comedy", "b-action", "d-solo"}},
		{"any genre of the mood", catalog.MissingInclude, schemas.Context{Mood: schemas.MoodAction}, []string{"b-action"}},
		{"group suitability", catalog.MissingInclude, schemas.Context{GroupSize: schemas.GroupGroup},
			[]string{"a-comedy", "b-action", "c-unknown"}},
		{"suits solo", catalog.MissingInclude, schemas.Context{GroupSize: schemas.GroupSolo},
			[]string{"a-comedy", "b-action", "c-unknown", "d-solo"}},
		{"group excludes a genre", catalog.MissingInclude, schemas.Context{GroupSize: schemas.GroupCouple},
			[]string{"a-comedy", "c-unknown"}},
		{"session, end not included", catalog.MissingInclude, schemas.Context{SessionLength: schemas.SessionShort},
			[]string{"a-comedy", "c-unknown"}},
		{"session, missing excluded", catalog.MissingExclude, schemas.Context{SessionLength: schemas.SessionShort},
			[]string{"a-comedy"}},
		{"session without end", catalog.MissingExclude, schemas.Context{SessionLength: schemas.SessionBinge},
			[]string{"d-solo"}},
		{"all three", catalog.MissingExclude, schemas.Context{Mood: schemas.MoodFunny, GroupSize: schemas.GroupCouple,
			SessionLength: schemas.SessionMedium}, []string{"a-comedy"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules.MissingDuration = tt.missing
			s := build(t, items, rules)
			if got := ids(s, s.InContext(tt.context)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEligible(t *testing.T) {
	s := build(t, []schemas.Item{
		{ID: "a", Genres: []string{"Comedy"}},
		{ID: "b", Genres: []string{"Comedy"}, ExpiresAt: noon},
		{ID: "c", Genres: []string{"Comedy"}, Hidden: true},
		{ID: "d", Genres: []string{"Drama"}},
		{ID: "e", Genres: []string{"Comedy"}, ExpiresAt: noon.Add(time.Hour)},
	}, catalog.DefaultRules())
	funny := schemas.Context{Mood: schemas.MoodFunny}
	tests := []struct {
		name string
		req  schemas.Request
		want []string
	}{
		{"before any expiry", schemas.Request{Context: funny, RequestedAt: noon.Add(-time.Microsecond)}, []string{"a", "b", "e"}},
		{"at the expiry", schemas.Request{Context: funny, RequestedAt: noon}, []string{"a", "e"}},
		{"after all expiries", schemas.Request{Context: funny, RequestedAt: noon.Add(time.Hour)}, []string{"a"}},
		{"no time", schemas.Request{Context: funny}, []string{"a", "b", "e"}},
		{"excluded, with an unknown id", schemas.Request{Context: funny, Exclude: []string{"a", "zzz"}}, []string{"b", "e"}},
		{"named: order kept, context ignored", schemas.Request{Context: funny, Candidates: []string{"e", "d", "a"}}, []string{"e", "d", "a"}},
		{"named: hidden, unknown, repeated", schemas.Request{Candidates: []string{"c", "x", "d", "d", "a", "d"}}, []string{"d", "a"}},
		{"named: expired and excluded", schemas.Request{Candidates: []string{"b", "a", "d"}, Exclude: []string{"d"}, RequestedAt: noon}, []string{"a"}},
		{"named: none", schemas.Request{Context: funny, Candidates: []string{}}, nil},
	}
	var filter catalog.Filter // shared, as a worker does
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ids(s, filter.Eligible(s, &tt.req, nil)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The filter agrees with the definition, item by item, for random catalogues and requests.
func TestEligibleEqualsDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var filter catalog.Filter
	for range 200 {
		s := build(t, randomItems(random, 1+random.IntN(40)), catalog.DefaultRules())
		for range 20 {
			req, known := randomRequest(random, s.Len()), randomProfile(random, s.Len())
			var want, pins []string
			for _, id := range slices.Concat(named(s, &req), req.Pins) {
				i, ok := s.Lookup(id)
				if ok && !slices.Contains(want, id) && allowed(s.Item(i), &req, known) {
					want = append(want, id)
				}
			}
			for _, id := range req.Pins {
				if slices.Contains(want, id) && !slices.Contains(pins, id) {
					pins = append(pins, id)
				}
			}
			if got := ids(s, filter.Eligible(s, &req, known)); !slices.Equal(got, want) {
				t.Fatalf("request %+v, profile %+v: got %q, want %q", req, known, got, want)
			}
			if got := ids(s, filter.Pins()); !slices.Equal(got, pins) {
				t.Fatalf("request %+v: pins %q, want %q", req, got, pins)
			}
			for _, id := range slices.Concat(req.Candidates, req.Pins) {
				if refused := filter.Refusal(s, &req, id) != ""; refused == slices.Contains(want, id) {
					t.Fatalf("request %+v: %s refused %v", req, id, refused)
				}
			}
		}
	}
}

func named(s *catalog.Snapshot, req *schemas.Request) []string {
	if req.Candidates != nil {
		return req.Candidates
	}
	return ids(s, s.InContext(req.Context))
}

func allowed(it *schemas.Item, req *schemas.Request, known *schemas.Profile) bool {
	expired := !it.ExpiresAt.IsZero() && !req.RequestedAt.Before(it.ExpiresAt)
	seen := req.ExcludeSeen && known != nil && slices.ContainsFunc(known.Items, func(p schemas.ProfileItem) bool {
		return p.ItemID == it.ID && !p.Seen.IsZero() && !p.Seen.After(req.RequestedAt)
	})
	return !it.Hidden && !expired && !seen && !slices.Contains(req.Exclude, it.ID) && it.ID != req.SimilarTo
}

// randomProfile returns a profile, or nil.
func randomProfile(random *rand.Rand, n int) *schemas.Profile {
	if random.IntN(3) == 0 {
		return nil
	}
	p := &schemas.Profile{}
	for range random.IntN(10) {
		item := schemas.ProfileItem{ItemID: fmt.Sprintf("i%03d", random.IntN(n+3))}
		if random.IntN(3) > 0 {
			item.Seen = noon.Add(time.Duration(random.IntN(5)-2) * time.Hour)
		}
		p.Items = append(p.Items, item)
	}
	return p
}

func TestRefusal(t *testing.T) {
	s := build(t, []schemas.Item{{ID: "hidden", Hidden: true}, {ID: "expired", ExpiresAt: noon}, {ID: "excluded"}, {ID: "seen"}, {ID: "fine"}},
		catalog.DefaultRules())
	req := schemas.Request{Candidates: []string{"hidden", "expired", "excluded", "seen", "fine", "other"}, Exclude: []string{"excluded"},
		ExcludeSeen: true, RequestedAt: noon}
	known := &schemas.Profile{Items: []schemas.ProfileItem{{ItemID: "seen", Seen: noon}}}
	var filter catalog.Filter
	if got := ids(s, filter.Eligible(s, &req, known)); !slices.Equal(got, []string{"fine"}) {
		t.Errorf("eligible %q", got)
	}
	want := []schemas.DropCode{schemas.DropHidden, schemas.DropExpired, schemas.DropExcluded, schemas.DropSeen, "", schemas.DropUnknown}
	for i, id := range req.Candidates {
		if got := filter.Refusal(s, &req, id); got != want[i] {
			t.Errorf("%s: %q, want %q", id, got, want[i])
		}
	}
}

func TestNewRefuses(t *testing.T) {
	broken := catalog.DefaultRules()
	broken.MissingDuration = "maybe"
	tests := []struct {
		name   string
		items  []schemas.Item
		rules  catalog.Rules
		detail string
	}{
		{"empty id", []schemas.Item{{Title: "Jaws"}}, catalog.DefaultRules(), `"Jaws" has an empty id`},
		{"id twice", []schemas.Item{{ID: "a"}, {ID: "b"}, {ID: "a"}}, catalog.DefaultRules(), `"a" appears twice`},
		{"invalid rules", nil, broken, "missing_duration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := catalog.New(tt.items, 1, tt.rules)
			if err == nil || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("error %v, want %q in it", err, tt.detail)
			}
		})
	}
}

func TestNewKeepsTheCallersItems(t *testing.T) {
	items := []schemas.Item{{ID: "b", Popularity: math.NaN()}, {ID: "a", DurationMin: math.Inf(1)}}
	s := build(t, items, catalog.DefaultRules())
	if items[0].ID != "b" || !math.IsNaN(items[0].Popularity) {
		t.Errorf("the caller's items were changed: %+v", items)
	}
	if s.Item(0).DurationMin != 0 || s.Item(1).Popularity != 0 {
		t.Errorf("numbers that are not finite were kept: %+v %+v", s.Item(0), s.Item(1))
	}
	if s.Version() != 7 || s.Len() != 2 {
		t.Errorf("version %d, length %d", s.Version(), s.Len())
	}
}

func TestRulesValidate(t *testing.T) {
	tests := []struct {
		field  string
		change func(*catalog.Rules)
	}{
		{"session_minutes.short.min", func(r *catalog.Rules) { r.SessionMinutes.Short.Min = -1 }},
		{"session_minutes.medium.max", func(r *catalog.Rules) { r.SessionMinutes.Medium = catalog.Range{Min: 90, Max: 90} }},
		{"session_minutes.binge.max", func(r *catalog.Rules) { r.SessionMinutes.Binge.Max = math.NaN() }},
		{"missing_duration", func(r *catalog.Rules) { r.MissingDuration = "" }},
		{"mood_genres.relaxing[1]", func(r *catalog.Rules) { r.MoodGenres.Relaxing = []string{"Music", ""} }},
		{"group_excluded_genres.group[0]", func(r *catalog.Rules) { r.GroupExcludedGenres.Group = []string{""} }},
	}
	for _, tt := range tests {
		t.Run(tt.field, func(t *testing.T) {
			rules := catalog.DefaultRules()
			if err := rules.Validate(); err != nil {
				t.Fatalf("the default rules: %v", err)
			}
			tt.change(&rules)
			if err := rules.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.field+":") {
				t.Errorf("error %v does not name %s", err, tt.field)
			}
		})
	}
}

func TestEligibleAllocatesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	s := build(t, randomItems(random, 500), catalog.DefaultRules())
	var filter catalog.Filter
	req := schemas.Request{Candidates: ids(s, s.InContext(schemas.Context{})), Exclude: []string{"i003"}, RequestedAt: noon}
	if n := testing.AllocsPerRun(100, func() { filter.Eligible(s, &req, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func build(t testing.TB, items []schemas.Item, rules catalog.Rules) *catalog.Snapshot {
	t.Helper()
	s, err := catalog.New(items, 7, rules)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ids(s *catalog.Snapshot, list []int32) []string {
	var out []string
	for _, i := range list {
		out = append(out, s.Item(i).ID)
	}
	return out
}

func randomItems(random *rand.Rand, n int) []schemas.Item {
	genres := []string{"Comedy", "Action", "Drama", "Music"}
	items := make([]schemas.Item, n)
	for i := range items {
		items[i] = schemas.Item{
			ID:          fmt.Sprintf("i%03d", i),
			Genres:      genres[random.IntN(4):],
			DurationMin: float64(random.IntN(3) * 90),
			Hidden:      random.IntN(5) == 0,
		}
		if random.IntN(2) == 0 {
			items[i].ExpiresAt = noon.Add(time.Duration(random.IntN(5)-2) * time.Hour)
		}
	}
	random.Shuffle(n, func(i, j int) { items[i], items[j] = items[j], items[i] })
	return items
}

func randomRequest(random *rand.Rand, n int) schemas.Request {
	someIDs := func() (list []string) {
		for range random.IntN(10) {
			list = append(list, fmt.Sprintf("i%03d", random.IntN(n+3)))
		}
		return list
	}
	return schemas.Request{
		Context: schemas.Context{
			Mood:          schemas.Mood(random.IntN(int(schemas.NumMoods))),
			SessionLength: schemas.SessionLength(random.IntN(int(schemas.NumSessionLengths))),
		},
		Candidates:  someIDs(),
		Exclude:     someIDs(),
		Pins:        someIDs(),
		ExcludeSeen: random.IntN(2) == 0,
		SimilarTo:   []string{"", "i001"}[random.IntN(2)],
		RequestedAt: noon.Add(time.Duration(random.IntN(5)-2) * time.Hour),
	}
}

// An era ends when an item expires that could be offered until then.
func TestEra(t *testing.T) {
	at := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
	items := []schemas.Item{
		{ID: "a", ExpiresAt: at}, {ID: "b", ExpiresAt: at}, {ID: "c", ExpiresAt: at.Add(2 * time.Hour)},
		{ID: "d", ExpiresAt: at.Add(time.Hour), Hidden: true}, {ID: "e"},
	}
	s, err := catalog.New(items, 1, catalog.DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at  time.Time
		era int
	}{{time.Time{}, 0}, {at.Add(-time.Microsecond), 0}, {at, 1}, {at.Add(time.Hour), 1},
		{at.Add(2*time.Hour - time.Microsecond), 1}, {at.Add(2 * time.Hour), 2}, {at.AddDate(100, 0, 0), 2}} {
		if got := s.Era(tt.at); got != tt.era {
			t.Errorf("at %v it is era %d, want %d", tt.at, got, tt.era)
		}
	}
}
