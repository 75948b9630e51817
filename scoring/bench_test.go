package scoring

import (
	"math/rand/v2"
	"testing"

	"recstream/schemas"
)

// The benchmarks have a catalogue as large as the demo's, and the demo model. Requests rotate through the
// 36 contexts without unknown values, as traffic does.
const benchItems = 3200

func benchScorer(b *testing.B, without ...Cache) *Scorer {
	e, err := New(DefaultParams(), Options{Without: without})
	if err != nil {
		b.Fatal(err)
	}
	setCatalog(b, e, randomItems(rand.New(rand.NewPCG(1, 1)), benchItems), 1)
	deploy(b, e, Deployment{Model: loadModel(b, demoModel)})
	return e.NewScorer()
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

func benchDecide(b *testing.B, s *Scorer, requests []schemas.Request) {
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

func BenchmarkDecide200Named(b *testing.B) { benchDecide(b, benchScorer(b), benchRequests(200)) }

func BenchmarkDecideCatalog(b *testing.B) {
	benchDecide(b, benchScorer(b, CacheAnswers), benchRequests(0))
}

// BenchmarkDecideRemembered is the work of requests that were answered before.
func BenchmarkDecideRemembered(b *testing.B) { benchDecide(b, benchScorer(b), benchRequests(0)) }

// BenchmarkDecide200Fresh is the work of requests whose scores are not remembered: the evaluator makes each.
func BenchmarkDecide200Fresh(b *testing.B) {
	benchDecide(b, benchScorer(b, CacheScores), benchRequests(200))
}
