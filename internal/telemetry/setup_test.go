package telemetry

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"recstream/consumer"
	"recstream/schemas"
)

var now = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// batch makes a report whose events are at consecutive offsets.
type batch struct{ report consumer.Report }

func newBatch(partition int) *batch {
	return &batch{consumer.Report{Partition: partition, Published: now, Times: consumer.Times{
		Decode: time.Millisecond, Lookup: 2 * time.Millisecond, Decide: 3 * time.Millisecond, Store: 4 * time.Millisecond,
		Publish: 5 * time.Millisecond, Whole: 30 * time.Millisecond}}}
}

// add appends an event of a second ago with what it came to.
func (b *batch) add(out schemas.Outcome) *batch {
	source := schemas.Source{Topic: "requests", Partition: b.report.Partition, Offset: b.report.Next}
	out.Message = &schemas.Message{Source: source, Time: now.Add(-time.Second)}
	if out.Decision != nil && out.Decision.Source.Topic == "" {
		out.Decision.Source = source
	}
	b.report.Outcomes = append(b.report.Outcomes, out)
	b.report.Next++
	return b
}

func (b *batch) decided(d schemas.Decision) *batch { return b.add(schemas.Outcome{Decision: &d}) }

func (b *batch) rejected(code string) *batch {
	return b.add(schemas.Outcome{Rejection: &schemas.Rejection{Code: code}})
}

var ref = &schemas.ModelRef{ID: 1, Name: "films", Version: "3", SHA256: strings.Repeat("ab", 32)}

// byModel is a decision of the model with items of those predictions.
func byModel(predictions ...float64) schemas.Decision {
	d := schemas.Decision{RequestID: "r", Tier: schemas.TierModel, Model: ref, QueueTime: 20 * time.Millisecond, ScoreTime: 40 * time.Microsecond}
	for _, p := range predictions {
		d.Items = append(d.Items, schemas.ScoredItem{ItemID: "i", Prediction: p})
	}
	return d
}

// values gathers all metrics: name{label="value",…}, without the own prefix and in the labels' order, to value. Of
// histograms there are _count and _sum.
func values(t testing.TB, m *Metrics) map[string]float64 {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		name, own := strings.CutPrefix(f.GetName(), "recstream_")
		if !own {
			continue
		}
		for _, one := range f.GetMetric() {
			labels := labelsOf(name, one)
			switch {
			case one.Histogram != nil:
				all[name+"_count"+labels] = float64(one.Histogram.GetSampleCount())
				all[name+"_sum"+labels] = one.Histogram.GetSampleSum()
			case one.Counter != nil:
				all[name+labels] = one.Counter.GetValue()
			default:
				all[name+labels] = one.Gauge.GetValue()
			}
		}
	}
	return all
}

// labelsOf writes the labels in the order in which the metric declares them.
func labelsOf(name string, m *dto.Metric) string {
	i := slices.IndexFunc(metrics, func(m *metric) bool { return m.Name == "recstream_"+name })
	var parts []string
	for _, label := range metrics[i].Labels {
		for _, pair := range m.Label {
			if pair.GetName() == label {
				parts = append(parts, pair.GetValue())
			}
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// wants compares some values. One that is NaN must be absent.
func wants(t testing.TB, got, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		g, there := got[name]
		switch {
		case math.IsNaN(v) && there:
			t.Errorf("%s is there, with %v", name, g)
		case !math.IsNaN(v) && (!there || math.Abs(g-v) > 1e-9):
			t.Errorf("%s is %v (there: %t), want %v", name, g, there, v)
		}
	}
}
