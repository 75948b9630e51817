package feature

import (
	"math"
	"slices"
	"time"

	"recstream/schemas"
)

// Part says how often a feature changes.
type Part uint8

// The parts.
const (
	PartRequest Part = iota // with the request: the context, the time, the user
	PartItem                // with the catalogue only
	PartPair                // with the request and the item
)

// maker returns a column's value before its transforms, NaN where it is missing. Makers of the request part
// get no item, makers of the item part no inputs.
type maker func(c *column, in *Inputs, it *schemas.Item) float64

// term is what a feature can be.
type term struct {
	source Source
	field  string
	kind   Kind
}

// meaning is what a term stands for.
type meaning struct {
	part  Part
	needs needs
	make  maker
}

// needs are what a term asks of the declaration, and of Inputs.
type needs uint16

const (
	needsValue needs = 1 << iota
	needsValues
	needsBuckets
	needsAggregate
	needsTime
	needsGenres  // Inputs.genres
	needsItems   // Inputs.items
	needsHistory // Inputs.seen and dismissed
)

// vocabulary is all that can be declared; the package comment describes it.
var vocabulary = map[term]meaning{
	{SourceRequest, "mood", KindOneHot}:             {PartRequest, needsValue, oneHotOf(mood)},
	{SourceRequest, "mood", KindCategory}:           {PartRequest, needsValues, categoryOf(mood)},
	{SourceRequest, "group_size", KindOneHot}:       {PartRequest, needsValue, oneHotOf(groupSize)},
	{SourceRequest, "group_size", KindCategory}:     {PartRequest, needsValues, categoryOf(groupSize)},
	{SourceRequest, "session_length", KindOneHot}:   {PartRequest, needsValue, oneHotOf(sessionLength)},
	{SourceRequest, "session_length", KindCategory}: {PartRequest, needsValues, categoryOf(sessionLength)},
	{SourceRequest, "hour", KindNumber}:             {PartRequest, needsTime, hour},
	{SourceRequest, "weekday", KindNumber}:          {PartRequest, needsTime, weekday},
	{SourceRequest, "limit", KindNumber}:            {PartRequest, 0, limit},

	{SourceItem, "id", KindHashed}:           {PartItem, needsBuckets, hashedOf(itemID)},
	{SourceItem, "genres", KindOneHot}:       {PartItem, needsValue, hasGenre},
	{SourceItem, "genres", KindCount}:        {PartItem, 0, countGenres},
	{SourceItem, "franchise", KindOneHot}:    {PartItem, needsValue, oneHotOf(franchise)},
	{SourceItem, "franchise", KindCategory}:  {PartItem, needsValues, categoryOf(franchise)},
	{SourceItem, "franchise", KindHashed}:    {PartItem, needsBuckets, hashedOf(franchise)},
	{SourceItem, "duration_min", KindNumber}: {PartItem, 0, duration},
	{SourceItem, "year", KindNumber}:         {PartItem, 0, year},
	{SourceItem, "popularity", KindNumber}:   {PartItem, 0, popularity},
	{SourceItem, "added_at", KindRecency}:    {PartPair, needsTime, sinceAdded},

	{SourceUser, "activity", KindNumber}:         {PartRequest, needsTime, activity},
	{SourceUser, "typical_duration", KindNumber}: {PartRequest, needsTime, typicalDuration},
	{SourceUser, "genre_affinity", KindNumber}:   {PartRequest, needsTime | needsValue | needsGenres, userAffinity},
	{SourceUser, "last_activity", KindRecency}:   {PartRequest, needsTime, sinceActive},

	{SourceHistory, "seen", KindCount}:      {PartRequest, needsTime | needsHistory, countSeen},
	{SourceHistory, "dismissed", KindCount}: {PartRequest, needsTime | needsHistory, countDismissed},

	{SourceUserItem, "genre_affinity", KindNumber}: {PartPair, needsTime | needsAggregate | needsGenres, itemAffinity},
	{SourceUserItem, "seen", KindFlag}:             {PartPair, needsTime | needsItems, flagOf(seenAt)},
	{SourceUserItem, "seen", KindRecency}:          {PartPair, needsTime | needsItems, recencyOf(seenAt)},
	{SourceUserItem, "dismissed", KindFlag}:        {PartPair, needsTime | needsItems, flagOf(dismissedAt)},
	{SourceUserItem, "dismissed", KindRecency}:     {PartPair, needsTime | needsItems, recencyOf(dismissedAt)},
	{SourceUserItem, "impressions", KindCount}:     {PartPair, needsItems, countImpressions},
	{SourceUserItem, "duration_min", KindRatio}:    {PartPair, needsTime, durationRatio},
}

// contextWords are the values that a context field can have.
var contextWords = map[string][]string{
	"mood":           words(schemas.NumMoods),
	"group_size":     words(schemas.NumGroupSizes),
	"session_length": words(schemas.NumSessionLengths),
}

func words[T interface {
	~uint8
	String() string
}](n T) (list []string) {
	for v := T(1); v < n; v++ {
		list = append(list, v.String())
	}
	return list
}

// text reads a field that is a name, "" where it is missing.
type text func(in *Inputs, it *schemas.Item) string

