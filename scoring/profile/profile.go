// Package profile makes what is known of a user out of feedback, event by event. It owns how much an action
// counts, how it fades, and what is forgotten when there is too much.
//
// It promises that a profile depends on its feedback events and not on the order in which they came, as far
// as that can be: sums differ in their last bits, and what was forgotten for want of room stays forgotten.
// Time is the events' own, so a replay makes the same profile. No clock, no I/O.
//
// What an event adds to the weight of each of the item's genres:
//
//	impression   0       counted for the item only
//	click       +1
//	play        +2
//	complete    +4
//	dismiss     -3
//	rating      2·(value-3), between -4 and +4: for one to five stars, three say nothing
//
// An event's weights halve with each half-life of event time, to 2^(-age/halfLife). Activity counts every
// event but impressions as 1. The typical duration is that of the items played and completed, each event
// with weight 1.
package profile

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"recstream/schemas"
)

// DefaultHalfLife is the half-life where nothing else is wanted.
const DefaultHalfLife = 30 * 24 * time.Hour

// What actions add to a genre's weight; a rating is ratingScale·(value-ratingMiddle), at most ratingLimit
// either way.
const (
	clickWeight    = 1
	playWeight     = 2
	completeWeight = 4
	dismissWeight  = -3

	ratingScale  = 2
	ratingMiddle = 3
	ratingLimit  = 4
)

// Apply adds one feedback event to its user's profile. f.At is set: the caller gives an event without a time
// its Kafka record's. The item is nil where the catalogue does not have it; then genres and durations stay
// as they are. An event that is older than others counts as if it had come in its turn. halfLife is positive.
//
// Genres and Items stay sorted, by name and by id. It changes p in place, its lists included, and
// allocates only where they grow. The same event applied twice counts twice.
func Apply(p *schemas.Profile, f *schemas.Feedback, it *schemas.Item, halfLife time.Duration) {
	weight := 1.0
	if f.At.After(p.AsOf) {
		scale(p, fade(f.At.Sub(p.AsOf), halfLife))
		p.AsOf = f.At
	} else {
		weight = fade(p.AsOf.Sub(f.At), halfLife)
	}
	touchItem(p, f)
	if f.Action != schemas.ActionImpression {
		p.Activity += weight
	}
	if it == nil {
		return
	}
	addGenres(p, it.Genres, weight*Preference(f))
	watched := f.Action == schemas.ActionPlay || f.Action == schemas.ActionComplete
	if watched && it.DurationMin > 0 && !math.IsInf(it.DurationMin, 0) {
		p.DurationSum += weight * it.DurationMin
		p.DurationWeight += weight
	}
}

// At writes into dst the profile as a request at time t has to see it: with the weights of p faded to t.
// AsOf stays the time of the latest feedback. dst's own room for genres is used again; Items and the rest
// are shared with p, so dst holds until p changes, and is for reading only. Never apply feedback to it.
//
// A profile cannot be taken back in time: where AsOf is after t, the weights stay as they are, later events
// included. Of Items, the reader leaves out what is dated after t. With t zero nothing fades.
func At(dst, p *schemas.Profile, t time.Time, halfLife time.Duration) {
	genres := append(dst.Genres[:0], p.Genres...)
	*dst = *p
	dst.Genres = genres
	if t.After(p.AsOf) {
		scale(dst, fade(t.Sub(p.AsOf), halfLife))
	}
}

// fade is what is left of a weight after some time.
func fade(age, halfLife time.Duration) float64 {
	return math.Exp2(-float64(age) / float64(halfLife))
}

func scale(p *schemas.Profile, factor float64) {
	p.Activity *= factor
	p.DurationSum *= factor
	p.DurationWeight *= factor
	for i := range p.Genres {
		p.Genres[i].Weight *= factor
	}
}

// Preference is how much an event says that its item was liked; negative is disliked. The package comment has the table.
func Preference(f *schemas.Feedback) float64 {
	switch f.Action {
	case schemas.ActionClick:
		return clickWeight
	case schemas.ActionPlay:
		return playWeight
	case schemas.ActionComplete:
		return completeWeight
	case schemas.ActionDismiss:
		return dismissWeight
	case schemas.ActionRating:
		if math.IsNaN(f.Value) {
			return 0
		}
		return max(-ratingLimit, min(ratingScale*(f.Value-ratingMiddle), ratingLimit))
	default:
		return 0
	}
}

// addGenres adds the weight to each genre once.
func addGenres(p *schemas.Profile, genres []string, weight float64) {
	if weight == 0 {
		return
	}
	for i, genre := range genres {
		if slices.Contains(genres[:i], genre) {
			continue
		}
		at, found := slices.BinarySearchFunc(p.Genres, genre, func(g schemas.GenreWeight, name string) int {
			return strings.Compare(g.Genre, name)
		})
		if !found {
			p.Genres = slices.Insert(p.Genres, at, schemas.GenreWeight{Genre: genre})
		}
		p.Genres[at].Weight += weight
	}
}

// touchItem notes what was done with the item. A click leaves no trace of its own there.
func touchItem(p *schemas.Profile, f *schemas.Feedback) {
	if f.Action == schemas.ActionClick || f.Action == schemas.ActionUnknown {
		return
	}
	at, found := slices.BinarySearchFunc(p.Items, f.ItemID, func(i schemas.ProfileItem, id string) int {
		return strings.Compare(i.ItemID, id)
	})
	if !found {
		p.Items = slices.Insert(p.Items, at, schemas.ProfileItem{ItemID: f.ItemID})
	}
	item := &p.Items[at]
	switch f.Action {
	case schemas.ActionImpression:
		item.Impressions++
	case schemas.ActionDismiss:
		item.Dismissed = latest(item.Dismissed, f.At)
	default:
		item.Seen = latest(item.Seen, f.At)
	}
	if len(p.Items) > schemas.MaxProfileItems {
		forgetItem(p, at, f.At)
	}
}

// forgetItem removes the item that is longest untouched: of those seen and dismissed longest ago, the one
// that was shown least, of those the last by id. Items that were only shown have no time and go first; the
// item at place now was touched at t all the same.
func forgetItem(p *schemas.Profile, now int, t time.Time) {
	touched := func(i int) time.Time {
		last := latest(p.Items[i].Seen, p.Items[i].Dismissed)
		if i == now {
			return latest(last, t)
		}
		return last
	}
	oldest := 0
	for i := range p.Items {
		order := cmp.Or(touched(i).Compare(touched(oldest)), cmp.Compare(p.Items[i].Impressions, p.Items[oldest].Impressions))
		if order <= 0 {
			oldest = i
		}
	}
	p.Items = slices.Delete(p.Items, oldest, oldest+1)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
