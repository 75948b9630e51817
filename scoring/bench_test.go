package scoring

import (
	"math/rand/v2"
	"testing"

	"recstream/schemas"
)

// The benchmarks have a catalogue as large as the demo's, and the demo model. Requests rotate through the
// 36 contexts without unknown values, as traffic does.
const benchItems = 3200

func benchScorer(b *testing.B) (*Engine, *Scorer) {
	e := newEngine(b, randomItems(rand.New(rand.NewPCG(1, 1)), benchItems))
	deploy(b, e, Deployment{Model: loadModel(b, demoModel)})
	s := e.NewScorer()
	return e, s
}

func benchRequests(candidates int) []schemas.Request {
	random := rand.New(rand.NewPCG(2, 2))
	names := namesOf(benchItems)
	requests := make([]schemas.Request, 36*4)
	for i := range requests {
		requests[i].Limit = 10
		requests[i].Context = schemas.Context{
			Mood:          schemas.Mood(1 + i%4),
			GroupSize:     schemas.GroupSize(1 + i/4%3),
			SessionLength: schemas.SessionLength(1 + i/12%3),
		}
		for range candidates {
			requests[i].Candidates = append(requests[i].Candidates, names[random.IntN(len(names))])
		}
	}
	return requests
}

func benchDecide(b *testing.B, requests []schemas.Request) {
	_, s := benchScorer(b)
	var d schemas.Decision
	considered := 0
	for i := range requests { // warm
		if err := s.Decide(&requests[i], nil, &d); err != nil {
			b.Fatal(err)
		}
		considered += d.Considered
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.Decide(&requests[i%len(requests)], nil, &d); err != nil {
			b.Fatal(err)
		}
	}
	mean := float64(considered) / float64(len(requests))
	b.ReportMetric(mean, "candidates/op")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/mean, "ns/candidate")
}

func BenchmarkDecide200Named(b *testing.B) { benchDecide(b, benchRequests(200)) }

func BenchmarkDecideCatalog(b *testing.B) { benchDecide(b, benchRequests(0)) }

// BenchmarkDecide200Fresh is the work of requests whose scores are not remembered: the evaluator makes each.
func BenchmarkDecide200Fresh(b *testing.B) {
	e, _ := benchScorer(b)
	e.state.Load().base.rungs[0].model.memo = nil
	s := e.NewScorer()
	requests := benchRequests(200)
	var d schemas.Decision
	for i := 0; b.Loop(); i++ {
		if err := s.Decide(&requests[i%len(requests)], nil, &d); err != nil {
			b.Fatal(err)
		}
	}
}
