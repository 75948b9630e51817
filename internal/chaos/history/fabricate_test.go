package history_test

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/workload"
	"recstream/schemas"
	"recstream/scoring/profile"
)

const (
	partitions  = 6
	observeEach = 20 // events
	runID       = 0
	replayID    = 7
	gapEnd      = 5 // the first partitions of both topics were read too late
	gapStored   = 2 // up to there they had been read in time and stored, and not published
	halfLife    = 1000 * time.Hour
)

var (
	topics = history.Topics{Requests: "requests", Feedback: "feedback", Results: "results", DeadLetters: "dead-letters"}
	groups = history.Groups{Requests: "group", Feedback: "group-feedback"}
	items  = []string{"a", "b", "c"}
	epoch  = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
)

// fabricator is a service without faults, in memory: what it leaves is a history without violations. Its results are
// those of recstream's own encoder, so that the checker is shown to read them.
type fabricator struct {
	history.History
	rng     *rand.Rand
	ends    map[history.Place]int64 // of all logs, by the place of offset 0
	fences  map[history.Place]int64
	decided map[string]*schemas.Decision
	users   map[string]*schemas.Profile
	watched map[string]history.Popularity // by item and context
}

// fabricate returns the history of n events.
func fabricate(t testing.TB, seed uint64, n int) *history.History {
	t.Helper()
	f := &fabricator{rng: rand.New(rand.NewPCG(seed, 0)), ends: map[history.Place]int64{}, fences: map[history.Place]int64{},
		decided: map[string]*schemas.Decision{}, users: map[string]*schemas.Profile{}, watched: map[string]history.Popularity{}}
	f.Run = history.Run{Name: "fabricated", Seed: seed, ID: runID, Topics: topics, Groups: groups, HalfLife: halfLife}
	for _, topic := range []string{topics.Requests, topics.Feedback} {
		f.Gaps = append(f.Gaps, history.Gap{Topic: topic, Partition: 0, From: 0, To: gapEnd, Reason: history.Retention})
	}
	f.Notes = []history.Note{{At: epoch, Text: "made up"}}
	g := workload.New(workload.Options{Seed: seed, Topics: topics, Items: items, Feedback: 0.2, Bad: 0.2, Repeats: 0.2, Heavy: -1})
	for i, p := range g.Take(n) {
		f.handle(p, epoch.Add(time.Duration(i)*time.Millisecond))
		if i%observeEach == 0 {
			f.observe()
		}
	}
	f.observe()
	f.recount()
	for _, topic := range []string{topics.Requests, topics.Feedback} {
		for p := range partitions {
			l := history.Log{Topic: topic, Partition: p, End: f.ends[history.Place{Topic: topic, Partition: p}]}
			if p == 0 {
				l.First = gapEnd
			}
			f.Logs = append(f.Logs, l)
		}
	}
	return &f.History
}

// land gives a record its place.
func (f *fabricator) land(topic string, key []byte, seed int) history.Place {
	h := fnv.New32a()
	h.Write(key)
	if key == nil {
		fmt.Fprint(h, seed)
	}
	at := history.Place{Topic: topic, Partition: int(h.Sum32() % partitions)}
	place := at
	place.Offset = f.ends[at]
	f.ends[at]++
	return place
}

// handle publishes an event and sees it through.
func (f *fabricator) handle(p history.Published, at time.Time) {
	p.Place, p.Time = f.land(p.Topic, p.Key, len(f.Published)), at
	f.Published = append(f.Published, p)
	if inGap(p.Place) {
		f.pass(p)
		return
	}
	f.fences[history.Place{Topic: p.Topic, Partition: p.Partition}] = p.Offset + 1
	switch p.Kind {
	case history.Good:
		f.answer(p)
	case history.Bad:
		f.reject(p)
	case history.Feedback:
		f.store(p)
	}
}

// inGap reports whether a place is in one of the gaps.
func inGap(p history.Place) bool { return p.Partition == 0 && p.Offset < gapEnd }

// pass has an event stored and never published, or neither.
func (f *fabricator) pass(p history.Published) {
	switch {
	case p.Offset >= gapStored:
	case p.Kind == history.Good:
		f.ledger(p)
	case p.Kind == history.Feedback:
		f.store(p)
	}
}

func (f *fabricator) answer(p history.Published) {
	d := f.ledger(p)
	f.emit(schemas.AppendResult(nil, d), d.UserID, d.RequestID, d.Source)
}

