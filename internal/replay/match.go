package replay

import (
	"context"
	"errors"
	"slices"
	"time"

	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
)

// CauseNoLiveDecision is why a request is not reproduced that live has no decision on: it was rejected, or is not
// answered yet, or its decision is past the ledger's retention. The other causes are the gaps of package scoring, and
// the codes of errors that scoring gives.
const CauseNoLiveDecision = "no_live_decision"

// CauseRefused is why an event is not reproduced that is no valid request now and was answered live: it is decoded by
// other rules than it was. One that live refused too is only counted as rejected.
const CauseRefused = "refused"

// CauseRecordRefused is why a request is not reproduced whose decision Postgres does not take, whatever is done.
const CauseRecordRefused = "record_refused"

// Clocks of apps, brokers and instances differ, and streams lag: live decisions are looked for first where nearly all
// of them are, among those of the days around the events, and then in the whole ledger.
const (
	decidedBefore = 24 * time.Hour
	decidedAfter  = 48 * time.Hour
)

// The ledger has nothing before its beginning and nothing after its end.
var (
	beginning = time.Unix(0, 0)
	end       = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
)

// job is a request that is to be decided again.
type job struct {
	*event
	live    *schemas.Decision // nil is none
	given   *schemas.Decision // what is taken as it was
	era     era
	profile *schemas.Profile
	again   bool   // the replay has a row of that id already: an id that was used again after the look-back
	missing string // why it cannot be decided; "" where it can
	gap     string // why it may come out otherwise; "" for nothing
}

// findLive returns the live decisions on the batch's requests, by id.
func (w *worker) findLive(ctx context.Context, b *batch) (map[string][]*schemas.Decision, error) {
	found := map[string][]*schemas.Decision{}
	ids, since, until := w.wanted(b.events)
	if err := w.addLive(ctx, found, ids, since, until); err != nil || len(found) == len(ids) {
		return found, err
	}
	rest := ids[:0]
	for _, id := range ids {
		if found[id] == nil {
			rest = append(rest, id)
		}
	}
	return found, w.addLive(ctx, found, rest, beginning, end)
}

func (w *worker) addLive(ctx context.Context, found map[string][]*schemas.Decision, ids []string, since, until time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := w.options.Store.LiveDecisions(ctx, ids, since, until)
	for _, d := range list {
		found[d.RequestID] = append(found[d.RequestID], d)
	}
	return err
}

// wanted returns the ids of the requests that the filter takes, each once, and when they will have been decided.
func (w *worker) wanted(events []event) (ids []string, since, until time.Time) {
	seen := make(map[string]bool, len(events))
	for i := range events {
		e := &events[i]
		// Of an event that is refused now, what is known is its id; live may have taken it.
		if e.request.RequestID == "" || !w.filter.takesRequest(&e.request) || seen[e.request.RequestID] {
			continue
		}
		at := e.message.Time
		if len(ids) == 0 || at.Before(since) {
			since = at
		}
		if len(ids) == 0 || at.After(until) {
			until = at
		}
		seen[e.request.RequestID] = true
		ids = append(ids, e.request.RequestID)
	}
	return ids, since.Add(-decidedBefore), until.Add(decidedAfter)
}

// liveOf returns the live decision on an event, nil for none. repeated says that there is one on an earlier event of
// that id, which this one was answered with too.
func liveOf(e *event, found []*schemas.Decision) (live *schemas.Decision, repeated bool) {
	for _, d := range found {
		if d.Source == e.message.Source {
			return d, false
		}
		if d.Source.Topic != e.message.Topic { // a copy of the topic is replayed: its events go by their ids
			live = d
		}
	}
	return live, live == nil && len(found) > 0
}

// ownOf returns a live decision if it is on that very event, else nil.
func ownOf(e *event, live *schemas.Decision) *schemas.Decision {
	if live != nil && live.Source != e.message.Source {
		return nil
	}
	return live
}

// match sorts the batch's events: it counts those that are not decided again, and makes jobs of the others.
func (w *worker) match(b *batch, found map[string][]*schemas.Decision) {
	for i := range b.events {
		e := &b.events[i]
		b.figures.Read++
		live, repeated := liveOf(e, found[e.request.RequestID])
		if e.refused != "" {
			live, repeated = ownOf(e, live), false // it was answered with nobody's decision
		}
		switch {
		case !w.filter.takesRequest(&e.request) || !repeated && !w.filter.takesLive(live):
			b.figures.Filtered++
		case e.refused != "" && live == nil:
			countCode(&b.figures.Rejected, e.refused)
		case e.refused != "":
			b.fail(e, live, CauseRefused)
		case repeated || b.has(e.request.RequestID) && (live == nil || live.Source.Topic != e.message.Topic):
			b.figures.Repeated++
		case live == nil && !w.plan.Evaluates():
			b.fail(e, nil, CauseNoLiveDecision)
		default:
			j := w.newJob(e, live)
			j.again = b.has(e.request.RequestID)
			b.jobs = append(b.jobs, j)
			b.decided[e.request.RequestID] = true
		}
	}
}

