package scoring

import (
	"fmt"
	"hash/fnv"
	"runtime/debug"
	"slices"

	"recstream/schemas"
	"recstream/scoring/explain"
	"recstream/scoring/rank"
)

// wantsExplanation reports whether the explanation of a decision is to be kept.
func (s *Scorer) wantsExplanation(req *schemas.Request) bool {
	if req.Explain {
		return true
	}
	p := &s.arm.params.Explain
	return p.Keep == KeepAlways || p.Keep == KeepSampled && sampled(req.RequestID, p.SampleRate)
}

// sampled picks a share of the request ids, always the same ones, in steps of a ten-thousandth.
func sampled(id string, share float64) bool {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return float64(h.Sum64()%10_000) < share*10_000
}

// explain explains the decision that was just made: each item of it, and what was dropped. A panic leaves the answer
// without its explanation.
func (s *Scorer) explain(q *question, dst *schemas.Decision) {
	defer func() {
		if v := recover(); v != nil {
			s.lastPanic = &PanicError{Tier: dst.Tier, Value: fmt.Sprintf("explain: %v", v), Stack: debug.Stack()}
			clear(s.contributors)
		}
	}()
	x := &schemas.Explanation{Items: make([]schemas.ItemExplanation, len(dst.Items))}
	for n := range s.ranked {
		facts := s.facts(q, &s.ranked[n], dst)
		x.Items[n] = schemas.ItemExplanation{Reason: explain.Reason(&facts), Contributions: facts.Contributions}
	}
	x.Dropped = s.dropped(q, dst)
	dst.Explanation = x
}

// facts are what is known of how an item came to be recommended.
func (s *Scorer) facts(q *question, best *rank.Ranked, dst *schemas.Decision) explain.Facts {
	a, item := s.arm, s.arm.catalog.Item(best.Item)
	f := explain.Facts{
		Tier: dst.Tier, Context: q.req.Context, Suits: q.req.Candidates == nil && !best.Pinned,
		Item: item, Profile: q.profile, Terms: best.Terms, Pinned: best.Pinned,
		Boosts: a.plan.ActiveBoosts(nil, best.Item, q.req.RequestedAt),
		New:    s.isNew(item.AddedAt, q.req.RequestedAt),
	}
	if i, ok := a.catalog.Lookup(q.req.SimilarTo); ok {
		f.SimilarTo = a.catalog.Item(i)
	}
	switch dst.Tier {
	case schemas.TierModel, schemas.TierPrevious:
		f.Contributions = s.contributions(best.Item)
	case schemas.TierPopular:
		here, anywhere := a.popularity.Context(q.req.Context), a.popularity.Context(schemas.Context{})
		f.InContext = len(anywhere) == 0 || &here[0] != &anywhere[0]
	case schemas.TierEditorial:
		f.List = a.contents.listOf(q, best.Item)
	default:
	}
	return f
}

// listOf returns the name of the list that an item was taken from, "" for none.
func (x *contents) listOf(q *question, item int32) string {
	for n := range x.lists {
		if l := &x.lists[n]; l.suits(q.req.Context, q.req.RequestedAt) && slices.Contains(l.items, item) {
			return l.Name
		}
	}
	return ""
}

// contributions are those of the strongest features to the score that the model in hand gave an item; nil where
// its trees cannot be explained.
func (s *Scorer) contributions(item int32) []schemas.Contribution {
	m := s.answering
	if m == nil || m.model == nil {
		return nil
	}
	c, known := s.contributors[m]
	if !known {
		c, _ = explain.NewContributor(m.model)
		s.contributors[m] = c
	}
	if c == nil {
		return nil
	}
	x := make([]float64, len(m.features.Names()))
	m.features.Vector(x, &s.buffers.inputs, s.arm.catalog.Item(item))
	return c.Strongest(x, s.arm.params.Explain.Contributions)
}

// dropped lists items that could have been in the answer: first those that the request names and that it may not be
// offered, then the nearest misses.
func (s *Scorer) dropped(q *question, dst *schemas.Decision) []schemas.Dropped {
	limit := s.arm.params.Explain.MaxDropped
	list := s.refused(q, limit)
	if len(dst.Items) == 0 {
		return list
	}
	for _, d := range s.ranker.Dropped(nil, limit-len(list)) {
		item := s.arm.catalog.Item(d.Item)
		dropped := schemas.Dropped{ItemID: item.ID, Title: item.Title, Reason: d.Code}
		if isFinite(d.Score) {
			dropped.Score = &d.Score
		}
		list = append(list, dropped)
	}
	return list
}

// refused lists candidates and pins that are not eligible.
func (s *Scorer) refused(q *question, limit int) (list []schemas.Dropped) {
	named := map[string]bool{}
	for _, ids := range [][]string{q.req.Pins, q.req.Candidates} {
		for _, id := range ids {
			if len(list) == limit {
				return list
			}
			if named[id] {
				continue
			}
			named[id] = true
			if code := s.filter.Refusal(s.arm.catalog, q.req, id); code != "" {
				d := schemas.Dropped{ItemID: id, Reason: code}
				if i, ok := s.arm.catalog.Lookup(id); ok {
					d.Title = s.arm.catalog.Item(i).Title
				}
				list = append(list, d)
			}
		}
	}
	return list
}
