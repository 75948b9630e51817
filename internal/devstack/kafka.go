package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/segmentio/kafka-go"
)

// ErrNoKafka says that Apache Kafka (its jars, or a Java to run them) is not installed.
var ErrNoKafka = errors.New("Apache Kafka is not installed: run scripts/kafka.sh install") //nolint:staticcheck // a name starts it

// notInstalled is the status of scripts/kafka.sh for that.
const notInstalled = 3

// KafkaProfile says what the broker's Java is tuned for.
type KafkaProfile string

// The profiles.
const (
	ProfileTest  KafkaProfile = "test"  // starts fastest, needs least memory
	ProfileBench KafkaProfile = "bench" // compiles and collects garbage as a server does
)

// KafkaOptions say how an Apache Kafka is made. The zero value is right for tests.
type KafkaOptions struct {
	// Dir keeps the broker's data and logs, and stays at Close. Empty is a temporary one.
	Dir string
	// Port on 127.0.0.1; 0 chooses a free one.
	Port int
	// Profile is ProfileTest if empty.
	Profile KafkaProfile
	// Log gets what the broker prints, which are its warnings; nil drops it.
	Log io.Writer
}

// Kafka is a real Apache Kafka of our own: one KRaft broker, without passwords. Topics are not made
// on their own.
type Kafka struct {
	server
	opts   KafkaOptions
	script string
	temp   string // to be removed at Close, or ""
}

// StartKafka starts a broker and waits until it is in service or ctx ends. Close it to end it; ctx
// does not. It runs scripts/kafka.sh, found from the working directory upwards. The error is
// ErrNoKafka where the script says that there is nothing to run.
func StartKafka(ctx context.Context, opts KafkaOptions) (*Kafka, error) {
	script, err := findScript("kafka.sh")
	if err != nil {
		return nil, fmt.Errorf("start Apache Kafka: %w", err)
	}
	opts.Profile = cmp.Or(opts.Profile, ProfileTest)
	k := &Kafka{opts: opts, script: script}
	k.begin, k.probe = k.spawn, k.inService
	if err := k.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Apache Kafka: %w", err), k.Close())
	}
	return k, nil
}

func (k *Kafka) open(ctx context.Context) (err error) {
	if err := kafkaInstalled(ctx, k.script); err != nil {
		return err
	}
	if k.opts.Dir == "" {
		if k.temp, err = os.MkdirTemp("", "recstream-kafka-*"); err != nil {
			return err
		}
		k.opts.Dir = k.temp
	}
	if k.port, err = reserve(k.opts.Port); err != nil {
		return err
	}
	return k.Start(ctx)
}

// kafkaInstalled asks the script whether there is a broker to run.
func kafkaInstalled(ctx context.Context, script string) error {
	out, err := exec.CommandContext(ctx, "bash", script, "find").CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == notInstalled {
		return ErrNoKafka
	}
	if err != nil {
		return fmt.Errorf("%s find: %w: %s", script, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// findScript returns the script's path in the nearest directory above that has a scripts folder.
func findScript(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, "scripts", name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("scripts/%s not found: run from within the repository", name)
		}
		dir = filepath.Dir(dir)
	}
}

// spawn starts the script, which becomes the broker: it is this one process from first to last.
func (k *Kafka) spawn() (*process, error) {
	//nolint:noctx // the broker outlives the context of its start
	cmd := exec.Command("bash", k.script, "run", "--dir", k.opts.Dir,
		"--port", strconv.Itoa(k.port.Port), "--profile", string(k.opts.Profile))
	return startProcess("Apache Kafka", cmd, k.opts.Log, syscall.SIGKILL)
}

// inService asks for the metadata: an open port is not enough, as the broker may not have joined
// its own cluster yet.
func (k *Kafka) inService(ctx context.Context) error {
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := kafka.Client{Addr: kafka.TCP(k.Addr()), Transport: transport, Timeout: closeTimeout}
	found, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return err
	}
	if len(found.Brokers) == 0 {
		return errors.New("no broker in service")
	}
	return nil
}

// Addr returns the broker's address, host:port. It stays the same over Stop and Start.
func (k *Kafka) Addr() string { return "127.0.0.1:" + strconv.Itoa(k.port.Port) }

// Stop shuts the broker down in good order. Where ctx ends first, it is killed.
func (k *Kafka) Stop(ctx context.Context) error { return k.stop(ctx, syscall.SIGTERM) }

// Kill ends the broker with kill -9. The next Start takes some seconds longer: the cluster waits
// for the old session to end.
func (k *Kafka) Kill() error { return k.stop(context.Background(), syscall.SIGKILL) }

// Close ends the broker and removes its directory if that was a temporary one. A directory that was
// given is left clean, for a later StartKafka.
func (k *Kafka) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if k.temp == "" {
		return k.Stop(ctx)
	}
	return errors.Join(k.Kill(), os.RemoveAll(k.temp))
}
