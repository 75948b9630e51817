package fallback_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"recstream/schemas"
	"recstream/scoring/fallback"
)

func TestDefaultParamsAreValid(t *testing.T) {
	p := fallback.DefaultParams()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	basic, model, popular := schemas.TierBasic, schemas.TierModel, schemas.TierPopular
	tests := map[string]struct {
		change func(*fallback.Params)
		want   string // the error's field; empty for none
	}{
		"basic alone":               {func(p *fallback.Params) { p.Tiers = []schemas.Tier{basic} }, ""},
		"another order":             {func(p *fallback.Params) { p.Tiers = []schemas.Tier{popular, model, basic} }, ""},
		"no drift":                  {func(p *fallback.Params) { p.Drift.Window = 0 }, ""},
		"no tier":                   {func(p *fallback.Params) { p.Tiers = nil }, "tiers"},
		"basic is not the last":     {func(p *fallback.Params) { p.Tiers = []schemas.Tier{basic, model} }, "tiers"},
		"a tier twice":              {func(p *fallback.Params) { p.Tiers = []schemas.Tier{model, model, basic} }, "tiers[1]"},
		"no such tier":              {func(p *fallback.Params) { p.Tiers = []schemas.Tier{"luck", basic} }, "tiers[0]"},
		"no such tier switched off": {func(p *fallback.Params) { p.SwitchedOff = []schemas.Tier{"luck"} }, "switched_off[0]"},
		"basic switched off":        {func(p *fallback.Params) { p.SwitchedOff = []schemas.Tier{basic} }, "switched_off"},
		"no breaker window":         {func(p *fallback.Params) { p.Breaker.Window, p.Breaker.Failures = 0, 0 }, "breaker.window"},
		"no failures":               {func(p *fallback.Params) { p.Breaker.Failures = 0 }, "breaker.failures"},
		"more failures than fit":    {func(p *fallback.Params) { p.Breaker.Failures = p.Breaker.Window + 1 }, "breaker.failures"},
		"no rest":                   {func(p *fallback.Params) { p.Breaker.Rest = 0 }, "breaker.rest"},
		"no probes":                 {func(p *fallback.Params) { p.Breaker.Probes = 0 }, "breaker.probes"},
		"negative deadline":         {func(p *fallback.Params) { p.Deadline = -1 }, "deadline"},
		"one constant score":        {func(p *fallback.Params) { p.ConstantScoresMin = 1 }, "constant_scores_min"},
		"more than all missing":     {func(p *fallback.Params) { p.MaxMissingFeatures = 1.5 }, "max_missing_features"},
		"missing is no number":      {func(p *fallback.Params) { p.MaxMissingFeatures = math.NaN() }, "max_missing_features"},
		"small drift window":        {func(p *fallback.Params) { p.Drift.Window = 99 }, "drift.window"},
		"no largest index":          {func(p *fallback.Params) { p.Drift.MaxPSI = math.NaN() }, "drift.max_psi"},
		"negative verification":     {func(p *fallback.Params) { p.VerifyEvery = -1 }, "verify_every"},
		"no history":                {func(p *fallback.Params) { p.History.Items = 0 }, "history.items"},
		"no half-life":              {func(p *fallback.Params) { p.History.HalfLife = 0 }, "history.half_life"},
		"no prior":                  {func(p *fallback.Params) { p.PriorStrength = 0 }, "prior_strength"},
		"infinite prior":            {func(p *fallback.Params) { p.PriorStrength = math.Inf(1) }, "prior_strength"},
		"negative age":              {func(p *fallback.Params) { p.NewItemAge = -1 }, "new_item_age"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := fallback.DefaultParams()
			tt.change(&p)
			err := p.Validate()
			if tt.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want+":") {
				t.Errorf("got %v, want an error of %s", err, tt.want)
			}
		})
	}
}

// Every error is reported, and each can be had on its own.
func TestValidateReportsAll(t *testing.T) {
	p := fallback.DefaultParams()
	p.Breaker.Rest, p.NewItemAge = 0, -1
	var list interface{ Unwrap() []error }
	if err := p.Validate(); !errors.As(err, &list) || len(list.Unwrap()) != 2 {
		t.Errorf("got %v", err)
	}
}
