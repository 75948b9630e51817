package popularity

import (
	"math"
	"slices"
	"time"

	"recstream/schemas"
)

// Params say how much outcomes count.
type Params struct {
	HalfLife      time.Duration // in which an outcome loses half its weight; above 0
	PriorStrength float64       // the outcomes that the wider popularity weighs as much as; above 0, finite
}

// Table has the popularity of each item in each context. It does not change, so any number of goroutines read it.
type Table struct {
	contexts [schemas.NumContexts][]float32 // those without outcomes share one; all nil where nothing is known
}

// New makes the table of items, spoken of by their place in the slice, which lookup returns for an id. Counts of
// unknown items are left out; several of one item and context add up. An item that is hidden counts nothing, and
// has popularity 0. Popularities and weights that are not positive and finite count as 0.
//
// It takes a pass over the items, and 4 bytes for each, for every context that has outcomes. Build it in the background.
func New(items []schemas.Item, lookup func(id string) (int32, bool), counts []schemas.ItemPopularity, p Params) *Table {
	t := &Table{}
	contexts := collect(items, lookup, counts, p.HalfLife)
	wider := overall(items, contexts, p.PriorStrength)
	if wider == nil {
		return t
	}
	shared := column(wider)
	values := make([]float64, len(items))
	for c, outcomes := range contexts {
		t.contexts[c] = shared
		if len(outcomes) == 0 {
			continue
		}
		for i, share := range wider {
			values[i] = p.PriorStrength * share
		}
		for _, o := range outcomes {
			values[o.item] += o.weight
		}
		t.contexts[c] = column(values)
	}
	return t
}

// Context returns the popularity of each item in a context, by place: p(i|c) divided by the largest, so it is 0 to 1,
// and 1 for the most popular item. It is shared, and for reading only. It is nil where nothing is known: no item that
// may be recommended has a popularity or an outcome.
func (t *Table) Context(c schemas.Context) []float32 { return t.contexts[c.Index()] }

// column returns a list of popularities in proportion to values, of which the largest is above 0. Divided by it,
// neither their sum nor their scale matters.
func column(values []float64) []float32 {
	largest := slices.Max(values)
	list := make([]float32, len(values))
	for i, v := range values {
		list[i] = float32(v / largest)
	}
	return list
}

// outcome is what the outcomes of one item in one context weigh, at the time of the latest of all. It is above 0.
type outcome struct {
	item   int32
	weight float64
}

// collect fades the counts to one time, and sorts them by context.
func collect(items []schemas.Item, lookup func(id string) (int32, bool), counts []schemas.ItemPopularity, halfLife time.Duration) *[schemas.NumContexts][]outcome {
	var latest time.Time
	for i := range counts {
		if counts[i].AsOf.After(latest) {
			latest = counts[i].AsOf
		}
	}
	contexts := &[schemas.NumContexts][]outcome{}
	for i := range counts {
		n := &counts[i]
		item, ok := lookup(n.ItemID)
		if !ok || items[item].Hidden {
			continue
		}
		age := latest.Sub(n.AsOf)
		weight := positive(n.Weight) * math.Exp2(-float64(age)/float64(halfLife))
		if weight > 0 {
			list := &contexts[n.Context.Index()]
			*list = append(*list, outcome{item, weight})
		}
	}
	return contexts
}

// overall returns p(i), the popularity in all contexts together; nil where nothing is known. Its sums go by context
// and by place, so with one count for an item and context they do not depend on the order of the counts.
func overall(items []schemas.Item, contexts *[schemas.NumContexts][]outcome, strength float64) []float64 {
	p := make([]float64, len(items))
	for _, outcomes := range contexts {
		for _, o := range outcomes {
			p[o.item] += o.weight
		}
	}
	total := 0.0
	for _, n := range p {
		total += n
	}
	prior, known := catalogue(items)
	if !known && total == 0 {
		return nil
	}
	for i, n := range p {
		p[i] = (n + strength*prior[i]) / (total + strength)
	}
	return p
}

// catalogue returns q(i), and whether it is more than a guess: any item has a popularity.
func catalogue(items []schemas.Item) (q []float64, known bool) {
	q = make([]float64, len(items))
	largest := 0.0
	for i := range items {
		if !items[i].Hidden {
			q[i] = positive(items[i].Popularity)
			largest = max(largest, q[i])
		}
	}
	sum := 0.0
	for i := range items {
		switch {
		case largest > 0:
			q[i] /= largest // the sum of large ones would be infinite
		case !items[i].Hidden:
			q[i] = 1
		}
		sum += q[i]
	}
	for i := range q {
		q[i] /= sum
	}
	return q, largest > 0
}

// positive returns v, or 0 for one that is not positive and finite.
func positive(v float64) float64 {
	if v > 0 && !math.IsInf(v, 1) {
		return v
	}
	return 0
}
