package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/model"
)

// A store with a few items and the live decisions that a test gives it. It keeps what it is told to record.
type fakeStore struct {
	Store
	texts  map[string]string
	live   []*schemas.Decision
	replay postgres.Replay
	gone   bool // the replay
	finish error
	refuse string // id of a request whose decision is not taken
	rows   []string
	errs   int
	keep   map[schemas.ProfileKey]*schemas.Profile
	unread error // of ProfilesAt
}

func (s *fakeStore) ConfigText(_ context.Context, version string) (string, bool, error) {
	text, ok := s.texts[version]
	return text, ok, nil
}

func (s *fakeStore) CatalogAt(context.Context, int64) ([]schemas.Item, error) {
	return []schemas.Item{{ID: "a", Title: "A", AddedAt: at}, {ID: "b", Title: "B", AddedAt: at}}, nil
}

func (s *fakeStore) LiveDecisions(_ context.Context, ids []string, _, _ time.Time) (list []*schemas.Decision, err error) {
	for _, d := range s.live {
		if slices.Contains(ids, d.RequestID) {
			list = append(list, d)
		}
	}
	return list, nil
}

func (s *fakeStore) Profiles(_ context.Context, users []string, into map[string]*schemas.Profile) error {
	for _, user := range users {
		into[user] = &schemas.Profile{UserID: user, Activity: 1}
	}
	return nil
}

func (s *fakeStore) ProfilesAt(context.Context, []schemas.ProfileKey) (map[schemas.ProfileKey]*schemas.Profile, error) {
	return s.keep, s.unread
}

func (s *fakeStore) ReplayedDecisions(_ context.Context, _ *postgres.Replay, ids []string) (list []*schemas.Decision, err error) {
	for _, id := range s.rows {
		if slices.Contains(ids, id) {
			list = append(list, &schemas.Decision{RequestID: id})
		}
	}
	return list, nil
}

func (s *fakeStore) Popularity(context.Context, time.Duration) ([]schemas.ItemPopularity, error) {
	return nil, nil
}

func (s *fakeStore) EditorialLists(context.Context) ([]schemas.EditorialList, error) { return nil, nil }

func (s *fakeStore) Replay(context.Context, int32) (*postgres.Replay, error) {
	if s.gone {
		return nil, postgres.ErrNoReplay
	}
	r := s.replay
	return &r, nil
}

func (s *fakeStore) RecordReplay(_ context.Context, b postgres.ReplayBatch) error {
	if p := &s.replay.Partitions[0]; b.From != p.Next {
		return errors.New("the checkpoint is elsewhere")
	}
	for _, d := range b.Decisions {
		if d.RequestID == s.refuse {
			s.errs++
			return &postgres.Error{Op: "record replay", Err: &pgconn.PgError{Code: "22021"}}
		}
	}
	for _, d := range b.Decisions {
		if slices.Contains(s.rows, d.RequestID) {
			return postgres.ErrConflict
		}
	}
	for _, d := range b.Decisions {
		s.rows = append(s.rows, d.RequestID)
	}
	s.replay.Partitions[0].Next = b.Next
	return nil
}

func (s *fakeStore) FinishReplay(context.Context, int32, string, []byte, []postgres.ReplayFigure) error {
	return s.finish
}

func (s *fakeStore) PauseReplay(context.Context, int32, string) error { return postgres.ErrReplayOver }

