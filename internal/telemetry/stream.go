package telemetry

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"recstream/consumer"
	"recstream/schemas"
)

// Stream observes the consumer of one topic. It is safe for concurrent use.
type Stream struct {
	topic     string
	decisions *decisions // nil for feedback

	mu         sync.Mutex
	outcomes   tally[string]
	codes      tally[string]
	batches    histogram
	stages     [numBatchStages]histogram
	retried    tally[string]
	stalled    tally[string]
	rebalances uint64
	lost       tally[schemas.GapReason]
	partitions map[int]int64 // those in hand → committed offset
	ends       map[int]int64 // as of the last look
}

var _ consumer.Observer = (*Stream)(nil)

// batchStages are the names of a batch's times, in the order of stageTimes.
var batchStages = [...]string{"decode", "lookup", "decide", "store", "publish", "whole"}

const numBatchStages = len(batchStages)

func stageTimes(t *consumer.Times) [numBatchStages]time.Duration {
	return [...]time.Duration{t.Decode, t.Lookup, t.Decide, t.Store, t.Publish, t.Whole}
}

// Outcomes of events.
const (
	rejected = iota
	decided  // of requests
	repeated
	stored = iota - 2 // of feedback
)

func newStream(topic string, d *decisions) *Stream {
	outcomes := []string{"rejected", "stored"}
	if d != nil {
		outcomes = []string{"rejected", "decided", "repeated"}
	}
	s := &Stream{topic: topic, decisions: d, partitions: map[int]int64{},
		outcomes: newTally(outcomes), codes: newTally(codes), retried: newTally(stages), stalled: newTally(stages),
		lost:    newTally(gapReasons),
		batches: newHistogram(sizeBuckets)}
	for i := range s.stages {
		s.stages[i] = newHistogram(batchBuckets)
	}
	return s
}

// Finished counts a batch.
func (s *Stream) Finished(r *consumer.Report) {
	s.count(r)
	if s.decisions != nil {
		s.decisions.count(r)
	}
}

func (s *Stream) count(r *consumer.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ours := s.partitions[r.Partition]; ours {
		s.partitions[r.Partition] = r.Next
	}
	if len(r.Outcomes) == 0 {
		return // markers of transactions alone
	}
	for i := range r.Outcomes {
		switch out := &r.Outcomes[i]; {
		case out.Rejection != nil:
			s.outcomes.counts[rejected]++
			s.codes.add(out.Rejection.Code)
		case out.Decision == nil:
			s.outcomes.counts[stored]++
		case consumer.Decided(out):
			s.outcomes.counts[decided]++
		default:
			s.outcomes.counts[repeated]++
		}
	}
	s.batches.observe(float64(len(r.Outcomes)))
	for i, d := range stageTimes(&r.Times) {
		if d > 0 {
			s.stages[i].took(d)
		}
	}
}

// Joined counts a rebalance.
func (s *Stream) Joined(int) { s.locked(func() { s.rebalances++ }) }

// Opened notes that a partition is in hand.
func (s *Stream) Opened(partition int, offset int64) {
	s.locked(func() { s.partitions[partition] = offset })
}

// Closed notes that it no longer is: its lag is somebody else's.
func (s *Stream) Closed(partition int) { s.locked(func() { delete(s.partitions, partition) }) }

// Retried counts a failed attempt.
func (s *Stream) Retried(stage string) { s.locked(func() { s.retried.add(stage) }) }

// Stalled counts a report of a worker that makes no progress.
func (s *Stream) Stalled(stage string) { s.locked(func() { s.stalled.add(stage) }) }

// Lost counts events that were passed over.
func (s *Stream) Lost(reason schemas.GapReason, events int64) {
	s.locked(func() { s.lost.counts[s.lost.place(reason)] += uint64(events) })
}

// SetEnds notes where the topic's partitions end: the offsets after their last records. The map is the stream's
// from then on. Without it no lag is known; it is to be called every few seconds, by somebody who does not wait for
// the consumer, so that the lag of a consumer that is stuck grows.
func (s *Stream) SetEnds(ends map[int]int64) { s.locked(func() { s.ends = ends }) }

func (s *Stream) locked(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// collect sends the stream's metrics.
func (s *Stream) collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range []struct {
		metric *metric
		tally  *tally[string]
	}{{eventsTotal, &s.outcomes}, {deadLettersTotal, &s.codes}, {retriesTotal, &s.retried}, {stallsTotal, &s.stalled}} {
		t.tally.each(func(value string, count uint64) { t.metric.emit(out, float64(count), s.topic, value) })
	}
	s.batches.emit(out, batchEvents, s.topic)
	for i := range s.stages {
		if s.decisions != nil || batchStages[i] != "decide" && batchStages[i] != "lookup" {
			s.stages[i].emit(out, batchStage, s.topic, batchStages[i])
		}
	}
	assigned.emit(out, float64(len(s.partitions)), s.topic)
	rebalancesTotal.emit(out, float64(s.rebalances), s.topic)
	s.lost.each(func(reason string, count uint64) { lostTotal.emit(out, float64(count), s.topic, reason) })
	for partition, next := range s.partitions {
		if end, known := s.ends[partition]; known {
			lagEvents.emit(out, float64(max(0, end-next)), s.topic, strconv.Itoa(partition))
		}
	}
}
