package scoring

import (
	"math"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
)

func withoutPopularity(items []schemas.Item) []schemas.Item {
	for i := range items {
		items[i].Popularity = 0
	}
	return items
}

// Each row is one way down the ladder. Of the items i000…, byYear prefers the last and popularity the first.
func TestLadder(t *testing.T) {
	const n = 30
	last, first := []string{"i029", "i028", "i027"}, []string{"i000", "i001", "i002"}
	inOneItem := func(p float64) predictorFunc {
		return func(x []float64) float64 {
			if x[16] == 1915 {
				return p
			}
			return byYear(x)
		}
	}
	tests := []struct {
		name        string
		setup       func(testing.TB, *Engine)
		unpopular   bool
		candidates  []string
		tier        schemas.Tier
		degraded    []schemas.Reason
		items       []string
		lastIsPanic bool
	}{
		{name: "model", setup: use(byYear), tier: schemas.TierModel, items: last},
		{name: "no model yet", setup: func(testing.TB, *Engine) {}, tier: schemas.TierPopular,
			degraded: belowModels(schemas.ReasonModelMissing), items: first},
		{name: "load failed", setup: lose(schemas.ReasonModelLoadFailed), tier: schemas.TierPopular,
			degraded: belowModels(schemas.ReasonModelLoadFailed), items: first},
		{name: "feature mismatch", setup: lose(schemas.ReasonFeatureMismatch), tier: schemas.TierPopular,
			degraded: belowModels(schemas.ReasonFeatureMismatch), items: first},
		{name: "no reason given", setup: lose(""), tier: schemas.TierPopular,
			degraded: belowModels(schemas.ReasonModelMissing), items: first},
		{name: "one NaN", setup: use(inOneItem(math.NaN())), tier: schemas.TierPopular,
			degraded: belowModels(schemas.ReasonNonFiniteScore), items: first},
		{name: "one infinite", setup: use(inOneItem(math.Inf(-1))), tier: schemas.TierPopular,
			degraded: belowModels(schemas.ReasonNonFiniteScore), items: first},
		{name: "NaN not among the candidates", setup: use(inOneItem(math.NaN())), candidates: []string{"i003", "i009"},
			tier: schemas.TierModel, items: []string{"i009", "i003"}},
		{name: "constant", setup: use(constantly(0.5)), tier: schemas.TierPopular,
			degraded: belowModels(schemas.ReasonConstantScores), items: first},
		{name: "constant at 20 candidates", setup: use(constantly(0.5)), candidates: namesOf(20), tier: schemas.TierPopular,
			degraded: belowModels(schemas.ReasonConstantScores), items: first},
		{name: "constant at 19 candidates", setup: use(constantly(0.5)), candidates: namesOf(19),
			tier: schemas.TierModel, items: first},
		{name: "panic", setup: use(panicking), tier: schemas.TierPopular,
			degraded: belowModels(schemas.ReasonPanic), items: first, lastIsPanic: true},
		{name: "no popularity", setup: lose(schemas.ReasonModelMissing), unpopular: true, tier: schemas.TierBasic,
			degraded: belowModels(schemas.ReasonModelMissing, schemas.ReasonPopularityMissing, schemas.ReasonNoEditorialList), items: first},
		{name: "panic, no popularity", setup: use(panicking), unpopular: true, tier: schemas.TierBasic,
			degraded: belowModels(schemas.ReasonPanic, schemas.ReasonPopularityMissing, schemas.ReasonNoEditorialList), items: first, lastIsPanic: true},
		{name: "basic keeps the request's order", setup: lose(schemas.ReasonModelMissing), unpopular: true,
			candidates: []string{"i009", "i003", "i005", "i001"}, tier: schemas.TierBasic,
			degraded: belowModels(schemas.ReasonModelMissing, schemas.ReasonPopularityMissing, schemas.ReasonNoEditorialList),
			items:    []string{"i009", "i003", "i005"}},
		{name: "empty", setup: use(byYear), candidates: []string{}, tier: schemas.TierBasic,
			degraded: []schemas.Reason{schemas.ReasonNoEligibleItems}},
		{name: "empty without a model", setup: lose(schemas.ReasonModelLoadFailed), candidates: []string{"unknown"},
			tier:     schemas.TierBasic,
			degraded: []schemas.Reason{schemas.ReasonModelLoadFailed, schemas.ReasonNoEligibleItems}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			items := numbered(n)
			if tt.unpopular {
				items = withoutPopularity(items)
			}
			e := newEngine(t, items)
			tt.setup(t, e)
			s := e.NewScorer()
			// Twice: made predictions and remembered ones go down the same way.
			for range 2 {
				d := decide(t, s, &schemas.Request{RequestID: "r", Limit: 3, Candidates: tt.candidates})
				if d.Tier != tt.tier || !slices.Equal(d.Degraded, tt.degraded) || !slices.Equal(itemIDs(d), tt.items) {
					t.Errorf("tier %s, degraded %q, items %q; want %s, %q, %q",
						d.Tier, d.Degraded, itemIDs(d), tt.tier, tt.degraded, tt.items)
				}
				if (d.Model != nil) != (tt.tier == schemas.TierModel) {
					t.Errorf("model %v on tier %s", d.Model, d.Tier)
				}
				if p := s.LastPanic(); (p != nil) != tt.lastIsPanic || (p != nil && p.Tier != schemas.TierModel) {
					t.Errorf("last panic %v", p)
				}
			}
		})
	}
}

