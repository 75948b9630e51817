package forest

import (
	"math"
	"strings"
	"testing"
)

// How far contributions may be from the trainer's, and their sum from the raw score: relative to the value, or to the
// row's largest contribution up to 1 where that is more.
// XGBoost computes both in float32.
const (
	lightGBMContribTolerance = 1e-9
	xgboostContribTolerance  = 1e-5
)

func TestOracleContributionsLightGBM(t *testing.T) {
	compareContributions(t, smallCases(t, "lightgbm"), lightGBMContribTolerance)
}

func TestOracleContributionsLightGBMLarge(t *testing.T) {
	compareContributions(t, largeCases(t, "lightgbm"), lightGBMContribTolerance)
}

func TestOracleContributionsXGBoost(t *testing.T) {
	compareContributions(t, smallCases(t, "xgboost"), xgboostContribTolerance)
}

func TestOracleContributionsXGBoostLarge(t *testing.T) {
	compareContributions(t, largeCases(t, "xgboost"), xgboostContribTolerance)
}

// The models of many features, of both trainers.
func TestOracleContributionsLongPaths(t *testing.T) {
	compareLongPaths(t, smallCases(t, "shap"))
}

func TestOracleContributionsLongPathsLarge(t *testing.T) {
	compareLongPaths(t, largeCases(t, "shap"))
}

func compareLongPaths(t *testing.T, cases []*oracleCase) {
	for _, c := range cases {
		tolerance := lightGBMContribTolerance
		if strings.HasPrefix(c.name, "xgboost") {
			tolerance = xgboostContribTolerance
		}
		t.Run(c.name, func(t *testing.T) { compareCase(t, c, tolerance) })
	}
}

func compareContributions(t *testing.T, cases []*oracleCase, tolerance float64) {
	compared := 0
	for _, c := range cases {
		if c.contrib == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) { compareCase(t, c, tolerance) })
		compared += c.rows
	}
	if compared == 0 {
		t.Error("no case has contributions")
	}
}

func compareCase(t *testing.T, c *oracleCase, tolerance float64) {
	f, err := Parse(c.model)
	if err != nil {
		t.Fatal(err)
	}
	e, err := f.NewExplainer()
	if err != nil {
		t.Fatal(err)
	}
	got, worst := make([]float64, c.outputs*(c.features+1)), 0.0
	for i := range c.rows {
		e.Contributions(c.row(i), got)
		sums, largest := make([]float64, c.outputs), 0.0
		for _, want := range c.contribOf(i) {
			largest = max(largest, math.Abs(want))
		}
		off := func(got, want float64) float64 {
			if got == want {
				return 0
			}
			return math.Abs(got-want) / (tolerance * max(min(1, largest), math.Abs(want)))
		}
		for j, want := range c.contribOf(i) {
			if worst = max(worst, off(got[j], want)); !(worst <= 1) {
				t.Fatalf("row %d: contribution %d is %v, want %v; row: %v", i, j, got[j], want, c.row(i))
			}
			sums[j/(c.features+1)] += got[j]
		}
		for output, want := range c.rawOf(i) {
			if worst = max(worst, off(sums[output], want)); !(worst <= 1) {
				t.Fatalf("row %d: the contributions to output %d add up to %v, want %v", i, output, sums[output], want)
			}
		}
	}
	t.Logf("%d rows, the largest difference is %.1e of what is tolerated", c.rows, worst)
}
