package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/catalogfile"
	"recstream/internal/config"
	"recstream/internal/demo"
	"recstream/internal/devstack"
	"recstream/internal/kafkaconn"
	"recstream/internal/postgres"
	"recstream/schemas"
)

// demoSeed makes the demo's households and their requests the same in each run.
const demoSeed = 1

// demoTimeout is how long the demo waits for a result before it gives up.
const demoTimeout = 60 * time.Second

type demoFlags struct {
	requests int
	stay     bool
	database string
	output   string
}

func newDemoCommand(app *app) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Recommend films to made-up households, on embedded servers",
		GroupID: groupRun,
		Long: `demo runs the whole way once: an embedded Kafka and a Postgres of its own are started, a catalogue of 3,200
real films and a LightGBM model are loaded, requests of different households are published, decided, stored and
answered, and some of them are shown, with the SQL that an analyst would ask. Nothing is left behind.

Postgres runs from the server binaries of this machine; 'scripts/postgres.sh install' gets some where there
are none. With --database-url the demo makes a database on that server instead, and drops it at the end.`,
		Example: `  recstream demo
  recstream demo --requests 20000 -o json
  recstream demo --stay`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return app.demo(cmd.Context(), f) },
	}
	cmd.Flags().IntVar(&f.requests, "requests", 500, "requests to publish")
	cmd.Flags().BoolVar(&f.stay, "stay", false, "leave everything running afterwards, print the addresses, and wait for SIGINT")
	cmd.Flags().StringVar(&f.database, "database-url", "", "Postgres server to use, as postgres://…; its user may create databases")
	outputVar(cmd, &f.output, "text", "json")
	return cmd
}

