package schemas

import "time"

// Profile is what is known of a user from feedback. Weights decay exponentially in event time, with the
// half-life of the configuration; those here are as of AsOf, and decay further to the time of a request.
type Profile struct {
	UserID string
	// Version grows with each change that is stored; no two states of a user's profile have the same. 0 is not stored.
	Version int64
	AsOf    time.Time // the latest feedback's time; weights are decayed to it

	// Activity is the decayed number of feedback events, impressions left out.
	Activity float64
	// Genres are the decayed sums of preference for each genre, by name. Positive is liked.
	Genres []GenreWeight
	// The typical duration in minutes is DurationSum/DurationWeight, decayed sums over what was watched.
	DurationSum, DurationWeight float64
	// Items are the latest items that the user had to do with, by item id, at most MaxProfileItems.
	Items []ProfileItem
}

// MaxProfileItems is how many items a profile keeps; the ones longest untouched go first.
const MaxProfileItems = 500

// GenreWeight is a user's preference for a genre.
type GenreWeight struct {
	Genre  string
	Weight float64
}

// ProfileItem is what a user did with an item.
type ProfileItem struct {
	ItemID      string
	Seen        time.Time // the latest play, completion or rating; zero is never
	Dismissed   time.Time // the latest dismissal; zero is never
	Impressions float64   // how often it was shown; not decayed
}

// SeenBy reports whether the user has seen the item by time t. At the zero time nothing is too late.
func (i *ProfileItem) SeenBy(t time.Time) bool {
	return !i.Seen.IsZero() && (t.IsZero() || !i.Seen.After(t))
}

// ProfileKey names one state of a user's profile.
type ProfileKey struct {
	UserID  string
	Version int64
}