// version keeps parameters, and returns their version.
func (s *fakeStore) version(t *testing.T, text string) string {
	t.Helper()
	params, err := config.ParseScoring("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s.texts[params.Version()] = text
	return params.Version()
}

// answered adds the live decision on an event of the topic at that offset.
func (s *fakeStore) answered(t *testing.T, offset int64, id string) *schemas.Decision {
	d := &schemas.Decision{RequestID: id, UserID: "ada", RequestedAt: at, ScoredAt: at, Tier: schemas.TierBasic, CatalogVersion: 1,
		ConfigVersion: s.version(t, "max_items: 1\n"), Source: schemas.Source{Topic: topic, Offset: offset}}
	s.live = append(s.live, d)
	return d
}

func newFakeStore() *fakeStore {
	return &fakeStore{texts: map[string]string{}, replay: postgres.Replay{RunID: 7, State: postgres.ReplayRunning, CreatedAt: at, Owner: "me",
		Topic: topic, Partitions: []postgres.ReplayPartition{{From: 10, To: 20, Next: 10, Figures: []byte(`{}`)}}}}
}

// newTestWorker returns a worker of partition 0 from offset 10 to 20, which is the owner me's.
func newTestWorker(t *testing.T, s *fakeStore, plan *Plan) *worker {
	t.Helper()
	plan.Topic, plan.Features, plan.Catalog = topic, cmp.Or(plan.Features, FeaturesStored), CatalogLive
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	s.replay.Plan = text
	r, err := newRun(t.Context(), &s.replay, "me", &Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	w, err := r.newWorker(t.Context(), s.replay.Partitions[0])
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// add adds an event to the batch in hand, which ends the range.
func (w *worker) add(offset int64, id, refused string) {
	w.reader.next = w.reader.to
	w.reader.events = append(w.reader.events, event{refused: refused, request: schemas.Request{RequestID: id, UserID: "ada", RequestedAt: at, ExcludeSeen: refused == ""},
		message: schemas.Message{Time: at, Source: schemas.Source{Topic: topic, Offset: offset}}})
}

// decided decides the batch in hand, once.
func (w *worker) decided(t *testing.T) (*batch, error) {
	w.batch.events, w.batch.next = w.reader.events, w.reader.next
	return &w.batch, w.process(t.Context(), &w.batch, nil)
}

// codes writes counts as "code: count", in order.
func codes(m map[string]int64) string {
	var list []string
	for _, code := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%s: %d", code, m[code]))
	}
	return strings.Join(list, ", ")
}

// What is refused now and was decided live is not reproduced; what live refused too is only rejected.
// With a filter only those count that it selects: one without a live decision has no tier, one without an id is nobody's.
func TestRefusedEventsThatLiveDecided(t *testing.T) {
	tests := map[string]struct {
		filter                   Filter
		rejected, irreproducible string
		filtered                 int64
	}{
		"all":           {Filter{}, "wrong_type: 3", "refused: 2", 0},
		"of a tier":     {Filter{Tiers: []schemas.Tier{schemas.TierBasic}}, "", "refused: 1", 4},
		"some ids":      {Filter{RequestIDs: []string{"decided", "none"}}, "wrong_type: 1", "refused: 1", 3},
		"an id":         {Filter{RequestIDs: []string{"other event"}}, "wrong_type: 1", "", 4},
		"a user":        {Filter{Users: []string{"ada"}}, "wrong_type: 3", "refused: 2", 0},
		"another user":  {Filter{Users: []string{"bob"}}, "", "", 5},
		"another model": {Filter{Models: []string{"films"}}, "", "", 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newFakeStore()
			s.answered(t, 10, "decided")
			s.answered(t, 9, "other event")
			s.answered(t, 14, "of a better tier").Tier = schemas.TierPopular
			w := newTestWorker(t, s, &Plan{Filter: test.filter})
			for i, id := range []string{"decided", "other event", "", "none", "of a better tier"} {
				w.add(10+int64(i), id, "wrong_type")
			}
			b, err := w.decided(t)
			if err != nil {
				t.Fatal(err)
			}
			f := b.figures
			if codes(f.Rejected) != test.rejected || codes(f.Irreproducible) != test.irreproducible || f.Filtered != test.filtered || f.Read != 5 {
				t.Errorf("figures %+v", f)
			}
			if n := len(b.differences); int64(n) != Sum(f.Irreproducible) || n > 0 && (b.differences[0].RequestID != "decided" || b.differences[0].LiveScoredAt.IsZero()) {
				t.Errorf("differences %+v", b.differences)
			}
		})
	}
}

// Parameters that are tried and answer as live did are no difference because an experiment ran: none assigns anybody in
// a trial, and its other models had live look for profiles.
func TestTrialBesideAnExperiment(t *testing.T) {
	s := newFakeStore()
	version := s.version(t, "fallback: {tiers: [basic]}\n")
	live := s.answered(t, 10, "r")
	live.ConfigVersion = version
	plan := &Plan{Config: version}
	w := newTestWorker(t, s, plan)
	w.add(10, "r", "")
	w.reader.events[0].request.ExcludeSeen = false
	if _, err := w.decided(t); err != nil {
		t.Fatal(err)
	}
	*live = w.batch.decisions[0]
	live.Items = slices.Clone(live.Items)
	live.Experiment = &schemas.ExperimentRef{Name: "x", Variant: "a"}
	live.ColdStart = append([]schemas.ColdStart{schemas.ColdUnknownUser}, live.ColdStart...)
	b, err := w.decided(t)
	if total := b.figures.Total(); err != nil || total.Identical != 1 || len(b.rows) != 1 || b.rows[0].Experiment != nil {
		t.Errorf("compared %+v (%v), want one that is identical and of no experiment", total, err)
	}
	w.comparer.trial = false // reproducing it is more than that
	if b, err = w.decided(t); err != nil || b.figures.Total().Other != 1 {
		t.Errorf("reproduced: %+v (%v)", b.figures.Total(), err)
	}
	live.ColdStart, w.comparer.trial = nil, true
	if b, err = w.decided(t); err != nil || b.figures.Total().Other != 1 {
		t.Errorf("another cold start: %+v (%v)", b.figures.Total(), err)
	}
}

// Who was given no profile live, where none was needed, is no new user for parameters that need one.
func TestProfileThatLiveDidWithout(t *testing.T) {
	tests := map[string]struct {
		features Features
		trial    string
		cold     []schemas.ColdStart
		want     string
	}{
		"stored":           {FeaturesStored, "rank: {weights: {affinity: 1}}\n", nil, "profile_version_not_kept: 1"},
		"of a new user":    {FeaturesStored, "rank: {weights: {affinity: 1}}\n", []schemas.ColdStart{schemas.ColdUnknownUser}, ""},
		"fresh":            {FeaturesFresh, "rank: {weights: {affinity: 1}}\n", nil, ""},
		"that none needs":  {FeaturesStored, "rank: {weights: {affinity: 0}}\nfallback: {tiers: [model, basic]}\n", nil, ""},
		"nothing is tried": {FeaturesStored, "", nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, plan := newFakeStore(), &Plan{Features: test.features}
			s.answered(t, 10, "r").ColdStart = test.cold
			if test.trial != "" {
				plan.Config = s.version(t, test.trial)
			}
			w := newTestWorker(t, s, plan)
			w.add(10, "r", "")
			w.reader.events[0].request.ExcludeSeen = false
			b, err := w.decided(t)
			if err != nil || codes(b.figures.Irreproducible) != test.want {
				t.Fatalf("irreproducible %q (%v), want %q", codes(b.figures.Irreproducible), err, test.want)
			}
			if total := b.figures.Total(); (total.Compared == 1) != (test.want == "") {
				t.Errorf("compared %d", total.Compared)
			}
		})
	}
}

