package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"recstream/internal/config"
	"recstream/internal/kafkaconn"
	"recstream/internal/postgres"
	"recstream/internal/replay"
	"recstream/internal/upkeep"
	"recstream/producer"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/model"
)

// replayFlags are what the command line of replay run says.
type replayFlags struct {
	topic, from, to string
	partitions      []int
	ids, users      []string
	tiers, models   []string
	model, scoring  string
	features        string
	catalog         string
	emit            string
	rate            float64
	change
	limitFlags
}

// limitFlags are what a report may show before the command fails.
type limitFlags struct {
	differing, irreproducible int64
	overlap                   float64
	limits                    replay.Limits // those that are given
	output                    string
}

// register adds the flags, with what counts for a limit that is not given.
func (f *limitFlags) register(cmd *cobra.Command, otherwise string) {
	flags := cmd.Flags()
	flags.Int64Var(&f.differing, "max-differing", 0, "fail with status 3 if more than `N` requests are not reproduced to the byte (default "+otherwise+")")
	flags.Int64Var(&f.irreproducible, "max-irreproducible", 0, "fail with status 3 if more than `N` requests cannot be compared (default "+otherwise+")")
	flags.Float64Var(&f.overlap, "min-overlap", 0, "fail with status 3 if the mean overlap of items is below `0..1` (default "+otherwise+")")
	outputVar(cmd, &f.output, "text", "json")
	cmd.PreRunE = func(*cobra.Command, []string) error { return f.read(flags) }
}

// What counts where a limit is not given.
const (
	noLimit   = "no limit"
	itsLimits = "what 'replay run' was given"
)

// read takes the limits that are given.
func (f *limitFlags) read(flags *pflag.FlagSet) error {
	if f.differing < 0 || f.irreproducible < 0 {
		return usagef("--max-differing and --max-irreproducible must be 0 or more; leave them out for no limit")
	}
	if !(f.overlap >= 0 && f.overlap <= 1) {
		return usagef("--min-overlap must be 0 to 1")
	}
	if flags.Changed("max-differing") {
		f.limits.Differing = &f.differing
	}
	if flags.Changed("max-irreproducible") {
		f.limits.Irreproducible = &f.irreproducible
	}
	if flags.Changed("min-overlap") {
		f.limits.Overlap = &f.overlap
	}
	return nil
}

// defaultReplayRate leaves live traffic the most of a small machine: a replay as fast as it goes takes what it gets.
const defaultReplayRate = 5000

