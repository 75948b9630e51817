package e2e

import (
	"fmt"
	"testing"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// stored returns the number of decisions in the ledger.
func (s *stack) stored(t *testing.T) (n int, state string) {
	err := s.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM decisions`).Scan(&n)
	return n, fmt.Sprint(n, err)
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
