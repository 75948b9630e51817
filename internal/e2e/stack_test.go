package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/devstack"
	"recstream/internal/postgres"
)

// patience bounds every wait of a test.
const patience = 2 * time.Minute

// partitions of each topic.
const partitions = 6

// program is the path of the recstream binary under test.
var program string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "recstream-e2e-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "recstream")
	if out, err := exec.Command("go", "build", "-o", program, "recstream/cmd/recstream").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build recstream: %v\n%s", err, out)
		return 1
	}
	defer closeServers()
	return m.Run()
}

// servers are shared by the tests, which make databases and topics of their own.
var servers struct {
	sync.Mutex
	postgres *devstack.Postgres
	apache   *devstack.Kafka
	embedded *devstack.Broker
}

func closeServers() {
	if servers.apache != nil {
		_ = servers.apache.Close()
	}
	if servers.embedded != nil {
		servers.embedded.Close()
	}
	if servers.postgres != nil {
		_ = servers.postgres.Close()
	}
}

// stack is what one test runs on: the shared servers, and a database, topics and a group of its own.
type stack struct {
	postgres *devstack.Postgres
	apache   *devstack.Kafka // nil on the embedded broker
	brokers  []string
	client   *kafka.Client
	database string // URL
	db       *postgres.Database
	name     string // group, and in the topics' names
	dir      string
	env      []string // for the program
}

// onEachKafka runs a test on Apache Kafka and on the embedded broker.
func onEachKafka(t *testing.T, test func(t *testing.T, s *stack)) {
	t.Run("apache", func(t *testing.T) { test(t, newApacheStack(t)) })
	t.Run("embedded", func(t *testing.T) {
		servers.Lock()
		var err error
		if servers.embedded == nil {
			servers.embedded, err = devstack.StartBroker(devstack.BrokerOptions{})
		}
		servers.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		test(t, newStack(t, servers.embedded.Addr()))
	})
}

func newApacheStack(t *testing.T) *stack {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: embedded broker only")
	}
	servers.Lock()
	var err error
	if servers.apache == nil {
		servers.apache, err = devstack.StartKafka(t.Context(), devstack.KafkaOptions{})
	}
	servers.Unlock()
	if errors.Is(err, devstack.ErrNoKafka) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := newStack(t, []string{servers.apache.Addr()})
	s.apache = servers.apache
	return s
}

func newStack(t *testing.T, brokers []string) *stack {
	t.Helper()
	ctx := within(t)
	servers.Lock()
	var err error
	if servers.postgres == nil {
		servers.postgres, err = devstack.StartPostgres(context.Background(), devstack.PostgresOptions{})
	}
	servers.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{postgres: servers.postgres, brokers: brokers, dir: t.TempDir(),
		name: fmt.Sprintf("%s-%d", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), time.Now().UnixNano())}
	if s.database, err = servers.postgres.CreateDatabase(ctx); err != nil {
		t.Fatal(err)
	}
	if s.db, err = postgres.Open(ctx, postgres.Options{URL: s.database}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.db.Close)
	transport := &kafka.Transport{MetadataTTL: time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &kafka.Client{Addr: kafka.TCP(brokers...), Transport: transport, Timeout: 10 * time.Second}
	s.setUp(t)
	return s
}

// Topics.
func (s *stack) requests() string    { return s.name + ".requests" }
func (s *stack) results() string     { return s.name + ".results" }
func (s *stack) deadLetters() string { return s.name + ".dead-letters" }
func (s *stack) feedback() string    { return s.name + ".feedback" }

// setUp brings schema, catalogue, model and topics in place, with the program's own commands.
func (s *stack) setUp(t *testing.T) {
	t.Helper()
	model, err := os.ReadFile("../demo/data/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	s.putModel(t, model)
	s.env = append(os.Environ(),
		"RECSTREAM_KAFKA_BROKERS="+strings.Join(s.brokers, ","),
		"RECSTREAM_KAFKA_GROUP="+s.name,
		"RECSTREAM_KAFKA_TOPICS_REQUESTS="+s.requests(),
		"RECSTREAM_KAFKA_TOPICS_RESULTS="+s.results(),
		"RECSTREAM_KAFKA_TOPICS_FEEDBACK="+s.feedback(),
		"RECSTREAM_KAFKA_TOPICS_DEAD_LETTERS="+s.deadLetters(),
		"RECSTREAM_KAFKA_SESSION_TIMEOUT=6s",
		"RECSTREAM_KAFKA_HEARTBEAT_INTERVAL=500ms",
		"RECSTREAM_DATABASE_URL="+s.database,
		"RECSTREAM_MODEL_PATH="+s.modelPath(),
		"RECSTREAM_MODEL_RELOAD_INTERVAL=100ms",
		"RECSTREAM_CATALOG_REFRESH_INTERVAL=100ms",
	)
	s.command(t, "migrate", "up")
	s.command(t, "catalog", "import", "../demo/data/catalog.csv")
	s.createTopics(t)
}

func (s *stack) modelPath() string { return filepath.Join(s.dir, "model.txt") }

// putModel replaces the model file as a careful operator does: written aside, then renamed.
func (s *stack) putModel(t *testing.T, text []byte) {
	t.Helper()
	aside := s.modelPath() + ".new"
	if err := os.WriteFile(aside, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, s.modelPath()); err != nil {
		t.Fatal(err)
	}
}

func (s *stack) createTopics(t *testing.T) {
	t.Helper()
	var topics []kafka.TopicConfig
	for _, name := range []string{s.requests(), s.results(), s.deadLetters(), s.feedback()} {
		topics = append(topics, kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: 1})
	}
	res, err := s.client.CreateTopics(within(t), &kafka.CreateTopicsRequest{Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range res.Errors {
		if err != nil {
			t.Fatalf("create topic %s: %v", name, err)
		}
	}
}

// command runs a command of the program to its end.
func (s *stack) command(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(within(t), program, args...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("recstream %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// lockLedger keeps everybody else from writing decisions, until unlock.
func (s *stack) lockLedger(t *testing.T) (unlock func()) {
	t.Helper()
	tx, err := s.db.Pool().Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	unlock = func() { _ = tx.Rollback(context.Background()) } // a second time does nothing
	t.Cleanup(unlock)
	if _, err := tx.Exec(within(t), `LOCK TABLE decisions IN SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	return unlock
}

// within returns a context that ends with the test or with its patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until cond holds, and fails with what it last said if that takes too long.
func eventually(t *testing.T, what string, cond func() (ok bool, state string)) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, state := cond()
		if ok {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("waiting for %s: %s", what, state)
		case <-ticker.C:
		}
	}
}
