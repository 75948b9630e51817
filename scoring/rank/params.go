package rank

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
)

// Params say how scores are blended and how the best are chosen. They are configuration: the yaml tags are the
// keys, the desc tags their documentation.
type Params struct {
	Weights           Weights       `yaml:"weights"`
	Calibration       Calibration   `yaml:"calibration"`
	FreshnessHalfLife time.Duration `yaml:"freshness_half_life" desc:"Age at which an item is half as fresh as a new one"`
	Boosts            []Boost       `yaml:"boosts" desc:"Business rules: what is added to the scores of some items, for a time"`
	Diversity         Diversity     `yaml:"diversity"`
	Caps              Caps          `yaml:"caps"`
	Page              int           `yaml:"page" desc:"Items of the first page, within which no two are nearly identical"`
	NearIdentical     float64       `yaml:"near_identical" desc:"Similarity, 0 to 1, from which on two items are nearly identical; above 1 none are but those of one title and year"`
}

// Weights are those of the terms of a score; 0 leaves a term out.
type Weights struct {
	Base       float64 `yaml:"base" desc:"Weight of the tier's own measure: of a model the calibrated prediction"`
	Affinity   float64 `yaml:"affinity" desc:"Weight of what the user's profile says of the item's genres, -1 to 1"`
	Freshness  float64 `yaml:"freshness" desc:"Weight of the item's freshness, 0 to 1"`
	Popularity float64 `yaml:"popularity" desc:"Weight of the item's popularity in the catalogue, 0 to 1"`
	Similarity float64 `yaml:"similarity" desc:"Weight of the likeness to the request's similar_to, 0 to 1"`
}

// Calibration makes of a model's prediction p, a probability, the one that is blended: 1/(1+exp(-(slope·logit(p)+intercept))),
// as Platt scaling has it. Slope 1 and intercept 0 leave every prediction as it is, those that are no probabilities
// included; anything else is for classifiers only.
type Calibration struct {
	Slope     float64 `yaml:"slope" desc:"Slope of the Platt scaling of a classifier's predictions"`
	Intercept float64 `yaml:"intercept" desc:"Intercept of the Platt scaling"`
}

// Boost adds to the scores of the items that match all of its conditions. A condition that is empty matches every item.
// Groups wants an item that names one of the companies: one that suits all names none, and does not match.
type Boost struct {
	Name        string    `yaml:"name" desc:"Name of the rule, for people"`
	Add         float64   `yaml:"add" desc:"What is added to the score; negative is a demotion"`
	From        time.Time `yaml:"from" desc:"First moment of the rule, RFC 3339, in the time of events; empty is always"`
	Until       time.Time `yaml:"until" desc:"Moment from which on the rule does not hold any more; empty is never"`
	Items       []string  `yaml:"items" desc:"Item ids, one of which it has to be"`
	Genres      []string  `yaml:"genres" desc:"Genres, one of which the item must have, spelled alike to the case"`
	Franchises  []string  `yaml:"franchises" desc:"Franchises, one of which it must be of"`
	Tags        []string  `yaml:"tags" desc:"Tags, one of which the item must have"`
	Groups      []string  `yaml:"groups" desc:"Companies (solo, couple, group), one of which the item must be made for by its own suitability"`
	Title       string    `yaml:"title" desc:"Text that the title must contain, in any case"`
	Year        Range     `yaml:"year"`
	Duration    Range     `yaml:"duration_min"`
	Popularity  Range     `yaml:"popularity"`
	AgeDays     Range     `yaml:"age_days" desc:"Days since the item was added, 0 for one that is added later"`
	ExpiresDays Range     `yaml:"expires_days" desc:"Days until the item expires; one that never does is in no range"`
}

// Range is min ≤ value < max. An end that is left out, nil, is open. Where an end is given, a missing value does not match;
// nor do the days until an item expires that never does.
type Range struct {
	Min *float64 `yaml:"min" desc:"Least value; empty is none"`
	Max *float64 `yaml:"max" desc:"Value that the item's stays below; empty is no end"`
}

// Diversity says how much an item has to differ from those before it.
type Diversity struct {
	Strength float64 `yaml:"strength" desc:"Weight of difference against score, 0 to 1, where the request does not say; 0 is by score alone"`
	Pool     int     `yaml:"pool" desc:"How many of the best by score are compared with one another"`
}

// Caps limit how many items of an answer are alike; 0 is no limit.
type Caps struct {
	Genre     int `yaml:"genre" desc:"Most items of an answer with one genre; 0 is no limit"`
	Franchise int `yaml:"franchise" desc:"Most items of one franchise; 0 is no limit"`
	YearBand  int `yaml:"year_band" desc:"Most items of one band of years; 0 is no limit"`
	BandYears int `yaml:"band_years" desc:"Years of a band; 10 makes decades"`
}

// Limits of the parameters. Those of numbers keep every sum of terms finite, and far from where adding a small term to a
// large one is lost in rounding.
const (
	MaxBoosts      = 1000
	MaxPool        = 2000
	MaxWeight      = 1e6 // of a term; a business rule adds or takes no more either
	MaxCalibration = 1e3 // slope, and intercept on either side of 0
)

