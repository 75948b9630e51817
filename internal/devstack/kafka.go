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
	"slices"
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
	// Advertised is the address that clients are told to connect to, host:port, such as that of a
	// proxy. Empty is the broker's own. The broker talks to itself past it.
	Advertised string
	// Settings of server.properties, by name, over those that it has.
	Settings map[string]string
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
	id     int    // as Kafka's protocol knows it
	quorum string // the controllers of its cluster
}

// StartKafka starts a broker and waits until it is in service or ctx ends. Close it to end it; ctx
// does not. It runs scripts/kafka.sh, found from the working directory upwards. The error is
// ErrNoKafka where the script says that there is nothing to run.
func StartKafka(ctx context.Context, opts KafkaOptions) (*Kafka, error) {
	script, err := kafkaScript()
	if err != nil {
		return nil, fmt.Errorf("start Apache Kafka: %w", err)
	}
	k := newKafka(script, 1, opts)
	if err := k.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Apache Kafka: %w", err), k.Close())
	}
	return k, nil
}

func newKafka(script string, id int, opts KafkaOptions) *Kafka {
	opts.Profile = cmp.Or(opts.Profile, ProfileTest)
	k := &Kafka{opts: opts, script: script, id: id}
	k.begin, k.probe = k.spawn, k.inService
	return k
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
	if err := k.reserve(); err != nil {
		return err
	}
	k.quorum = k.voter()
	return k.Start(ctx)
}

// reserve finds the broker's ports: one for clients, one for brokers, one for controllers.
func (k *Kafka) reserve() (err error) {
	if k.port, err = reserve(k.opts.Port); err != nil {
		return err
	}
	k.inner = make([]reservation, 2)
	for i := range k.inner {
		if k.inner[i], err = reserve(0); err != nil {
			return err
		}
	}
	return nil
}

// voter returns the broker as controller.quorum.voters has it.
func (k *Kafka) voter() string { return fmt.Sprintf("%d@127.0.0.1:%d", k.id, k.inner[1].Port) }

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

// kafkaScript returns the path of scripts/kafka.sh in the nearest directory above that has one.
func kafkaScript() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, "scripts", "kafka.sh")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("scripts/kafka.sh not found: run from within the repository")
		}
		dir = filepath.Dir(dir)
	}
}

// spawn starts the script, which becomes the broker: it is this one process from first to last.
func (k *Kafka) spawn() (*process, error) {
	args := []string{k.script, "run", "--dir", k.opts.Dir,
		"--port", strconv.Itoa(k.port.Port), "--profile", string(k.opts.Profile)}
	for _, settings := range []map[string]string{k.network(), k.opts.Settings} {
		for name, value := range settings {
			args = append(args, "--set", name+"="+value)
		}
	}
	//nolint:noctx // the broker outlives the context of its start
	return startProcess("Apache Kafka", exec.Command("bash", args...), k.opts.Log, syscall.SIGKILL)
}

// network returns the settings that say where the broker is. Brokers have a listener of their own,
// for what clients are told may be the address of something that breaks.
func (k *Kafka) network() map[string]string {
	listener := func(name string, port int) string { return fmt.Sprintf("%s://127.0.0.1:%d", name, port) }
	inner := listener("INTERNAL", k.inner[0].Port)
	return map[string]string{
		"node.id":                        strconv.Itoa(k.id),
		"controller.quorum.voters":       k.quorum,
		"listeners":                      listener("PLAINTEXT", k.port.Port) + "," + inner + "," + listener("CONTROLLER", k.inner[1].Port),
		"advertised.listeners":           "PLAINTEXT://" + cmp.Or(k.opts.Advertised, k.Addr()) + "," + inner,
		"inter.broker.listener.name":     "INTERNAL",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
	}
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
	if !slices.ContainsFunc(found.Brokers, func(b kafka.Broker) bool { return b.ID == k.id }) {
		return errors.New("not in service yet")
	}
	return nil
}

// Addr returns the broker's own address, host:port. It stays the same over Stop and Start.
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
