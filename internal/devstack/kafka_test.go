package devstack

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/segmentio/kafka-go"
)

func startKafka(t *testing.T, opts KafkaOptions) *Kafka {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Apache Kafka, which takes seconds")
	}
	k, err := StartKafka(deadline(t), opts)
	needServer(t, err)
	t.Cleanup(func() { must(t, k.Close()) })
	return k
}

func TestKafka(t *testing.T) {
	ctx := deadline(t)
	k := startKafka(t, KafkaOptions{})
	kafkaWorks(ctx, t, k.Addr(), "films")

	found, err := newClient(t, k.Addr()).Metadata(ctx, &kafka.MetadataRequest{Topics: []string{"misspelt"}})
	must(t, err)
	if err := found.Topics[0].Error; !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("an unknown topic gives %v, want UnknownTopicOrPartition", err)
	}

	ends := map[string]func(context.Context) error{
		"stop": k.Stop,
		"kill": func(context.Context) error { return k.Kill() },
	}
	for name, end := range ends {
		must(t, end(ctx))
		if listening(k.Addr()) {
			t.Fatalf("%s: the broker still listens", name)
		}
		must(t, k.Start(ctx))
		if got := readAll(ctx, t, k.Addr(), "films", 1); got[0] != "one" {
			t.Errorf("%s: read %q after the restart, want one", name, got)
		}
		join(ctx, t, k.Addr(), "films")
	}
	dir := k.temp
	must(t, k.Close())
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestStartKafkaNotInstalled(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if _, err := StartKafka(t.Context(), KafkaOptions{}); !errors.Is(err, ErrNoKafka) {
		t.Errorf("error %v, want ErrNoKafka", err)
	}
}

func TestStartKafkaOutsideRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := StartKafka(t.Context(), KafkaOptions{}); err == nil || errors.Is(err, ErrNoKafka) {
		t.Errorf("error %v, want that the script is not found", err)
	}
}
