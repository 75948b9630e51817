package feature

import (
	"hash/maphash"
	"math"
	"time"

	"recstream/schemas"
)

// Inputs is what a request's features are made from, prepared once for all its candidates. The zero value
// is ready for Prepare; one goroutine uses it, request after request. It keeps the request and the profile
// of the last Prepare, which must not change while features are made.
type Inputs struct {
	request *schemas.Request
	profile *schemas.Profile // nil is an unknown user
	at      time.Time        // of the request, UTC; zero where it has none

	seen, dismissed float64 // distinct items of the profile, by the request's time

	genres index // places in profile.Genres
	items  index // places in profile.Items

	item *schemas.ProfileItem // of the candidate at hand; nil where the profile has none
}

// Prepare makes in ready for the request and the user's profile, nil for an unknown user. The profile's
// weights are taken as they are: the caller decays them to the request's time first. Where the event had no
// time, the caller sets req.RequestedAt; without one, what depends on the time is missing.
func (e *Extractor) Prepare(in *Inputs, req *schemas.Request, p *schemas.Profile) {
	in.request, in.profile = req, p
	in.at = req.RequestedAt.UTC()
	in.seen, in.dismissed = math.NaN(), math.NaN()
	if p == nil {
		return
	}
	if e.usesGenres {
		in.genres.reset(len(p.Genres))
		for i := range p.Genres {
			in.genres.add(p.Genres[i].Genre, i)
		}
	}
	if e.usesItems {
		in.items.reset(len(p.Items))
		for i := range p.Items {
			in.items.add(p.Items[i].ItemID, i)
		}
	}
	if e.usesHistory {
		in.countHistory()
	}
}

func (in *Inputs) countHistory() {
	in.seen, in.dismissed = 0, 0
	for i := range in.profile.Items {
		in.seen += number(in.happened(in.profile.Items[i].Seen))
		in.dismissed += number(in.happened(in.profile.Items[i].Dismissed))
	}
}

// happened reports whether something is known to have been done at t, by the request's time.
func (in *Inputs) happened(t time.Time) bool {
	return !t.IsZero() && (in.at.IsZero() || !t.After(in.at))
}

// daysSince returns how many days before the request t was, at least 0, or NaN where either is unknown.
func (in *Inputs) daysSince(t time.Time) float64 {
	if t.IsZero() || in.at.IsZero() {
		return math.NaN()
	}
	const day = 24 * time.Hour
	return max(0, float64(in.at.Sub(t))/float64(day))
}

// typicalDuration returns the user's in minutes, or NaN where it is unknown.
func (in *Inputs) typicalDuration() float64 {
	if in.profile == nil || in.profile.DurationWeight <= 0 {
		return math.NaN()
	}
	return in.profile.DurationSum / in.profile.DurationWeight
}

// affinity returns the known user's weight for a genre, 0 without evidence.
func (in *Inputs) affinity(genre string) float64 {
	if i := in.genres.find(genre); i >= 0 {
		return in.profile.Genres[i].Weight
	}
	return 0
}

// findItem makes it the candidate at hand.
func (in *Inputs) findItem(it *schemas.Item) {
	in.item = nil
	if in.profile == nil {
		return
	}
	if i := in.items.find(it.ID); i >= 0 {
		in.item = &in.profile.Items[i]
	}
}

// index finds places by name: a hash table with linear probing, at most half full, whose room is used again.
type index struct {
	slots []slot // a power of two of them
	mask  uint64
}

type slot struct {
	name  string
	place int32 // from 1; 0 is an empty slot
}

// seed is the process's own: what an index gives does not depend on it.
var seed = maphash.MakeSeed()

// reset empties the index and makes room for n names.
func (x *index) reset(n int) {
	size := 8
	for size < 2*n {
		size *= 2
	}
	if size > cap(x.slots) {
		x.slots = make([]slot, size)
	}
	x.slots = x.slots[:size]
	clear(x.slots)
	x.mask = uint64(size - 1)
}

func (x *index) add(name string, place int) {
	i := maphash.String(seed, name) & x.mask
	for x.slots[i].place != 0 {
		i = (i + 1) & x.mask
	}
	x.slots[i] = slot{name, int32(place) + 1}
}

// find returns the place of the first of that name, or -1.
func (x *index) find(name string) int {
	i := maphash.String(seed, name) & x.mask
	for x.slots[i].place != 0 {
		if x.slots[i].name == name {
			return int(x.slots[i].place) - 1
		}
		i = (i + 1) & x.mask
	}
	return -1
}