func mood(in *Inputs, _ *schemas.Item) string          { return in.request.Mood.String() }
func groupSize(in *Inputs, _ *schemas.Item) string     { return in.request.GroupSize.String() }
func sessionLength(in *Inputs, _ *schemas.Item) string { return in.request.SessionLength.String() }
func itemID(_ *Inputs, it *schemas.Item) string        { return it.ID }
func franchise(_ *Inputs, it *schemas.Item) string     { return it.Franchise }

func oneHotOf(read text) maker {
	return func(c *column, in *Inputs, it *schemas.Item) float64 {
		name := read(in, it)
		if name == "" {
			return math.NaN()
		}
		return number(name == c.value)
	}
}

func categoryOf(read text) maker {
	return func(c *column, in *Inputs, it *schemas.Item) float64 {
		if code, listed := c.codes[read(in, it)]; listed {
			return code
		}
		return math.NaN()
	}
}

func hashedOf(read text) maker {
	return func(c *column, in *Inputs, it *schemas.Item) float64 {
		name := read(in, it)
		if name == "" {
			return math.NaN()
		}
		return float64(murmur3(name) % c.buckets)
	}
}

func hour(_ *column, in *Inputs, _ *schemas.Item) float64 {
	if in.at.IsZero() {
		return math.NaN()
	}
	return float64(in.at.Hour())
}

func weekday(_ *column, in *Inputs, _ *schemas.Item) float64 {
	if in.at.IsZero() {
		return math.NaN()
	}
	return float64((in.at.Weekday() + 6) % 7) // Go's week begins on Sunday
}

func limit(_ *column, in *Inputs, _ *schemas.Item) float64 { return float64(in.request.Limit) }

func hasGenre(c *column, _ *Inputs, it *schemas.Item) float64 {
	if len(it.Genres) == 0 {
		return math.NaN()
	}
	return number(slices.Contains(it.Genres, c.value))
}

func countGenres(_ *column, _ *Inputs, it *schemas.Item) float64 {
	if len(it.Genres) == 0 {
		return math.NaN()
	}
	return float64(len(it.Genres))
}

func duration(_ *column, _ *Inputs, it *schemas.Item) float64   { return known(it.DurationMin) }
func year(_ *column, _ *Inputs, it *schemas.Item) float64       { return known(it.Year) }
func popularity(_ *column, _ *Inputs, it *schemas.Item) float64 { return known(it.Popularity) }

func sinceAdded(_ *column, in *Inputs, it *schemas.Item) float64 { return in.daysSince(it.AddedAt) }

func activity(_ *column, in *Inputs, _ *schemas.Item) float64 {
	if in.profile == nil {
		return math.NaN()
	}
	return in.profile.Activity
}

func typicalDuration(_ *column, in *Inputs, _ *schemas.Item) float64 { return in.typicalDuration() }

func userAffinity(c *column, in *Inputs, _ *schemas.Item) float64 {
	if in.profile == nil {
		return math.NaN()
	}
	return in.affinity(c.value)
}

func sinceActive(_ *column, in *Inputs, _ *schemas.Item) float64 {
	if in.profile == nil {
		return math.NaN()
	}
	return in.daysSince(in.profile.AsOf)
}

func countSeen(_ *column, in *Inputs, _ *schemas.Item) float64      { return in.seen }
func countDismissed(_ *column, in *Inputs, _ *schemas.Item) float64 { return in.dismissed }

// itemAffinity combines the user's affinities to the item's genres; c.combine is the aggregate.
func itemAffinity(c *column, in *Inputs, it *schemas.Item) float64 {
	if in.profile == nil || len(it.Genres) == 0 {
		return math.NaN()
	}
	sum, most := 0.0, math.Inf(-1)
	for _, genre := range it.Genres {
		weight := in.affinity(genre)
		sum += weight
		most = max(most, weight)
	}
	switch c.aggregate {
	case AggregateMax:
		return most
	case AggregateMean:
		return sum / float64(len(it.Genres))
	default:
		return sum
	}
}

// moment reads when a user did something with an item.
type moment func(*schemas.ProfileItem) time.Time

func seenAt(p *schemas.ProfileItem) time.Time      { return p.Seen }
func dismissedAt(p *schemas.ProfileItem) time.Time { return p.Dismissed }

func flagOf(read moment) maker {
	return func(_ *column, in *Inputs, _ *schemas.Item) float64 {
		if in.profile == nil {
			return math.NaN()
		}
		return number(in.item != nil && in.happened(read(in.item)))
	}
}

func recencyOf(read moment) maker {
	return func(_ *column, in *Inputs, _ *schemas.Item) float64 {
		if in.item == nil || !in.happened(read(in.item)) {
			return math.NaN()
		}
		return in.daysSince(read(in.item))
	}
}

func countImpressions(_ *column, in *Inputs, _ *schemas.Item) float64 {
	switch {
	case in.profile == nil:
		return math.NaN()
	case in.item == nil:
		return 0
	}
	return in.item.Impressions
}

func durationRatio(_ *column, in *Inputs, it *schemas.Item) float64 {
	return known(it.DurationMin) / in.typicalDuration()
}

// known returns a number of the catalogue, NaN for the 0 that stands for a missing one.
func known(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}

// number is 1 for true, 0 for false.
func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
