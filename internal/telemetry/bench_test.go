package telemetry

import (
	"testing"
	"time"

	"recstream/schemas"
)

// typical is a batch of requests of which one in ten is degraded, with three items each.
func typical(n int) *batch {
	b := newBatch(0)
	for i := range n {
		d := byModel(.31, .22, .17)
		if i%10 == 0 {
			d.Tier, d.Model, d.Degraded = schemas.TierPopular, nil, []schemas.Reason{schemas.ReasonModelMissing, schemas.ReasonPreviousMissing, schemas.ReasonNoHistory}
			d.ColdStart = []schemas.ColdStart{schemas.ColdAnonymousUser}
		}
		b.decided(d)
	}
	return b
}

func TestReportsAllocateNothing(t *testing.T) {
	m := New(Build{}, Sources{})
	s, b := m.Requests("in"), typical(100)
	times := make([]Scored, 100)
	s.Opened(0, 0)
	if n := testing.AllocsPerRun(100, func() {
		s.Finished(&b.report)
		m.Scored(times)
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// BenchmarkFinished measures what metrics cost a request.
func BenchmarkFinished(b *testing.B) {
	const n = 500
	m := New(Build{}, Sources{})
	s, batch := m.Requests("in"), typical(n)
	times := make([]Scored, n)
	for i := range times {
		times[i] = Scored{3 * time.Microsecond, 10 * time.Microsecond, 30 * time.Microsecond}
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Finished(&batch.report)
		m.Scored(times)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/request")
}

// BenchmarkScrape measures a scrape of a busy instance.
func BenchmarkScrape(b *testing.B) {
	m := New(Build{}, Sources{})
	m.Requests("in").Finished(&typical(500).report)
	m.Feedback("feedback")
	for b.Loop() {
		if _, err := m.Gatherer().Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
