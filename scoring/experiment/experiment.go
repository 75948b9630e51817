// Package experiment says which variant of which experiment a user gets. Assignment is a hash of the user's
// id, GrowthBook's, so it is sticky, needs no storage, and can be reproduced in any of GrowthBook's SDKs.
package experiment

import (
	"errors"
	"fmt"
	"math"
	"regexp"
)

// Experiment splits users between variants. The yaml tags are its keys in a file, the json tags those in the
// database.
type Experiment struct {
	Name string `yaml:"name" json:"name"`
	// Seed goes into the hash; empty is the name. Two experiments with one seed split users alike.
	Seed string `yaml:"seed,omitempty" json:"seed,omitempty"`
	// Coverage is the share of users that take part, 0 to 1; nil stands for 1.
	Coverage *float64 `yaml:"coverage,omitempty" json:"coverage,omitempty"`
	// Namespace keeps experiments from sharing users; nil is none.
	Namespace *Namespace `yaml:"namespace,omitempty" json:"namespace,omitempty"`
	Variants  []Variant  `yaml:"variants" json:"variants"`
	// Shadows are scored for every user that takes part, and stored; nobody is served by them.
	Shadows []Variant `yaml:"shadows,omitempty" json:"shadows,omitempty"`
}

// Namespace is a range of a space that experiments divide among themselves: a user's place in the space is
// the same for all of them, so ranges that do not overlap share no user.
type Namespace struct {
	Name  string  `yaml:"name" json:"name"`
	Start float64 `yaml:"start" json:"start"` // 0 to 1, included
	End   float64 `yaml:"end" json:"end"`     // 0 to 1, not included
}

// Variant is one way to decide.
type Variant struct {
	Name string `yaml:"name" json:"name"`
	// Weight is the variant's share of the users that take part; those of an experiment add up to 1. All 0
	// stands for equal shares. A shadow has none.
	Weight float64 `yaml:"weight,omitempty" json:"weight,omitempty"`
	// Model is the version that decides, as name@version; empty is the active one.
	Model string `yaml:"model,omitempty" json:"model,omitempty"`
	// SHA256 is what the model's bundle must have; the experiment's start fills it in.
	SHA256 string `yaml:"sha256,omitempty" json:"sha256,omitempty"`
	// Params are scoring parameters in YAML that replace the configured ones, key by key; empty changes none.
	Params string `yaml:"params,omitempty" json:"params,omitempty"`
}

// names are what experiments and variants may be called.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// weightTolerance is how far from 1 the sum of weights may be, as in GrowthBook.
const weightTolerance = 0.01

// Validate reports every value that cannot work, each by its field. What a variant's model and parameters
// are is for those who load them.
func (e *Experiment) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !names.MatchString(e.Name) {
		add("name: %q is not 1 to 64 letters, digits, dots, dashes or underscores", e.Name)
	}
	if c := e.Share(); !(c >= 0 && c <= 1) {
		add("coverage: %v is not 0 to 1", c)
	}
	if n := e.Namespace; n != nil {
		if n.Name == "" {
			add("namespace.name: missing")
		}
		if !(n.Start >= 0 && n.Start < n.End && n.End <= 1) {
			add("namespace: %v to %v is no range within 0 to 1", n.Start, n.End)
		}
	}
	if len(e.Variants) == 0 && len(e.Shadows) == 0 {
		add("variants: there are none")
	}
	errs = append(errs, e.checkVariants()...)
	return errors.Join(errs...)
}

func (e *Experiment) checkVariants() (errs []error) {
	seen := map[string]bool{}
	check := func(field string, list []Variant) {
		for i, v := range list {
			switch {
			case !names.MatchString(v.Name):
				errs = append(errs, fmt.Errorf("%s[%d].name: %q is not 1 to 64 letters, digits, dots, dashes or underscores", field, i, v.Name))
			case seen[v.Name]:
				errs = append(errs, fmt.Errorf("%s[%d].name: %q is there twice", field, i, v.Name))
			}
			seen[v.Name] = true
		}
	}
	check("variants", e.Variants)
	check("shadows", e.Shadows)
	sum := 0.0
	for i, v := range e.Variants {
		if !(v.Weight >= 0 && v.Weight <= 1) {
			errs = append(errs, fmt.Errorf("variants[%d].weight: %v is not 0 to 1", i, v.Weight))
		}
		sum += v.Weight
	}
	if len(e.Variants) > 0 && sum != 0 && !(math.Abs(sum-1) <= weightTolerance) {
		errs = append(errs, fmt.Errorf("variants: the weights add up to %v, not to 1", sum))
	}
	for i, v := range e.Shadows {
		if v.Weight != 0 {
			errs = append(errs, fmt.Errorf("shadows[%d].weight: a shadow has none", i))
		}
	}
	return errs
}

// Assign returns the variant that the user gets, by index, or ok false where the user takes no part: an
// anonymous user, one outside of the namespace's range, or beyond the coverage. An experiment without variants
// assigns index -1 to those that take part in its shadows.
func (e *Experiment) Assign(userID string) (variant int, ok bool) {
	if userID == "" || !e.inNamespace(userID) {
		return 0, false
	}
	n := hashV2(e.seed(), userID)
	if len(e.Variants) == 0 {
		return -1, n < e.Share()
	}
	start := 0.0
	for i := range e.Variants {
		// More coverage moves nobody from one variant to another: only where a range ends depends on it.
		weight := e.weight(i)
		// The conversion keeps the product a product: fused with the sum, it would round otherwise on some machines.
		if n >= start && n < start+float64(e.Share()*weight) {
			return i, true
		}
		start += weight
	}
	return 0, false
}

func (e *Experiment) inNamespace(userID string) bool {
	if e.Namespace == nil {
		return true
	}
	n := hashV1("__"+e.Namespace.Name, userID)
	return n >= e.Namespace.Start && n < e.Namespace.End
}

func (e *Experiment) seed() string {
	if e.Seed != "" {
		return e.Seed
	}
	return e.Name
}

// Share is the share of users that take part.
func (e *Experiment) Share() float64 {
	if e.Coverage == nil {
		return 1
	}
	return *e.Coverage
}

func (e *Experiment) weight(i int) float64 {
	for _, v := range e.Variants {
		if v.Weight != 0 {
			return e.Variants[i].Weight
		}
	}
	return 1 / float64(len(e.Variants))
}
