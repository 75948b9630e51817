package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/segmentio/kafka-go"

	"recstream/consumer"
	"recstream/consumer/committed"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/model"
)

// Store is where live decisions and past states are read, and replays are kept.
type Store interface {
	Past
	LiveDecisions(ctx context.Context, ids []string, since, until time.Time) ([]*schemas.Decision, error)
	ProfilesAt(ctx context.Context, keys []schemas.ProfileKey) (map[schemas.ProfileKey]*schemas.Profile, error)
	Profiles(ctx context.Context, users []string, into map[string]*schemas.Profile) error
	Popularity(ctx context.Context, halfLife time.Duration) ([]schemas.ItemPopularity, error)
	EditorialLists(ctx context.Context) ([]schemas.EditorialList, error)

	CreateReplay(ctx context.Context, r postgres.Replay, owner string) (*postgres.Replay, error)
	Replay(ctx context.Context, run int32) (*postgres.Replay, error)
	ReplayedDecisions(ctx context.Context, r *postgres.Replay, ids []string) ([]*schemas.Decision, error)
	RecordReplay(context.Context, postgres.ReplayBatch) error
	PauseReplay(ctx context.Context, run int32, owner string) error
	FinishReplay(ctx context.Context, run int32, owner string, report []byte, figures []postgres.ReplayFigure) error
}

// Outbox publishes results, for one worker. After an error Flush is called again.
type Outbox interface {
	Add(*schemas.Outcome)
	Flush(context.Context) error
}

// Options are what a replay works with. All but Log and Progress are required; OpenOutbox only where results are emitted.
type Options struct {
	Client     *kafka.Client // its Transport must be a *kafka.Transport
	Store      Store
	Scoring    scoring.Options
	OpenModel  func(*Model) (*model.Model, error)
	OpenOutbox func(ctx context.Context, topic string, run int32) (Outbox, error)
	FetchBytes int           // of a response of the broker
	Timeout    time.Duration // of one request to a broker
	Log        *slog.Logger
	Progress   func(done, total int64) // told of offsets after each batch, of one goroutine at a time
}

// mostTogether is how many events are decided and stored at once. With a limit to the rate less of them are decided, so
// that work is spread over each second.
const (
	mostTogether = 1000
	batchesASec  = 10
)

// drainTimeout is how long a batch in hand may take to be finished after a replay was told to stop.
const drainTimeout = 10 * time.Second

// patience is how long the end of a log is waited for that lies before the end of the range.
const patience = 5 * time.Second

// StoppedError says that a replay was stopped before its end.
type StoppedError struct {
	RunID int32
	State postgres.ReplayState // running is: another process has taken it over
}

// Error says by whom.
func (e *StoppedError) Error() string {
	switch e.State {
	case postgres.ReplayRunning:
		return fmt.Sprintf("replay %d was taken over by another process", e.RunID)
	default:
		return fmt.Sprintf("replay %d is %s", e.RunID, e.State)
	}
}

// Transient is false: whoever stopped it meant it.
func (e *StoppedError) Transient() bool { return false }

// run is a replay that is under way.
type run struct {
	options   *Options
	plan      *Plan
	filter    filter
	replay    *postgres.Replay
	owner     string
	engines   *engines
	limit     limiter
	batchSize int

	mu          sync.Mutex
	done, total int64
	told        map[string]bool
}

// Create stores a replay of what a span of the plan's topic has now, for owner to run. By and why are for the record.
func Create(ctx context.Context, plan *Plan, span Span, by, why, owner string, o Options) (*postgres.Replay, error) {
	text, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	ranges, err := span.Ranges(ctx, o.Client, plan.Topic, o.Timeout)
	if err != nil {
		return nil, err
	}
	return o.Store.CreateReplay(ctx, postgres.Replay{CreatedAt: time.Now().UTC().Truncate(time.Microsecond), CreatedBy: by, Why: why,
		Topic: plan.Topic, Plan: text, Partitions: ranges}, owner)
}

