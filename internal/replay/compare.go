package replay

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"

	"recstream/schemas"
)

// comparison says in what a replayed decision differs from the live one.
type comparison struct {
	identical bool // to the byte: what is emitted, and the rest of the row
	tier      bool
	items     bool // one has an item that the other has not
	rank      bool // their items are not the same in the same order
	score     bool // an item that both have has another score
	overlaps  overlaps
	largest   float64 // difference of scores of an item that both have; NaN where there is none
}

// overlaps are the shares of items that two decisions have in common, 0 to 1: of all of them, and of those that come
// first. Of lists that are cut at k it is the number of items in both, divided by the length of the longer one: a list
// half of which is replaced has an overlap of a half. Two empty lists are equal.
type overlaps [4]float64

// cuts are where lists are cut for the overlaps; the first is not at all.
var cuts = [len(overlaps{})]int{schemas.MaxLimit, 1, 3, 10}

// causes names what differs; "other" is what none of the rest says.
func (c *comparison) causes() []string {
	if c.identical {
		return nil
	}
	var list []string
	for _, one := range []struct {
		differs bool
		name    string
	}{{c.tier, "tier"}, {c.items, "items"}, {c.rank, "rank"}, {c.score, "score"}} {
		if one.differs {
			list = append(list, one.name)
		}
	}
	if list == nil {
		return []string{"other"}
	}
	return list
}

// comparer compares decisions, in buffers of its own.
type comparer struct {
	trial          bool // the replayed decisions are of a plan that evaluates
	live, replayed []byte
}

// compare compares a replayed decision with the live one. The difference of each item's scores is added to scores.
func (c *comparer) compare(live, replayed *schemas.Decision, scores *Sketch) comparison {
	r := comparison{tier: live.Tier != replayed.Tier, largest: math.NaN(), overlaps: overlapsOf(live.Items, replayed.Items)}
	r.items = r.overlaps[0] != 1
	r.rank = len(live.Items) != len(replayed.Items)
	for i := range live.Items {
		k := find(replayed.Items, live.Items[i].ItemID, i)
		r.rank = r.rank || k != i
		if k < 0 {
			continue
		}
		a, b := live.Items[i].Score, replayed.Items[k].Score
		difference := math.Abs(a - b)
		if a == b {
			difference = 0 // also of two infinities
		}
		r.score = r.score || math.Float64bits(a) != math.Float64bits(b)
		r.largest = max(difference, zeroForNaN(r.largest))
		scores.Add(difference)
	}
	r.identical = !r.tier && !r.rank && !r.score && c.sameBytes(live, replayed)
	return r
}

func zeroForNaN(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// find returns the place of an item, -1 where it is missing. It is looked for at a place first.
func find(items []schemas.ScoredItem, id string, at int) int {
	if at < len(items) && items[at].ItemID == id {
		return at
	}
	return slices.IndexFunc(items, func(it schemas.ScoredItem) bool { return it.ItemID == id })
}

func overlapsOf(a, b []schemas.ScoredItem) (o overlaps) {
	for n, k := range cuts {
		a, b := a[:min(k, len(a))], b[:min(k, len(b))]
		common := 0
		for i := range a {
			if find(b, a[i].ItemID, i) >= 0 {
				common++
			}
		}
		o[n] = 1
		if longer := max(len(a), len(b)); longer > 0 {
			o[n] = float64(common) / float64(longer)
		}
	}
	return o
}

// sameBytes compares the result events with the live one's times in both, and what the ledger has beyond them. The
// versions of catalogue and profile are no part of it: they name what was decided with, not what was decided.
func (c *comparer) sameBytes(live, replayed *schemas.Decision) bool {
	timed := *replayed
	timed.ScoredAt, timed.QueueTime, timed.ScoreTime, timed.Source = live.ScoredAt, live.QueueTime, live.ScoreTime, live.Source
	if c.trial {
		takeUntried(&timed, live)
	}
	c.live, c.replayed = schemas.AppendResult(c.live[:0], live), schemas.AppendResult(c.replayed[:0], &timed)
	return bytes.Equal(c.live, c.replayed) && live.Considered == replayed.Considered && live.Context == replayed.Context &&
		live.RequestedAt.Equal(replayed.RequestedAt) && slices.Equal(live.ColdStart, timed.ColdStart) &&
		slices.EqualFunc(live.UserFeatures, replayed.UserFeatures, sameNumber) &&
		slices.EqualFunc(live.PairFeatures, replayed.PairFeatures, sameNumber) &&
		slices.EqualFunc(live.Items, replayed.Items, sameTerms) && sameExplanation(live.Explanation, replayed.Explanation)
}

// takeUntried gives a trial's decision what no trial can have, as live has it: the experiment, since none assigns
// anybody, and that nobody knew the user. Live looks for a user's profile where any model of an experiment needs it, a
// trial where its own does.
func takeUntried(d, live *schemas.Decision) {
	d.Experiment = live.Experiment
	if slices.Equal(withoutUser(d.ColdStart), withoutUser(live.ColdStart)) {
		d.ColdStart = live.ColdStart
	}
}

// withoutUser returns the codes of a cold start without that of the user.
func withoutUser(codes []schemas.ColdStart) []schemas.ColdStart {
	return slices.DeleteFunc(slices.Clone(codes), func(code schemas.ColdStart) bool { return code == schemas.ColdUnknownUser })
}

// sameNumber compares to the bit; all that is missing is alike.
func sameNumber(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

func sameTerms(a, b schemas.ScoredItem) bool {
	return slices.EqualFunc(a.Terms[:], b.Terms[:], sameNumber) && sameNumber(a.Prediction, b.Prediction)
}

// sameExplanation compares explanations as the ledger writes them.
func sameExplanation(a, b *schemas.Explanation) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
