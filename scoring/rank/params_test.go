package rank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestDefaultsAreValid(t *testing.T) {
	p := DefaultParams()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateSaysWhatIsAllowed(t *testing.T) {
	p := DefaultParams()
	p.Weights.Base, p.Calibration = -1, Calibration{Slope: 2000, Intercept: -2000}
	p.Boosts = []Boost{{Name: "a", Add: -2e6}}
	const want = `weights.base: -1 is not 0 to 1000000
calibration.slope: 2000 is not above 0 and up to 1000
calibration.intercept: -2000 is not -1000 to 1000
boosts[0].add: -2e+06 is not -1000000 to 1000000`
	if err := p.Validate(); err == nil || err.Error() != want {
		t.Errorf("the error is\n%v, want\n%s", err, want)
	}
}

// At the limits of all parameters scores are finite, and the least of terms still tells items apart.
func TestSumsAreFinite(t *testing.T) {
	p := everything()
	p.Weights = Weights{MaxWeight, MaxWeight, MaxWeight, MaxWeight, MaxWeight}
	p.Diversity.Strength = 1
	p.Boosts = nil
	for i := range MaxBoosts {
		p.Boosts = append(p.Boosts, Boost{Name: fmt.Sprint(i), Add: MaxWeight})
	}
	for _, c := range []Calibration{{MaxCalibration, MaxCalibration}, {MaxCalibration, -MaxCalibration}, {1e-300, 0}} {
		p.Calibration = c
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		w := newWorld(randomItems(rand.New(rand.NewPCG(12, 0)), 50), &p)
		q := w.randomQuery(rand.New(rand.NewPCG(12, 1)))
		q.Diversity, q.Calibrate, q.Predict, q.Raw = math.NaN(), true, nil, make([]float64, len(q.Items))
		q.Raw[0] = 1
		for _, got := range new(Ranker).Rank(nil, q) {
			for _, term := range got.Terms {
				if !finite(term) || term+1e-6 == term {
					t.Fatalf("%+v: not finite, or too large to be added to", got)
				}
			}
			if !finite(got.Score) {
				t.Fatalf("score %v", got.Score)
			}
		}
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
	for _, c := range []struct {
		field  string
		change func(p *Params)
	}{
		{"weights.base:", func(p *Params) { p.Weights.Base = -1 }},
		{"weights.base:", func(p *Params) { p.Weights.Base = 1e6 + 1 }},
		{"weights.similarity:", func(p *Params) { p.Weights.Similarity = math.Inf(1) }},
		{"weights.affinity:", func(p *Params) { p.Weights.Affinity = nan }},
		{"calibration.slope:", func(p *Params) { p.Calibration.Slope = 0 }},
		{"calibration.slope:", func(p *Params) { p.Calibration.Slope = 1001 }},
		{"calibration.intercept:", func(p *Params) { p.Calibration.Intercept = -1001 }},
		{"calibration.intercept:", func(p *Params) { p.Calibration.Intercept = nan }},
		{"calibration.intercept:", func(p *Params) { p.Calibration.Intercept = math.Inf(1) }},
		{"freshness_half_life:", func(p *Params) { p.FreshnessHalfLife = 0 }},
		{"diversity.strength:", func(p *Params) { p.Diversity.Strength = 1.1 }},
		{"diversity.pool:", func(p *Params) { p.Diversity.Pool = MaxPool + 1 }},
		{"caps.genre:", func(p *Params) { p.Caps.Genre = -1 }},
		{"caps.band_years:", func(p *Params) { p.Caps.BandYears = 0 }},
		{"page:", func(p *Params) { p.Page = -1 }},
		{"near_identical:", func(p *Params) { p.NearIdentical = 0 }},
		{"boosts:", func(p *Params) { p.Boosts = make([]Boost, MaxBoosts+1) }},
		{"boosts[1].name:", boosted(func(b *Boost) { b.Name = "" })},
		{"boosts[1].name:", boosted(func(b *Boost) { b.Name = "a\x00b" })},
		{"boosts[1].add:", boosted(func(b *Boost) { b.Add = 0 })},
		{"boosts[1].add:", boosted(func(b *Boost) { b.Add = 1e6 + 1 })},
		{"boosts[1].add:", boosted(func(b *Boost) { b.Add = -1e6 - 1 })},
		{"boosts[1].add:", boosted(func(b *Boost) { b.Add = nan })},
		{"boosts[1].until:", boosted(func(b *Boost) { b.From, b.Until = testTime, testTime })},
		{"boosts[1].groups:", boosted(func(b *Boost) { b.Groups = []string{"crowd"} })},
		{"boosts[1].year.min:", boosted(func(b *Boost) { b.Year.Min = &nan })},
		{"boosts[1].age_days.max:", boosted(func(b *Boost) { b.AgeDays = Range{&two, &two} })},
		{"boosts[1].expires_days.max:", boosted(func(b *Boost) { b.ExpiresDays = Range{&two, &two} })},
		{"boosts[1].popularity.max:", boosted(func(b *Boost) { b.Popularity.Max = &nan })},
	} {
		t.Run(c.field, func(t *testing.T) {
			p := DefaultParams()
			c.change(&p)
			if err := p.Validate(); err == nil || !strings.Contains("\n"+err.Error(), "\n"+c.field) {
				t.Errorf("the error is %v, want one that names %s", err, c.field)
			}
		})
	}
}
