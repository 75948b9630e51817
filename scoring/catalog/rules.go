package catalog

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"recstream/schemas"
)

// Rules say which items suit which context. They are configuration: the yaml tags are the keys, the
// desc tags their documentation.
// A context value that is unknown, or that has no rule, filters nothing.
type Rules struct {
	MoodGenres          MoodGenres     `yaml:"mood_genres"`
	SessionMinutes      SessionMinutes `yaml:"session_minutes"`
	MissingDuration     Missing        `yaml:"missing_duration" desc:"include or exclude items without a duration when the session length is known"`
	GroupExcludedGenres GroupGenres    `yaml:"group_excluded_genres"`
}

// MoodGenres lists, for each mood, the genres that suit it: an item needs one of them, spelled alike to
// the case. An empty list accepts every item.
type MoodGenres struct {
	Funny    []string `yaml:"funny" desc:"Genres for this mood, one is enough; empty accepts all"`
	Action   []string `yaml:"action" desc:"Genres for this mood, one is enough; empty accepts all"`
	Dramatic []string `yaml:"dramatic" desc:"Genres for this mood, one is enough; empty accepts all"`
	Relaxing []string `yaml:"relaxing" desc:"Genres for this mood, one is enough; empty accepts all"`
}

// SessionMinutes gives, for each session length, the durations that fit.
type SessionMinutes struct {
	Short  Range `yaml:"short"`
	Medium Range `yaml:"medium"`
	Binge  Range `yaml:"binge"`
}

// Range is min ≤ minutes < max. A max of 0 is no upper end, so the zero Range holds every duration.
type Range struct {
	Min float64 `yaml:"min" desc:"Fewest minutes of an item"`
	Max float64 `yaml:"max" desc:"Minutes that an item stays below; 0 is no end"`
}

// Missing says what becomes of an item without a duration when the session length is known.
type Missing string

// The treatments of a missing duration.
const (
	MissingInclude Missing = "include" // it fits every session length
	MissingExclude Missing = "exclude" // it fits none
)

// GroupGenres lists, for each group size, the genres that it is never offered, spelled alike to the case.
// This comes on top of an item's own suitability.
type GroupGenres struct {
	Solo   []string `yaml:"solo" desc:"Genres never offered to one person"`
	Couple []string `yaml:"couple" desc:"Genres never offered to a couple"`
	Group  []string `yaml:"group" desc:"Genres never offered to a group"`
}

// DefaultRules returns the rules of a film catalogue. Session ranges overlap, so that a film near an edge
// serves both sides; a film whose duration nobody recorded stays in.
func DefaultRules() Rules {
	return Rules{
		MoodGenres: MoodGenres{
			Funny:    []string{"Comedy"},
			Action:   []string{"Action", "Adventure", "Science Fiction", "Thriller", "Western"},
			Dramatic: []string{"Drama", "Horror", "Thriller", "War"},
			Relaxing: []string{"Animation", "Comedy", "Documentary", "Family", "Fantasy", "Music", "Musical", "Romance"},
		},
		SessionMinutes: SessionMinutes{
			Short:  Range{Max: 100},
			Medium: Range{Min: 85, Max: 140},
			Binge:  Range{Min: 110},
		},
		MissingDuration:     MissingInclude,
		GroupExcludedGenres: GroupGenres{},
	}
}

// Validate reports every rule that cannot work, each by the name of its field.
func (r *Rules) Validate() error {
	var errs []error
	for _, s := range []struct {
		field string
		Range
	}{
		{"session_minutes.short", r.SessionMinutes.Short},
		{"session_minutes.medium", r.SessionMinutes.Medium},
		{"session_minutes.binge", r.SessionMinutes.Binge},
	} {
		errs = append(errs, s.validate(s.field))
	}
	if r.MissingDuration != MissingInclude && r.MissingDuration != MissingExclude {
		errs = append(errs, fmt.Errorf("missing_duration: %q is neither %q nor %q",
			r.MissingDuration, MissingInclude, MissingExclude))
	}
	for _, g := range r.genreLists() {
		if i := slices.Index(g.genres, ""); i >= 0 {
			errs = append(errs, fmt.Errorf("%s[%d]: the genre is empty: name one or remove it", g.field, i))
		}
	}
	return errors.Join(errs...)
}

func (r *Rules) genreLists() []genreList {
	m, g := r.MoodGenres, r.GroupExcludedGenres
	return []genreList{
		{"mood_genres.funny", m.Funny}, {"mood_genres.action", m.Action},
		{"mood_genres.dramatic", m.Dramatic}, {"mood_genres.relaxing", m.Relaxing},
		{"group_excluded_genres.solo", g.Solo}, {"group_excluded_genres.couple", g.Couple},
		{"group_excluded_genres.group", g.Group},
	}
}

type genreList struct {
	field  string
	genres []string
}

// validate names the end of the range that is at fault.
func (r Range) validate(field string) error {
	bad := func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) || v < 0 }
	switch {
	case bad(r.Min):
		return fmt.Errorf("%s.min: %v is not a number of minutes from 0 up", field, r.Min)
	case bad(r.Max):
		return fmt.Errorf("%s.max: %v is not a number of minutes from 0 up", field, r.Max)
	case r.Max != 0 && r.Max <= r.Min:
		return fmt.Errorf("%s.max: %v is not above min %v: no duration would fit; use 0 for no upper end", field, r.Max, r.Min)
	}
	return nil
}

func (r Range) holds(minutes float64) bool {
	return minutes >= r.Min && (r.Max == 0 || minutes < r.Max)
}

// suitsMood tells whether an item with these genres suits the mood.
func (r *Rules) suitsMood(genres []string, m schemas.Mood) bool {
	lists := [schemas.NumMoods][]string{
		schemas.MoodFunny:    r.MoodGenres.Funny,
		schemas.MoodAction:   r.MoodGenres.Action,
		schemas.MoodDramatic: r.MoodGenres.Dramatic,
		schemas.MoodRelaxing: r.MoodGenres.Relaxing,
	}
	return len(lists[m]) == 0 || anyCommon(genres, lists[m])
}

// suitsGroup tells whether the item suits the company: by its own suitability, and by its genres.
func (r *Rules) suitsGroup(it *schemas.Item, g schemas.GroupSize) bool {
	if g == schemas.GroupUnknown {
		return true
	}
	excluded := [schemas.NumGroupSizes][]string{
		schemas.GroupSolo:   r.GroupExcludedGenres.Solo,
		schemas.GroupCouple: r.GroupExcludedGenres.Couple,
		schemas.GroupGroup:  r.GroupExcludedGenres.Group,
	}
	suits := len(it.Suitability) == 0 || slices.Contains(it.Suitability, g)
	return suits && !anyCommon(it.Genres, excluded[g])
}

// suitsSession tells whether an item of that many minutes, 0 if missing, fits the session length.
func (r *Rules) suitsSession(minutes float64, s schemas.SessionLength) bool {
	if s == schemas.SessionUnknown {
		return true
	}
	if minutes <= 0 {
		return r.MissingDuration == MissingInclude
	}
	ranges := [schemas.NumSessionLengths]Range{
		schemas.SessionShort:  r.SessionMinutes.Short,
		schemas.SessionMedium: r.SessionMinutes.Medium,
		schemas.SessionBinge:  r.SessionMinutes.Binge,
	}
	return ranges[s].holds(minutes)
}

func anyCommon(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
