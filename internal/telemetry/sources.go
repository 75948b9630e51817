package telemetry

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"recstream/schemas"
)

// Sources are asked at each scrape, from any goroutine, and have to answer at once. One that is nil has no metrics.
type Sources struct {
	Tiers   func() []Tier
	Models  func() []Model // those in force
	Config  func() Config
	Catalog func() Catalog
	Caches  func() []Cache
	Shadows func() Shadows
}

// Tier is how one tier of the ladder fares.
type Tier struct {
	Tier  schemas.Tier
	Model *schemas.ModelRef // of a tier with a model; nil where there is none
	State string            // closed, drifted, half_open, open or unavailable
	PSI   float64           // of the model's predictions of late; NaN where it is not known
}

// Model is a model in force.
type Model struct {
	Ref    schemas.ModelRef
	Method string // how it is evaluated
	Bytes  int64  // of memory that this takes
}

// Config is the state of the scoring parameters.
type Config struct {
	Version string // in force
	Refused bool   // what was to replace them is wrong
}

// Catalog is the state of the catalogue.
type Catalog struct {
	Version int64
	Items   int
	Checked time.Time // when it was last found to be the stored one; zero for never
}

// Cache is the state of a cache.
type Cache struct {
	Name         string // of a fixed list, such as profiles
	Hits, Misses uint64
	Bytes        int64 // 0 where it is not known
}

// Shadows is the state of the shadows of experiments.
type Shadows struct {
	Queued          int
	Stored, Dropped int64
}

// collect sends what the sources say.
func (s *Sources) collect(out chan<- prometheus.Metric) {
	if s.Tiers != nil {
		collectTiers(out, s.Tiers())
	}
	if s.Models != nil {
		collectModels(out, s.Models())
	}
	if s.Config != nil {
		c := s.Config()
		configInfo.emit(out, 1, c.Version)
		configRefused.emit(out, number(c.Refused))
	}
	if s.Catalog != nil {
		c := s.Catalog()
		catalogVersion.emit(out, float64(c.Version))
		catalogItems.emit(out, float64(c.Items))
		if !c.Checked.IsZero() {
			catalogChecked.emit(out, float64(c.Checked.UnixMilli())/1000)
		}
	}
	if s.Caches != nil {
		for _, c := range s.Caches() {
			cacheHits.emit(out, float64(c.Hits), c.Name)
			cacheMisses.emit(out, float64(c.Misses), c.Name)
			cacheBytes.emit(out, float64(c.Bytes), c.Name)
		}
	}
	if s.Shadows != nil {
		h := s.Shadows()
		shadowQueue.emit(out, float64(h.Queued))
		shadowsTotal.emit(out, float64(h.Stored), "stored")
		shadowsTotal.emit(out, float64(h.Dropped), "dropped")
	}
}

// collectTiers sends the states of tiers. Experiments may have several of one name and model: the worst counts.
func collectTiers(out chan<- prometheus.Metric, list []Tier) {
	type key struct {
		tier  schemas.Tier
		model modelKey
	}
	worst, psi := map[key]int{}, map[modelKey]float64{}
	for _, t := range list {
		k := key{tier: t.Tier}
		if t.Model != nil {
			k.model = keyOf(t.Model)
			if !math.IsNaN(t.PSI) {
				psi[k.model] = max(psi[k.model], t.PSI)
			}
		}
		worst[k] = max(worst[k], slices.Index(states, t.State))
	}
	for k, w := range worst {
		for i, state := range states {
			tierState.emit(out, number(i == w), string(k.tier), k.model.name, k.model.version, state)
		}
	}
	for model, v := range psi {
		predictionPSI.emit(out, v, model.name, model.version)
	}
}

// shortHash is how many digits of a model's hash are shown.
const shortHash = 12

// collectModels sends the models in force. Two bundles of one name and version share their memory's series.
func collectModels(out chan<- prometheus.Metric, list []Model) {
	type key struct {
		model          modelKey
		sha256, method string
	}
	seen, memory := map[key]bool{}, map[modelKey]int64{}
	for i := range list {
		m := &list[i]
		k := key{keyOf(&m.Ref), m.Ref.SHA256[:min(shortHash, len(m.Ref.SHA256))], m.Method}
		memory[k.model] += m.Bytes
		if !seen[k] {
			seen[k] = true
			modelInfo.emit(out, 1, k.model.name, k.model.version, k.sha256, k.method)
		}
	}
	for model, bytes := range memory {
		modelMemory.emit(out, float64(bytes), model.name, model.version)
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
