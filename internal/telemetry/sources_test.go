package telemetry

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
)

func TestTierStates(t *testing.T) {
	other := &schemas.ModelRef{Name: "films", Version: "2"}
	nan := math.NaN()
	m := New(Build{}, Sources{Tiers: func() []Tier {
		return []Tier{
			{schemas.TierModel, ref, "closed", .2}, {schemas.TierPrevious, other, "half_open", nan},
			{schemas.TierModel, ref, "open", .1}, // of another arm
			{schemas.TierPopular, nil, "closed", nan}, {schemas.TierBasic, nil, "unavailable", nan},
		}
	}})
	wants(t, values(t, m), map[string]float64{
		"tier_state{model,films,3,open}": 1, "tier_state{model,films,3,closed}": 0,
		"tier_state{previous_model,films,2,half_open}": 1, "tier_state{previous_model,films,2,open}": 0,
		"tier_state{popular,,,closed}": 1, "tier_state{basic,,,unavailable}": 1,
		"prediction_psi{films,3}": .2, "prediction_psi{films,2}": nan,
	})
}

// TestWhatIsNoLongerInForceIsGone changes the model and the configuration between scrapes.
func TestWhatIsNoLongerInForceIsGone(t *testing.T) {
	models, config := []Model{{*ref, "masks", 1000}}, Config{Version: "aaa"}
	m := New(Build{}, Sources{Models: func() []Model { return models }, Config: func() Config { return config }})
	s := m.Requests("in")
	s.Finished(&newBatch(0).decided(byModel(.5)).report)
	hash := strings.Repeat("ab", 6)
	wants(t, values(t, m), map[string]float64{"model_info{films,3," + hash + ",masks}": 1, "model_memory_bytes{films,3}": 1000,
		"config_info{aaa}": 1, "config_refused": 0, "served_prediction_count{films,3}": 1})

	next := schemas.ModelRef{Name: "films", Version: "4", SHA256: ref.SHA256}
	models, config = []Model{{next, "masks", 10}, {next, "masks", 5}}, Config{Version: "bbb", Refused: true}
	decision := byModel(.5, .6)
	decision.Model = &next
	s.Finished(&newBatch(0).decided(decision).decided(byModel(.1)).report) // one still by the old one
	got := values(t, m)
	wants(t, got, map[string]float64{"model_info{films,4," + hash + ",masks}": 1, "model_memory_bytes{films,4}": 15,
		"config_info{bbb}": 1, "config_refused": 1, "served_prediction_count{films,4}": 2})
	for name := range got {
		if strings.Contains(name, "{films,3") || strings.Contains(name, "aaa") {
			t.Errorf("%s is of what is no longer in force", name)
		}
	}
}

func TestOtherSources(t *testing.T) {
	m := New(Build{Version: "v1", Revision: "abc"}, Sources{
		Catalog: func() Catalog { return Catalog{Version: 42, Items: 3200, Checked: now.Add(250 * time.Millisecond)} },
		Caches:  func() []Cache { return []Cache{{"profiles", 10, 3, 999}, {"scores", 7, 1, 0}} },
		Shadows: func() Shadows { return Shadows{Queued: 5, Stored: 100, Dropped: 2} },
	})
	got := values(t, m)
	wants(t, got, map[string]float64{
		"catalog_version": 42, "catalog_items": 3200, "catalog_checked_timestamp_seconds": float64(now.Unix()) + .25,
		"cache_hits_total{profiles}": 10, "cache_misses_total{profiles}": 3, "cache_bytes{profiles}": 999, "cache_hits_total{scores}": 7,
		"shadow_queue_length": 5, "shadow_decisions_total{stored}": 100, "shadow_decisions_total{dropped}": 2,
	})
	if !slices.ContainsFunc(keys(got), func(k string) bool { return strings.HasPrefix(k, "build_info{v1,abc,go") }) {
		t.Error("build_info does not say what was built")
	}
}

func TestSourceThatIsAbsentHasNoMetrics(t *testing.T) {
	m := New(Build{}, Sources{Catalog: func() Catalog { return Catalog{} }})
	wants(t, values(t, m), map[string]float64{"config_refused": math.NaN(), "shadow_queue_length": math.NaN(),
		"catalog_checked_timestamp_seconds": math.NaN(), "catalog_version": 0})
}

func keys(m map[string]float64) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
