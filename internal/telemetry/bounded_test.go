package telemetry

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"recstream/schemas"
)

// hostile makes a batch in which everything that an event, a model or a defect could choose is different each time.
func hostile(random *rand.Rand, partition int) *batch {
	text := func() string { return fmt.Sprintf("x%d\xff\n\"", random.Uint64()) }
	b := newBatch(partition)
	b.report.Next = random.Int64()
	for range 20 {
		d := byModel(random.Float64(), math.NaN(), random.NormFloat64()*1e300)
		d.RequestID, d.UserID, d.ConfigVersion = text(), text(), text()
		d.Model = &schemas.ModelRef{Name: text(), Version: text(), SHA256: text()}
		d.Items[0].ItemID = text()
		switch random.IntN(4) {
		case 0:
			d.Tier, d.Degraded, d.ColdStart = schemas.Tier(text()), []schemas.Reason{schemas.Reason(text())}, []schemas.ColdStart{schemas.ColdStart(text())}
		case 1:
			d.Tier, d.Degraded = tiers[random.IntN(len(tiers))], []schemas.Reason{reasons[random.IntN(len(reasons))]}
		}
		b.decided(d).rejected(text())
		b.report.Outcomes[len(b.report.Outcomes)-1].Message.Time = now.AddDate(random.IntN(8000)-2000, 0, 0)
	}
	return b
}

// TestSeriesAreBounded lets everything that events and models can say vary without end.
func TestSeriesAreBounded(t *testing.T) {
	m := New(Build{}, Sources{})
	s, random := m.Requests("in"), rand.New(rand.NewPCG(1, 2))
	storm := func(n int) {
		for i := range n {
			s.Finished(&hostile(random, i).report)
			m.HTTP("", fmt.Sprint("METHOD", i), 404, 0)
			s.Retried(fmt.Sprint("stage", random.Uint64()))
			s.Stalled(fmt.Sprint("stage", random.Uint64()))
		}
	}
	storm(500)
	before := values(t, m)
	storm(1500)
	after := values(t, m)
	for name := range after {
		if _, there := before[name]; !there {
			t.Errorf("%s is new after more of the same", name)
		}
	}
	// Two lists of 6 and 17 values with one more each are the most that any pair of labels can have.
	if most := 400; len(after) > most {
		t.Errorf("%d series, want %d at the most", len(after), most)
	}
	wants(t, after, map[string]float64{"events_total{in,decided}": 40_000, "dead_letters_total{in,other}": 40_000})
}

// TestModelsBetweenScrapesAreBounded: those in force are known at a scrape only.
func TestModelsBetweenScrapesAreBounded(t *testing.T) {
	m := New(Build{}, Sources{Models: func() []Model { return []Model{{Ref: *ref}} }})
	s, random := m.Requests("in"), rand.New(rand.NewPCG(3, 4))
	for range 100 {
		s.Finished(&hostile(random, 0).report)
	}
	if n := len(m.decisions.models); n != maxModels {
		t.Errorf("%d models are counted, want %d", n, maxModels)
	}
	values(t, m)
	if n := len(m.decisions.models); n != 0 {
		t.Errorf("after a scrape %d models are counted that are not in force", n)
	}
	s.Finished(&newBatch(0).decided(byModel(.5)).report)
	wants(t, values(t, m), map[string]float64{"served_prediction_count{films,3}": 1})
}

// TestScrapesWhileWorkersReport is for the race detector.
func TestScrapesWhileWorkersReport(t *testing.T) {
	m := New(Build{}, Sources{Models: func() []Model { return []Model{{Ref: *ref}} }})
	s, server := m.Requests("in"), httptest.NewServer(m.Handler())
	defer server.Close()
	var workers sync.WaitGroup
	for partition := range 4 {
		workers.Go(func() {
			s.Opened(partition, 0)
			for range 200 {
				s.Finished(&newBatch(partition).decided(byModel(.5)).report)
			}
			s.Closed(partition)
		})
	}
	for range 5 {
		res, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("status %d, %v", res.StatusCode, err)
		}
		res.Body.Close()
	}
	workers.Wait()
	wants(t, values(t, m), map[string]float64{"events_total{in,decided}": 800, "assigned_partitions{in}": 0})
}
