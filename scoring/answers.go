package scoring

import (
	"math"
	"reflect"
	"sync/atomic"
	"time"

	"recstream/schemas"
)

// answers remembers what the first tier of an arm, a model, answered to requests that ask for nothing but their
// context, a limit and a diversity: there are few of these, and an answer is the same for everybody of whom nothing
// is known.
//
// An arm is of one state, so the versions of model, parameters and catalogue are in the key without being
// named: whatever changes, the next state's arms have answers of their own, and nothing stale is served.
//
// It takes at most answersAContext answers of schemas.MaxLimit items for each context, some 4 MB an arm, and 0.2 MB
// with the ten items that apps ask for. Goroutines share it without locks.
type answers [schemas.NumContexts]slots

// answersAContext is how many answers there are room for in a context. An app asks for few limits; what comes when
// there is no room is answered afresh. Nothing is thrown out to make room, so taking turns costs no memory.
const answersAContext = 4

// slots have the answers for one context, filled from the front.
type slots [answersAContext]atomic.Pointer[answer]

// answer is what the model tier answered, with what else a decision takes from there.
type answer struct {
	limit     int    // of the request, as it says
	diversity uint64 // the same; bits
	items     []schemas.ScoredItem
	user      []float64 // Decision.UserFeatures
	pairs     []float64 // Decision.PairFeatures
	newest    time.Time // when the newest of the items was added
	sample    []float64 // predictions of candidates, for the watch over drift; nil where there is none
}

// sampleSize is how many predictions an answer keeps at the most. A watch takes sixteen of them at a time, others from
// time to time.
const sampleSize = 128

// newAnswers returns room for the answers of an arm, nil where they depend on more than what they are found by: on the
// time, through the model or the plan. The tier and what is known of the user are each request's own to check.
func newAnswers(a *arm) *answers {
	first := &a.rungs[0]
	if first.model == nil || first.reason != "" || first.model.features.NeedsClock() || !a.plan.Timeless() {
		return nil
	}
	return new(answers)
}

// find returns the answer to what req asks for, nil if there is none.
func (all *slots) find(req *schemas.Request) *answer {
	diversity := math.Float64bits(req.Diversity)
	for i := range all {
		a := all[i].Load()
		if a == nil || a.limit == req.Limit && a.diversity == diversity {
			return a
		}
	}
	return nil
}

// full reports whether there is no room for another answer.
func (all *slots) full() bool { return all[answersAContext-1].Load() != nil }

// put adds an answer if there is room. Two that are made at the same time may both find a place; they are equal.
func (all *slots) put(a *answer) {
	for i := range all {
		if all[i].CompareAndSwap(nil, a) {
			return
		}
	}
}

// bytes is about how much memory the answers take, without the texts, which are the catalogue's.
func (as *answers) bytes() (sum int64) {
	head, item := reflect.TypeFor[answer]().Size(), reflect.TypeFor[schemas.ScoredItem]().Size()
	for c := range as {
		for i := range as[c] {
			if a := as[c][i].Load(); a != nil {
				sum += int64(head) + int64(item)*int64(len(a.items)) + 8*int64(len(a.user)+len(a.pairs)+len(a.sample))
			}
		}
	}
	return sum
}

// slots returns where the answer to q may be remembered, nil where it is to be made afresh. It may be remembered when
// the filter gave the context's own list, that is, the request takes nothing out and puts nothing in and no item has
// expired; when nothing is known of the user and no explanation is wanted; and when the tier would be asked now and
// trusted. The decision that is to be verified is made.
func (s *Scorer) slots(q *question) *slots {
	a := s.arm
	if a.answers == nil || q.profile != nil || !sameSlice(q.eligible, a.catalog.InContext(q.req.Context)) ||
		!a.rungs[0].trusted() || s.verifyDue() || s.late(q) || s.wantsExplanation(q.req) {
		return nil
	}
	return &a.answers[q.req.Context.Index()]
}

// recall answers q as it was answered before, if it was. The watch over drift sees the predictions as if they were
// made, or it would know rare requests only. The breaker hears nothing: a success that was no work proves nothing, and
// would hide failures.
func (s *Scorer) recall(q *question, dst *schemas.Decision) bool {
	if q.slots = s.slots(q); q.slots == nil {
		return false
	}
	a := q.slots.find(q.req)
	s.looked[answersCache].add(a != nil)
	if a == nil {
		return false
	}
	r := &s.arm.rungs[0]
	s.verified++
	if a.sample != nil {
		r.watch.drift.Observe(a.sample, nil)
	}
	dst.Tier, dst.Model = r.tier, r.model.ref
	dst.Items = append(dst.Items, a.items...)
	dst.UserFeatures, dst.PairFeatures = append(dst.UserFeatures, a.user...), append(dst.PairFeatures, a.pairs...)
	s.newest = a.newest
	return true
}

// remember keeps the answer that the first tier gave to q.
func (s *Scorer) remember(q *question, dst *schemas.Decision) {
	if q.slots == nil || q.slots.full() {
		return
	}
	a := &answer{limit: q.req.Limit, diversity: math.Float64bits(q.req.Diversity), newest: s.newest}
	a.items = append(a.items, dst.Items...)
	a.user, a.pairs = append(a.user, dst.UserFeatures...), append(a.pairs, dst.PairFeatures...)
	if r := &s.arm.rungs[0]; r.watch.drift != nil {
		raw := s.buffers.raw
		for i := 0; i < len(raw); i += (len(raw) + sampleSize - 1) / sampleSize {
			a.sample = append(a.sample, r.model.predict(raw[i]))
		}
	}
	q.slots.put(a)
}
