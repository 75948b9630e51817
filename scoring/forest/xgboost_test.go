package forest

import (
	"testing"
)

// xgboostTolerance is how far a prediction may be from XGBoost's, which works it out in float32; relative to
// it beyond 1.
const xgboostTolerance = 2e-7

func TestOracleXGBoost(t *testing.T) {
	for _, c := range smallCases(t, "xgboost") {
		t.Run(c.name, func(t *testing.T) { checkOracle(t, c, 0, xgboostTolerance) })
	}
}

func TestOracleXGBoostLarge(t *testing.T) {
	for _, c := range largeCases(t, "xgboost") {
		t.Run(c.name, func(t *testing.T) { checkOracle(t, c, 0, xgboostTolerance) })
	}
}