// Other parameters are tried with a model, also on requests that no model or the previous one answered.
func TestParametersAreTriedWithAModel(t *testing.T) {
	present, its := Ref{ID: 9, Name: "films", Version: "9"}, Ref{ID: 3, Name: "films", Version: "1", SHA256: "ab"}
	plan := &Plan{Config: "trial", Present: State{Model: present}}
	tests := map[string]struct {
		plan *Plan
		live func(*schemas.Decision)
		want era
	}{
		"a model's":      {plan, func(*schemas.Decision) {}, era{State{"trial", 7, its}, false}},
		"no model's":     {plan, func(d *schemas.Decision) { d.Tier, d.Model = schemas.TierBasic, nil }, era{State{"trial", 7, present}, false}},
		"the previous's": {plan, func(d *schemas.Decision) { d.Tier = schemas.TierPrevious }, era{State{"trial", 7, present}, false}},
		"reproduced":     {&Plan{}, func(d *schemas.Decision) { d.Tier = schemas.TierPrevious }, era{State{"c", 7, its}, true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.plan.Catalog = CatalogLive
			live := decision()
			test.live(live)
			w := &worker{run: &run{plan: test.plan}}
			if j := w.newJob(&event{}, live); j.era != test.want {
				t.Errorf("era %+v, want %+v", j.era, test.want)
			}
		})
	}
}

// A row that Postgres never takes costs that request and no other.
func TestRefusedRowIsLeftOut(t *testing.T) {
	s := newFakeStore()
	s.refuse = "bad"
	w := newTestWorker(t, s, &Plan{})
	for i, id := range []string{"a", "b", "bad", "c"} {
		s.answered(t, 11+2*int64(i), id)
		w.add(11+2*int64(i), id, "")
	}
	w.add(18, "b", "") // answered with the first one's
	if err := w.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.rows, " "); got != "a b c" || s.errs != 2 || s.replay.Partitions[0].Next != 20 || w.checkpoint != 20 {
		t.Errorf("rows %q, refused %d times, checkpoint %d and %d", got, s.errs, s.replay.Partitions[0].Next, w.checkpoint)
	}
	f, total := w.figures, w.figures.Total()
	if codes(f.Irreproducible) != "record_refused: 1" || f.Read != 5 || f.Repeated != 1 || total.Compared != 3 {
		t.Errorf("figures %+v, compared %d", f, total.Compared)
	}
}