func (a *app) demo(ctx context.Context, f demoFlags) (err error) {
	if f.requests < 1 {
		return usagef("--requests must be at least 1")
	}
	s, err := a.startDemo(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.load(ctx); err != nil {
		return err
	}
	stop, err := s.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	shown, elapsed, err := a.demoRequests(ctx, s, f.requests)
	if err != nil {
		return err
	}
	figures, err := s.figures(ctx, f.requests, elapsed)
	if err != nil {
		return err
	}
	if f.output == "json" {
		err = printJSON(a.stdout, figures)
	} else {
		err = a.printDemo(ctx, s, shown, figures)
	}
	if err == nil && f.stay {
		a.stayDemo(ctx, s)
	}
	return err
}

// demoStack is everything that the demo runs on.
type demoStack struct {
	cfg      config.Config
	log      *slog.Logger
	dir      string // for the model file
	broker   *devstack.Broker
	pipeline *pipeline
	database *demoDatabase
}

// startDemo starts the servers. On an error nothing is left.
func (a *app) startDemo(ctx context.Context, f demoFlags) (_ *demoStack, err error) {
	s := &demoStack{cfg: config.Default()}
	defer func() {
		if err != nil {
			err = cmp.Or(ctx.Err(), err) // interrupted: what that broke is of no interest
			err = errors.Join(err, s.close())
		}
	}()
	s.cfg.Log.Level = "warn"
	if a.logLevel != "" {
		s.cfg.Log.Level = a.logLevel
	}
	s.log = a.newLogger(s.cfg.Log)
	if s.dir, err = os.MkdirTemp("", "recstream-demo-*"); err != nil {
		return nil, err
	}
	if s.broker, err = devstack.StartBroker(devstack.BrokerOptions{}); err != nil {
		return nil, err
	}
	if s.database, err = startDemoDatabase(ctx, f.database); err != nil {
		return nil, withHint(err, "see 'recstream demo --help' for the ways to a Postgres")
	}
	s.cfg.Kafka.Brokers = s.broker.Addr()
	s.cfg.Kafka.SessionTimeout, s.cfg.Kafka.HeartbeatInterval = 6*time.Second, time.Second
	s.cfg.Database.URL = config.DatabaseURL(s.database.url)
	s.cfg.Model.Path = filepath.Join(s.dir, "demo.txt")
	s.pipeline, err = newPipeline(ctx, s.cfg, s.log)
	return s, err
}

// close ends everything that was started.
func (s *demoStack) close() error {
	var errs []error
	if s.pipeline != nil {
		s.pipeline.close()
	}
	if s.database != nil {
		errs = append(errs, s.database.close())
	}
	if s.broker != nil {
		s.broker.Close()
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// load puts the schema, the catalogue and the model in place.
func (s *demoStack) load(ctx context.Context) error {
	if _, err := s.pipeline.database.Migrate(ctx); err != nil {
		return err
	}
	items, problems, err := catalogfile.Read(bytes.NewReader(demo.Catalog), catalogfile.CSV)
	if err != nil || len(problems) > 0 {
		return fmt.Errorf("read the demo's catalogue: %d bad lines, %w", len(problems), err)
	}
	if err := s.pipeline.database.ImportItems(ctx, items, nil); err != nil {
		return err
	}
	return os.WriteFile(s.cfg.Model.Path, demo.Model, 0o600)
}

// serve runs the pipeline until stop is called, which returns its error.
func (s *demoStack) serve(ctx context.Context) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.pipeline.run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
		return func() error {
			cancel()
			return <-done
		}, nil
	case err := <-done: // before it was ready: an error, or ctx has ended
		cancel()
		return nil, cmp.Or(err, ctx.Err())
	}
}

// demoRequests publishes the requests and waits for their results. It returns those to be shown, and the time
// from the first request to the last result.
func (a *app) demoRequests(ctx context.Context, s *demoStack, n int) ([]*schemas.Result, time.Duration, error) {
	flags := &publishFlags{generate: n, users: max(n/3, 20), seed: demoSeed}
	events, err := flags.generated(true)
	if err != nil {
		return nil, 0, err
	}
	samples := &demoSamples{}
	results, err := watchResults(ctx, s.cfg, s.pipeline.client, samples)
	if err != nil {
		return nil, 0, err
	}
	p := newPublisher(a, s.cfg, flags, s.pipeline.transport)
	p.expect = results.expect
	began := time.Now()
	err = errors.Join(p.run(ctx, events), p.writer.Close())
	if err == nil {
		err = results.wait(ctx, demoTimeout)
	}
	elapsed := time.Since(began)
	results.stop()
	return samples.kept, elapsed, err
}

// demoSamples keeps the first results, to be chosen from for showing.
type demoSamples struct{ kept []*schemas.Result }

const maxDemoSamples = 400

func (d *demoSamples) result(_ []byte, r *schemas.Result) error {
	if len(d.kept) < maxDemoSamples {
		kept := *r
		d.kept = append(d.kept, &kept)
	}
	return nil
}

func (d *demoSamples) flush() error { return nil }

// demoDatabase is a Postgres server of the demo's own, or a database of its own on another's.
type demoDatabase struct {
	url   string
	close func() error
}

func startDemoDatabase(ctx context.Context, other string) (*demoDatabase, error) {
	if other != "" {
		return createDemoDatabase(ctx, other)
	}
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{})
	if err != nil {
		return nil, err
	}
	name, err := server.CreateDatabase(ctx)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return &demoDatabase{url: name, close: server.Close}, nil
}

// createDemoDatabase makes a database on a server that is there already, to be dropped at the end.
func createDemoDatabase(ctx context.Context, server string) (*demoDatabase, error) {
	own, err := url.Parse(server)
	if err != nil || own.Host == "" {
		return nil, usagef("--database-url must be a URL such as postgres://user@host:5432/postgres")
	}
	name := fmt.Sprintf("recstream_demo_%d", time.Now().UnixNano())
	own.Path = "/" + name
	db, err := postgres.Open(ctx, postgres.Options{URL: server, MaxConnections: 1})
	if err != nil {
		return nil, err
	}
	if _, err := db.Pool().Exec(ctx, "CREATE DATABASE "+name); err != nil {
		db.Close()
		return nil, fmt.Errorf("create the demo's database: %w", err)
	}
	return &demoDatabase{url: own.String(), close: func() error {
		defer db.Close()
		_, err := db.Pool().Exec(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
		return err
	}}, nil
}

// topicCounts returns the number of records in the topics.
func (s *demoStack) topicCounts(ctx context.Context, topics ...string) (map[string]int, error) {
	transport, err := kafkaconn.NewTransport(s.cfg.Kafka)
	if err != nil {
		return nil, err
	}
	defer transport.CloseIdleConnections()
	counts := map[string]int{}
	for _, topic := range topics {
		ends, err := endOffsets(ctx, kafkaconn.NewClient(s.cfg.Kafka, transport), topic)
		if err != nil {
			return nil, err
		}
		for _, end := range ends {
			counts[topic] += int(end)
		}
	}
	return counts, nil
}
