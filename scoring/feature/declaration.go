package feature

import (
	"fmt"

	"recstream/schemas"
)

// Source says what a feature is read from.
type Source string

// The sources.
const (
	SourceRequest  Source = "request"   // the event: context, time
	SourceItem     Source = "item"      // the catalogue
	SourceUser     Source = "user"      // the user's profile
	SourceHistory  Source = "history"   // the items that the user had to do with, together
	SourceUserItem Source = "user_item" // the user and one item
)

// Kind says how a field becomes a number.
type Kind string

// The kinds; the package comment defines them.
const (
	KindOneHot   Kind = "one_hot"
	KindNumber   Kind = "number"
	KindCategory Kind = "category"
	KindFlag     Kind = "flag"
	KindRatio    Kind = "ratio"
	KindRecency  Kind = "recency"
	KindCount    Kind = "count"
	KindHashed   Kind = "hashed"
)

// Aggregate says how several values become one.
type Aggregate string

// The aggregates.
const (
	AggregateSum  Aggregate = "sum"
	AggregateMean Aggregate = "mean"
	AggregateMax  Aggregate = "max"
)

// MissingPolicy says what the model sees where a value is missing.
type MissingPolicy string

// The policies. An indicator is a feature of its own, as a column of scikit-learn's MissingIndicator: 1
// where the value is missing, else 0; the value itself, if wanted, is another feature of the same field.
const (
	MissingConstant  MissingPolicy = "constant" // Missing.Value
	MissingNaN       MissingPolicy = "nan"      // NaN, for models that know missing values
	MissingIndicator MissingPolicy = "indicator"
)

// Missing is a feature's policy for missing values. The zero value is the constant 0.
type Missing struct {
	Policy MissingPolicy `yaml:"policy,omitempty" json:"policy,omitempty"` // "" is constant
	Value  float64       `yaml:"value,omitempty" json:"value,omitempty"`   // of a constant
}

// Feature declares one input of a model. Which of the fields after Field are needed depends on the kind;
// those that are not must be left out.
type Feature struct {
	Name       string      `yaml:"name" json:"name"` // as the model file names it; unique
	Source     Source      `yaml:"source" json:"source"`
	Kind       Kind        `yaml:"kind" json:"kind"`
	Field      string      `yaml:"field" json:"field"`
	Value      string      `yaml:"value,omitempty" json:"value,omitempty"`           // of a one_hot; the genre of an affinity
	Values     []string    `yaml:"values,omitempty" json:"values,omitempty"`         // of a category, in the order of their codes
	Buckets    int         `yaml:"buckets,omitempty" json:"buckets,omitempty"`       // of a hashed, 2 to MaxBuckets
	Aggregate  Aggregate   `yaml:"aggregate,omitempty" json:"aggregate,omitempty"`   // of user_item's genre_affinity
	Transforms []Transform `yaml:"transforms,omitempty" json:"transforms,omitempty"` // one after the other
	Missing    Missing     `yaml:"missing,omitempty" json:"missing,omitzero"`
	Label      string      `yaml:"label,omitempty" json:"label,omitempty"` // for people, in explanations; "" is one made of the above
}

// Limits that New enforces.
const (
	MaxFeatures = 10_000
	MaxBuckets  = 1 << 20
	MaxLabel    = 80 // bytes
)

// Declaration lists a model's features, in the model's order.
type Declaration struct {
	Features []Feature `yaml:"features" json:"features"`
}

// Error says which part of a declaration cannot be made into features, and why.
type Error struct {
	Index  int    // of the feature, from 0; -1 where the declaration as a whole is at fault
	Name   string // of the feature
	Field  string // its key in the declaration, such as "kind" or "transforms[0].mean"
	Detail string
}

// Error names the feature and the key.
func (e *Error) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("%s: %s", e.Field, e.Detail)
	}
	return fmt.Sprintf("features[%d] %q: %s: %s", e.Index, e.Name, e.Field, e.Detail)
}

// Default declares the seventeen features of the original recommender: ten one-hot values of the context,
// five genres, the duration in minutes and the year; what is missing is 0.
func Default() Declaration {
	var d Declaration
	oneHot := func(name string, s Source, field, value string) {
		d.Features = append(d.Features, Feature{Name: name, Source: s, Kind: KindOneHot, Field: field, Value: value})
	}
	for m := schemas.MoodUnknown + 1; m < schemas.NumMoods; m++ {
		oneHot("mood_"+m.String(), SourceRequest, "mood", m.String())
	}
	for g := schemas.GroupUnknown + 1; g < schemas.NumGroupSizes; g++ {
		oneHot("group_"+g.String(), SourceRequest, "group_size", g.String())
	}
	for s := schemas.SessionUnknown + 1; s < schemas.NumSessionLengths; s++ {
		oneHot("session_"+s.String(), SourceRequest, "session_length", s.String())
	}
	for _, genre := range [][2]string{
		{"comedy", "Comedy"}, {"action", "Action"}, {"drama", "Drama"}, {"thriller", "Thriller"}, {"scifi", "Science Fiction"},
	} {
		oneHot("genre_"+genre[0], SourceItem, "genres", genre[1])
	}
	d.Features = append(d.Features,
		Feature{Name: "duration", Source: SourceItem, Kind: KindNumber, Field: "duration_min"},
		Feature{Name: "year", Source: SourceItem, Kind: KindNumber, Field: "year"})
	return d
}
