package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"recstream/consumer/committed"
	"recstream/internal/catalogfile"
	"recstream/internal/config"
	"recstream/internal/demo"
	"recstream/internal/devstack"
	"recstream/internal/kafkaconn"
	"recstream/schemas"
)

// demoStack is everything that the demo runs on.
type demoStack struct {
	cfg      config.Config
	log      *slog.Logger
	dir      string         // for the models
	films    []schemas.Item // the catalogue
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
	s.cfg.HTTP.Listen = "127.0.0.1:0"
	s.cfg.Model.Store = filepath.Join(s.dir, "models")
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

// load puts the schema, the catalogue, the models and the experiment in place.
func (s *demoStack) load(ctx context.Context) error {
	if _, err := s.pipeline.database.Migrate(ctx); err != nil {
		return err
	}
	films, problems, err := catalogfile.Read(bytes.NewReader(demo.Catalog), catalogfile.CSV)
	if err != nil || len(problems) > 0 {
		return fmt.Errorf("read the demo's catalogue: %d bad lines, %w", len(problems), err)
	}
	s.films = films
	if err := s.pipeline.database.ImportItems(ctx, films, nil); err != nil {
		return err
	}
	return s.deploy(ctx)
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

// topicCounts returns the number of records in the topics, as readers of committed records see them.
func (s *demoStack) topicCounts(ctx context.Context, topics ...string) (map[string]int, error) {
	transport, err := kafkaconn.NewTransport(s.cfg.Kafka)
	if err != nil {
		return nil, err
	}
	defer transport.CloseIdleConnections()
	client := kafkaconn.NewClient(s.cfg.Kafka, transport)
	counts := map[string]int{}
	for _, topic := range topics {
		ends, err := endOffsets(ctx, client, topic)
		if err != nil {
			return nil, err
		}
		for partition, end := range ends {
			source := committed.Partition{Client: client, Topic: topic, Number: partition, MaxBytes: 1 << 20, Timeout: client.Timeout}
			n, err := countRecords(ctx, source, end)
			if err != nil {
				return nil, fmt.Errorf("count the records of %s/%d: %w", topic, partition, err)
			}
			counts[topic] += n
		}
	}
	return counts, nil
}

// countRecords counts a partition's records up to an offset.
func countRecords(ctx context.Context, source committed.Partition, end int64) (n int, err error) {
	for offset := int64(0); offset < end; {
		records, err := source.Fetch(ctx, offset, fetchWait)
		if err != nil {
			return n, err
		}
		for {
			_, err := records.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return n, err
			}
			n++
		}
		offset = records.Next()
	}
	return n, nil
}

// await looks until a query counts to n, or has not come further for as long as patience, and returns its count.
func (s *demoStack) await(ctx context.Context, query string, n int, patience time.Duration) (count int, err error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	count, changed := -1, time.Now()
	for {
		last := count
		if err := s.pipeline.database.Pool().QueryRow(ctx, query).Scan(&count); err != nil {
			return count, err
		}
		if count != last {
			changed = time.Now()
		}
		if count >= n || time.Since(changed) > patience {
			return count, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return count, ctx.Err()
		}
	}
}
