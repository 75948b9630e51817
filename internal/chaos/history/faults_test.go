package history_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"recstream/internal/chaos/history"
)

// finder finds the parts of a history that a fault is made in.
type finder struct {
	*history.History
	t      *testing.T
	events map[string]int // by request id, of good events
}

func newFinder(t *testing.T, h *history.History) *finder {
	f := &finder{History: h, t: t, events: map[string]int{}}
	for _, p := range h.Published {
		if p.Kind == history.Good {
			f.events[p.RequestID]++
		}
	}
	return f
}

// row returns the place in Decisions of a row with some items, of an id that was published so often and of no replay.
func (f *finder) row(published int) int {
	return f.index(slices.IndexFunc(f.Decisions, func(d history.Decision) bool {
		return f.events[d.RequestID] == published && d.Run == runID && len(d.ItemIDs) > 1 && !f.replayed(d.RequestID) && f.resultsOf(d.RequestID) == published
	}))
}

func (f *finder) replayed(id string) bool {
	return slices.ContainsFunc(f.Decisions, func(d history.Decision) bool { return d.RequestID == id && d.Run != runID })
}

func (f *finder) index(i int) int {
	f.t.Helper()
	if i < 0 {
		f.t.Fatal("the history has nothing to make this fault in")
	}
	return i
}

func ceID(e *history.Emitted) string { return string(e.Headers[1].Value) }

// resultsOf counts the results of an id.
func (f *finder) resultsOf(id string) (n int) {
	for i := range f.Results {
		if strings.HasPrefix(ceID(&f.Results[i]), id+"@") {
			n++
		}
	}
	return n
}

// result returns the place in Results of the first result of an id.
func (f *finder) result(id string) int {
	return f.index(slices.IndexFunc(f.Results, func(e history.Emitted) bool { return strings.HasPrefix(ceID(&e), id+"@") }))
}

// published returns the place in Published of the first event, outside the gap, of which that is true.
func (f *finder) published(is func(*history.Published) bool) int {
	return f.index(slices.IndexFunc(f.Published, func(p history.Published) bool {
		return is(&p) && !inGap(p.Place)
	}))
}

// letter returns the dead letter of an event.
func (f *finder) letter(p history.Place) *history.Emitted {
	return &f.DeadLetters[f.index(slices.IndexFunc(f.DeadLetters, func(e history.Emitted) bool {
		h := e.Headers[len(e.Headers)-3:]
		return string(h[0].Value) == p.Topic && string(h[1].Value) == strconv.Itoa(p.Partition) && string(h[2].Value) == strconv.FormatInt(p.Offset, 10)
	}))]
}

// emit adds a result to both views, at the end of a partition.
func (f *finder) emit(e history.Emitted) {
	e.Offset = 1 << 40
	f.Results = append(f.Results, e)
	f.Raw = append(f.Raw, history.Emission{Place: e.Place, ID: ceID(&e), Digest: history.DigestOf(e.Value)})
}

// change changes a result in both views, and what was emitted of it before.
func (f *finder) change(i int, change func(e *history.Emitted)) {
	e := &f.Results[i]
	e.Headers = slices.Clone(e.Headers)
	id, digest := ceID(e), history.DigestOf(e.Value)
	change(e)
	for j := range f.Raw {
		if r := &f.Raw[j]; r.ID == id && r.Digest == digest {
			r.ID, r.Digest = ceID(e), history.DigestOf(e.Value)
		}
	}
}

// replace changes the value of the result of a request that was published once.
func (f *finder) replace(old, by string) {
	i := f.index(slices.IndexFunc(f.Results, func(e history.Emitted) bool {
		at := strings.LastIndexByte(ceID(&e), '@')
		return f.events[ceID(&e)[:at]] == 1 && strings.Contains(string(e.Value), old)
	}))
	f.change(i, func(e *history.Emitted) { e.Value = history.Bytes(strings.Replace(string(e.Value), old, by, 1)) })
}

