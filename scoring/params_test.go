package scoring

import (
	"strings"
	"testing"
)

func TestParamsValidate(t *testing.T) {
	tests := []struct {
		field  string
		change func(*Params)
	}{
		{"max_items", func(p *Params) { p.MaxItems = 0 }},
		{"max_items", func(p *Params) { p.MaxItems = 101 }},
		{"fallback.constant_scores_min", func(p *Params) { p.Fallback.ConstantScoresMin = 1 }},
		{"rules.missing_duration", func(p *Params) { p.Rules.MissingDuration = "no" }},
	}
	for _, tt := range tests {
		t.Run(tt.field, func(t *testing.T) {
			params := DefaultParams()
			if err := params.Validate(); err != nil {
				t.Fatalf("the default parameters: %v", err)
			}
			tt.change(&params)
			if _, err := New(params, Options{}); err == nil || !strings.Contains(err.Error(), tt.field+":") {
				t.Errorf("error %v does not name %s", err, tt.field)
			}
		})
	}
}

func TestVersionFollowsTheContent(t *testing.T) {
	a, b := DefaultParams(), DefaultParams()
	if a.Version() != b.Version() || len(a.Version()) != 12 {
		t.Errorf("versions of equal parameters: %q, %q", a.Version(), b.Version())
	}
	changes := map[string]func(*Params){
		"max_items": func(p *Params) { p.MaxItems = 7 },
		"genre":     func(p *Params) { p.Rules.MoodGenres.Funny = []string{"Satire"} },
		"range":     func(p *Params) { p.Rules.SessionMinutes.Short.Max = 99.5 },
		"missing":   func(p *Params) { p.Rules.MissingDuration = "exclude" },
		"group":     func(p *Params) { p.Rules.GroupExcludedGenres.Group = []string{"Horror"} },
		"constant":  func(p *Params) { p.Fallback.ConstantScoresMin = 21 },
	}
	seen := map[string]string{a.Version(): "default"}
	for name, change := range changes {
		p := DefaultParams()
		change(&p)
		if other, dup := seen[p.Version()]; dup {
			t.Errorf("%s and %s have one version", name, other)
		}
		seen[p.Version()] = name
	}
}
