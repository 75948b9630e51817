package replay

import (
	"slices"

	"recstream/schemas"
)

// Plan is what a replay was asked for. It is fixed when the replay is created, and stored as JSON.
type Plan struct {
	Topic    string   `json:"topic"`
	Filter   Filter   `json:"filter"`
	Model    *Model   `json:"model,omitempty"`          // decides instead of those of the live decisions
	Config   string   `json:"config_version,omitempty"` // of scoring parameters that count instead of theirs
	Features Features `json:"features"`
	Catalog  Catalog  `json:"catalog"`
	Present  State    `json:"present"`         // what was in force when the replay was created
	Emit     string   `json:"emit,omitempty"`  // topic of the results; "" emits nothing
	Rate     float64  `json:"rate"`            // requests a second at the most; 0 is no limit
	Limits   Limits   `json:"limits,omitzero"` // of the report
}

// Ref is a schemas.ModelRef as plans and reports write it. The zero value is no model.
type Ref struct {
	ID      int32  `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// Model is a model that a plan names.
type Model struct {
	Ref
	Path string `json:"path,omitempty"` // of the file or the bundle; "" is that of the name in the store
}

// State names what requests can be decided with.
type State struct {
	Config  string `json:"config_version"`
	Catalog int64  `json:"catalog_version"`
	Model   Ref    `json:"model"`
}

// Features says which profile of a user a request is decided with.
type Features string

// The choices.
const (
	FeaturesStored Features = "stored" // the one that its live decision was given
	FeaturesFresh  Features = "fresh"  // the present one
)

// Catalog says which catalogue a request is decided over.
type Catalog string

// The choices.
const (
	CatalogLive    Catalog = "live"    // that of its live decision
	CatalogPresent Catalog = "present" // that of the replay's creation
)

// Evaluates reports whether another model or other parameters are tried. Without, live decisions are to be reproduced.
func (p *Plan) Evaluates() bool { return p.Model != nil || p.Config != "" }

// Filter chooses requests. What it leaves open is all.
type Filter struct {
	RequestIDs []string       `json:"request_ids,omitempty"`
	Users      []string       `json:"users,omitempty"`
	Tiers      []schemas.Tier `json:"tiers,omitempty"`  // of the live decision
	Models     []string       `json:"models,omitempty"` // of the live decision: name or name@version
}

// filter is a Filter that has been made ready for many requests: its ids and users may be many too.
type filter struct {
	*Filter
	ids, users map[string]bool
}

func (f *Filter) ready() filter { return filter{f, setOf(f.RequestIDs), setOf(f.Users)} }

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, v := range list {
		set[v] = true
	}
	return set
}

// takesRequest reports whether the filter takes a request, as far as it says itself.
func (f *filter) takesRequest(r *schemas.Request) bool {
	return (len(f.ids) == 0 || f.ids[r.RequestID]) && (len(f.users) == 0 || f.users[r.UserID])
}

// takesLive reports whether the filter takes a request with that live decision, nil for none.
func (f *Filter) takesLive(d *schemas.Decision) bool {
	if d == nil {
		return len(f.Tiers) == 0 && len(f.Models) == 0
	}
	if !takes(f.Tiers, d.Tier) || len(f.Models) == 0 {
		return takes(f.Tiers, d.Tier)
	}
	return d.Model != nil && (slices.Contains(f.Models, d.Model.Name) || slices.Contains(f.Models, label(d.Model)))
}

func takes[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// label is name@version, "" for no model.
func label(m *schemas.ModelRef) string {
	if m == nil || m.Name == "" {
		return ""
	}
	return m.Name + "@" + m.Version
}