func newReplayRunCommand(app *app) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Start a replay, and work on it until it is done",
		Long: `run fixes the range of offsets of each partition, stores the replay and works on it. The range begins at --from and
ends before --to, each a time (2026-03-01T20:00:00Z), a time ago (-24h) or an offset; left out, they are the topic's
start and its present end.

Ctrl-C pauses the replay after the batches in hand; 'recstream replay resume' goes on, also after a crash: every
request counts once. The run is reported at its end, and by 'recstream replay show'. With --max-differing,
--max-irreproducible or --min-overlap the exit status is 3 where the report exceeds them, or nothing was compared. They
are kept with the replay, for 'resume' and 'show'.

What a decision depended on and is not kept any more is reported as irreproducible, by its cause.`,
		Example: `  recstream replay run --from -1h --max-differing 0 --max-irreproducible 0
  recstream replay run --from -24h --model films@4 --min-overlap 0.8 --why "may films@4 go live?"
  recstream replay run --scoring trial.yaml --users ada,bob --catalog present
  recstream replay run --from 1200 --to 2400 --partitions 3 --rate 0 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return app.startReplay(cmd.Context(), &f) },
	}
	f.register(cmd)
	return cmd
}

func (f *replayFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.topic, "topic", "", "topic to read (default that of requests)")
	flags.StringVar(&f.from, "from", "", "`TIME` or offset to begin at (default the topic's start)")
	flags.StringVar(&f.to, "to", "", "`TIME` or offset to end before (default the topic's present end)")
	flags.IntSliceVar(&f.partitions, "partitions", nil, "`NUMBERS` of the partitions, separated by commas (default all)")
	flags.StringSliceVar(&f.ids, "ids", nil, "request `IDS`, separated by commas (default all)")
	flags.StringSliceVar(&f.users, "users", nil, "`USERS`, separated by commas (default all)")
	flags.StringSliceVar(&f.tiers, "tiers", nil, "`TIERS` of the live decision, separated by commas (default all)")
	flags.StringSliceVar(&f.models, "live-models", nil, "`MODELS` of the live decision, as name or name@version, separated by commas (default all)")
	flags.StringVar(&f.model, "model", "", "`MODEL` to decide with: name@version of the store, or a path (default that of each live decision)")
	flags.StringVar(&f.scoring, "scoring", "", "`FILE` of scoring parameters, or a config_version, to decide with (default those of each live decision)")
	enumVar(cmd, flags, &f.features, "features", string(replay.FeaturesStored), "profiles to decide with: those of then, or the present ones",
		string(replay.FeaturesStored), string(replay.FeaturesFresh))
	enumVar(cmd, flags, &f.catalog, "catalog", string(replay.CatalogLive), "catalogue to decide over: that of each live decision, or the present one",
		string(replay.CatalogLive), string(replay.CatalogPresent))
	flags.StringVar(&f.emit, "emit", "", "`TOPIC` to publish results to, at least once each; it is created where it is missing (default none)")
	flags.Float64Var(&f.rate, "rate", defaultReplayRate, "requests a second at the most; 0 is as fast as it goes")
	changeVars(cmd, &f.change)
	f.limitFlags.register(cmd, noLimit)
}

// startReplay creates a replay and works on it.
func (a *app) startReplay(ctx context.Context, f *replayFlags) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	span, err := f.span(time.Now())
	if err != nil {
		return err
	}
	if err := f.check(cfg); err != nil {
		return err
	}
	return a.withReplayer(ctx, cfg, func(r *replayer) error {
		created, err := r.create(ctx, f, span)
		if err != nil {
			return err
		}
		return r.work(ctx, created, f.limitFlags)
	})
}

// check refuses what makes no sense, or would harm.
func (f *replayFlags) check(cfg config.Config) error {
	k := cfg.Kafka.Topics
	switch {
	case slices.Contains([]string{k.Results, k.Requests, k.Feedback, k.DeadLetters}, f.emit):
		return usagef("--emit %s is a topic of live traffic; choose one of its own", f.emit)
	case f.emit != "" && f.emit == f.topic:
		return usagef("--emit %s is the topic that is read", f.emit)
	case !(f.rate >= 0) || math.IsInf(f.rate, 0):
		return usagef("--rate must be 0 or more")
	}
	for _, t := range f.tiers {
		if !slices.Contains(scoring.DefaultParams().Fallback.Tiers, schemas.Tier(t)) {
			return usagef("--tiers: %q is no tier", t)
		}
	}
	return nil
}

// span reads --from, --to and --partitions.
func (f *replayFlags) span(now time.Time) (s replay.Span, err error) {
	s.Partitions = f.partitions
	if s.FromOffset, s.FromTime, err = readPlace("from", f.from, now); err != nil {
		return s, err
	}
	if s.ToOffset, s.ToTime, err = readPlace("to", f.to, now); err != nil {
		return s, err
	}
	offsets, times := s.FromOffset != nil && s.ToOffset != nil, !s.FromTime.IsZero() && !s.ToTime.IsZero()
	if offsets && *s.FromOffset > *s.ToOffset || times && s.FromTime.After(s.ToTime) {
		return s, usagef("--from %s is after --to %s", f.from, f.to)
	}
	return s, nil
}

// readPlace reads an offset, a time, or a time ago; "" is none of them.
func readPlace(flag, text string, now time.Time) (offset *int64, at time.Time, err error) {
	if text == "" {
		return nil, at, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return &n, at, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago < 0 {
		return nil, now.Add(ago), nil
	}
	if at, err = time.Parse(time.RFC3339, text); err == nil {
		return nil, at, nil
	}
	return nil, at, usagef("--%s %q is no offset and no time; write such as 1200, -24h or 2026-03-01T20:00:00Z", flag, text)
}

// replayer is what replays are worked on with.
type replayer struct {
	app       *app
	cfg       config.Config
	db        *postgres.Database
	transport *kafka.Transport
	client    *kafka.Client
	owner     string
}

// withReplayer connects to the servers.
func (a *app) withReplayer(ctx context.Context, cfg config.Config, use func(*replayer) error) error {
	return a.withDatabase(ctx, func(db *postgres.Database) error {
		transport, err := kafkaconn.NewTransport(cfg.Kafka)
		if err != nil {
			return configError(err)
		}
		defer transport.CloseIdleConnections()
		return use(&replayer{app: a, cfg: cfg, db: db, transport: transport, client: kafkaconn.NewClient(cfg.Kafka, transport),
			owner: instanceName() + " " + newUUID()})
	})
}

// create stores a replay with its plan and its ranges.
func (r *replayer) create(ctx context.Context, f *replayFlags, span replay.Span) (*postgres.Replay, error) {
	topic := cmp.Or(f.topic, r.cfg.Kafka.Topics.Requests)
	plan, err := r.plan(ctx, f, topic)
	if err != nil {
		return nil, err
	}
	if err := r.ensureEmitted(ctx, f.emit); err != nil {
		return nil, err
	}
	created, err := replay.Create(ctx, plan, span, f.actor, f.why, r.owner, r.options())
	if _, isDatabase := errors.AsType[*postgres.Error](err); isDatabase {
		return nil, withHint(err, migrateHint)
	}
	return created, withHint(err, "is Kafka running at "+strings.Join(r.cfg.Kafka.Brokers, ",")+", and does "+topic+" have these partitions?")
}

// ensureEmitted creates the topic of the results where it is missing, like that of live ones; "" is none.
func (r *replayer) ensureEmitted(ctx context.Context, topic string) error {
	if topic == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.client.Timeout)
	defer cancel()
	partitions, err := kafkaconn.EnsureTopicLike(ctx, r.client, r.cfg.Kafka, topic, r.cfg.Kafka.Topics.Results)
	if err != nil {
		return withHint(err, "--emit "+topic+" needs a topic that this user may create, or one that is there")
	}
	if partitions > 0 {
		fmt.Fprintf(r.app.stderr, "topic %s is created, with %d partitions\n", topic, partitions)
	}
	return nil
}

func (r *replayer) plan(ctx context.Context, f *replayFlags, topic string) (*replay.Plan, error) {
	p := &replay.Plan{Topic: topic, Features: replay.Features(f.features), Catalog: replay.Catalog(f.catalog), Emit: f.emit, Rate: f.rate, Limits: f.limits,
		Filter: replay.Filter{RequestIDs: f.ids, Users: f.users, Models: f.models}}
	for _, t := range f.tiers {
		p.Filter.Tiers = append(p.Filter.Tiers, schemas.Tier(t))
	}
	var err error
	if p.Config, err = r.pinScoring(ctx, f.scoring); err != nil {
		return nil, err
	}
	if p.Model, err = r.pinModel(ctx, f.model); err != nil {
		return nil, err
	}
	p.Present, err = r.present(ctx)
	return p, err
}

// pinScoring returns the version of parameters that are given by it or by a file, whose text is kept so that a replay
// can be resumed without it.
func (r *replayer) pinScoring(ctx context.Context, given string) (version string, err error) {
	if given == "" {
		return "", nil
	}
	if _, statErr := os.Stat(given); statErr != nil {
		if _, ok, err := r.db.ConfigText(ctx, given); err != nil || ok {
			return given, err
		}
		return "", usagef("--scoring %q is neither a file nor a config_version that the database has", given)
	}
	params, text, err := config.LoadScoring(given)
	if err != nil {
		return "", configError(fmt.Errorf("--scoring: %w", err))
	}
	return params.Version(), r.db.SaveConfig(ctx, params.Version(), string(text))
}

// present is what is in force now, for requests that have no live decision.
func (r *replayer) present(ctx context.Context) (s replay.State, err error) {
	params, text, err := loadScoring(r.cfg.Scoring.File)
	if err != nil {
		return s, err
	}
	s.Config = params.Version()
	if err := r.db.SaveConfig(ctx, s.Config, string(text)); err != nil {
		return s, err
	}
	if s.Catalog, err = r.db.CatalogVersion(ctx); err != nil {
		return s, withHint(err, migrateHint)
	}
	if r.cfg.Model.Store != "" {
		active, err := r.db.ActiveModel(ctx)
		if err == nil && active != nil {
			s.Model = replay.Ref(*active.To)
		}
		return s, err
	}
	if m, err := r.configured(); err == nil {
		s.Model, err = r.register(ctx, m)
		return s, err
	}
	return s, nil // an instance would have no model either
}

// pinModel opens a model by its label or its path, registers it, and returns it; nil for "".
func (r *replayer) pinModel(ctx context.Context, given string) (*replay.Model, error) {
	if given == "" {
		return nil, nil
	}
	path, err := filepath.Abs(given) // whoever resumes the replay may be elsewhere
	if err != nil {
		return nil, usagef("--model %s: %v", given, err)
	}
	wanted := &replay.Model{Path: path}
	if name, version, ok := model.SplitName(given); ok && !strings.ContainsRune(given, '/') {
		wanted = &replay.Model{Ref: replay.Ref{Name: name, Version: version}}
	}
	m, err := r.open(wanted)
	if err != nil {
		return nil, usagef("--model %s: %v", given, err)
	}
	wanted.Ref, err = r.register(ctx, m)
	return wanted, err
}

// configured opens the model of model.path, named as an instance would.
func (r *replayer) configured() (*model.Model, error) {
	c := r.cfg.Model
	if c.Path == "" {
		return nil, errors.New("neither model.store nor model.path is set")
	}
	m, err := model.Load(c.Path)
	if err != nil {
		return nil, err
	}
	m.Ref.Name, m.Ref.Version = cmp.Or(c.Name, m.Ref.Name), cmp.Or(c.Version, m.Ref.Version)
	return m, nil
}

// open opens a model that a decision or a plan names: at its path, in the store, or the configured one if it is that.
func (r *replayer) open(wanted *replay.Model) (*model.Model, error) {
	if wanted.Path != "" {
		return model.Load(wanted.Path)
	}
	if r.cfg.Model.Store == "" {
		m, err := r.configured()
		if err == nil && m.Ref.SHA256 != wanted.SHA256 && wanted.SHA256 != "" {
			err = fmt.Errorf("set model.store to the directory that has %s@%s; model.path has another model", wanted.Name, wanted.Version)
		}
		return m, err
	}
	return model.Store{Dir: r.cfg.Model.Store}.Open(wanted.Name, wanted.Version)
}

// register returns the model's name as decisions have it.
func (r *replayer) register(ctx context.Context, m *model.Model) (replay.Ref, error) {
	ref := replay.Ref(m.Ref)
	var err error
	ref.ID, err = r.db.RegisterModel(ctx, m.Ref, upkeep.InfoOf(m))
	return ref, err
}

// options are what a replay works with.
func (r *replayer) options() replay.Options {
	k := r.cfg.Kafka
	return replay.Options{
		Client: r.client, Store: r.db, OpenModel: r.open, FetchBytes: r.cfg.Consumer.BatchBytes, Timeout: r.client.Timeout,
		Scoring: r.cfg.EngineOptions(),
		OpenOutbox: func(ctx context.Context, topic string, run int32) (replay.Outbox, error) {
			p := producer.New(producer.Config{Client: r.client, Results: topic, Timeout: r.client.Timeout,
				Source: fmt.Sprintf("/recstream/%s/replay/%d", k.Group, run)})
			return p.OpenResults(ctx)
		},
		Log: r.app.newLogger(r.cfg.Log),
	}
}
