package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"recstream/internal/catalogfile"
	"recstream/internal/config"
	"recstream/internal/demo"
	"recstream/internal/postgres"
	"recstream/internal/upkeep"
	"recstream/schemas"
	"recstream/scoring"
)

// job tells a child what to do. It is all that the child knows.
type job struct {
	Contender   string
	Broker      string
	Topic       string // of the requests, there already
	Results     string // topic, there already
	DeadLetters string // topic, there already
	Group       string
	DatabaseURL string
	ModelPath   string
	Partitions  int // of the topics
	Requests    int
	BrokerPID   int
	DatabasePID int
	CPUProfile  string // file; "" is none
	Led         bool   // one of several instances, led by the parent
	Filled      bool   // the database has schema and catalogue
}

// roundLimit ends a child that does not get on.
const roundLimit = 2 * time.Minute

// spawn runs a job in a process of its own and returns what the child measured.
func spawn(ctx context.Context, j job, stderr io.Writer) (m measurement, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	input, err := json.Marshal(j)
	if err != nil {
		return m, err
	}
	cmd := exec.CommandContext(ctx, self, "-child")
	var log bytes.Buffer // told only where it explains something: servers that have just started are slow to serve
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &log
	output, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(output, &m)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_, _ = log.WriteTo(stderr)
		return m, fmt.Errorf("%s: %w", j.Contender, err)
	}
	return m, nil
}

// runChild reads a job, does it and writes the measurement.
func runChild(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, roundLimit) // should the parent be gone
	defer cancel()
	var j job
	orders := json.NewDecoder(stdin)
	if err := orders.Decode(&j); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	c, err := programNamed(j.Contender)
	if err != nil {
		return err
	}
	s, err := newSession(ctx, j, stderr)
	if err != nil {
		return err
	}
	defer s.database.Close()
	if j.Led {
		s.lead = follow(orders, stdout)
	}
	if err := c.run(ctx, s); err != nil {
		return err
	}
	if j.Led {
		return s.lead.report(s.watch.measured)
	}
	return json.NewEncoder(stdout).Encode(s.watch.measured)
}

// session is what contenders work with: recstream's default settings, and the demo's catalogue and model.
type session struct {
	job
	cfg      config.Config
	log      *slog.Logger
	database *postgres.Database
	engine   *scoring.Engine
	items    []schemas.Item
	model    schemas.ModelRef
	watch    *stopwatch
	lead     *lead // nil unless the job is led
}

// newSession connects to the job's database and prepares it. The caller closes the database.
func newSession(ctx context.Context, j job, stderr io.Writer) (*session, error) {
	s := &session{job: j, cfg: config.Default(), watch: newStopwatch(j)}
	s.log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s.cfg.Kafka.Brokers, s.cfg.Kafka.Group = []string{j.Broker}, j.Group
	s.cfg.Kafka.Topics.Requests, s.cfg.Kafka.Topics.Results, s.cfg.Kafka.Topics.DeadLetters = j.Topic, j.Results, j.DeadLetters
	s.cfg.Model.Path = j.ModelPath
	var err error
	s.database, err = postgres.Open(ctx, postgres.Options{URL: j.DatabaseURL, MaxConnections: s.cfg.Database.MaxConnections})
	if err != nil {
		return nil, err
	}
	if s.items, err = demoItems(); err == nil && !j.Filled {
		err = fill(ctx, s.database, s.cfg, s.items)
	}
	if err == nil && j.Contender != nameReplay { // which makes the engines of its ledger
		err = s.prepare(ctx)
	}
	if err != nil {
		s.database.Close()
		return nil, err
	}
	return s, nil
}

// fill makes the schema and imports the catalogue.
func fill(ctx context.Context, database *postgres.Database, cfg config.Config, items []schemas.Item) error {
	if _, err := database.Migrate(ctx); err != nil {
		return err
	}
	keep := postgres.Partitions{Ahead: cfg.Ledger.PartitionsAhead, Retention: cfg.Ledger.Retention}
	if _, _, err := database.MaintainPartitions(ctx, time.Now(), keep); err != nil {
		return err
	}
	return database.ImportItems(ctx, items, nil)
}

// prepare puts catalogue and model into force, as the service does when it starts.
func (s *session) prepare(ctx context.Context) (err error) {
	if s.engine, err = scoring.New(scoring.DefaultParams(), scoring.Options{}); err != nil {
		return err
	}
	catalog := &upkeep.Catalog{Store: s.database, Engine: s.engine, Log: s.log}
	if err := catalog.Refresh(ctx); err != nil {
		return err
	}
	model := &upkeep.Model{Path: s.cfg.Model.Path, Store: s.database, Engine: s.engine, Log: s.log}
	if err := model.Refresh(ctx); err != nil {
		return err
	}
	return s.learnModel()
}

// demoItems returns the demo's catalogue, in the order of its file.
func demoItems() ([]schemas.Item, error) {
	items, problems, err := catalogfile.Read(bytes.NewReader(demo.Catalog), catalogfile.CSV)
	if err == nil && len(problems) > 0 {
		err = problems[0]
	}
	if err != nil {
		return nil, fmt.Errorf("read the demo's catalogue: %w", err)
	}
	return items, nil
}

// learnModel decides one request, to prove that the model answers, and to know its name.
func (s *session) learnModel() error {
	var d schemas.Decision
	if err := s.engine.NewScorer().Decide(&schemas.Request{RequestID: "first"}, nil, &d); err != nil {
		return err
	}
	if d.Tier != schemas.TierModel {
		return fmt.Errorf("the model does not answer: %v", d.Degraded)
	}
	s.model = *d.Model
	return nil
}

// warm has the scorer see every film in every context once, as it has after some minutes of traffic.
func (s *session) warm() error {
	all := make([]string, len(s.items))
	for i := range s.items {
		all[i] = s.items[i].ID
	}
	scorer, d := s.engine.NewScorer(), schemas.Decision{}
	for m := range schemas.NumMoods {
		for g := range schemas.NumGroupSizes {
			for l := range schemas.NumSessionLengths {
				c := schemas.Context{Mood: m, GroupSize: g, SessionLength: l}
				if err := scorer.Decide(&schemas.Request{RequestID: "warm", Context: c, Candidates: all}, nil, &d); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