// Run works on a replay that is owner's until it is done, and returns its report. It ends with a *StoppedError when ctx
// ends, which pauses the replay, or when somebody else has stopped it. Another error leaves it to be resumed.
func Run(ctx context.Context, r *postgres.Replay, owner string, o Options) (*Report, error) {
	work, err := newRun(ctx, r, owner, &o)
	if err != nil {
		return nil, err
	}
	figures, err := work.workers(ctx)
	var report *Report
	if err == nil {
		report, err = work.finish(ctx, figures)
	}
	if err != nil && ctx.Err() != nil {
		return nil, work.pause(ctx, err)
	}
	return report, err
}

func newRun(ctx context.Context, r *postgres.Replay, owner string, o *Options) (*run, error) {
	w := &run{options: o, plan: new(Plan), replay: r, owner: owner, batchSize: mostTogether, told: map[string]bool{}}
	if err := json.Unmarshal(r.Plan, w.plan); err != nil {
		return nil, fmt.Errorf("read plan of replay %d: %w", r.RunID, err)
	}
	if w.limit.rate = w.plan.Rate; w.limit.rate > 0 {
		w.batchSize = min(mostTogether, max(1, int(w.limit.rate/batchesASec)))
	}
	w.filter = w.plan.Filter.ready()
	w.done, w.total = Progress(r)
	w.engines = newEngines(o, w.plan.Model)
	var err error
	if w.engines.outcomes, err = o.Store.Popularity(ctx, cmp.Or(o.Scoring.PopularityHalfLife, scoring.DefaultPopularityHalfLife)); err != nil {
		return nil, err
	}
	w.engines.lists, err = o.Store.EditorialLists(ctx)
	return w, err
}

// Progress returns how many offsets of a replay's ranges are done, of how many.
func Progress(r *postgres.Replay) (done, total int64) {
	for _, p := range r.Partitions {
		done, total = done+p.Next-p.From, total+p.To-p.From
	}
	return done, total
}

// workers runs a worker a partition. One that fails stops the others.
func (r *run) workers(ctx context.Context) (*Figures, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	list := make([]*worker, len(r.replay.Partitions))
	errs := make([]error, len(list))
	for i, p := range r.replay.Partitions {
		var err error
		if list[i], err = r.newWorker(ctx, p); err != nil {
			return nil, err
		}
	}
	var working sync.WaitGroup
	for i, w := range list {
		working.Go(func() {
			if errs[i] = guarded(ctx, w.work); errs[i] != nil {
				stop()
			}
		})
	}
	working.Wait()
	all := new(Figures)
	for _, w := range list {
		all.Merge(w.figures)
	}
	return all, firstCause(errs)
}

// guarded turns a panic, which is a defect of ours, into an error: the other partitions end in order.
func guarded(ctx context.Context, work func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return work(ctx)
}

// firstCause returns the error that stopped the others, which end with their context's.
func firstCause(errs []error) (cause error) {
	for _, err := range errs {
		if err != nil && (cause == nil || errors.Is(cause, context.Canceled)) {
			cause = err
		}
	}
	return cause
}

func (r *run) newWorker(ctx context.Context, p postgres.ReplayPartition) (*worker, error) {
	w := &worker{run: r, partition: p.Partition, checkpoint: p.Next, figures: new(Figures), comparer: comparer{trial: r.plan.Evaluates()},
		begun: map[*scoring.Engine]*scoring.Scorer{}, scorers: map[*scoring.Engine]*scoring.Scorer{}}
	w.reader = reader{next: p.Next, to: p.To, patience: patience, takes: r.filter.takesRequest, source: committed.Partition{Client: r.options.Client, Topic: r.plan.Topic,
		Number: p.Partition, MaxBytes: r.options.FetchBytes, Timeout: r.options.Timeout}}
	if err := json.Unmarshal(p.Figures, w.figures); err != nil {
		return nil, fmt.Errorf("read figures of partition %d: %w", p.Partition, err)
	}
	if r.plan.Emit == "" || p.Next == p.To {
		return w, nil
	}
	var err error
	w.outbox, err = r.options.OpenOutbox(ctx, r.plan.Emit, r.replay.RunID)
	return w, err
}

