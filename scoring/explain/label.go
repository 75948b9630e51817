package explain

import (
	"math"

	"recstream/scoring/feature"
)

// term is what a label depends on.
type term struct {
	source feature.Source
	field  string
	kind   feature.Kind
}

// taste begins the labels of features that say what the user likes. Reasons know such features by it, so one with
// a label of its own is a ground like any other feature.
const taste = "how much you like"

// labels call everything that can be declared by a name for people. What has values gets its value behind a colon.
var labels = map[term]string{
	{feature.SourceRequest, "mood", feature.KindOneHot}:             "mood",
	{feature.SourceRequest, "mood", feature.KindCategory}:           "mood",
	{feature.SourceRequest, "group_size", feature.KindOneHot}:       "company",
	{feature.SourceRequest, "group_size", feature.KindCategory}:     "company",
	{feature.SourceRequest, "session_length", feature.KindOneHot}:   "time",
	{feature.SourceRequest, "session_length", feature.KindCategory}: "time",
	{feature.SourceRequest, "hour", feature.KindNumber}:             "hour of the day",
	{feature.SourceRequest, "weekday", feature.KindNumber}:          "day of the week",
	{feature.SourceRequest, "limit", feature.KindNumber}:            "items asked for",

	{feature.SourceItem, "id", feature.KindHashed}:           "which item it is",
	{feature.SourceItem, "genres", feature.KindOneHot}:       "genre",
	{feature.SourceItem, "genres", feature.KindCount}:        "number of genres",
	{feature.SourceItem, "franchise", feature.KindOneHot}:    "franchise",
	{feature.SourceItem, "franchise", feature.KindCategory}:  "franchise",
	{feature.SourceItem, "franchise", feature.KindHashed}:    "franchise",
	{feature.SourceItem, "duration_min", feature.KindNumber}: "minutes",
	{feature.SourceItem, "year", feature.KindNumber}:         "year",
	{feature.SourceItem, "popularity", feature.KindNumber}:   "popularity",
	{feature.SourceItem, "added_at", feature.KindRecency}:    "days since it was added",

	{feature.SourceUser, "activity", feature.KindNumber}:         "how active you are",
	{feature.SourceUser, "typical_duration", feature.KindNumber}: "minutes that you usually watch",
	{feature.SourceUser, "genre_affinity", feature.KindNumber}:   taste,
	{feature.SourceUser, "last_activity", feature.KindRecency}:   "days since you were active",

	{feature.SourceHistory, "seen", feature.KindCount}:      "how many you have seen",
	{feature.SourceHistory, "dismissed", feature.KindCount}: "how many you have dismissed",

	{feature.SourceUserItem, "genre_affinity", feature.KindNumber}: taste + " its genres",
	{feature.SourceUserItem, "seen", feature.KindFlag}:             "seen by you",
	{feature.SourceUserItem, "seen", feature.KindRecency}:          "days since you saw it",
	{feature.SourceUserItem, "dismissed", feature.KindFlag}:        "dismissed by you",
	{feature.SourceUserItem, "dismissed", feature.KindRecency}:     "days since you dismissed it",
	{feature.SourceUserItem, "impressions", feature.KindCount}:     "how often you were shown it",
	{feature.SourceUserItem, "duration_min", feature.KindRatio}:    "its length against your usual one",
}

// Label names a feature for people at a value that the model saw, such as "genre: Comedy", "genre: not Comedy" or
// "minutes". It is the declaration's own label where it has one, and the feature's name where nothing else is known.
func Label(f *feature.Feature, value float64) string {
	text, known := labels[term{f.Source, f.Field, f.Kind}]
	switch {
	case f.Label != "":
		return f.Label
	case !known:
		return f.Name
	case f.Kind == feature.KindNumber && f.Value != "":
		text += " " + f.Value // the genre of an affinity
	}
	switch {
	case f.Missing.Policy == feature.MissingIndicator && value == 0:
		return text + ": known"
	case f.Missing.Policy == feature.MissingIndicator || math.IsNaN(value):
		return text + ": unknown"
	}
	return withValue(f, text, value)
}

// withValue adds what the value stands for, where it is a name. A transformed one does not tell.
func withValue(f *feature.Feature, text string, value float64) string {
	plain := len(f.Transforms) == 0
	switch f.Kind {
	case feature.KindOneHot:
		switch {
		case !plain:
			return text + ": " + f.Value + " or not"
		case value == 0:
			return text + ": not " + f.Value
		}
		return text + ": " + f.Value
	case feature.KindCategory:
		if code := int(value); value >= 0 && code < len(f.Values) && float64(code) == value {
			return text + ": " + f.Values[code]
		}
	case feature.KindFlag:
		switch {
		case !plain:
			return text + " or not"
		case value == 0:
			return "not " + text
		}
	default: // the number says it
	}
	return text
}
