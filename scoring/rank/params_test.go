package rank

import (
	"math"
	"strings"
	"testing"
)

func TestDefaultsAreValid(t *testing.T) {
	p := DefaultParams()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	boosted := func(change func(b *Boost)) func(p *Params) {
		return func(p *Params) {
			p.Boosts = []Boost{{Name: "fine", Add: 1}, {Name: "wrong", Add: 1}}
			change(&p.Boosts[1])
		}
	}
	nan, two := math.NaN(), 2.0
	for field, change := range map[string]func(p *Params){
		"weights.base:":             func(p *Params) { p.Weights.Base = -1 },
		"weights.affinity:":         func(p *Params) { p.Weights.Affinity = nan },
		"calibration.slope:":        func(p *Params) { p.Calibration.Slope = 0 },
		"calibration.intercept:":    func(p *Params) { p.Calibration.Intercept = math.Inf(1) },
		"freshness_half_life:":      func(p *Params) { p.FreshnessHalfLife = 0 },
		"diversity.strength:":       func(p *Params) { p.Diversity.Strength = 1.1 },
		"diversity.pool:":           func(p *Params) { p.Diversity.Pool = MaxPool + 1 },
		"caps.genre:":               func(p *Params) { p.Caps.Genre = -1 },
		"caps.band_years:":          func(p *Params) { p.Caps.BandYears = 0 },
		"page:":                     func(p *Params) { p.Page = -1 },
		"near_identical:":           func(p *Params) { p.NearIdentical = 0 },
		"boosts:":                   func(p *Params) { p.Boosts = make([]Boost, MaxBoosts+1) },
		"boosts[1].name:":           boosted(func(b *Boost) { b.Name = "" }),
		"boosts[1].add:":            boosted(func(b *Boost) { b.Add = 0 }),
		"boosts[1].until:":          boosted(func(b *Boost) { b.From, b.Until = testTime, testTime }),
		"boosts[1].groups:":         boosted(func(b *Boost) { b.Groups = []string{"crowd"} }),
		"boosts[1].year.min:":       boosted(func(b *Boost) { b.Year.Min = &nan }),
		"boosts[1].age_days.max:":   boosted(func(b *Boost) { b.AgeDays = Range{&two, &two} }),
		"boosts[1].popularity.max:": boosted(func(b *Boost) { b.Popularity.Max = &nan }),
	} {
		t.Run(field, func(t *testing.T) {
			p := DefaultParams()
			change(&p)
			if err := p.Validate(); err == nil || !strings.Contains("\n"+err.Error(), "\n"+field) {
				t.Errorf("the error is %v, want one that names %s", err, field)
			}
		})
	}
}