// progress notes that n offsets more are done.
func (r *run) progress(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += n
	if r.options.Progress != nil {
		r.options.Progress(r.done, r.total)
	}
}

// tell logs a gap, each once: thousands of requests may have it.
func (r *run) tell(gap *gapError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if text := gap.Error(); !r.told[text] {
		r.told[text] = true
		r.log().Warn("decisions cannot be made again", "cause", gap.gap, "detail", text)
	}
}

func (r *run) log() *slog.Logger {
	if r.options.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.options.Log
}

// retry calls do until it succeeds, its error is permanent, or ctx ends.
func (r *run) retry(ctx context.Context, stage string, do func() error) error {
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(20*time.Millisecond), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	var last error
	operation := func() error {
		if last = do(); last != nil && !consumer.IsTransient(last) {
			return backoff.Permanent(last)
		}
		return last
	}
	notify := func(err error, wait time.Duration) {
		r.log().Warn("trying again", "stage", stage, "wait", wait.Round(time.Millisecond), "error", err)
	}
	err := backoff.RetryNotify(operation, backoff.WithContext(policy, ctx), notify)
	if err != nil && ctx.Err() != nil && last != nil {
		return fmt.Errorf("%s: %w (last error: %w)", stage, context.Cause(ctx), last)
	}
	return err
}

// outliving returns a context that ends that long after ctx does.
func outliving(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return later, func() {
		stop()
		cancel()
	}
}

// pause notes that the replay is not worked on, so that it is not taken for one that is.
func (r *run) pause(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if stopped := (*StoppedError)(nil); errors.As(cause, &stopped) {
		return cause
	}
	if !errors.Is(cause, context.Canceled) { // it would have failed without being stopped
		r.log().Error("the replay failed while it was stopped", "error", cause)
	}
	err := r.options.Store.PauseReplay(ctx, r.replay.RunID, r.owner)
	if err != nil {
		return r.unlessStopped(ctx, fmt.Errorf("pause replay %d: %w", r.replay.RunID, err))
	}
	return &StoppedError{RunID: r.replay.RunID, State: postgres.ReplayPaused}
}

// unlessStopped returns an error as it is, or a *StoppedError where the replay is not the owner's any more.
func (r *run) unlessStopped(ctx context.Context, err error) error {
	now, lookUp := r.options.Store.Replay(ctx, r.replay.RunID)
	switch {
	case errors.Is(lookUp, postgres.ErrNoReplay): // cancelled, and deleted
		return &StoppedError{RunID: r.replay.RunID, State: postgres.ReplayCancelled}
	case lookUp == nil && (now.State != postgres.ReplayRunning || now.Owner != r.owner):
		return &StoppedError{RunID: r.replay.RunID, State: now.State}
	}
	return err
}

// finish stores the report. It goes on for a while after ctx has ended.
func (r *run) finish(ctx context.Context, figures *Figures) (report *Report, err error) {
	ctx, cancel := outliving(ctx, drainTimeout)
	defer cancel()
	err = r.retry(ctx, "finish", func() error {
		now, err := r.options.Store.Replay(ctx, r.replay.RunID)
		if err == nil && now.State == postgres.ReplayDone { // an attempt whose answer was lost has stored it
			report, err = ReportOf(now)
			return err
		}
		if err == nil {
			report, err = r.storeReport(ctx, now, figures)
		}
		return err
	})
	if err != nil {
		return nil, r.unlessStopped(ctx, err)
	}
	return report, nil
}

// storeReport makes the report of a replay that is done now, and stores it.
func (r *run) storeReport(ctx context.Context, now *postgres.Replay, figures *Figures) (*Report, error) {
	now.State, now.FinishedAt = postgres.ReplayDone, time.Now().UTC().Truncate(time.Second)
	report := newReport(now, r.plan, figures)
	text, err := json.Marshal(report)
	if err != nil {
		return nil, err
	}
	return report, r.options.Store.FinishReplay(ctx, r.replay.RunID, r.owner, text, report.rows(figures))
}