func bad(p *history.Published) bool {
	return p.Kind == history.Bad && p.RequestID != "" && p.Value != nil && len(p.Headers) > 0
}

func isFeedback(p *history.Published) bool { return p.Kind == history.Feedback }

// aborted returns an emission that the committed view has not.
func (f *finder) aborted() *history.Emission {
	committed := map[history.Place]bool{}
	for _, e := range f.Results {
		committed[e.Place] = true
	}
	return &f.Raw[f.index(slices.IndexFunc(f.Raw, func(e history.Emission) bool { return !committed[e.Place] }))]
}

// observe replaces what was committed and observed of one partition; each step is committed, fence and end. The log
// ends at end.
func (f *finder) observe(steps func(end int64) [][3]int64) {
	const partition = 1
	f.Progress = slices.DeleteFunc(f.Progress, func(p history.Progress) bool { return p.Topic == topics.Requests && p.Partition == partition })
	f.Commits = slices.DeleteFunc(f.Commits, func(o history.Commit) bool { return o.Topic == topics.Requests && o.Partition == partition })
	end := f.Logs[partition].End
	for _, s := range steps(end) {
		f.Progress = append(f.Progress, history.Progress{Group: groups.Requests, Topic: topics.Requests, Partition: partition,
			Committed: s[0], Fence: s[1], End: s[2]})
		f.Commits = append(f.Commits, history.Commit{Group: groups.Requests, Topic: topics.Requests, Partition: partition, Offset: s[0]})
	}
}

// thenAtEnd is a step in the middle, and the last one as it is to be.
func thenAtEnd(steps ...[3]int64) func(f *finder) {
	return func(f *finder) {
		f.observe(func(end int64) [][3]int64 { return append(slices.Clone(steps), [3]int64{end, end, end}) })
	}
}

// pair returns two results of one key that answer two events of one partition.
func (f *finder) pair() (a, b int) {
	first := map[string]int{}
	for i := range f.Results {
		e := &f.Results[i]
		at, slash := strings.LastIndexByte(ceID(e), '@'), strings.LastIndexByte(ceID(e), '/')
		if f.events[ceID(e)[:at]] != 1 {
			continue
		}
		lane := string(e.Key) + ceID(e)[at:slash]
		if a, found := first[lane]; found {
			return a, i
		}
		first[lane] = i
	}
	f.t.Fatal("no key has two results")
	return 0, 0
}

// swap exchanges what two results say, in both views.
func (f *finder) swap(a, b int) {
	x, y := &f.Results[a], &f.Results[b]
	i, j := f.raw(x.Place), f.raw(y.Place)
	x.Place, y.Place = y.Place, x.Place
	i.Place, j.Place = j.Place, i.Place
}

func (f *finder) raw(at history.Place) *history.Emission {
	return &f.Raw[f.index(slices.IndexFunc(f.Raw, func(e history.Emission) bool { return e.Place == at }))]
}

// another adds a second result of a request, with something changed in all but what the other view shows of it.
func (f *finder) another(change func(e *history.Emitted)) {
	f.emit(f.Results[f.result(f.Decisions[f.row(1)].RequestID)])
	e := &f.Results[len(f.Results)-1]
	e.Headers = slices.Clone(e.Headers)
	change(e)
}

