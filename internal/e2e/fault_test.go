package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// outage is how long a server is away.
const outage = 10 * time.Second

// publishSlowly publishes in the background, so that it takes about as long as told; the returned channel is
// closed when all is published.
func (s *stack) publishSlowly(t *testing.T, messages []kafka.Message, over time.Duration) <-chan struct{} {
	const batch = 100
	done := make(chan struct{})
	ctx := within(t)
	go func() {
		defer close(done)
		w := s.writer()
		defer w.Close()
		ticker := time.NewTicker(over * batch / time.Duration(len(messages)))
		defer ticker.Stop()
		for len(messages) > 0 {
			n := min(batch, len(messages))
			if err := insist(ctx, w, messages[:n]); err != nil {
				t.Errorf("publish: %v", err)
				return
			}
			messages = messages[n:]
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return done
}

// insist writes messages until the broker has them all, as an app has to through an outage. Those of one
// partition are written or refused together, so a key's order holds.
func insist(ctx context.Context, w *kafka.Writer, messages []kafka.Message) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := w.WriteMessages(ctx, messages...)
		var each kafka.WriteErrors
		if errors.As(err, &each) {
			var left []kafka.Message
			for i, failed := range each {
				if failed != nil {
					left = append(left, messages[i])
				}
			}
			messages = left
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

// stored returns the number of decisions in the ledger.
func (s *stack) stored(t *testing.T) (n int, state string) {
	err := s.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM decisions`).Scan(&n)
	return n, fmt.Sprint(n, err)
}

// TestKillNine kills the instance ten times in the middle of its work: each time it has stored something since it
// was started, and has work left. Small batches make the moments between store, publish and commit many.
func TestKillNine(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		const rounds = 10
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 0))
		w := newWorkload(10_000)
		settings := []string{"RECSTREAM_CONSUMER_BATCH_RECORDS=20", "RECSTREAM_KAFKA_SESSION_TIMEOUT=1s", "RECSTREAM_KAFKA_HEARTBEAT_INTERVAL=200ms"}
		s.publish(t, w.messages...)
		for range rounds {
			before, _ := s.stored(t)
			i := s.serve(t, settings...)
			eventually(t, "its first decisions", func() (bool, string) {
				n, state := s.stored(t)
				return n > before, state
			})
			sleepRandomly(rng, 30*time.Millisecond)
			i.kill()
			if s.allCommitted(t, s.name, s.requests()) {
				t.Error("the instance had finished its work when it was killed: this kill shows nothing")
			}
		}
		s.serve(t)
		s.check(t, w, true)
	})
}

// sleepRandomly lets a fault happen at a random moment. Nothing is waited for.
func sleepRandomly(rng *rand.Rand, limit time.Duration) {
	time.Sleep(time.Duration(rng.Int64N(int64(limit))))
}

// TestInstancesJoinAndLeave rebalances the group again and again.
func TestInstancesJoinAndLeave(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		w := newWorkload(10_000)
		s.serve(t)
		published := s.publishSlowly(t, w.messages, 10*time.Second)
		for range 3 {
			second := s.serve(t)
			eventually(t, "the second instance to share the work", func() (bool, string) {
				state := second.log.String()
				return contains(state, "joined consumer group", "group="+s.name+" ", "partitions=3"), state
			})
			second.stop(t)
		}
		<-published
		s.check(t, w, true)
	})
}

// TestPostgresAway stops the database for ten seconds under load.
func TestPostgresAway(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) { rideOut(t, s, s.postgres) })
}

// TestKafkaAway stops the broker for ten seconds under load.
func TestKafkaAway(t *testing.T) {
	s := newApacheStack(t) // the embedded broker forgets when it stops
	rideOut(t, s, s.apache)
}

// rideOut takes a server away under load and brings it back. The stream waits and loses nothing.
func rideOut(t *testing.T, s *stack, server interface {
	Stop(context.Context) error
	Start(context.Context) error
}) {
	w := newWorkload(10_000)
	i := s.serve(t)
	published := s.publishSlowly(t, w.messages, 5*time.Second)
	eventually(t, "the first decisions", func() (bool, string) {
		n, state := s.stored(t)
		return n > 0, state
	})
	if err := server.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(outage)
	if err := server.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	<-published
	// The test's own publisher tries again where a write was applied and its answer lost: then an event is there
	// twice, and is answered twice.
	s.check(t, w, true)
	checkMemory(t, i)
}

// TestBacklogStaysOutOfMemory lets a backlog grow that is larger than the memory allowed, while the database is
// away, and then takes it in.
func TestBacklogStaysOutOfMemory(t *testing.T) {
	s := newApacheStack(t)
	i := s.serve(t)
	s.publish(t, goodMessage(0))
	s.awaitCommitted(t)
	if err := s.postgres.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	const n = 60_000
	size := 0
	for from := 1; from < n; from += 1000 {
		var messages []kafka.Message
		for id := from; id < min(from+1000, n); id++ {
			m := largeMessage(id)
			size += len(m.Value)
			messages = append(messages, m)
		}
		s.publish(t, messages...)
	}
	if size < maxMemory*5/4 {
		t.Errorf("a backlog of %d MiB shows nothing", size>>20)
	}
	if err := s.postgres.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	s.awaitCommitted(t)
	if rows, _ := s.stored(t); rows != n {
		t.Errorf("%d decisions, want %d", rows, n)
	}
	checkMemory(t, i)
}

// largeMessage is the request r-<i> with a list of candidates that makes it large.
func largeMessage(i int) kafka.Message {
	m := goodMessage(i)
	var r schemas.Request
	if err := schemas.DecodeRequest(m.Value, &r); err != nil {
		panic(err)
	}
	for n := range 200 {
		r.Candidates = append(r.Candidates, fmt.Sprintf("an-item-that-nobody-knows-%06d", i+n))
	}
	r.Candidates = append(r.Candidates, "despicable-me-2010")
	m.Value = schemas.AppendRequest(nil, &r)
	return m
}

// maxMemory is what an instance may take at the most with a catalogue of 3,200 items.
const maxMemory = 256 << 20

func checkMemory(t *testing.T, i *instance) {
	t.Helper()
	peak := i.peakMemory(t)
	t.Logf("peak memory %d MiB", peak>>20)
	if peak > maxMemory {
		t.Errorf("peak memory %d MiB, want at most %d", peak>>20, maxMemory>>20)
	}
}

// TestSecondSignalStopsAtOnce asks an instance that cannot finish to stop, twice.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	onEachKafka(t, testSecondSignal)
}

func testSecondSignal(t *testing.T, s *stack) {
	w := newWorkload(1_000)
	i := s.serve(t, "RECSTREAM_CONSUMER_DRAIN_TIMEOUT=1m")
	eventually(t, "the instance to join", func() (bool, string) {
		return contains(i.log.String(), "joined consumer group", "group="+s.name+" "), i.log.tail(5)
	})
	unlock := s.lockLedger(t)
	s.publish(t, w.messages...)
	eventually(t, "a batch that waits for the ledger", func() (bool, string) {
		var waiting int
		err := s.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		return waiting > 0, fmt.Sprint(waiting, err)
	})
	i.signalTwice(t)
	if code := i.cmd.ProcessState.ExitCode(); code != 143 {
		t.Errorf("exit status %d, want 143", code)
	}
	unlock()
	s.serve(t)
	s.check(t, w, true)
}

// TestTopicRecreated deletes the request topic under a running instance and makes it anew, with more events than
// the old one had: offsets of the old topic mean nothing in it, and none of its events may be passed over.
func TestTopicRecreated(t *testing.T) {
	s := newApacheStack(t)
	s.serve(t)
	publish := func(from, to int) {
		var messages []kafka.Message
		for i := from; i < to; i++ {
			messages = append(messages, goodMessage(i))
		}
		s.publish(t, messages...)
	}
	publish(0, 1000)
	s.awaitCommitted(t)
	res, err := s.client.DeleteTopics(within(t), &kafka.DeleteTopicsRequest{Topics: []string{s.requests()}})
	if err != nil || res.Errors[s.requests()] != nil {
		t.Fatal(err, res)
	}
	eventually(t, "the topic to be made anew", func() (bool, string) {
		res, err := s.client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
			{Topic: s.requests(), NumPartitions: partitions, ReplicationFactor: 1}}})
		return err == nil && res.Errors[s.requests()] == nil, fmt.Sprint(res, err)
	})
	publish(1000, 3000)
	s.awaitCommitted(t)
	s.checkLedger(t, &workload{good: 3000})
}
