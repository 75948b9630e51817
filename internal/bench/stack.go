package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/segmentio/kafka-go"

	"recstream/internal/config"
	"recstream/internal/demo"
	"recstream/internal/devstack"
	"recstream/internal/kafkaconn"
)

// stack is the servers that all contenders use, and the model's file.
type stack struct {
	dir         string
	kafka       *devstack.Kafka
	postgres    *devstack.Postgres
	transport   *kafka.Transport
	client      *kafka.Client
	brokerPID   int // 0 where it is not known
	databasePID int
	seed        uint64 // of the requests made last
	partitions  int    // of the topics that are made
}

// startStack starts the servers with the settings of production: Postgres makes every commit durable. On an
// error nothing is left.
func startStack(ctx context.Context) (s *stack, err error) {
	s = &stack{partitions: partitions}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.kafka, err = devstack.StartKafka(ctx, devstack.KafkaOptions{Profile: devstack.ProfileBench}); err != nil {
		return s, err
	}
	if s.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresOptions{Fsync: true}); err != nil {
		return s, err
	}
	running := readProcesses()
	s.brokerPID, s.databasePID = running.child(os.Getpid(), "java"), running.child(os.Getpid(), "postgres")
	k := config.Default().Kafka
	k.Brokers = []string{s.kafka.Addr()}
	if s.transport, err = kafkaconn.NewTransport(k); err != nil {
		return s, err
	}
	s.client = kafkaconn.NewClient(k, s.transport)
	if s.dir, err = os.MkdirTemp("", "recstream-bench-*"); err != nil {
		return s, err
	}
	return s, os.WriteFile(s.modelPath(), demo.Model, 0o600)
}

// modelPath is where the model's file is.
func (s *stack) modelPath() string { return filepath.Join(s.dir, "demo.txt") }

// close ends the servers and removes all files.
func (s *stack) close() error {
	var errs []error
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Close())
	}
	if s.kafka != nil {
		errs = append(errs, s.kafka.Close())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// createTopics makes topics of the stack's number of partitions.
func (s *stack) createTopics(ctx context.Context, names ...string) error {
	topics := make([]kafka.TopicConfig, len(names))
	for i, name := range names {
		topics[i] = kafka.TopicConfig{Topic: name, NumPartitions: s.partitions, ReplicationFactor: 1}
	}
	res, err := s.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: topics})
	if err == nil {
		for _, name := range names {
			err = errors.Join(err, res.Errors[name])
		}
	}
	if err == nil {
		err = s.awaitTopics(ctx, names)
	}
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	return nil
}

// awaitTopics returns when all partitions of the topics have a leader that the transport knows of.
func (s *stack) awaitTopics(ctx context.Context, names []string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		meta, err := s.client.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(meta.Topics, func(t kafka.Topic) bool { return t.Error != nil || len(t.Partitions) < s.partitions }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// deleteTopics gives the room of topics back.
func (s *stack) deleteTopics(ctx context.Context, names ...string) error {
	if _, err := s.client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names}); err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	return nil
}

// dropDatabase gives the room of a database back.
func (s *stack) dropDatabase(ctx context.Context, url string) error {
	own, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.postgres.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{own.Database}.Sanitize()+" WITH (FORCE)")
	return err
}

// versions returns what the servers call themselves.
func (s *stack) versions(ctx context.Context) (kafkaVersion, postgresVersion string, err error) {
	conn, err := pgx.Connect(ctx, s.postgres.URL("postgres"))
	if err != nil {
		return "", "", err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SHOW server_version`).Scan(&postgresVersion)
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.brokerPID))
	return kafkaVersionIn(string(command)), "PostgreSQL " + postgresVersion, err
}

// kafkaJars matches the name of the directory that scripts/kafka.sh keeps a broker in.
var kafkaJars = regexp.MustCompile(`kafka-(\d+\.\d+\.\d+)`)

// kafkaVersionIn finds the version in the broker's command line, which names the directory of its jars. The
// protocol does not tell it.
func kafkaVersionIn(command string) string {
	if found := kafkaJars.FindStringSubmatch(command); found != nil {
		return "Apache Kafka " + found[1]
	}
	return "Apache Kafka"
}
