package main

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"recstream/schemas"
	"recstream/scoring/rank"
)

// scored is a candidate with all scores but for diversity.
type scored struct {
	place    int32
	raw, sum float64
}

// tolerance is for sums in another order.
const tolerance = 1e-9

// compare refuses to measure where the two give different items or scores.
func (w *workload) compare(r *rank.Ranker) error {
	for i := range w.queries {
		ours, theirs := r.Rank(nil, &w.queries[i]), w.rankObviously(&w.queries[i])
		if len(ours) != len(theirs) {
			return fmt.Errorf("request %d has %d items, the obvious program's %d", i, len(ours), len(theirs))
		}
		for k := range ours {
			if ours[k].Item != theirs[k].place || math.Abs(ours[k].Score-theirs[k].sum) > tolerance {
				return fmt.Errorf("request %d, place %d: item %d with %v, the obvious program's %d with %v",
					i, k, ours[k].Item, ours[k].Score, theirs[k].place, theirs[k].sum)
			}
		}
	}
	return nil
}

// rankObviously does the same work as a rank.Ranker as one would write it down: every score, a full sort, then item
// after item the best of the pool. Its lists are used again, and it has the index for similarities.
func (w *workload) rankObviously(q *rank.Query) []scored {
	w.scores = w.scores[:0]
	genres, liking := weights(q.Profile)
	largest := 0.0
	for i := range w.items {
		largest = max(largest, w.items[i].Popularity)
	}
	for i, place := range q.Items {
		sum := w.score(q, place, q.Raw[i], genres, liking, math.Log1p(largest))
		w.scores = append(w.scores, scored{place, q.Raw[i], sum})
	}
	sort.Slice(w.scores, func(a, b int) bool { return before(w.scores[a], w.scores[b]) })
	return w.choose(q)
}

func before(a, b scored) bool {
	if a.sum != b.sum {
		return a.sum > b.sum
	}
	if a.raw != b.raw {
		return a.raw > b.raw
	}
	return a.place < b.place
}

// weights are a profile's, by genre, and the sum of their absolute values.
func weights(p *schemas.Profile) (genres map[string]float64, liking float64) {
	if p == nil {
		return nil, 0
	}
	genres = map[string]float64{}
	for _, g := range p.Genres {
		genres[g.Genre] = g.Weight
		liking += math.Abs(g.Weight)
	}
	return genres, liking
}

func (w *workload) score(q *rank.Query, place int32, raw float64, genres map[string]float64, liking, popularity float64) float64 {
	it, p := &w.items[place], &w.params
	measure := q.Predict(raw)
	if c := p.Calibration; c.Slope != 1 || c.Intercept != 0 {
		measure = 1 / (1 + math.Exp(-(c.Slope*math.Log(measure/(1-measure)) + c.Intercept)))
	}
	sum := p.Weights.Base * measure
	for i := range p.Boosts {
		sum += boost(&p.Boosts[i], it, q)
	}
	if liking > 0 && p.Weights.Affinity > 0 {
		like := 0.0
		for _, g := range it.Genres {
			like += genres[g]
		}
		sum += p.Weights.Affinity * like / liking
	}
	if p.Weights.Freshness > 0 {
		age := max(0, q.At.Sub(it.AddedAt))
		sum += p.Weights.Freshness * math.Exp2(-float64(age)/float64(p.FreshnessHalfLife))
	}
	if p.Weights.Popularity > 0 {
		sum += p.Weights.Popularity * math.Log1p(it.Popularity) / popularity
	}
	if q.SimilarTo >= 0 {
		sum += p.Weights.Similarity * w.index.Similarity(place, q.SimilarTo)
	}
	return sum
}

// boost is what a rule with the conditions that the workload has adds.
func boost(b *rank.Boost, it *schemas.Item, q *rank.Query) float64 {
	hasOne := func(of, have []string) bool {
		return len(of) == 0 || slices.ContainsFunc(have, func(name string) bool { return slices.Contains(of, name) })
	}
	young := b.AgeDays.Max == nil || q.At.Sub(it.AddedAt).Hours()/24 < *b.AgeDays.Max
	if q.At.Before(b.From) || !young || !hasOne(b.Genres, it.Genres) || !hasOne(b.Tags, it.Tags) {
		return 0
	}
	return b.Add
}

// choose takes the best of the sorted candidates, item after item, from a pool of the best where there is diversity.
func (w *workload) choose(q *rank.Query) []scored {
	w.chosen = w.chosen[:0]
	pool := w.scores
	if w.params.Diversity.Strength > 0 {
		pool = w.scores[:min(len(w.scores), w.params.Diversity.Pool)]
	}
	for len(w.chosen) < q.Limit {
		best := scored{place: -1}
		for _, s := range pool {
			if !w.allowed(s.place) {
				continue
			}
			s = w.diversified(s)
			if best.place < 0 || before(s, best) {
				best = s
			}
			if w.params.Diversity.Strength == 0 {
				break
			}
		}
		if best.place < 0 {
			break
		}
		w.chosen = append(w.chosen, best)
	}
	return w.chosen
}

func (w *workload) diversified(s scored) scored {
	near := 0.0
	for _, c := range w.chosen {
		near = max(near, w.index.Similarity(s.place, c.place))
	}
	s.sum -= w.params.Diversity.Strength * (s.sum + near)
	return s
}

// allowed reports whether the item may come next, by the caps and the first page.
func (w *workload) allowed(place int32) bool {
	it, caps := &w.items[place], w.params.Caps
	sameGenre, sameFranchise, sameBand := map[string]int{}, 0, 0
	for _, c := range w.chosen {
		other := &w.items[c.place]
		if c.place == place || (len(w.chosen) < w.params.Page && w.index.NearIdentical(place, c.place, w.params.NearIdentical)) {
			return false
		}
		for _, g := range other.Genres {
			sameGenre[g]++
		}
		if it.Franchise != "" && it.Franchise == other.Franchise {
			sameFranchise++
		}
		if int(it.Year)/caps.BandYears == int(other.Year)/caps.BandYears {
			sameBand++
		}
	}
	full := func(n, most int) bool { return most > 0 && n >= most }
	return !full(sameFranchise, caps.Franchise) && !full(sameBand, caps.YearBand) &&
		!slices.ContainsFunc(it.Genres, func(g string) bool { return full(sameGenre[g], caps.Genre) })
}
