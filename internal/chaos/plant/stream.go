//go:build faults

package plant

import (
	"context"
	"sync"

	"github.com/segmentio/kafka-go"

	"recstream/consumer"
	"recstream/schemas"
)

// stream is a topic that a service reads, with what the bugs keep of its partitions.
type stream struct {
	prefix Point // of the names of its points
	client *kafka.Client
	group  string
	topic  string

	mu         sync.Mutex
	partitions map[int]*partition
}

// partition is what the bugs keep of a partition, over the workers that it has one after the other.
type partition struct {
	of       schemas.Assignment          // the latest
	position int64                       // offset after what a worker has had in hand
	deferred func(context.Context) error // what is to be stored after it was published; nil is nothing
}

// Service plants faults into a service: at its ledger, at its outboxes and in its clock.
func Service(cfg consumer.Config) consumer.Config {
	s := &stream{client: cfg.Client, group: cfg.Group, topic: cfg.Topic, partitions: map[int]*partition{}}
	switch events := cfg.Events.(type) {
	case consumer.Requests:
		events.Ledger = s.buggyLedger(&ledger{fences: fences{events.Ledger, s}, Ledger: events.Ledger})
		cfg.Events = events
	case consumer.Feedback:
		s.prefix = feedbackPrefix
		events.Ledger = s.buggyFeedbackLedger(&feedbackLedger{fences: fences{events.Ledger, s}, FeedbackLedger: events.Ledger})
		cfg.Events = events
	}
	cfg.Now = clock(cfg.Now)
	cfg.OpenOutbox = s.noting(s.buggyOutboxes(s.outboxes(cfg.OpenOutbox)))
	streams.Store(cfg.Topic, s)
	return cfg
}

// isOfRequests tells the stream of requests from that of feedback, and from none.
func isOfRequests(s *stream) bool { return s != nil && s.prefix == "" }

// streams has those of this process by topic.
var streams sync.Map

// at returns what is kept of a partition, to be changed while the stream is locked.
func (s *stream) at(number int) *partition {
	p := s.partitions[number]
	if p == nil {
		p = new(partition)
		s.partitions[number] = p
	}
	return p
}

// with changes what is kept of a partition.
func (s *stream) with(number int, change func(*partition)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.at(number))
}

// noting keeps who a partition was given to.
func (s *stream) noting(open openFunc) openFunc {
	return func(ctx context.Context, of schemas.Assignment) (consumer.Outbox, error) {
		s.with(of.Partition, func(p *partition) { p.of = of })
		return open(ctx, of)
	}
}

// commit commits an offset beside everything else, in the name of the partition's present owner.
func (s *stream) commit(ctx context.Context, number int, offset int64) error {
	var of schemas.Assignment
	s.with(number, func(p *partition) { of = p.of })
	_, err := s.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: of.Group, GenerationID: of.Generation, MemberID: of.Member,
		Topics: map[string][]kafka.OffsetCommit{of.Topic: {{Partition: number, Offset: offset}}}})
	return err
}

// streamKey is what a context has its stream under.
type streamKey struct{}

// in marks what is done with the context as the stream's.
func (s *stream) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamKey{}, s)
}

// streamOf returns the stream that something is done for, nil for none.
func streamOf(ctx context.Context) *stream {
	s, _ := ctx.Value(streamKey{}).(*stream)
	return s
}
