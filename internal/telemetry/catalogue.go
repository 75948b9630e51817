package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Description says what a metric is. docs/metrics.md has them all.
type Description struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// metric is a description with what Prometheus makes of it.
type metric struct {
	Description
	desc *prometheus.Desc
}

func describe(kind, name, help string, labels ...string) *metric {
	name = "recstream_" + name
	return &metric{Description{name, kind, labels, help}, prometheus.NewDesc(name, help, labels, nil)}
}

func counter(name, help string, labels ...string) *metric {
	return describe("counter", name, help, labels...)
}

func gauge(name, help string, labels ...string) *metric {
	return describe("gauge", name, help, labels...)
}

func distribution(name, help string, labels ...string) *metric {
	return describe("histogram", name, help, labels...)
}

// The metrics of a stream of events.
var (
	eventsTotal      = counter("events_total", "Events seen through, by what became of them: decided, repeated (the request id had its decision already), stored (feedback), rejected.", "topic", "outcome")
	deadLettersTotal = counter("dead_letters_total", "Dead letters, by the code of their fault.", "topic", "code")
	batchEvents      = distribution("batch_events", "Events of a batch.", "topic")
	batchStage       = distribution("batch_stage_duration_seconds", "Time that a batch took at a stage; whole is all of it, waits between attempts included.", "topic", "stage")
	lagEvents        = gauge("consumer_lag_events", "Offsets between the end of a partition, as of the last look, and what is committed of it.", "topic", "partition")
	assigned         = gauge("assigned_partitions", "Partitions in hand.", "topic")
	rebalancesTotal  = counter("rebalances_total", "Times that the consumer group dealt its partitions out anew.", "topic")
	retriesTotal     = counter("retries_total", "Attempts that failed and were made again.", "topic", "stage")
	stallsTotal      = counter("stalls_total", "Times that a worker made no progress for consumer.stall_warning.", "topic", "stage")
	lostTotal        = counter("lost_events_total", "Events that were passed over and have no outcome, by why: retention deleted them before they were read, or ledger_behind, the group's offset was ahead of the ledger.", "topic", "reason")
)

// The metrics of decisions.
var (
	requestsTotal   = counter("requests_total", "Requests decided, by the tier that answered and the first reason why a better one did not; none for the best.", "tier", "reason")
	degradedTotal   = counter("degraded_total", "Reasons of answers that the best tier did not give; an answer can have several.", "reason")
	coldStartsTotal = counter("cold_starts_total", "Decisions that did not know something, by what.", "code")
	requestDuration = distribution("request_duration_seconds", "Time from a request's record in Kafka to its published answer.")
	queueDuration   = distribution("request_queue_duration_seconds", "Time from a request's requested_at to its scoring.")
	decisionStage   = distribution("decision_stage_duration_seconds", "Time that a decision took at a stage; whole is all of it, in whole microseconds.", "stage")
	prediction      = distribution("served_prediction", "Predictions of the items recommended.", "model", "version")
)

// The metrics of what is in force, and of the instance.
var (
	tierState      = gauge("tier_state", "1 for the state that a tier's breaker is in; where experiments differ, the worst.", "tier", "model", "version", "state")
	predictionPSI  = gauge("prediction_psi", "Population stability index of a model's predictions of late against those of its training.", "model", "version")
	modelInfo      = gauge("model_info", "1 for each model in force, with how it is evaluated.", "model", "version", "sha256", "method")
	modelMemory    = gauge("model_memory_bytes", "Memory of the evaluator of a model in force.", "model", "version")
	configInfo     = gauge("config_info", "1 for the scoring parameters in force.", "version")
	configRefused  = gauge("config_refused", "1 while changed scoring parameters are refused, and the old ones serve.")
	catalogVersion = gauge("catalog_version", "Version of the catalogue in force.")
	catalogItems   = gauge("catalog_items", "Items of the catalogue in force.")
	catalogChecked = gauge("catalog_checked_timestamp_seconds", "When the catalogue in force was last found to be the stored one.")
	cacheHits      = counter("cache_hits_total", "Look-ups that found what they wanted in memory.", "cache")
	cacheMisses    = counter("cache_misses_total", "Look-ups that did not.", "cache")
	cacheBytes     = gauge("cache_bytes", "Memory of a cache.", "cache")
	shadowQueue    = gauge("shadow_queue_length", "Requests that wait for the shadows of experiments.")
	shadowsTotal   = counter("shadow_decisions_total", "Shadow decisions stored, and requests or decisions dropped.", "outcome")
	httpTotal      = counter("http_requests_total", "Requests to the HTTP interface.", "route", "method", "status")
	httpDuration   = distribution("http_request_duration_seconds", "Time to answer a request to the HTTP interface, waits for results included.", "route")
	buildInfo      = gauge("build_info", "1, with what the program was built from.", "version", "revision", "go_version")
)

// metrics are all of them.
var metrics = []*metric{
	eventsTotal, deadLettersTotal, batchEvents, batchStage, lagEvents, assigned, rebalancesTotal, retriesTotal,
	stallsTotal, lostTotal,
	requestsTotal, degradedTotal, coldStartsTotal, requestDuration, queueDuration, decisionStage, prediction,
	tierState, predictionPSI, modelInfo, modelMemory, configInfo, configRefused, catalogVersion, catalogItems,
	catalogChecked, cacheHits, cacheMisses, cacheBytes, shadowQueue, shadowsTotal, httpTotal, httpDuration, buildInfo,
}

// Descriptions describes every metric of this package, in the order in which docs/metrics.md has them. Those of the
// Go runtime and of the process come from their collectors.
func Descriptions() []Description {
	list := make([]Description, len(metrics))
	for i, m := range metrics {
		list[i] = m.Description
		list[i].Labels = slices.Clone(m.Labels)
	}
	return list
}

// emit sends one value. The label values are in the order of the metric's labels.
func (m *metric) emit(out chan<- prometheus.Metric, value float64, labels ...string) {
	kind := prometheus.GaugeValue
	if m.Type == "counter" {
		kind = prometheus.CounterValue
	}
	out <- prometheus.MustNewConstMetric(m.desc, kind, value, valid(labels)...)
}