// The rate is of what is decided: what the filter leaves out and what is refused is free.
func TestRateIsOfWhatIsDecided(t *testing.T) {
	s := newFakeStore()
	s.answered(t, 10, "a")
	w := newTestWorker(t, s, &Plan{Rate: 1, Filter: Filter{RequestIDs: []string{"a"}}})
	began := time.Now()
	w.add(10, "a", "")
	w.add(11, "b", "")
	w.add(12, "", "wrong_type")
	if err := w.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if due := w.limit.due.Sub(began); due < time.Second || due >= 2*time.Second {
		t.Errorf("the next may begin after %s, want the second of one request", due)
	}
}

// How a replay ends is told as it was.
func TestFinish(t *testing.T) {
	s := newFakeStore()
	w := newTestWorker(t, s, &Plan{})
	plan := s.replay.Plan
	tests := map[string]struct {
		state  postgres.ReplayState
		owner  string
		gone   bool
		finish error
		report string
		want   string
	}{
		"done":        {postgres.ReplayRunning, "me", false, nil, "", ""},
		"done before": {postgres.ReplayDone, "me", false, postgres.ErrReplayTaken, `{"run_id":7,"plan":{}}`, ""},
		"taken over":  {postgres.ReplayRunning, "you", false, postgres.ErrReplayTaken, "", "replay 7 was taken over by another process"},
		"paused":      {postgres.ReplayPaused, "me", false, postgres.ErrReplayTaken, "", "replay 7 is paused"},
		"cancelled":   {postgres.ReplayCancelled, "me", false, postgres.ErrReplayTaken, "", "replay 7 is cancelled"},
		"deleted":     {postgres.ReplayCancelled, "me", true, nil, "", "replay 7 is cancelled"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s.replay.State, s.replay.Owner, s.replay.Plan, s.gone, s.finish = test.state, test.owner, plan, test.gone, test.finish
			s.replay.Report = nil
			if test.report != "" {
				s.replay.Report = []byte(test.report)
			}
			report, err := w.run.finish(t.Context(), new(Figures))
			if test.want == "" && (err != nil || report == nil || report.RunID != 7) {
				t.Errorf("report %v (%v)", report, err)
			}
			if stopped := (*StoppedError)(nil); test.want != "" && (!errors.As(err, &stopped) || err.Error() != test.want || report != nil) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
	s.replay.State, s.replay.Owner, s.gone = postgres.ReplayRunning, "you", false
	if err := w.run.pause(t.Context(), context.Canceled); err == nil || err.Error() != "replay 7 was taken over by another process" {
		t.Errorf("pausing what another has taken over: %v", err)
	}
}

// Only what is not there, or is another model, is a gap for good; the model that is to be tried has to be there.
func TestModelsThatCannotBeOpened(t *testing.T) {
	ref := Ref{Name: "films", Version: "1", SHA256: "ab"}
	failing := func(err error) error {
		return &model.LoadError{Reason: schemas.ReasonModelLoadFailed, Err: &fs.PathError{Op: "open", Err: err}}
	}
	tests := map[string]struct {
		pinned bool
		sha    string
		err    error
		want   string
	}{
		"there":          {false, "ab", nil, ""},
		"not there":      {false, "", failing(fs.ErrNotExist), "gap"},
		"another":        {false, "cd", nil, "gap"},
		"broken":         {false, "", &model.LoadError{Err: errors.New("no forest")}, "gap"},
		"not readable":   {false, "", failing(syscall.EMFILE), "of the moment"},
		"pinned, gone":   {true, "", failing(fs.ErrNotExist), "permanent"},
		"pinned, other":  {true, "cd", nil, "permanent"},
		"pinned, unread": {true, "", failing(syscall.EIO), "permanent"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := engines{open: func(*Model) (*model.Model, error) {
				return &model.Model{Ref: schemas.ModelRef{SHA256: test.sha}}, test.err
			}}
			if test.pinned {
				e.pinned = &Model{Ref: ref, Path: "/films"}
			}
			m, err := e.model(t.Context(), ref)
			if got := kindOf(err); got != test.want || (m == nil) != (test.want != "") {
				t.Errorf("model %v, error %v: %q, want %q", m, err, got, test.want)
			}
		})
	}
}

func kindOf(err error) string {
	gap, coded := (*gapError)(nil), (interface{ Transient() bool })(nil)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &gap) && gap.gap == scoring.GapModel:
		return "gap"
	case errors.As(err, &coded) && !coded.Transient():
		return "permanent"
	}
	return "of the moment"
}
