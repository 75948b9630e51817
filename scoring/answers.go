package scoring

import (
	"math"
	"reflect"
	"sync/atomic"
	"time"

	"recstream/schemas"
	"recstream/scoring/catalog"
)

// answers remembers what the first tier of an arm, a model, answered to requests that ask for nothing but their
// context, a limit and a diversity: there are few of these, and an answer is the same for everybody of whom nothing
// is known.
//
// An arm is of one state, so the versions of model, parameters and catalogue are in the key without being
// named: whatever changes, the next state's arms have answers of their own, and nothing stale is served.
//
// It takes at most answersAContext answers of schemas.MaxLimit items for each context, some 4 MB an arm, and 0.2 MB
// with ten items an answer where every context is asked for in one way. Goroutines share it without locks.
type answers [schemas.NumContexts]slots

// answersAContext is how many answers there are room for in a context. An app asks for few limits; what comes when
// there is no room is answered afresh. Only what has expired makes room, so that taking turns costs no memory.
const answersAContext = 4

// slots have the answers for one context, filled from the front.
type slots [answersAContext]atomic.Pointer[answer]

// answerKey is what answers to plain requests in one context differ by.
type answerKey struct {
	era       int    // of the request's time: which items have expired
	limit     int    // as the request says: a model may know it
	diversity uint64 // the same; bits
}

// answer is what the model tier answered, with what else a decision takes from there.
type answer struct {
	answerKey
	considered int
	items      []schemas.ScoredItem
	user       []float64 // Decision.UserFeatures
	pairs      []float64 // Decision.PairFeatures
	newest     time.Time // when the newest of the items was added
	sample     []float64 // predictions of candidates, for the watch over drift; nil where there is none
}

// maxAhead is how far ahead of the clock a request's time may be for its answer to be remembered. The answer of an
// era to come would keep its room until then.
const maxAhead = time.Hour

// sampleSize is how many predictions an answer keeps at the most. A watch takes sixteen of them at a time, others from
// time to time.
const sampleSize = 128

// newAnswers returns room for the answers of an arm, nil where they depend on more than what they are found by: on the
// time, through the model or the plan.
func newAnswers(a *arm) *answers {
	first := &a.rungs[0]
	if first.model == nil || first.reason != "" || first.model.features.NeedsClock() || !a.plan.Timeless() {
		return nil
	}
	return new(answers)
}

// find returns the answer of that key, nil if there is none.
func (all *slots) find(key answerKey) *answer {
	for i := range all {
		if a := all[i].Load(); a == nil || a.answerKey == key {
			return a
		}
	}
	return nil
}

// room returns a slot for an answer in an era: one that is empty or has an answer of an earlier era, nil if there is
// none. What is decided again long afterwards takes no room from what is decided now.
func (all *slots) room(era int) (slot *atomic.Pointer[answer], old *answer) {
	for i := range all {
		if old = all[i].Load(); old == nil || old.era < era {
			return &all[i], old
		}
	}
	return nil, nil
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

// slots returns where the answer to q may be remembered, nil where it is to be made afresh: when the request asks for
// more than its context, when something is known of the user or an explanation is wanted, and when the first tier would
// not be asked as a matter of course.
func (s *Scorer) slots(q *question) *slots {
	a := s.arm
	if a.answers == nil || q.profile != nil || q.req.RequestedAt.After(s.began.Add(maxAhead)) || !catalog.IsPlain(q.req) ||
		!s.asksFirst(q) || s.explains(q) {
		return nil
	}
	return &a.answers[q.req.Context.Index()]
}

// asksFirst reports whether the first tier, a model, is asked for q and believed as a matter of course: it is not to be
// verified by this of all decisions. For a stored decision what was of its moment says so, and nothing of this one.
func (s *Scorer) asksFirst(q *question) bool {
	first := &s.arm.rungs[0]
	if q.stored != nil {
		return q.left(first, 0) == ""
	}
	return first.trusted() && !s.verifyDue(first.model) && !s.late(q)
}

// recall answers q as it was answered before, if it was.
func (s *Scorer) recall(q *question, dst *schemas.Decision) bool {
	if q.slots = s.slots(q); q.slots == nil {
		return false
	}
	q.key = answerKey{s.arm.catalog.Era(q.req.RequestedAt), q.req.Limit, math.Float64bits(q.req.Diversity)}
	a := q.slots.find(q.key)
	s.looked[answersCache].add(a != nil)
	if a == nil {
		return false
	}
	r := &s.arm.rungs[0]
	if q.stored == nil {
		r.recalled(a)
	}
	dst.Tier, dst.Model, dst.Considered = r.tier, r.model.ref, a.considered
	dst.Items = append(dst.Items, a.items...)
	dst.UserFeatures, dst.PairFeatures = append(dst.UserFeatures, a.user...), append(dst.PairFeatures, a.pairs...)
	s.newest = a.newest
	return true
}

// recalled notes that the tier's answer was given again. The watch over drift sees the predictions as if they were
// made, or it would know rare requests only. The breaker hears nothing: a success that was no work proves nothing, and
// would hide failures.
func (r *rung) recalled(a *answer) {
	r.model.decided.Add(1)
	if a.sample != nil {
		r.watch.drift.Observe(a.sample, nil)
	}
}

// remember keeps the answer that the first tier gave to q, if there is room.
func (s *Scorer) remember(q *question, dst *schemas.Decision) {
	if q.slots == nil {
		return
	}
	slot, old := q.slots.room(q.key.era)
	if slot == nil {
		return
	}
	a := &answer{answerKey: q.key, considered: dst.Considered, newest: s.newest}
	a.items = append(a.items, dst.Items...)
	a.user, a.pairs = append(a.user, dst.UserFeatures...), append(a.pairs, dst.PairFeatures...)
	if r := &s.arm.rungs[0]; r.watch.drift != nil {
		raw := s.buffers.raw
		for i := 0; i < len(raw); i += (len(raw) + sampleSize - 1) / sampleSize {
			a.sample = append(a.sample, r.model.predict(raw[i]))
		}
	}
	slot.CompareAndSwap(old, a) // another was quicker, perhaps with the same: this one is made again when it is wanted
}
