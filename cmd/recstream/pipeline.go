package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/segmentio/kafka-go"

	"recstream/internal/chaos/plant"
	"recstream/internal/config"
	"recstream/internal/kafkaconn"
	"recstream/internal/postgres"
	"recstream/internal/profiles"
	"recstream/internal/shadow"
	"recstream/internal/telemetry"
	"recstream/internal/upkeep"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/model"
)

// pipeline is one instance: everything between the topics that are read and those that are written, plugged
// together.
type pipeline struct {
	cfg       config.Config
	log       *slog.Logger
	database  *postgres.Database
	client    *kafka.Client
	transport *kafka.Transport
	dialer    *kafka.Dialer
	engine    *scoring.Engine
	tiers     *upkeep.Tiers
	params    *upkeep.Params
	catalog   *upkeep.Catalog
	profiles  *profiles.Cache
	shadows   *shadow.Shadows
	metrics   *telemetry.Metrics
	address   string // of the HTTP interface, once it listens
	lag       lagWatch
}

// newPipeline makes the parts; nothing is connected yet.
func newPipeline(ctx context.Context, cfg config.Config, log *slog.Logger) (*pipeline, error) {
	p := &pipeline{cfg: cfg, log: log}
	var err error
	if p.transport, err = kafkaconn.NewTransport(cfg.Kafka); err != nil {
		return nil, err
	}
	if p.dialer, err = kafkaconn.NewDialer(cfg.Kafka); err != nil {
		return nil, err
	}
	p.client = kafkaconn.NewClient(cfg.Kafka, p.transport)
	p.client.Transport = plant.Transport(p.client.Transport) // as it is, but for the tests of faults
	params, text, err := loadScoring(cfg.Scoring.File)
	if err != nil {
		return nil, err
	}
	if p.database, err = openDatabase(ctx, cfg); err != nil {
		return nil, err
	}
	p.tiers = upkeep.NewTiers(p.database, instanceName(), log)
	if p.engine, err = scoring.New(params, p.engineOptions()); err != nil {
		return nil, err
	}
	p.params = &upkeep.Params{Path: cfg.Scoring.File, Text: text, Store: p.database, Engine: p.engine,
		Interval: cfg.Scoring.ReloadInterval, Log: log}
	p.catalog = &upkeep.Catalog{Store: p.database, Engine: p.engine, Interval: cfg.Catalog.RefreshInterval, Log: log}
	p.profiles = profiles.NewCache(p.database, cfg.Profiles.CacheBytes, cfg.Profiles.CacheTTL, time.Now)
	p.shadows = shadow.New(p.engine, p.database, log)
	p.metrics, p.lag = p.newMetrics(), lagWatch{client: p.client, every: lagInterval, streams: map[string]*telemetry.Stream{}}
	return p, nil
}

func (p *pipeline) engineOptions() scoring.Options {
	options := p.cfg.EngineOptions()
	options.Now, options.Changed = time.Now, p.tiers.Note
	return options
}

// instanceName tells this process from the others that share the work.
func instanceName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

func openDatabase(ctx context.Context, cfg config.Config) (*postgres.Database, error) {
	return postgres.Open(ctx, postgres.Options{
		URL:            cfg.Database.URL.Reveal(),
		MaxConnections: cfg.Database.MaxConnections,
		Configure:      plant.Pool, // nothing, but for the tests of faults
	})
}

// close releases the connections.
func (p *pipeline) close() {
	p.database.Close()
	p.transport.CloseIdleConnections()
}

// run prepares what the stream needs, then consumes until ctx ends and has drained. ready, if not nil, is
// called when everything is prepared.
func (p *pipeline) run(ctx context.Context, ready func()) (err error) {
	services := p.services()
	web, err := p.startWeb(ctx, services)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, web.close()) }()
	partitions := &upkeep.Partitions{Database: p.database, PopularityHalfLife: p.cfg.Popularity.HalfLife, Now: time.Now, Log: p.log,
		Keep:       postgres.Partitions{Ahead: p.cfg.Ledger.PartitionsAhead, Retention: p.cfg.Ledger.Retention},
		KeepReplay: cmp.Or(p.cfg.Ledger.ReplayRetention, p.cfg.Ledger.Retention)}

	models, popularity, editorial := p.models(p.database), p.followPopularity(), p.followEditorial()

	steps := []step{
		{"database", p.checkMigrations},
		{"ledger partitions", partitions.Maintain},
		{"scoring parameters", p.params.Refresh},
		{"catalogue", p.catalog.Refresh},
		{"model", models.Refresh},
		{"popularity", popularity.Refresh},
		{"editorial lists", editorial.Refresh},
		{"active model", p.tellUnused},
		{"topics", p.ensureTopics},
	}
	if err := prepare(ctx, p.log, steps); err != nil || ctx.Err() != nil {
		return err
	}
	if ready != nil {
		ready()
	}

	upkeeping, stopUpkeep := context.WithCancel(context.WithoutCancel(ctx)) // goes on while the workers drain
	var loops sync.WaitGroup
	for _, run := range []func(context.Context){p.params.Run, p.catalog.Run, models.Run, partitions.Run, p.shadows.Run, p.lag.run,
		popularity.Run, editorial.Run, p.tiers.Run} {
		loops.Go(func() { run(upkeeping) })
	}
	defer loops.Wait()
	defer stopUpkeep()
	web.open()
	return runAll(web.drained, services)
}

