package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"recstream/internal/devstack"
)

// commons are what scenarios share: the program, and the servers that nobody harms. They are made when they are
// first needed.
type commons struct {
	program  lazy[string]
	postgres lazy[*devstack.Postgres]
	kafka    lazy[*devstack.Kafka]
}

var shared = commons{
	program:  lazy[string]{make: buildProgram},
	postgres: lazy[*devstack.Postgres]{make: func() (*devstack.Postgres, error) { return startPostgres("") }},
	kafka:    lazy[*devstack.Kafka]{make: func() (*devstack.Kafka, error) { return startKafka("", "") }},
}

// lazy is made once.
type lazy[T any] struct {
	once sync.Once
	make func() (T, error)
	made T
	err  error
}

func (l *lazy[T]) get() (T, error) {
	l.once.Do(func() { l.made, l.err = l.make() })
	return l.made, l.err
}

func (c *commons) close() {
	c.program.once.Do(func() {})
	c.postgres.once.Do(func() {})
	c.kafka.once.Do(func() {})
	if c.kafka.made != nil {
		_ = c.kafka.made.Close()
	}
	if c.postgres.made != nil {
		_ = c.postgres.made.Close()
	}
	if c.program.made != "" {
		_ = os.RemoveAll(filepath.Dir(c.program.made))
	}
}

// buildProgram builds recstream with the faults that can be planted in it.
func buildProgram() (string, error) {
	dir, err := os.MkdirTemp("", "recstream-faults-*")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "recstream")
	out, err := exec.Command("go", "build", "-tags", "faults", "-o", path, "recstream/cmd/recstream").CombinedOutput()
	if err != nil {
		return path, fmt.Errorf("build recstream: %w\n%s", err, out)
	}
	return path, nil
}

// startTime is what a server may take to start on a machine that is busy.
const startTime = 2 * time.Minute

// startPostgres starts a Postgres that can bear the connections of many instances, with its data in that directory, or
// in one of its own.
func startPostgres(dir string) (*devstack.Postgres, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	return devstack.StartPostgres(ctx, devstack.PostgresOptions{Dir: dir, Settings: map[string]string{"max_connections": "400"}})
}

// startKafka starts one broker with its data in that directory, or in one of its own, that tells clients to connect to
// the given address where there is one.
func startKafka(dir, advertised string) (*devstack.Kafka, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	return devstack.StartKafka(ctx, devstack.KafkaOptions{Dir: dir, Advertised: advertised})
}

// startCluster starts three brokers, likewise.
func startCluster(dir string, advertised []string) (*devstack.Cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	return devstack.StartCluster(ctx, devstack.ClusterOptions{Dir: dir, Advertised: advertised})
}

// need skips a test where servers are not installed, except for CI, and fails it at another error.
func need(t *testing.T, err error) {
	t.Helper()
	missing := errors.Is(err, devstack.ErrNoKafka) || errors.Is(err, devstack.ErrNoPostgres)
	if missing && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