// ledger returns the decision of a request, which it makes the first time.
func (f *fabricator) ledger(p history.Published) *schemas.Decision {
	d := f.decided[p.RequestID]
	if d == nil {
		d = f.decide(p)
		f.decided[p.RequestID] = d
		f.Decisions = append(f.Decisions, rowOf(d, runID))
		if f.rng.IntN(10) == 0 {
			f.Decisions = append(f.Decisions, rowOf(d, replayID))
		}
	}
	return d
}

// decide makes up a decision.
func (f *fabricator) decide(p history.Published) *schemas.Decision {
	var r schemas.Request
	if err := schemas.DecodeRequest(p.Value, &r); err != nil {
		panic(err)
	}
	if r.RequestedAt.IsZero() {
		r.RequestedAt = p.Time
	}
	d := &schemas.Decision{RequestID: r.RequestID, UserID: r.UserID, Context: r.Context, RequestedAt: r.RequestedAt,
		Tier: schemas.TierModel, Degraded: []schemas.Reason{}, Model: &schemas.ModelRef{ID: 1, Name: "m", Version: "1", SHA256: "ab"}, ConfigVersion: "c0ffee",
		ScoredAt: p.Time.Add(1234 * time.Microsecond), QueueTime: 1500 * time.Microsecond, ScoreTime: 77 * time.Microsecond,
		Explain: r.Explain, Source: schemas.Source{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}}
	degraded := f.rng.IntN(4) == 0
	if degraded {
		d.Tier, d.Model, d.Degraded = schemas.TierPopular, nil, []schemas.Reason{schemas.ReasonModelMissing}
		d.ColdStart = []schemas.ColdStart{schemas.ColdUnknownUser}
		d.Experiment = &schemas.ExperimentRef{Name: "e", Variant: "v"}
	}
	d.Explanation = &schemas.Explanation{}
	for i := range f.rng.IntN(r.Limit + 1) {
		it := schemas.ScoredItem{ItemID: fmt.Sprintf("film-%d", f.rng.IntN(1000)), Title: `Zoë & "Co" <3`,
			Prediction: f.rng.Float64(), Score: f.rng.NormFloat64() * 1e-7}
		if degraded {
			it.Prediction = math.NaN()
		}
		d.Items = append(d.Items, it)
		d.Explanation.Items = append(d.Explanation.Items, schemas.ItemExplanation{Reason: fmt.Sprintf("item %d is %0200d", i, i)})
	}
	d.Pinned = min(len(r.Pins), len(d.Items))
	return d
}

// rowOf is the row of a decision.
func rowOf(d *schemas.Decision, run int) history.Decision {
	row := history.Decision{Run: run, RequestID: d.RequestID, UserID: d.UserID, Mood: d.Context.Mood.String(), GroupSize: d.Context.GroupSize.String(),
		SessionLength: d.Context.SessionLength.String(), RequestedAt: d.RequestedAt, ScoredAt: d.ScoredAt, Tier: string(d.Tier), Degraded: []string{},
		ConfigVersion: d.ConfigVersion, Pinned: d.Pinned, Explain: d.Explain, QueueMicros: d.QueueTime.Microseconds(), ScoreMicros: d.ScoreTime.Microseconds(),
		Source: history.Place{Topic: d.Source.Topic, Partition: d.Source.Partition, Offset: d.Source.Offset}}
	for _, code := range d.Degraded {
		row.Degraded = append(row.Degraded, string(code))
	}
	for _, code := range d.ColdStart {
		row.ColdStart = append(row.ColdStart, string(code))
	}
	if d.Model != nil {
		row.Model = &history.Model{Name: d.Model.Name, Version: d.Model.Version, SHA256: d.Model.SHA256}
	}
	if d.Experiment != nil {
		row.Experiment, row.Variant = d.Experiment.Name, d.Experiment.Variant
	}
	for i, it := range d.Items {
		row.ItemIDs, row.Titles, row.Scores = append(row.ItemIDs, it.ItemID), append(row.Titles, it.Title), append(row.Scores, it.Score)
		row.Predictions = append(row.Predictions, &it.Prediction)
		if math.IsNaN(it.Prediction) {
			row.Predictions[i] = nil
		}
		row.Reasons = append(row.Reasons, d.Explanation.Items[i].Reason)
	}
	return row
}