// followPopularity takes up what outcomes say of the items' popularity.
func (p *pipeline) followPopularity() *upkeep.Follow {
	return &upkeep.Follow{What: "popularity", Interval: p.cfg.Popularity.RefreshInterval, Log: p.log,
		Version: func(ctx context.Context) (string, error) {
			return p.database.PopularityVersion(ctx, p.cfg.Kafka.Group+feedbackSuffix)
		},
		Take: func(ctx context.Context) error {
			outcomes, err := p.database.Popularity(ctx, p.cfg.Popularity.HalfLife)
			if err != nil {
				return err
			}
			return p.engine.SetOutcomes(ctx, outcomes)
		}}
}

// followEditorial takes up the editorial lists.
func (p *pipeline) followEditorial() *upkeep.Follow {
	return &upkeep.Follow{What: "editorial lists", Interval: p.cfg.Catalog.RefreshInterval, Log: p.log,
		Version: p.database.EditorialVersion,
		Take: func(ctx context.Context) error {
			lists, err := p.database.EditorialLists(ctx)
			if err != nil {
				return err
			}
			return p.engine.SetEditorial(ctx, lists)
		}}
}

// modelStore is what upkeep asks of a database for models, whether of a store or of a path.
type modelStore interface {
	upkeep.DeploymentStore
	upkeep.ModelStore
}

// models is what keeps the engine's models up to date: those of a store, or the one of a path.
func (p *pipeline) models(store modelStore) interface {
	Refresh(context.Context) error
	Run(context.Context)
} {
	m := p.cfg.Model
	if m.Store == "" {
		return &upkeep.Model{Path: m.Path, Name: m.Name, Version: m.Version, SHA256: m.SHA256,
			Store: store, Engine: p.engine, Interval: m.ReloadInterval, Log: p.log}
	}
	return &upkeep.Deployment{Models: model.Store{Dir: m.Store}, Store: store, Engine: p.engine,
		Interval: m.ReloadInterval, Log: p.log}
}

// tellUnused warns where the database has an active model and this instance was given none.
func (p *pipeline) tellUnused(ctx context.Context) error {
	if p.cfg.Model.Store != "" || p.cfg.Model.Path != "" {
		return nil
	}
	active, err := p.database.ActiveModel(ctx)
	if err == nil && active != nil {
		p.log.Warn("the active model is not used here, the tiers below it answer: set model.store to the directory of the bundles",
			"active", labelOf(active.To))
	}
	return err
}

// step is one thing that must be in place before events are read.
type step struct {
	name string
	do   func(context.Context) error
}

// prepare takes the steps in order and waits for servers that are away. It returns what waiting does not mend,
// and nil when ctx ends.
func prepare(ctx context.Context, log *slog.Logger, steps []step) error {
	for _, s := range steps {
		policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(200*time.Millisecond),
			backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
		operation := func() error {
			err := s.do(ctx)
			if isConfigError(err) {
				return backoff.Permanent(err)
			}
			return err
		}
		notify := func(err error, wait time.Duration) {
			log.Warn("not ready yet, trying again", "step", s.name, "wait", wait.Round(time.Millisecond), "error", err)
		}
		if err := backoff.RetryNotify(operation, backoff.WithContext(policy, ctx), notify); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	return nil
}

// checkMigrations refuses a database whose schema is not this program's.
func (p *pipeline) checkMigrations(ctx context.Context) error {
	steps, err := p.database.Migrations(ctx)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if !s.Applied {
			return configError(withHint(fmt.Errorf("the database lacks migration %s", s.Name), "run 'recstream migrate up', or 'recstream serve --migrate'"))
		}
	}
	return nil
}

func (p *pipeline) ensureTopics(ctx context.Context) error {
	created, err := kafkaconn.EnsureTopics(ctx, p.client, p.cfg.Kafka)
	if len(created) > 0 {
		p.log.Info("topics created", "topics", created)
	}
	return err
}

// liveScorer is a scorer that hands requests on to the shadows of experiments, tells the metrics what decisions
// took, and logs the panics that scoring stopped: the decision has only their code. A batch is logged once.
type liveScorer struct {
	*scoring.Scorer
	shadows *shadow.Shadows
	metrics *telemetry.Metrics
	took    []telemetry.Scored // of the batch
	log     *slog.Logger
	logged  bool
}

// Begin begins a batch.
func (s *liveScorer) Begin() error {
	s.logged = false
	return s.Scorer.Begin()
}

// End ends a batch.
func (s *liveScorer) End() {
	s.metrics.Scored(s.took)
	s.took = s.took[:0]
	s.Scorer.End()
}

// Decide decides a request.
func (s *liveScorer) Decide(req *schemas.Request, profile *schemas.Profile, d *schemas.Decision) error {
	err := s.Scorer.Decide(req, profile, d)
	s.took = append(s.took, telemetry.Scored(s.Stages()))
	if err == nil && s.NumShadows(req.UserID) > 0 {
		s.shadows.Offer(req, profile, time.Now().UTC().Truncate(time.Microsecond))
	}
	if p := s.LastPanic(); p != nil && !s.logged {
		s.logged = true
		s.log.Error("scoring panicked and was stopped", "tier", p.Tier, "error", p, "stack", string(p.Stack))
	}
	return err
}
