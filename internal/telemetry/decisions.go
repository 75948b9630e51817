package telemetry

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"recstream/consumer"
	"recstream/schemas"
)

// decisions counts what decisions say.
type decisions struct {
	inForce func() []Model // nil where nobody knows

	mu       sync.Mutex
	answered []tally[schemas.Reason] // by place of the tier; without a reason in best
	best     []uint64                // by place of the tier
	reasons  tally[schemas.Reason]
	cold     tally[schemas.ColdStart]
	whole    histogram // from Kafka to Kafka
	queue    histogram
	stages   [numDecisionStages]histogram
	models   map[modelKey]*histogram // predictions
	ref      *schemas.ModelRef       // of the decision before: most decisions are of one model
	served   *histogram              // its predictions; nil where it is not counted
}

// modelKey is a model as labels name it.
type modelKey struct{ name, version string }

func keyOf(ref *schemas.ModelRef) modelKey { return modelKey{ref.Name, ref.Version} }

// maxModels bounds the models whose predictions are counted between two scrapes, whatever is activated.
const maxModels = 32

// decisionStages are the names of a decision's times; see Scored.
var decisionStages = [...]string{"filter", "score", "rank", "whole"}

const (
	stageFilter = iota
	stageScore
	stageRank
	stageWhole
	numDecisionStages
)

func newDecisions(inForce func() []Model) *decisions {
	d := &decisions{inForce: inForce, best: make([]uint64, len(tiers)+1), reasons: newTally(reasons),
		cold: newTally(coldStarts), whole: newHistogram(requestBuckets), queue: newHistogram(requestBuckets),
		models: map[modelKey]*histogram{}}
	for range len(tiers) + 1 {
		d.answered = append(d.answered, newTally(reasons))
	}
	for i := range d.stages {
		d.stages[i] = newHistogram(decisionBuckets)
	}
	return d
}

// count counts the decisions of a batch. Every answer has been waited for; but what a decision says is counted
// with the event that it was made for, not with those that repeat it.
func (d *decisions) count(r *consumer.Report) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range r.Outcomes {
		out := &r.Outcomes[i]
		if out.Decision == nil {
			continue
		}
		d.whole.took(r.Published.Sub(out.Message.Time))
		if consumer.Decided(out) {
			d.add(out.Decision)
		}
	}
}

func (d *decisions) add(decision *schemas.Decision) {
	tier := placeOf(decision.Tier)
	if len(decision.Degraded) == 0 {
		d.best[tier]++
	} else {
		d.answered[tier].add(decision.Degraded[0])
	}
	for _, reason := range decision.Degraded {
		d.reasons.add(reason)
	}
	for _, code := range decision.ColdStart {
		d.cold.add(code)
	}
	d.queue.took(decision.QueueTime)
	d.stages[stageWhole].took(decision.ScoreTime)
	if decision.Model != nil {
		d.predicted(decision)
	}
}

// placeOf returns the place of a tier in tiers; that after the last is of one that is not among them.
func placeOf(tier schemas.Tier) int {
	if i := slices.Index(tiers, tier); i >= 0 {
		return i
	}
	return len(tiers)
}

// predicted counts the predictions of a decision's items.
func (d *decisions) predicted(decision *schemas.Decision) {
	if decision.Model != d.ref {
		d.ref, d.served = decision.Model, d.histogramOf(keyOf(decision.Model))
	}
	if d.served == nil {
		return
	}
	for i := range decision.Items {
		if p := decision.Items[i].Prediction; p-p == 0 { // finite
			d.served.observe(p)
		}
	}
}

// histogramOf returns a model's histogram, nil if there is no room for another.
func (d *decisions) histogramOf(key modelKey) *histogram {
	h := d.models[key]
	if h == nil && len(d.models) < maxModels {
		fresh := newHistogram(predictionBuckets)
		h = &fresh
		d.models[key] = h
	}
	return h
}

// Scored is what one decision took.
type Scored struct {
	Filter time.Duration // to find the eligible items
	Score  time.Duration // to make what models say of them
	Rank   time.Duration // of all else
}

// scored counts what decisions took.
func (d *decisions) scored(list []Scored) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range list {
		d.stages[stageFilter].took(list[i].Filter)
		d.stages[stageScore].took(list[i].Score)
		d.stages[stageRank].took(list[i].Rank)
	}
}

// collect sends the metrics of decisions, and forgets the models that are no longer in force.
func (d *decisions) collect(out chan<- prometheus.Metric) {
	var current []Model
	if d.inForce != nil {
		current = d.inForce()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.collectTiers(out)
	d.reasons.each(func(value string, count uint64) { degradedTotal.emit(out, float64(count), value) })
	d.cold.each(func(value string, count uint64) { coldStartsTotal.emit(out, float64(count), value) })
	d.whole.emit(out, requestDuration)
	d.queue.emit(out, queueDuration)
	for i := range d.stages {
		d.stages[i].emit(out, decisionStage, decisionStages[i])
	}
	if d.inForce != nil {
		d.forget(current)
	}
	for key, h := range d.models {
		h.emit(out, prediction, key.name, key.version)
	}
}

// collectTiers sends the requests by tier and reason: every tier without a reason, and the pairs that occurred.
func (d *decisions) collectTiers(out chan<- prometheus.Metric) {
	for i := range d.answered {
		tier := other
		if i < len(tiers) {
			tier = string(tiers[i])
		}
		if i < len(tiers) || d.best[i] > 0 {
			requestsTotal.emit(out, float64(d.best[i]), tier, noCause)
		}
		d.answered[i].each(func(reason string, count uint64) {
			if count > 0 {
				requestsTotal.emit(out, float64(count), tier, reason)
			}
		})
	}
}

// forget drops the models that are not among the current ones.
func (d *decisions) forget(current []Model) {
	keep := map[modelKey]bool{}
	for i := range current {
		keep[keyOf(&current[i].Ref)] = true
	}
	for key := range d.models {
		if !keep[key] {
			delete(d.models, key)
		}
	}
	d.ref, d.served = nil, nil
}
