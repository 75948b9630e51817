package telemetry

import (
	"math"
	"testing"
	"time"

	"recstream/consumer"
	"recstream/schemas"
)

func TestRequestsAreCountedByWhatBecameOfThem(t *testing.T) {
	m := New(Build{}, Sources{})
	s := m.Requests("in")
	s.Joined(2)
	s.Opened(0, 0)
	b := newBatch(0).decided(byModel(.5, .25)).rejected(schemas.CodeInvalidJSON).rejected("made_up")
	previous := byModel(.75)
	previous.Tier, previous.Degraded = schemas.TierPrevious, []schemas.Reason{schemas.ReasonDriftExceeded}
	basic := schemas.Decision{Tier: schemas.TierBasic, Degraded: []schemas.Reason{schemas.ReasonModelMissing, schemas.ReasonCircuitOpen},
		ColdStart: []schemas.ColdStart{schemas.ColdAnonymousUser, schemas.ColdNewItem}}
	b.decided(previous).decided(basic)
	repeated := byModel(.1)
	repeated.Source = schemas.Source{Topic: "requests", Offset: 1000}
	b.decided(repeated)
	s.Finished(&b.report)

	wants(t, values(t, m), map[string]float64{
		"events_total{in,decided}": 3, "events_total{in,repeated}": 1, "events_total{in,rejected}": 2,
		"events_total{in,stored}":              math.NaN(),
		"dead_letters_total{in,invalid_json}":  1,
		"dead_letters_total{in,other}":         1,
		"dead_letters_total{in,missing_field}": 0,
		"requests_total{model,none}":           1, "requests_total{previous_model,none}": 0,
		"requests_total{previous_model,drift_exceeded}": 1, "requests_total{basic,model_missing}": 1,
		"requests_total{basic,circuit_open}": math.NaN(), // it is not the first reason
		"degraded_total{drift_exceeded}":     1, "degraded_total{circuit_open}": 1, "degraded_total{model_missing}": 1,
		"cold_starts_total{anonymous_user}": 1, "cold_starts_total{unknown_user}": 0, "cold_starts_total{new_item}": 1,
		"request_duration_seconds_count": 4, "request_duration_seconds_sum": 4,
		"request_queue_duration_seconds_count": 3, "request_queue_duration_seconds_sum": .04,
		"decision_stage_duration_seconds_count{whole}": 3, "decision_stage_duration_seconds_sum{whole}": 80e-6,
		"served_prediction_count{films,3}": 3, "served_prediction_sum{films,3}": 1.5,
		"batch_events_count{in}": 1, "batch_events_sum{in}": 6,
		"batch_stage_duration_seconds_sum{in,store}": .004, "batch_stage_duration_seconds_sum{in,whole}": .03,
		"rebalances_total{in}": 1, "assigned_partitions{in}": 1,
	})
}

func TestFeedbackHasItsOwnOutcomes(t *testing.T) {
	m := New(Build{}, Sources{})
	m.Requests("in")
	s := m.Feedback("feedback")
	b := newBatch(3).add(schemas.Outcome{}).add(schemas.Outcome{}).rejected(schemas.CodeUnknownValue)
	b.report.Times.Lookup, b.report.Times.Decide = 0, 0
	s.Finished(&b.report)
	wants(t, values(t, m), map[string]float64{
		"events_total{feedback,stored}": 2, "events_total{feedback,rejected}": 1, "events_total{feedback,decided}": math.NaN(),
		"dead_letters_total{feedback,unknown_value}": 1, "dead_letters_total{in,unknown_value}": 0,
		"batch_stage_duration_seconds_count{feedback,store}":  1,
		"batch_stage_duration_seconds_count{feedback,decide}": math.NaN(),
		"request_duration_seconds_count":                      0, "requests_total{model,none}": 0,
	})
}

func TestLagIsOfPartitionsInHand(t *testing.T) {
	m := New(Build{}, Sources{})
	s := m.Requests("in")
	s.Opened(0, 10)
	s.Opened(1, 0)
	wants(t, values(t, m), map[string]float64{"consumer_lag_events{in,0}": math.NaN()}) // nobody has looked yet
	s.SetEnds(map[int]int64{0: 25, 1: 7, 2: 99})
	wants(t, values(t, m), map[string]float64{"consumer_lag_events{in,0}": 15, "consumer_lag_events{in,1}": 7, "consumer_lag_events{in,2}": math.NaN()})
	s.Finished(&consumer.Report{Partition: 0, Next: 30}) // beyond the end of the last look, markers alone
	s.Finished(&consumer.Report{Partition: 2, Next: 5})  // of a worker on its way out
	s.Closed(1)
	wants(t, values(t, m), map[string]float64{"consumer_lag_events{in,0}": 0, "consumer_lag_events{in,1}": math.NaN(),
		"consumer_lag_events{in,2}": math.NaN(), "assigned_partitions{in}": 1, "batch_events_count{in}": 0})
}

func TestTroubleIsCounted(t *testing.T) {
	m := New(Build{}, Sources{})
	s := m.Requests("in")
	s.Retried("store")
	s.Retried("store")
	s.Retried("fetch")
	s.Stalled("publish")
	s.Lost(schemas.GapLedgerBehind, 17)
	wants(t, values(t, m), map[string]float64{"retries_total{in,store}": 2, "retries_total{in,fetch}": 1, "retries_total{in,open}": 0,
		"stalls_total{in,publish}": 1, "lost_events_total{in,ledger_behind}": 17, "lost_events_total{in,retention}": 0})
}

func TestHTTPRequests(t *testing.T) {
	m := New(Build{}, Sources{})
	m.HTTP("/v1/recommendations", "POST", 200, 250*time.Millisecond)
	m.HTTP("/v1/recommendations", "POST", 202, 750*time.Millisecond)
	m.HTTP("", "BREW", 404, 0)
	wants(t, values(t, m), map[string]float64{
		"http_requests_total{/v1/recommendations,POST,200}": 1, "http_requests_total{/v1/recommendations,POST,202}": 1,
		"http_requests_total{other,other,404}": 1, "http_request_duration_seconds_sum{/v1/recommendations}": 1})
}

func TestScoredStages(t *testing.T) {
	m := New(Build{}, Sources{})
	m.Scored([]Scored{{2 * time.Microsecond, 10 * time.Microsecond, 30 * time.Microsecond}, {4 * time.Microsecond, 0, 50 * time.Microsecond}})
	wants(t, values(t, m), map[string]float64{
		"decision_stage_duration_seconds_count{filter}": 2, "decision_stage_duration_seconds_sum{filter}": 6e-6,
		"decision_stage_duration_seconds_count{score}": 2, "decision_stage_duration_seconds_sum{score}": 10e-6,
		"decision_stage_duration_seconds_count{rank}": 2, "decision_stage_duration_seconds_sum{rank}": 80e-6})
}

func TestHistogramBucketsAreInclusive(t *testing.T) {
	h := newHistogram([]float64{1, 2, 5})
	for _, v := range []float64{-1, 0, 1, 1.5, 2, 2.1, 5, 6, 1e300} {
		h.observe(v)
	}
	for i, want := range []uint64{3, 2, 2, 2} {
		if h.counts[i] != want {
			t.Errorf("bucket %d has %d values, want %d", i, h.counts[i], want)
		}
	}
	h = newHistogram(requestBuckets)
	h.took(-time.Hour)
	h.took(50 * 365 * 24 * time.Hour)
	if h.sum != 86_400 || h.counts[0] != 1 || h.counts[len(requestBuckets)] != 1 {
		t.Errorf("wrong clocks make sum %v, counts %v", h.sum, h.counts)
	}
}