// belowModels are the codes of a request that neither a model nor a history can answer, for the first of those reasons.
func belowModels(first schemas.Reason, more ...schemas.Reason) []schemas.Reason {
	return append([]schemas.Reason{first, schemas.ReasonPreviousMissing, schemas.ReasonNoHistory}, more...)
}

func use(p predictorFunc) func(testing.TB, *Engine) {
	return func(t testing.TB, e *Engine) { e.setPredictor(t, p, schemas.ModelRef{Name: "test"}) }
}

func lose(reason schemas.Reason) func(testing.TB, *Engine) {
	return func(t testing.TB, e *Engine) { deploy(t, e, Deployment{Reason: reason}) }
}

func TestScoresOfEachTier(t *testing.T) {
	tests := []struct {
		name              string
		setup             func(testing.TB, *Engine)
		items             []schemas.Item
		prediction, score float64
	}{
		{"model", use(byYear), numbered(3), 0.1902, 0.1902},
		{"popular", lose(schemas.ReasonModelMissing), numbered(3), math.NaN(), 1},
		{"basic", lose(schemas.ReasonModelMissing), withoutPopularity(numbered(3)), math.NaN(), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t, tt.items)
			tt.setup(t, e)
			got := decide(t, e.NewScorer(), &schemas.Request{Limit: 1}).Items
			want := []schemas.ScoredItem{{ItemID: got[0].ItemID, Title: got[0].Title, Prediction: tt.prediction, Score: tt.score}}
			if !equalItems(got, want) {
				t.Errorf("got %+v, want prediction %v, score %v", got, tt.prediction, tt.score)
			}
		})
	}
}

// No tier shows what is hidden, expired or excluded.
func TestEligibilityInEveryTier(t *testing.T) {
	now := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, named := range []bool{false, true} {
		for name, setup := range map[string]func(testing.TB, *Engine){
			"model": use(byYear), "popular": lose(schemas.ReasonModelMissing), "basic": lose(schemas.ReasonModelMissing),
		} {
			t.Run(name, func(t *testing.T) {
				items := numbered(30)
				if name == "basic" {
					items = withoutPopularity(items)
				}
				for _, end := range []int{0, 29} { // the best of every tier
					items[end].Hidden = true
				}
				items[1].ExpiresAt, items[28].ExpiresAt = now, now
				e := newEngine(t, items)
				setup(t, e)
				req := schemas.Request{Limit: 100, Exclude: []string{"i002", "i027"}, RequestedAt: now}
				if named {
					req.Candidates = namesOf(30)
				}
				d := decide(t, e.NewScorer(), &req)
				got := itemIDs(d)
				slices.Sort(got)
				if want := namesOf(30)[3:27]; !slices.Equal(got, want) || d.Considered != len(want) || string(d.Tier) != name {
					t.Errorf("tier %s, considered %d, items %q; want %q", d.Tier, d.Considered, got, want)
				}
			})
		}
	}
}
