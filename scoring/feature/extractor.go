package feature

import (
	"math"
	"slices"

	"recstream/schemas"
)

// Extractor makes the features of one declaration. It does not change once made, so goroutines share it;
// each has Inputs of its own.
type Extractor struct {
	names   []string
	parts   []Part
	columns [PartPair + 1][]column // by part, in the declaration's order
	user    []int                  // of the request part, those from user and history

	usesGenres, usesItems, usesHistory bool // what Prepare has to make

	needsProfile, needsTime, needsClock, contextOnly bool
}

// column makes one feature.
type column struct {
	at    int // its place in the whole vector
	user  bool
	make  maker
	steps []step

	policy   MissingPolicy
	constant float64

	// Of the declaration, as far as its kind has them.
	value     string
	codes     map[string]float64 // of values
	buckets   uint32
	aggregate Aggregate
}

// Names are the features in the model's order. The slice belongs to e and must not be changed.
func (e *Extractor) Names() []string { return e.names }

// Parts are the features' parts, in the model's order. The slice belongs to e and must not be changed.
func (e *Extractor) Parts() []Part { return e.parts }

// NumItems is how many features the item part has.
func (e *Extractor) NumItems() int { return len(e.columns[PartItem]) }

// NumPairs is how many features the pair part has.
func (e *Extractor) NumPairs() int { return len(e.columns[PartPair]) }

// UserFeatures are the places of the request part's features that are made from the user's profile and
// history, ascending. The slice belongs to e and must not be changed.
func (e *Extractor) UserFeatures() []int { return e.user }

// NeedsProfile reports whether any feature is made from the user's profile.
func (e *Extractor) NeedsProfile() bool { return e.needsProfile }

// NeedsTime reports whether any feature depends on the request's time: its hour and weekday, recencies, and
// all of a profile that decays.
func (e *Extractor) NeedsTime() bool { return e.needsTime }

// NeedsClock reports whether that is so for a user without a profile too, of whom all is missing at any time.
func (e *Extractor) NeedsClock() bool { return e.needsClock }

// ContextOnly reports whether a vector depends on nothing but the request's context and the item, so that
// predictions can be remembered by them.
func (e *Extractor) ContextOnly() bool { return e.contextOnly }

// Request writes the request part at its places into dst, a whole vector; the other places stay. It panics
// when dst is shorter than Names.
func (e *Extractor) Request(dst []float64, in *Inputs) {
	columns := e.columns[PartRequest]
	for i := range columns {
		dst[columns[i].at] = columns[i].evaluate(in, nil)
	}
}

// Item writes the item part into dst, NumItems values in the model's order. It panics when dst is shorter.
func (e *Extractor) Item(dst []float64, it *schemas.Item) {
	columns := e.columns[PartItem]
	for i := range columns {
		dst[i] = columns[i].evaluate(nil, it)
	}
}

// Pair writes the pair part into dst, NumPairs values in the model's order. It panics when dst is shorter.
func (e *Extractor) Pair(dst []float64, in *Inputs, it *schemas.Item) {
	if e.usesItems {
		in.findItem(it)
	}
	columns := e.columns[PartPair]
	for i := range columns {
		dst[i] = columns[i].evaluate(in, it)
	}
}

// Vector writes all parts into dst, len(Names) values in the model's order: what a model sees of one
// request and one item. It is for single vectors; ranking makes the parts apart. It panics when dst is shorter.
func (e *Extractor) Vector(dst []float64, in *Inputs, it *schemas.Item) {
	if e.usesItems {
		in.findItem(it)
	}
	for _, columns := range e.columns {
		for i := range columns {
			dst[columns[i].at] = columns[i].evaluate(in, it)
		}
	}
}

// Missing counts the features of the user, and of the user with the item, whose values are missing, whatever the
// model sees in their place.
func (e *Extractor) Missing(in *Inputs, it *schemas.Item) (n int) {
	if !e.needsProfile {
		return 0
	}
	if e.usesItems {
		in.findItem(it)
	}
	for _, part := range []Part{PartRequest, PartPair} {
		for i := range e.columns[part] {
			if c := &e.columns[part][i]; c.user && !isFinite(c.transformed(in, it)) {
				n++
			}
		}
	}
	return n
}

// transformed makes the feature's value after its transforms; it is not finite where it is missing.
func (c *column) transformed(in *Inputs, it *schemas.Item) float64 {
	v := c.make(c, in, it)
	for _, s := range c.steps {
		v = s(v)
	}
	return v
}

// evaluate makes the feature as the model sees it.
func (c *column) evaluate(in *Inputs, it *schemas.Item) float64 {
	v := c.transformed(in, it)
	switch {
	case c.policy == MissingIndicator:
		return number(!isFinite(v))
	case isFinite(v):
		return v
	case c.policy == MissingNaN:
		return math.NaN()
	}
	return c.constant
}

// isContext reports whether a feature is made from the context alone.
func (f *Feature) isContext() bool { return f.Source == SourceRequest && contextWords[f.Field] != nil }

func (f *Feature) isUser() bool {
	return slices.Contains([]Source{SourceUser, SourceHistory, SourceUserItem}, f.Source)
}
