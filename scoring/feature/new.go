package feature

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// New returns the extractor of a declaration. What it cannot make it refuses with an *Error that names the
// feature and the key at fault: the first of them.
func New(d Declaration) (*Extractor, error) {
	if n := len(d.Features); n == 0 || n > MaxFeatures {
		return nil, &Error{-1, "", "features", fmt.Sprintf("are %d; a model has 1 to %d", n, MaxFeatures)}
	}
	e := &Extractor{contextOnly: true}
	names := make(map[string]int, len(d.Features))
	for i := range d.Features {
		f := &d.Features[i]
		if first, dup := names[f.Name]; dup {
			return nil, &Error{i, f.Name, "name", fmt.Sprintf("is that of features[%d] too", first)}
		}
		names[f.Name] = i
		if field, detail := e.add(f); detail != "" {
			return nil, &Error{i, f.Name, field, detail}
		}
	}
	return e, nil
}

// add appends a feature, or returns the key at fault and why.
func (e *Extractor) add(f *Feature) (field, detail string) {
	if f.Name == "" {
		return "name", "is missing"
	}
	m, ok := vocabulary[term{f.Source, f.Field, f.Kind}]
	if !ok {
		return f.unknown()
	}
	if field, detail = f.checkParameters(m.needs); detail != "" {
		return field, detail
	}
	if len(f.Label) > MaxLabel {
		return "label", fmt.Sprintf("has %d bytes; use up to %d", len(f.Label), MaxLabel)
	}
	c := column{
		at: len(e.names), user: f.isUser(), make: m.make, policy: f.Missing.Policy, constant: f.Missing.Value,
		value: f.Value, buckets: uint32(f.Buckets), aggregate: f.Aggregate,
	}
	if c.codes, field, detail = f.codes(); detail != "" {
		return field, detail
	}
	if c.steps, field, detail = f.compileTransforms(); detail != "" {
		return field, detail
	}
	e.append(c, f, &m)
	return "", ""
}

// append enters a column and what it needs.
func (e *Extractor) append(c column, f *Feature, m *meaning) {
	e.names = append(e.names, f.Name)
	e.parts = append(e.parts, m.part)
	e.columns[m.part] = append(e.columns[m.part], c)
	e.usesGenres = e.usesGenres || m.needs&needsGenres != 0
	e.usesItems = e.usesItems || m.needs&needsItems != 0
	e.usesHistory = e.usesHistory || m.needs&needsHistory != 0
	e.needsTime = e.needsTime || m.needs&needsTime != 0
	e.needsClock = e.needsClock || m.needs&needsTime != 0 && !f.isUser()
	e.needsProfile = e.needsProfile || f.isUser()
	e.contextOnly = e.contextOnly && (m.part == PartItem || f.isContext())
	if m.part == PartRequest && f.isUser() {
		e.user = append(e.user, c.at)
	}
}

// unknown says which of source, field and kind is not in the vocabulary, and what is.
func (f *Feature) unknown() (field, detail string) {
	var sources, fields, kinds []string
	for t := range maps.Keys(vocabulary) {
		sources = append(sources, string(t.source))
		if t.source == f.Source {
			fields = append(fields, t.field)
			if t.field == f.Field {
				kinds = append(kinds, string(t.kind))
			}
		}
	}
	switch {
	case fields == nil:
		return "source", fmt.Sprintf("%q is none of %s", f.Source, list(sources))
	case kinds == nil:
		return "field", fmt.Sprintf("%q is none of source %s, which has %s", f.Field, f.Source, list(fields))
	}
	return "kind", fmt.Sprintf("%q cannot be made of %s %s; use %s", f.Kind, f.Source, f.Field, list(kinds))
}

func list(words []string) string {
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}

// checkParameters wants what the term needs and nothing else.
func (f *Feature) checkParameters(n needs) (field, detail string) {
	for _, p := range []struct {
		name        string
		need, given bool
	}{
		{"value", n&needsValue != 0, f.Value != ""},
		{"values", n&needsValues != 0, len(f.Values) > 0},
		{"buckets", n&needsBuckets != 0, f.Buckets != 0},
		{"aggregate", n&needsAggregate != 0, f.Aggregate != ""},
	} {
		if p.need && !p.given {
			return p.name, fmt.Sprintf("is missing; %s %s of kind %s needs it", f.Source, f.Field, f.Kind)
		}
		if p.given && !p.need {
			return p.name, fmt.Sprintf("is of no use to %s %s of kind %s; leave it out", f.Source, f.Field, f.Kind)
		}
	}
	if allowed := contextWords[f.Field]; f.Value != "" && allowed != nil && !slices.Contains(allowed, f.Value) {
		return "value", fmt.Sprintf("%q is none of %s", f.Value, strings.Join(allowed, ", "))
	}
	if f.Buckets != 0 && (f.Buckets < 2 || f.Buckets > MaxBuckets) {
		return "buckets", fmt.Sprintf("are %d; use 2 to %d", f.Buckets, MaxBuckets)
	}
	switch f.Aggregate {
	case "", AggregateSum, AggregateMean, AggregateMax:
	default:
		return "aggregate", fmt.Sprintf("%q is none of sum, mean, max", f.Aggregate)
	}
	return f.checkMissing()
}

// codes numbers the values of a category. It refuses one that is empty, there twice, or never in a context.
func (f *Feature) codes() (codes map[string]float64, field, detail string) {
	allowed := contextWords[f.Field]
	codes = make(map[string]float64, len(f.Values))
	for i, v := range f.Values {
		field = fmt.Sprintf("values[%d]", i)
		_, dup := codes[v]
		switch {
		case v == "":
			return nil, field, "is empty"
		case dup:
			return nil, field, fmt.Sprintf("%q is there before", v)
		case allowed != nil && !slices.Contains(allowed, v):
			return nil, field, fmt.Sprintf("%q is none of %s", v, strings.Join(allowed, ", "))
		}
		codes[v] = float64(i)
	}
	return codes, "", ""
}

func (f *Feature) checkMissing() (field, detail string) {
	switch f.Missing.Policy {
	case "", MissingConstant:
		if !isFinite(f.Missing.Value) {
			return "missing.value", "must be a finite number; for NaN use policy nan"
		}
	case MissingNaN, MissingIndicator:
		if f.Missing.Value != 0 {
			return "missing.value", fmt.Sprintf("is of no use to policy %s; leave it out", f.Missing.Policy)
		}
	default:
		return "missing.policy", fmt.Sprintf("%q is none of constant, nan, indicator", f.Missing.Policy)
	}
	return "", ""
}

// compileTransforms refuses transforms of what is no quantity.
func (f *Feature) compileTransforms() (steps []step, field, detail string) {
	if len(f.Transforms) == 0 {
		return nil, "", ""
	}
	switch {
	case f.Kind == KindCategory || f.Kind == KindHashed:
		return nil, "transforms", fmt.Sprintf("mean nothing to kind %s, whose numbers are names; leave them out", f.Kind)
	case f.Missing.Policy == MissingIndicator:
		return nil, "transforms", "mean nothing to an indicator; leave them out"
	}
	for i := range f.Transforms {
		s, field, detail := f.Transforms[i].compile()
		if detail != "" {
			return nil, fmt.Sprintf("transforms[%d].%s", i, field), detail
		}
		steps = append(steps, s)
	}
	return steps, "", ""
}
