package fallback

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"recstream/schemas"
)

// Params say in which order tiers are asked, and when one is not to be trusted. They are configuration: the yaml
// tags are the keys, the desc tags their documentation.
type Params struct {
	Tiers              []schemas.Tier `yaml:"tiers" desc:"The tiers in the order in which they are asked; basic is the last"`
	SwitchedOff        []schemas.Tier `yaml:"switched_off" desc:"Tiers that are not to answer for now"`
	Breaker            BreakerParams  `yaml:"breaker"`
	Deadline           time.Duration  `yaml:"deadline" desc:"Time from the request's to its answer where the request does not say; what comes later is answered by the cheap tiers. 0s is none"`
	Slow               time.Duration  `yaml:"slow" desc:"Time in a tier from which on it is to blame when a deadline passes meanwhile; one that had less was given too little"`
	ConstantScoresMin  int            `yaml:"constant_scores_min" desc:"Candidates from which on a model that predicts the same for all is taken to be broken"`
	MaxMissingFeatures float64        `yaml:"max_missing_features" desc:"Share of a model's features, 0 to 1, that may be missing because the user is not known"`
	Drift              DriftParams    `yaml:"drift"`
	VerifyEvery        int            `yaml:"verify_every" desc:"Of so many decisions of a model one is evaluated in a second way and compared; 0 is none"`
	History            HistoryParams  `yaml:"history"`
	PriorStrength      float64        `yaml:"prior_strength" desc:"How many outcomes the popularity outside of a context weighs as much as, within it"`
	NewItemAge         time.Duration  `yaml:"new_item_age" desc:"Age up to which an item is new, and a decision that recommends it says so"`
}

// BreakerParams say when a tier rests because it failed, and when it is tried again.
type BreakerParams struct {
	Window   int           `yaml:"window" desc:"Requests, of late, among which a tier's failures are counted"`
	Failures int           `yaml:"failures" desc:"Failures in the window at which the tier rests"`
	Rest     time.Duration `yaml:"rest" desc:"Time that a tier rests before it is tried again"`
	Probes   int           `yaml:"probes" desc:"Requests in a row that must succeed on trial before the tier is trusted again"`
}

// DriftParams say how far a model's predictions may be from those of its training.
type DriftParams struct {
	Window int     `yaml:"window" desc:"Predictions that are compared at once with those of the training; 0 compares none"`
	MaxPSI float64 `yaml:"max_psi" desc:"Population stability index above which a model is not trusted"`
}

// HistoryParams say what of a user's history the similar tier looks at.
type HistoryParams struct {
	Items    int           `yaml:"items" desc:"How many of the items seen last count"`
	HalfLife time.Duration `yaml:"half_life" desc:"Time in which an item that was seen loses half its weight"`
}

// Ladder is the order of the tiers where nothing is configured, best first.
func Ladder() []schemas.Tier {
	return []schemas.Tier{schemas.TierModel, schemas.TierPrevious, schemas.TierSimilar, schemas.TierPopular,
		schemas.TierEditorial, schemas.TierBasic}
}

// DefaultParams returns the parameters that hold where nothing is configured.
func DefaultParams() Params {
	return Params{
		Tiers:              Ladder(),
		Breaker:            BreakerParams{Window: 100, Failures: 20, Rest: 10 * time.Second, Probes: 5},
		Slow:               50 * time.Millisecond,
		ConstantScoresMin:  20,
		MaxMissingFeatures: 0.5,
		Drift:              DriftParams{Window: 5000, MaxPSI: 5},
		VerifyEvery:        1000,
		History:            HistoryParams{Items: 20, HalfLife: 30 * 24 * time.Hour},
		PriorStrength:      50,
		NewItemAge:         7 * 24 * time.Hour,
	}
}

// Validate reports every value that cannot work, each by the name of its field.
func (p *Params) Validate() error {
	errs := []error{p.validateTiers("tiers", p.Tiers), p.validateTiers("switched_off", p.SwitchedOff)}
	refuse := func(bad bool, field string, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(field+": "+format, args...))
		}
	}
	refuse(len(p.Tiers) == 0 || p.Tiers[len(p.Tiers)-1] != schemas.TierBasic, "tiers", "the last is not basic, which always has an answer")
	refuse(slices.Contains(p.SwitchedOff, schemas.TierBasic), "switched_off", "basic cannot be: it answers where no other tier does")
	b := p.Breaker
	refuse(b.Window < 1 || b.Window > 10_000, "breaker.window", "%d is not 1 to 10000", b.Window)
	refuse(b.Failures < 1 || b.Failures > b.Window, "breaker.failures", "%d is not 1 to window, %d", b.Failures, b.Window)
	refuse(b.Rest <= 0, "breaker.rest", "%v is not above 0s", b.Rest)
	refuse(b.Probes < 1, "breaker.probes", "%d is less than 1", b.Probes)
	refuse(p.Deadline < 0, "deadline", "%v is less than 0s", p.Deadline)
	refuse(p.Slow <= 0, "slow", "%v is not above 0s", p.Slow)
	refuse(p.ConstantScoresMin < 2, "constant_scores_min", "%d is less than 2", p.ConstantScoresMin)
	refuse(!(p.MaxMissingFeatures >= 0 && p.MaxMissingFeatures <= 1), "max_missing_features", "%v is not 0 to 1", p.MaxMissingFeatures)
	refuse(p.Drift.Window < 0 || p.Drift.Window > 0 && p.Drift.Window < 100, "drift.window", "%d is neither 0 nor 100 or more", p.Drift.Window)
	refuse(!(p.Drift.MaxPSI > 0 && p.Drift.MaxPSI <= math.MaxFloat64), "drift.max_psi", "%v is not a number above 0", p.Drift.MaxPSI)
	refuse(p.VerifyEvery < 0, "verify_every", "%d is less than 0", p.VerifyEvery)
	refuse(p.History.Items < 1 || p.History.Items > schemas.MaxProfileItems, "history.items", "%d is not 1 to %d", p.History.Items, schemas.MaxProfileItems)
	refuse(p.History.HalfLife <= 0, "history.half_life", "%v is not above 0s", p.History.HalfLife)
	refuse(!(p.PriorStrength > 0) || p.PriorStrength > 1e9, "prior_strength", "%v is not above 0 and up to 1e9", p.PriorStrength)
	refuse(p.NewItemAge < 0, "new_item_age", "%v is less than 0s", p.NewItemAge)
	return errors.Join(errs...)
}

func (p *Params) validateTiers(field string, tiers []schemas.Tier) error {
	for i, t := range tiers {
		switch {
		case !slices.Contains(Ladder(), t):
			return fmt.Errorf("%s[%d]: %q is no tier: take of %v", field, i, t, Ladder())
		case slices.Contains(tiers[:i], t):
			return fmt.Errorf("%s[%d]: %s is there twice", field, i, t)
		}
	}
	return nil
}

// IsOff reports whether a tier is switched off.
func (p *Params) IsOff(t schemas.Tier) bool { return slices.Contains(p.SwitchedOff, t) }