// DefaultParams returns the parameters that hold where nothing is configured: the order is that of the tier's own
// measure and of the likeness to the item that a request names; no two of a page are almost the same.
func DefaultParams() Params {
	return Params{
		Weights:           Weights{Base: 1, Similarity: 1},
		Calibration:       Calibration{Slope: 1},
		FreshnessHalfLife: 30 * 24 * time.Hour,
		Diversity:         Diversity{Pool: 200},
		Caps:              Caps{BandYears: 10},
		Page:              10,
		NearIdentical:     0.95,
	}
}

// Validate reports every value that cannot work, each by the name of its field.
func (p *Params) Validate() error {
	var errs []error
	refuse := func(bad bool, field string, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(field+": "+format, args...))
		}
	}
	w := p.Weights
	for _, f := range []struct {
		field string
		value float64
	}{
		{"weights.base", w.Base}, {"weights.affinity", w.Affinity}, {"weights.freshness", w.Freshness},
		{"weights.popularity", w.Popularity}, {"weights.similarity", w.Similarity},
	} {
		refuse(!(f.value >= 0 && f.value <= MaxWeight), f.field, "%v is not 0 to %.0f", f.value, MaxWeight)
	}
	k := p.Calibration
	refuse(!(k.Slope > 0 && k.Slope <= MaxCalibration), "calibration.slope", "%v is not above 0 and up to %.0f", k.Slope, MaxCalibration)
	refuse(!(math.Abs(k.Intercept) <= MaxCalibration), "calibration.intercept", "%v is not -%.0f to %.0[2]f", k.Intercept, MaxCalibration)
	refuse(p.FreshnessHalfLife <= 0, "freshness_half_life", "%v is not above 0s", p.FreshnessHalfLife)
	d := p.Diversity
	refuse(!(d.Strength >= 0 && d.Strength <= 1), "diversity.strength", "%v is not 0 to 1", d.Strength)
	refuse(d.Pool < 1 || d.Pool > MaxPool, "diversity.pool", "%d is not 1 to %d", d.Pool, MaxPool)
	c := p.Caps
	refuse(c.Genre < 0, "caps.genre", "%d is less than 0", c.Genre)
	refuse(c.Franchise < 0, "caps.franchise", "%d is less than 0", c.Franchise)
	refuse(c.YearBand < 0, "caps.year_band", "%d is less than 0", c.YearBand)
	refuse(c.BandYears < 1, "caps.band_years", "%d is less than 1", c.BandYears)
	refuse(p.Page < 0, "page", "%d is less than 0", p.Page)
	refuse(!(p.NearIdentical > 0 && finite(p.NearIdentical)), "near_identical", "%v is not a number above 0", p.NearIdentical)
	refuse(len(p.Boosts) > MaxBoosts, "boosts", "%d rules are more than %d", len(p.Boosts), MaxBoosts)
	for i := range p.Boosts {
		if err := p.Boosts[i].validate(); err != nil {
			errs = append(errs, fmt.Errorf("boosts[%d].%w", i, err))
		}
	}
	return errors.Join(errs...)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// validate reports the first value that cannot work.
func (b *Boost) validate() error {
	switch {
	case b.Name == "":
		return errors.New("name: is empty: name the rule")
	case strings.ContainsFunc(b.Name, unicode.IsControl):
		return fmt.Errorf("name: %q has a control character", b.Name)
	case !finite(b.Add) || b.Add == 0:
		return fmt.Errorf("add: %v is not a number other than 0", b.Add)
	case math.Abs(b.Add) > MaxWeight:
		return fmt.Errorf("add: %v is not -%.0f to %.0[2]f", b.Add, MaxWeight)
	case !b.From.IsZero() && !b.Until.IsZero() && !b.Until.After(b.From):
		return fmt.Errorf("until: %s is not after from, %s", b.Until.Format(time.RFC3339), b.From.Format(time.RFC3339))
	}
	for _, g := range b.Groups {
		if g != "solo" && g != "couple" && g != "group" {
			return fmt.Errorf("groups: %q is none of solo, couple, group", g)
		}
	}
	for _, r := range []struct {
		field string
		Range
	}{{"year", b.Year}, {"duration_min", b.Duration}, {"popularity", b.Popularity}, {"age_days", b.AgeDays}, {"expires_days", b.ExpiresDays}} {
		if err := r.validate(); err != nil {
			return fmt.Errorf("%s.%w", r.field, err)
		}
	}
	return nil
}

func (r Range) validate() error {
	switch {
	case r.Min != nil && !finite(*r.Min):
		return fmt.Errorf("min: %v is not a number", *r.Min)
	case r.Max != nil && !finite(*r.Max):
		return fmt.Errorf("max: %v is not a number", *r.Max)
	case r.Min != nil && r.Max != nil && *r.Max <= *r.Min:
		return fmt.Errorf("max: %v is not above min, %v: no value would match", *r.Max, *r.Min)
	}
	return nil
}
