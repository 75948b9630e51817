package workload

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/history/collect"
)

// Publisher publishes events as a careful app does: idempotently, again and again until the brokers have them. It is
// not safe for concurrent use.
type Publisher struct {
	client *kgo.Client
	kafka  *collect.Kafka
	events map[fingerprint]history.Published // that may have landed
	acked  map[history.Place]landing
}

// landing is an event that a broker says it has.
type landing struct {
	mark  fingerprint
	at    time.Time
	large bool // as the event said that was published then: one of the same content may say otherwise
}

// fingerprint tells events of different content apart. Those of one content are to become the same.
type fingerprint [sha256.Size]byte

// maxBatch is what a broker takes of one batch, unless its configuration says otherwise.
const maxBatch = 1 << 20

// publishAgain is after what time events are published again that a broker has refused or lost.
const publishAgain = 50 * time.Millisecond

// NewPublisher returns a publisher. Close it.
func NewPublisher(brokers []string, opts ...kgo.Opt) (*Publisher, error) {
	kafka, err := collect.Dial(brokers, opts...)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers...),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), // sizes at a limit are to be what they are
		kgo.ProducerBatchMaxBytes(maxBatch),
		kgo.UnknownTopicRetries(-1),
	}, opts...)...)
	if err != nil {
		kafka.Close()
		return nil, fmt.Errorf("open publisher: %w", err)
	}
	return &Publisher{client: client, kafka: kafka, events: map[fingerprint]history.Published{}, acked: map[history.Place]landing{}}, nil
}

// Close ends the connections.
func (p *Publisher) Close() {
	p.client.Close()
	p.kafka.Close()
}

// Publish returns when the brokers have all events, those of a key in order; it tries until ctx ends. After an error
// some may have landed and some not: Published tells.
func (p *Publisher) Publish(ctx context.Context, events ...history.Published) error {
	again := time.NewTicker(publishAgain)
	defer again.Stop()
	for {
		failed, err := p.attempt(ctx, events)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, kerr.MessageTooLarge) {
			return fmt.Errorf("publish %d events: %w", len(events), err)
		}
		events = failed
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// attempt publishes the events once and returns those that failed, in order, with the first error.
func (p *Publisher) attempt(ctx context.Context, events []history.Published) (failed []history.Published, err error) {
	type failure struct {
		index int
		err   error
	}
	var (
		mu       sync.Mutex
		failures []failure
		sent     sync.WaitGroup
	)
	sent.Add(len(events))
	for i := range events {
		record := recordOf(&events[i])
		mark := fingerprintOf(record)
		event := events[i]
		event.Large = event.Large || p.events[mark].Large // where nobody knows which of the two has landed
		p.events[mark] = event
		p.client.Produce(ctx, record, func(r *kgo.Record, err error) {
			defer sent.Done()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = append(failures, failure{i, err})
				return
			}
			p.acked[history.Place{Topic: r.Topic, Partition: int(r.Partition), Offset: r.Offset}] = landing{mark, r.Timestamp, events[i].Large}
		})
	}
	sent.Wait()
	slices.SortFunc(failures, func(a, b failure) int { return cmp.Compare(a.index, b.index) })
	for _, f := range failures {
		failed = append(failed, events[f.index])
		if err == nil {
			err = f.err
		}
	}
	return failed, err
}

// Published returns every event that landed, by topic and partition in order. It reads the topics again: what they
// hold is the truth, whether a broker's answer came or not. Only where retention has deleted events, those count that
// brokers had acknowledged. That what was acknowledged is there, as it was, is looked at: an error says that the
// brokers broke their promise, or that somebody else publishes to the topic.
func (p *Publisher) Published(ctx context.Context) ([]history.Published, error) {
	topics := map[string]bool{}
	for _, e := range p.events {
		topics[e.Topic] = true
	}
	landed := map[history.Place]history.Published{}
	for topic := range topics {
		if err := p.readBack(ctx, topic, landed); err != nil {
			return nil, err
		}
	}
	list := make([]history.Published, 0, len(landed))
	for _, e := range landed {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b history.Published) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return list, nil
}

// readBack adds what a topic holds, and what it has held, to landed.
func (p *Publisher) readBack(ctx context.Context, topic string, landed map[history.Place]history.Published) error {
	var unknown error
	logs, err := p.kafka.Read(ctx, topic, collect.Uncommitted, func(r *kgo.Record) {
		at := history.Place{Topic: r.Topic, Partition: int(r.Partition), Offset: r.Offset}
		event, known := p.events[fingerprintOf(r)]
		if !known {
			unknown = fmt.Errorf("%v holds what was not published: %v", at, history.Bytes(r.Value))
			return
		}
		event.Place, event.Time = at, r.Timestamp.UTC()
		landed[at] = event
	})
	if err := errors.Join(err, unknown); err != nil {
		return err
	}
	first := map[int]int64{}
	for _, l := range logs {
		first[l.Partition] = l.First
	}
	for at, l := range p.acked {
		if at.Topic != topic {
			continue
		}
		event := p.events[l.mark]
		event.Place, event.Time = at, l.at.UTC().Truncate(time.Millisecond)
		event.Large = l.large
		found, there := landed[at]
		if there && fingerprintOf(recordOf(&found)) != l.mark || !there && at.Offset >= first[at.Partition] {
			return fmt.Errorf("%v does not hold the event that the broker acknowledged", at)
		}
		landed[at] = event
	}
	return nil
}

func recordOf(e *history.Published) *kgo.Record {
	r := &kgo.Record{Topic: e.Topic, Key: e.Key, Value: e.Value}
	for _, h := range e.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return r
}

// fingerprintOf covers all that a publisher decides: topic, key, value and headers, null told from empty.
func fingerprintOf(r *kgo.Record) fingerprint {
	var buf []byte
	add := func(v []byte) {
		n := int64(len(v))
		if v == nil {
			n = -1
		}
		buf = append(binary.AppendVarint(buf, n), v...)
	}
	add([]byte(r.Topic))
	add(r.Key)
	add(r.Value)
	for _, h := range r.Headers {
		add([]byte(h.Key))
		add(h.Value)
	}
	return sha256.Sum256(buf)
}
