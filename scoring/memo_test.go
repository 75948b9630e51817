package scoring

import (
	"math"
	"testing"

	"recstream/schemas"
)

// Every prediction, also one of the values that a careless sentinel would take, is made once.
func TestMemoRemembersEveryValue(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), 1, 0.25, math.NaN(), math.Float64frombits(math.MaxUint64), math.Inf(1), math.Inf(-1)}
	for _, value := range values {
		calls := 0
		e := newEngine(t, numbered(1))
		use(func([]float64) float64 { calls++; return value })(t, e)
		s := e.NewScorer()
		first, second := decide(t, s, &schemas.Request{}), decide(t, s, &schemas.Request{})
		if calls != 1 || !equalItems(first.Items, second.Items) {
			t.Errorf("%x: %d calls, %+v then %+v", math.Float64bits(value), calls, first.Items, second.Items)
		}
	}
}

// Each of the contexts has predictions of its own.
func TestMemoKeepsContextsApart(t *testing.T) {
	e := newEngine(t, numbered(1))
	calls := 0
	use(func(x []float64) float64 {
		calls++
		sum := 0.0
		for i, flag := range x[:10] {
			sum += flag * math.Ldexp(1, -1-i)
		}
		return sum
	})(t, e)
	s := e.NewScorer()
	seen := make(map[float64]bool)
	for m := range schemas.NumMoods {
		for g := range schemas.NumGroupSizes {
			for l := range schemas.NumSessionLengths {
				req := schemas.Request{Candidates: []string{"i000"}}
				req.Context = schemas.Context{Mood: m, GroupSize: g, SessionLength: l}
				seen[decide(t, s, &req).Items[0].Prediction] = true
				decide(t, s, &req)
			}
		}
	}
	if len(seen) != schemas.NumContexts || calls != schemas.NumContexts {
		t.Errorf("%d predictions in %d calls, want %d each", len(seen), calls, schemas.NumContexts)
	}
}

func TestWarmDecisionsAllocateNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(testing.TB, *Engine)
		items []schemas.Item
	}{
		{"model", use(byYear), numbered(300)},
		{"popular", lose(schemas.ReasonModelMissing), numbered(300)},
		{"basic", lose(schemas.ReasonModelMissing), withoutPopularity(numbered(300))},
	} {
		for _, candidates := range [][]string{nil, namesOf(200)} {
			t.Run(tt.name, func(t *testing.T) {
				e := newEngine(t, tt.items)
				tt.setup(t, e)
				s := e.NewScorer()
				if err := s.Begin(); err != nil { // for all of them: what Begin takes comes from a sync.Pool, which may forget
					t.Fatal(err)
				}
				req := schemas.Request{Limit: 10, Candidates: candidates, Exclude: []string{"i007"}}
				var d schemas.Decision
				if n := testing.AllocsPerRun(100, func() {
					if err := s.Decide(&req, nil, &d); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("%v allocations", n)
				}
			})
		}
	}
}