// emit writes a result, now and then after an attempt that was aborted, with the markers of transactions between.
func (f *fabricator) emit(value []byte, user, requestID string, source schemas.Source) {
	key := user
	if key == "" {
		key = requestID
	}
	id := string(schemas.AppendResultID(nil, requestID, source))
	for aborted := f.rng.IntN(10) == 0; ; aborted = false {
		at := f.land(topics.Results, []byte(key), 0)
		f.land(topics.Results, []byte(key), 0) // the marker
		f.Raw = append(f.Raw, history.Emission{Place: at, ID: id, Digest: history.DigestOf(value)})
		if !aborted {
			f.Results = append(f.Results, history.Emitted{Place: at, Key: history.Bytes(key), Value: value, Headers: []history.Header{
				{Key: "content-type", Value: history.Bytes("application/json")}, {Key: "ce_id", Value: history.Bytes(id)},
				{Key: "ce_type", Value: history.Bytes(schemas.TypeResult)}}})
			return
		}
	}
}

func (f *fabricator) reject(p history.Published) {
	source := schemas.Source{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}
	if p.RequestID != "" {
		r := schemas.Rejection{Code: p.Codes[0], Detail: "is bad", RequestID: p.RequestID, UserID: p.UserID}
		f.emit(schemas.AppendRejection(nil, &r, source), p.UserID, p.RequestID, source)
	}
	letter := history.Emitted{Place: f.land(topics.DeadLetters, p.Key, p.Partition), Key: p.Key, Value: p.Value, Headers: slices.Clone(p.Headers)}
	for _, h := range [][2]string{{"dlq_reason", p.Codes[0]}, {"dlq_topic", p.Topic},
		{"dlq_partition", strconv.Itoa(p.Partition)}, {"dlq_offset", strconv.FormatInt(p.Offset, 10)}} {
		letter.Headers = append(letter.Headers, history.Header{Key: h[0], Value: history.Bytes(h[1])})
	}
	f.DeadLetters = append(f.DeadLetters, letter)
}

func (f *fabricator) store(p history.Published) {
	var e schemas.Feedback
	if err := schemas.DecodeFeedback(p.Value, &e); err != nil {
		panic(err)
	}
	if e.At.IsZero() {
		e.At = p.Time
	}
	o := history.Outcome{RequestID: e.RequestID, UserID: e.UserID, ItemID: e.ItemID, Action: e.Action.String(), At: e.At, Source: p.Place}
	if !math.IsNaN(e.Value) {
		o.Value = &e.Value
	}
	f.Outcomes = append(f.Outcomes, o)
	e.At = e.At.Truncate(time.Microsecond)
	if e.UserID != "" {
		if f.users[e.UserID] == nil {
			f.users[e.UserID] = &schemas.Profile{UserID: e.UserID}
		}
		profile.Apply(f.users[e.UserID], &e, nil, halfLife)
	}
	if weight := profile.Preference(&e); weight > 0 && slices.Contains(items, e.ItemID) {
		f.watch(e.ItemID, weight, e.At)
	}
}

// watch adds to an item's popularity, in any of two contexts.
func (f *fabricator) watch(item string, weight float64, at time.Time) {
	key := fmt.Sprint(item, f.rng.IntN(2))
	p, some := f.watched[key]
	fade := func(age time.Duration) float64 { return math.Exp2(-age.Hours() / halfLife.Hours()) }
	switch {
	case !some:
		p = history.Popularity{ItemID: item, AsOf: at, Weight: weight}
	case at.After(p.AsOf):
		p.Weight, p.AsOf = p.Weight*fade(at.Sub(p.AsOf))+weight, at
	default:
		p.Weight += weight * fade(p.AsOf.Sub(at))
	}
	f.watched[key] = p
}

// recount keeps what profiles and popularity are at the end.
func (f *fabricator) recount() {
	for _, user := range slices.Sorted(maps.Keys(f.users)) {
		p := f.users[user]
		f.Profiles = append(f.Profiles, history.Profile{UserID: user, AsOf: p.AsOf, Activity: p.Activity})
	}
	for _, key := range slices.Sorted(maps.Keys(f.watched)) {
		f.Popularity = append(f.Popularity, f.watched[key])
	}
	f.Popularity = append(f.Popularity, history.Popularity{ItemID: "never watched"})
}

// observe looks at every partition; commits lag behind fences at times.
func (f *fabricator) observe() {
	for _, s := range [][2]string{{groups.Requests, topics.Requests}, {groups.Feedback, topics.Feedback}} {
		for p := range partitions {
			at := history.Place{Topic: s[1], Partition: p}
			seen := history.Progress{At: epoch, Group: s[0], Topic: s[1], Partition: p, Committed: history.None, Fence: history.None, End: f.ends[at]}
			if fence, some := f.fences[at]; some {
				seen.Committed, seen.Fence = fence, fence
				f.Commits = append(f.Commits, history.Commit{Group: s[0], Topic: s[1], Partition: p, Offset: fence})
			}
			f.Progress = append(f.Progress, seen)
		}
	}
}
