package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// histogram counts values by bucket. Its owner keeps others away while it is used: one lock for a whole batch
// costs less than the atomics of a Prometheus histogram for each value.
type histogram struct {
	bounds []float64 // inclusive upper bounds, rising; the last bucket has none
	counts []uint64  // by bucket, one more than bounds; not cumulated
	sum    float64
}

func newHistogram(bounds []float64) histogram {
	return histogram{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
}

// observe counts a finite value.
func (h *histogram) observe(v float64) {
	lo, hi := 0, len(h.bounds)
	for lo < hi { // the first bound that is not below v
		if middle := (lo + hi) / 2; h.bounds[middle] < v {
			lo = middle + 1
		} else {
			hi = middle
		}
	}
	h.counts[lo]++
	h.sum += v
}

// took counts a duration in seconds. Those that make no sense come from clocks that are wrong: less than nothing
// is nothing, and more than a day is a day, so that one of them does not drown the sum.
func (h *histogram) took(d time.Duration) {
	h.observe(min(max(d, 0), maxDuration).Seconds())
}

const maxDuration = 24 * time.Hour

// emit sends the histogram as a metric.
func (h *histogram) emit(out chan<- prometheus.Metric, m *metric, labels ...string) {
	buckets := make(map[float64]uint64, len(h.bounds))
	total := uint64(0)
	for i, bound := range h.bounds {
		total += h.counts[i]
		buckets[bound] = total
	}
	total += h.counts[len(h.bounds)]
	out <- prometheus.MustNewConstHistogram(m.desc, total, h.sum, buckets, valid(labels)...)
}

// Buckets, in seconds where they are of time.
var (
	// decisionBuckets are for what takes microseconds.
	decisionBuckets = []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3,
		.01, .025, .05, .1, .25, .5, 1}
	// batchBuckets are for the stages of a batch.
	batchBuckets = []float64{1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	// requestBuckets are for what an app waits for; an outage takes minutes.
	requestBuckets = []float64{1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	// sizeBuckets are for numbers of events.
	sizeBuckets = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000}
	// predictionBuckets are for probabilities.
	predictionBuckets = []float64{.05, .1, .15, .2, .25, .3, .35, .4, .45, .5, .55, .6, .65, .7, .75, .8, .85, .9, .95, 1}
)