// newJob says what a request is decided with.
func (w *worker) newJob(e *event, live *schemas.Decision) job {
	p := w.plan
	j := job{event: e, live: live, given: live, era: era{State: p.Present}}
	if live != nil {
		j.era = era{State: State{Config: live.ConfigVersion, Catalog: live.CatalogVersion}, previous: live.Tier == schemas.TierPrevious}
		if live.Model != nil {
			j.era.Model = Ref(*live.Model)
		}
		if p.Catalog == CatalogPresent {
			j.era.Catalog = p.Present.Catalog
		}
	}
	if p.Config != "" {
		j.era.Config = p.Config
		if p.Model == nil && live != nil && (live.Model == nil || j.era.previous) { // a model is tried as every tier is
			j.era.Model, j.era.previous = p.Present.Model, false
		}
	}
	if p.Model != nil {
		j.era.Model, j.era.previous = p.Model.Ref, false
	}
	if live == nil || p.Evaluates() {
		j.given = tryAll
		if live != nil && live.Explanation != nil {
			j.given = tryAllAndExplain
		}
	}
	if live != nil && !p.Evaluates() {
		if gaps := scoring.Gaps(live); len(gaps) > 0 {
			j.gap = string(gaps[0])
		}
	}
	return j
}

// What is given to evaluate: every tier is tried, whatever kept the live decision from it.
var (
	tryAll           = &schemas.Decision{}
	tryAllAndExplain = &schemas.Decision{Explanation: &schemas.Explanation{}}
)

// addProfiles gives the jobs the profiles that the plan wants. What has no live decision is decided with what is present.
func (w *worker) addProfiles(ctx context.Context, jobs []job) error {
	if w.plan.Features == FeaturesFresh {
		return w.addPresent(ctx, jobs, func(*job) bool { return true })
	}
	if err := w.addStored(ctx, jobs); err != nil {
		return err
	}
	return w.addPresent(ctx, jobs, func(j *job) bool { return j.live == nil })
}

// addStored gives the jobs the profiles that their live decisions were given.
func (w *worker) addStored(ctx context.Context, jobs []job) error {
	w.keys = w.keys[:0]
	for i := range jobs {
		if key := jobs[i].profileKey(); key.Version > 0 {
			w.keys = append(w.keys, key)
		}
	}
	if len(w.keys) == 0 {
		return nil
	}
	kept, err := w.options.Store.ProfilesAt(ctx, w.keys)
	if errors.Is(err, postgres.ErrUnreadable) {
		w.tell(&gapError{scoring.GapProfile, err})
	} else if err != nil {
		return err
	}
	for i := range jobs {
		j := &jobs[i]
		key := j.profileKey()
		if j.profile = kept[key]; j.profile == nil && key.Version > 0 {
			j.missing = string(scoring.GapProfile)
		}
	}
	return nil
}

// profileKey names the profile that the live decision was given; version 0 or less is none, or not known which.
func (j *job) profileKey() schemas.ProfileKey {
	if j.live == nil {
		return schemas.ProfileKey{}
	}
	return schemas.ProfileKey{UserID: j.live.UserID, Version: j.live.ProfileVersion}
}

// lacksProfile reports whether what is tried needs a profile that the live decision did without: nobody noted which
// one the user had. Without any they would be taken for a new user.
func (w *worker) lacksProfile(j *job, s *scoring.Scorer) bool {
	return w.plan.Evaluates() && w.plan.Features == FeaturesStored && j.live != nil && j.profile == nil &&
		s.NeedsProfile(&j.request) && !slices.Contains(j.live.ColdStart, schemas.ColdUnknownUser)
}

// addPresent gives some of the jobs the present profiles.
func (w *worker) addPresent(ctx context.Context, jobs []job, wants func(*job) bool) error {
	users := map[string]*schemas.Profile{}
	var names []string
	for i := range jobs {
		user := jobs[i].request.UserID
		if _, seen := users[user]; user != "" && !seen && wants(&jobs[i]) {
			users[user] = nil
			names = append(names, user)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := w.options.Store.Profiles(ctx, names, users); err != nil {
		return err
	}
	for i := range jobs {
		if j := &jobs[i]; wants(j) {
			j.profile = users[j.request.UserID]
		}
	}
	return nil
}

// scorer returns the scorer of an era, which has begun, for the batch in hand. The error is a *gapError where there
// can be none.
func (w *worker) scorer(ctx context.Context, a era) (*scoring.Scorer, error) {
	engine, err := w.engines.of(ctx, a)
	if err != nil {
		return nil, err
	}
	s := w.begun[engine]
	if s == nil {
		if s = w.scorers[engine]; s == nil {
			s = engine.NewScorer()
		}
		if err := s.Begin(); err != nil {
			return nil, err
		}
		w.begun[engine] = s
	}
	return s, nil
}

// end ends the batch's scorers, and keeps them for the next one.
func (w *worker) end() {
	for _, s := range w.begun {
		s.End()
	}
	w.scorers, w.begun = w.begun, w.scorers
	clear(w.begun)
}

// decide decides a job again. The cause says why it cannot be, "" where it was; the error is of the moment.
func (w *worker) decide(ctx context.Context, j *job, dst *schemas.Decision) (cause string, err error) {
	if j.missing != "" {
		return j.missing, nil
	}
	s, err := w.scorer(ctx, j.era)
	if gap := (*gapError)(nil); errors.As(err, &gap) {
		w.run.tell(gap)
		return string(gap.gap), nil
	}
	if err != nil {
		return "", err
	}
	if w.lacksProfile(j, s) {
		return string(scoring.GapProfileVersion), nil
	}
	began := time.Now()
	err = s.Redecide(&j.request, j.profile, j.given, dst)
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code(), nil
	}
	dst.ScoredAt, dst.QueueTime, dst.ScoreTime = w.run.replay.CreatedAt, 0, time.Since(began).Truncate(time.Microsecond)
	dst.Source = j.message.Source
	return "", err
}
