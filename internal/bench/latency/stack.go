package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/demo"
	"recstream/internal/devstack"
	"recstream/internal/logbook"
	"recstream/internal/wait"
)

// stack is the servers, and one instance of the program.
type stack struct {
	dir       string
	kafka     *devstack.Kafka
	postgres  *devstack.Postgres
	transport *kafka.Transport
	program   string   // its file
	env       []string // with its settings
	instance  *exec.Cmd
	ended     chan struct{} // closed when the instance has ended
	log       logbook.Book  // of the instance
	url       string        // of the instance
}

// startStack starts the servers with the settings of production, and the instance. On an error nothing is left.
func startStack(ctx context.Context) (s *stack, err error) {
	s = &stack{transport: &kafka.Transport{MetadataTTL: 500 * time.Millisecond}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "recstream-bench-http-*"); err != nil {
		return s, err
	}
	if s.kafka, err = devstack.StartKafka(ctx, devstack.KafkaOptions{Profile: devstack.ProfileBench}); err != nil {
		return s, err
	}
	if s.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresOptions{Fsync: true}); err != nil {
		return s, err
	}
	err = s.serve(ctx)
	return s, err
}

// serve builds the program, prepares the database with its commands, and starts it.
func (s *stack) serve(ctx context.Context) error {
	database, err := s.postgres.CreateDatabase(ctx)
	if err != nil {
		return err
	}
	s.program = filepath.Join(s.dir, "recstream")
	model, items := filepath.Join(s.dir, "model.txt"), filepath.Join(s.dir, "catalog.csv")
	if err := os.WriteFile(model, demo.Model, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(items, demo.Catalog, 0o600); err != nil {
		return err
	}
	s.env = append(os.Environ(), "RECSTREAM_KAFKA_BROKERS="+s.kafka.Addr(), "RECSTREAM_KAFKA_REPLICATION_FACTOR=1",
		"RECSTREAM_DATABASE_URL="+database, "RECSTREAM_MODEL_PATH="+model,
		"RECSTREAM_HTTP_LISTEN=127.0.0.1:0", "RECSTREAM_HTTP_RATE=0")
	for _, command := range [][]string{{"go", "build", "-o", s.program, "./cmd/recstream"},
		{s.program, "migrate", "up"}, {s.program, "catalog", "import", items}} {
		if _, err := s.output(ctx, command...); err != nil {
			return err
		}
	}
	s.instance = exec.Command(s.program, "serve") //nolint:gosec,noctx // it is to drain when it is stopped
	s.instance.Env, s.instance.Stdout, s.instance.Stderr = s.env, &s.log, &s.log
	if err := s.instance.Start(); err != nil {
		s.instance = nil
		return err
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		_ = s.instance.Wait()
	}()
	return s.awaitReady(ctx)
}

// output runs a command with the program's settings, and returns what it prints.
func (s *stack) output(ctx context.Context, command ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // our own words
	var complaints bytes.Buffer
	cmd.Env, cmd.Stderr = s.env, &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%v: %w\n%s%s", command, err, out, &complaints)
	}
	return out, nil
}

var listening = regexp.MustCompile(`listening for HTTP" address=(\S+)`)

// awaitReady waits until the instance takes requests.
func (s *stack) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if found := listening.FindStringSubmatch(s.log.String()); found != nil {
			s.url = "http://" + found[1]
			if isReady(ctx, s.url) {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the instance has ended:\n%s", &s.log)
		default:
		}
		if err := wait.For(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("the instance does not get ready: %w\n%s", err, &s.log)
		}
	}
}

func isReady(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// close ends the instance and the servers and removes all files.
func (s *stack) close() {
	if s.instance != nil {
		_ = s.instance.Process.Signal(syscall.SIGTERM)
		<-s.ended
	}
	s.transport.CloseIdleConnections()
	if s.postgres != nil {
		_ = s.postgres.Close()
	}
	if s.kafka != nil {
		_ = s.kafka.Close()
	}
	_ = os.RemoveAll(s.dir)
}