// faults are what a service can do wrong, by name.
var faults = map[string]struct {
	code history.Code
	make func(f *finder)
}{
	"row lost":              {history.LostRow, func(f *finder) { i := f.row(1); f.Decisions = slices.Delete(f.Decisions, i, i+1) }},
	"row of a repeat lost":  {history.LostRow, func(f *finder) { i := f.row(2); f.Decisions = slices.Delete(f.Decisions, i, i+1) }},
	"row under another run": {history.LostRow, func(f *finder) { f.Decisions[f.row(1)].Run = 3 }},
	"row written twice":     {history.DoubledRow, func(f *finder) { f.Decisions = append(f.Decisions, f.Decisions[f.row(1)]) }},
	"row of a replay twice": {history.DoubledRow, func(f *finder) {
		i := f.index(slices.IndexFunc(f.Decisions, func(d history.Decision) bool { return d.Run == replayID }))
		f.Decisions = append(f.Decisions, f.Decisions[i])
	}},
	"row of nothing": {history.InventedRow, func(f *finder) {
		d := f.Decisions[f.row(1)]
		d.RequestID = "nobody asked"
		f.Decisions = append(f.Decisions, d)
	}},
	"row of a bad event": {history.InventedRow, func(f *finder) {
		d := f.Decisions[f.row(1)]
		p := f.Published[f.published(bad)]
		d.RequestID, d.Source = p.RequestID, p.Place
		f.Decisions = append(f.Decisions, d)
	}},
	"row of a replay with another mood": {history.WrongRow, func(f *finder) {
		i := f.index(slices.IndexFunc(f.Decisions, func(d history.Decision) bool { return d.Run == replayID }))
		f.Decisions[i].Mood = "sad"
	}},
	"row with another mood": {history.WrongRow, func(f *finder) { f.Decisions[f.row(1)].Mood = "sad" }},
	"row of another time":   {history.WrongRow, func(f *finder) { d := &f.Decisions[f.row(1)]; d.RequestedAt = d.RequestedAt.Add(time.Microsecond) }},
	"row with fewer titles": {history.WrongRow, func(f *finder) { d := &f.Decisions[f.row(1)]; d.Titles = d.Titles[1:] }},
	"row of another user in both": {history.WrongRow, func(f *finder) {
		i := f.index(slices.IndexFunc(f.Decisions, func(d history.Decision) bool {
			return f.events[d.RequestID] == 1 && d.UserID != "" && !f.replayed(d.RequestID)
		}))
		d := &f.Decisions[i]
		f.change(f.result(d.RequestID), func(e *history.Emitted) {
			e.Value = history.Bytes(strings.Replace(string(e.Value), `"user_id":"`, `"user_id":"not-`, 1))
			e.Key = history.Bytes("not-" + d.UserID)
		})
		d.UserID = "not-" + d.UserID
	}},

	"result lost": {history.LostResult, func(f *finder) {
		i := f.result(f.Decisions[f.row(1)].RequestID)
		f.Results = slices.Delete(f.Results, i, i+1)
	}},
	"result of a repeat lost": {history.LostResult, func(f *finder) {
		i := f.result(f.Decisions[f.row(2)].RequestID)
		f.Results = slices.Delete(f.Results, i, i+1)
	}},
	"result emitted twice":   {history.DoubledResult, func(f *finder) { f.emit(f.Results[f.result(f.Decisions[f.row(1)].RequestID)]) }},
	"repeat answered thrice": {history.DoubledResult, func(f *finder) { f.emit(f.Results[f.result(f.Decisions[f.row(2)].RequestID)]) }},
	"result of nothing": {history.InventedResult, func(f *finder) {
		i := f.result(f.Decisions[f.row(1)].RequestID)
		e := f.Results[i]
		e.Headers = slices.Clone(e.Headers)
		e.Key, e.Headers[1].Value = history.Bytes("nobody"), history.Bytes("nobody@requests/1/1")
		e.Value = history.Bytes(`{"request_id":"nobody","status":"ok"}`)
		f.emit(e)
	}},
	"aborted result of nothing": {history.InventedResult, func(f *finder) {
		f.Raw = append(f.Raw, history.Emission{Place: history.Place{Topic: topics.Results, Offset: 1 << 40}, ID: "nobody@requests/1/1"})
	}},
	"result with another score":      {history.ResultDiffersFromRow, func(f *finder) { d := &f.Decisions[f.row(1)]; d.Scores[1]++ }},
	"result with another prediction": {history.ResultDiffersFromRow, func(f *finder) { f.replace(`"prediction":0.`, `"prediction":0.0`) }},
	"result with items swapped": {history.ResultDiffersFromRow, func(f *finder) {
		d := &f.Decisions[f.row(1)]
		d.ItemIDs[0], d.ItemIDs[1] = d.ItemIDs[1], d.ItemIDs[0]
	}},
	"result of another tier":   {history.ResultDiffersFromRow, func(f *finder) { f.replace(`"tier":"model"`, `"tier":"basic"`) }},
	"result of another model":  {history.ResultDiffersFromRow, func(f *finder) { f.replace(`"version":"1"`, `"version":"2"`) }},
	"result of another time":   {history.ResultDiffersFromRow, func(f *finder) { f.replace(`"scored_at":"2026`, `"scored_at":"2025`) }},
	"result of another reason": {history.ResultDiffersFromRow, func(f *finder) { f.replace(`"reason":"item 0 is`, `"reason":"item 0 was`) }},
	"repeat with another answer": {history.ResultsDiffer, func(f *finder) {
		i := f.result(f.Decisions[f.row(2)].RequestID)
		at := f.Results[i].Place
		e := &f.Results[i]
		e.Value = history.Bytes(strings.Replace(string(e.Value), `"tier":"`, `"tier":"x`, 1))
		for j := range f.Raw {
			if f.Raw[j].Place == at {
				f.Raw[j].Digest = history.DigestOf(e.Value)
			}
		}
	}},
	"aborted result with other bytes": {history.ResultsDiffer, func(f *finder) { f.aborted().Digest = "other" }},
	"aborted result with another id": {history.ResultsDiffer, func(f *finder) {
		id := f.Decisions[f.row(1)].RequestID + "@requests/9/9"
		f.Raw = append(f.Raw, history.Emission{Place: history.Place{Topic: topics.Results, Offset: 1 << 40}, ID: id})
	}},
	"ce_id of another place": {history.WrongID, func(f *finder) {
		i := f.result(f.Decisions[f.row(1)].RequestID)
		f.change(i, func(e *history.Emitted) { e.Headers[1].Value = append(slices.Clone(e.Headers[1].Value), '9') })
	}},
	"result without its content type": {history.MalformedResult, func(f *finder) {
		f.another(func(e *history.Emitted) { e.Headers[0].Value = nil })
	}},
	"result under a wrong key": {history.MalformedResult, func(f *finder) {
		f.another(func(e *history.Emitted) { e.Key = history.Bytes("nobody") })
	}},
	"result that a read_uncommitted reader misses": {history.ViewsDiffer, func(f *finder) {
		at := f.Results[f.result(f.Decisions[f.row(1)].RequestID)].Place
		f.Raw = slices.DeleteFunc(f.Raw, func(e history.Emission) bool { return e.Place == at })
	}},
	"results of one key swapped": {history.OrderBroken, func(f *finder) { a, b := f.pair(); f.swap(a, b) }},
	"results of one key in two partitions": {history.KeyScattered, func(f *finder) {
		_, b := f.pair()
		f.raw(f.Results[b].Place).Partition += partitions
		f.Results[b].Partition += partitions
	}},

	"rejection lost": {history.LostRejection, func(f *finder) {
		i := f.result(f.Published[f.published(bad)].RequestID)
		f.Results = slices.Delete(f.Results, i, i+1)
	}},
	"rejection twice": {history.DoubledRejection, func(f *finder) { f.emit(f.Results[f.result(f.Published[f.published(bad)].RequestID)]) }},
	"rejection with another code": {history.WrongRejection, func(f *finder) {
		f.change(f.result(f.Published[f.published(bad)].RequestID), func(e *history.Emitted) {
			e.Value = history.Bytes(strings.Replace(string(e.Value), `"code":"`, `"code":"x`, 1))
		})
	}},
	"dead letter lost": {history.DeadLetterLost, func(f *finder) {
		e := f.letter(f.Published[f.published(bad)].Place).Place
		f.DeadLetters = slices.DeleteFunc(f.DeadLetters, func(l history.Emitted) bool { return l.Place == e })
	}},
	"dead letter twice": {history.DeadLetterDoubled, func(f *finder) {
		e := *f.letter(f.Published[f.published(bad)].Place)
		e.Offset = 1 << 40
		f.DeadLetters = append(f.DeadLetters, e)
	}},
	"dead letter with another code": {history.DeadLetterWrong, func(f *finder) {
		e := f.letter(f.Published[f.published(bad)].Place)
		e.Headers[len(e.Headers)-4].Value = history.Bytes("panic")
	}},
	"dead letter cut off":          {history.DeadLetterWrong, func(f *finder) { e := f.letter(f.Published[f.published(bad)].Place); e.Value = e.Value[1:] }},
	"dead letter without its key":  {history.DeadLetterWrong, func(f *finder) { f.letter(f.Published[f.published(bad)].Place).Key = nil }},
	"dead letter without a header": {history.DeadLetterWrong, func(f *finder) { e := f.letter(f.Published[f.published(bad)].Place); e.Headers = e.Headers[1:] }},
	"dead letter empty for null": {history.DeadLetterWrong, func(f *finder) {
		p := f.Published[f.published(func(p *history.Published) bool { return p.Kind == history.Bad && p.Value == nil })]
		f.letter(p.Place).Value = history.Bytes{}
	}},
	"dead letter with its value left out": {history.DeadLetterWrong, func(f *finder) {
		e := f.letter(f.Published[f.published(bad)].Place)
		e.Value, e.Headers = nil, slices.Insert(e.Headers, len(e.Headers)-4, history.Header{Key: "dlq_value_omitted", Value: history.Bytes("12")})
	}},
	"dead letter of a good event": {history.InventedDeadLetter, func(f *finder) {
		e := *f.letter(f.Published[f.published(bad)].Place)
		p := f.Published[f.published(func(p *history.Published) bool { return p.Kind == history.Good && p.Topic == topics.Requests })]
		e.Offset, e.Headers = 1<<40, slices.Clone(e.Headers)
		e.Headers[len(e.Headers)-2].Value = history.Bytes(strconv.Itoa(p.Partition))
		e.Headers[len(e.Headers)-1].Value = history.Bytes(strconv.FormatInt(p.Offset, 10))
		f.DeadLetters = append(f.DeadLetters, e)
	}},

	"outcome lost": {history.LostOutcome, func(f *finder) {
		i := f.index(slices.IndexFunc(f.Outcomes, func(o history.Outcome) bool { return !inGap(o.Source) }))
		f.Outcomes = slices.Delete(f.Outcomes, i, i+1)
	}},
	"outcome twice":           {history.DoubledOutcome, func(f *finder) { f.Outcomes = append(f.Outcomes, f.Outcomes[0]) }},
	"outcome of another item": {history.WrongOutcome, func(f *finder) { f.Outcomes[0].ItemID = "x" }},
	"outcome with a value":    {history.WrongOutcome, func(f *finder) { f.Outcomes[0].Value = new(float64(-1)) }},
	"outcome of nothing": {history.InventedOutcome, func(f *finder) {
		o := f.Outcomes[0]
		o.Source.Offset = 1 << 40
		f.Outcomes = append(f.Outcomes, o)
	}},
	"outcome of a request": {history.InventedOutcome, func(f *finder) {
		o := f.Outcomes[0]
		o.Source = f.Published[f.published(func(p *history.Published) bool { return p.Kind == history.Good })].Place
		f.Outcomes = append(f.Outcomes, o)
	}},

	"feedback counted twice for its user": {history.ProfileWrong, func(f *finder) { f.Profiles[0].Activity++ }},
	"feedback not counted for its user":   {history.ProfileWrong, func(f *finder) { f.Profiles[0].Activity-- }},
	"latest feedback not counted":         {history.ProfileWrong, func(f *finder) { f.Profiles[0].AsOf = f.Profiles[0].AsOf.Add(-time.Microsecond) }},
	"no profile":                          {history.ProfileWrong, func(f *finder) { f.Profiles = f.Profiles[1:] }},
	"profile of nobody":                   {history.ProfileWrong, func(f *finder) { f.Profiles = append(f.Profiles, history.Profile{UserID: "nobody"}) }},
	"two profiles":                        {history.ProfileWrong, func(f *finder) { f.Profiles = append(f.Profiles, f.Profiles[0]) }},
	"feedback counted twice for its item": {history.PopularityWrong, func(f *finder) { f.Popularity[0].Weight++ }},
	"popularity of what nobody watched":   {history.PopularityWrong, func(f *finder) { f.Popularity[len(f.Popularity)-1].Weight = 1 }},
	"popularity of another time":          {history.PopularityWrong, func(f *finder) { f.Popularity[0].AsOf = f.Popularity[0].AsOf.Add(time.Hour) }},

	"committed offset rewound":       {history.OffsetBackwards, thenAtEnd([3]int64{5, 9, 9}, [3]int64{3, 9, 9})},
	"committed offset gone":          {history.OffsetBackwards, thenAtEnd([3]int64{5, 9, 9}, [3]int64{history.None, 9, 9})},
	"fence rewound":                  {history.FenceBackwards, thenAtEnd([3]int64{1, 9, 9}, [3]int64{1, 8, 9})},
	"fence gone":                     {history.FenceBackwards, thenAtEnd([3]int64{history.None, 9, 9}, [3]int64{history.None, history.None, 9})},
	"committed before it was stored": {history.OffsetAheadOfFence, thenAtEnd([3]int64{5, 4, 9})},
	"committed beyond the end":       {history.OffsetBeyondEnd, thenAtEnd([3]int64{5, 5, 4})},
	"fence beyond the end":           {history.FenceBeyondEnd, thenAtEnd([3]int64{3, 5, 4})},
	"last event not committed": {history.OffsetNotAtEnd, func(f *finder) {
		f.observe(func(end int64) [][3]int64 { return [][3]int64{{end - 1, end, end}} })
	}},
	"last event not fenced": {history.FenceNotAtEnd, func(f *finder) {
		f.observe(func(end int64) [][3]int64 { return [][3]int64{{end - 1, end - 1, end}} })
	}},

	"gap of what is still there": {history.WrongGap, func(f *finder) { f.Logs[0].First-- }},
	"gap of what was answered":   {history.WrongGap, func(f *finder) { f.Gaps[0].To++; f.Logs[0].First++ }},
	"gap of a ledger that is behind": {history.WrongGap, func(f *finder) {
		f.Gaps = append(f.Gaps, history.Gap{Topic: topics.Requests, Partition: 0, To: 1, Reason: "ledger_behind"})
	}},
	"gap of nothing": {history.WrongGap, func(f *finder) {
		f.Gaps = append(f.Gaps, history.Gap{Topic: "other", To: 1, Reason: history.Retention})
	}},

	"an event unaccounted for": {history.BrokenHistory, func(f *finder) {
		i := f.published(func(p *history.Published) bool { // that counts for no user and no item
			return isFeedback(p) && !strings.Contains(string(p.Value), `"user_id"`) && strings.Contains(string(p.Value), `"impression"`)
		})
		f.Outcomes = slices.DeleteFunc(f.Outcomes, func(o history.Outcome) bool { return o.Source == f.Published[i].Place })
		f.Published = slices.Delete(f.Published, i, i+1)
	}},
	"two events in one place":  {history.BrokenHistory, func(f *finder) { f.Published = append(f.Published, f.Published[0]) }},
	"a commit unaccounted for": {history.CommitLost, func(f *finder) { f.Commits = f.Commits[:len(f.Commits)-1] }},
	"nothing committed":        {history.CommitLost, func(f *finder) { f.Commits = nil }},
	"nobody observed":          {history.BrokenHistory, func(f *finder) { f.Progress = nil }},
	"nothing at all":           {history.BrokenHistory, func(f *finder) { *f.History = history.History{} }},
}
