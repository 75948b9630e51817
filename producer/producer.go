package producer

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// Config says where results and dead letters go.
type Config struct {
	Client      *kafka.Client // its Transport is shared by all
	Results     string        // topic
	DeadLetters string        // topic
	Source      string        // CloudEvents source of the results, a URI reference
	Timeout     time.Duration // of one request to a broker
	BatchBytes  int           // most bytes of one record batch; default 512 KiB

	// Transactions has outboxes publish and commit in Kafka transactions. One that its producer leaves open is aborted
	// by the broker after TransactionTimeout, default 30 s; readers of committed records wait for that.
	Transactions       bool
	TransactionTimeout time.Duration
}

const (
	defaultBatchBytes         = 512 << 10
	defaultTransactionTimeout = 30 * time.Second
)

// Producer opens outboxes. It is safe for concurrent use.
type Producer struct {
	cfg Config
}

// New returns a producer.
func New(cfg Config) *Producer {
	if cfg.BatchBytes == 0 {
		cfg.BatchBytes = defaultBatchBytes
	}
	if cfg.TransactionTimeout == 0 {
		cfg.TransactionTimeout = defaultTransactionTimeout
	}
	return &Producer{cfg: cfg}
}

// Open returns an empty outbox for what comes of a partition. With transactions it first fences the outbox that was
// opened for the partition before, wherever that is, and ends the transaction that it may have left.
func (p *Producer) Open(ctx context.Context, of schemas.Assignment) (*Outbox, error) {
	id := ""
	if p.cfg.Transactions {
		id = fmt.Sprintf("%s/%s/%d", of.Group, of.Topic, of.Partition) // a topic has no slash
	}
	s, err := p.newSender(ctx, id, p.cfg.Results, p.cfg.DeadLetters)
	if err != nil {
		return nil, err
	}
	o := &Outbox{sender: s, of: of}
	s.tooLarge = o.strip
	return o, nil
}

// newSender returns a sender with a producer id, of that transactional id unless it is empty. Of the topics it knows the
// partitions.
func (p *Producer) newSender(ctx context.Context, transactionalID string, topics ...string) (*sender, error) {
	partitions, err := p.partitions(ctx, topics)
	if err != nil {
		return nil, err
	}
	s := &sender{cfg: p.cfg, producer: p, topics: topics, partitions: partitions,
		targets: map[target]*lane{}, transactionalID: transactionalID, id: producerID{-1, -1}}
	if err := s.renew(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// partitions returns the numbers of the partitions that the topics have.
func (p *Producer) partitions(ctx context.Context, topics []string) (map[string][]int, error) {
	found := map[string][]int{}
	if len(topics) == 0 { // Kafka would take that for all
		return found, nil
	}
	meta, err := p.metadata(ctx, topics)
	if err != nil {
		return nil, fmt.Errorf("read partitions: %w", err)
	}
	for _, t := range meta.Topics {
		if t.Error == nil && len(t.Partitions) == 0 {
			t.Error = kafka.UnknownTopicOrPartition
		}
		if t.Error != nil {
			return nil, fmt.Errorf("read partitions of %s: %w", t.Name, t.Error)
		}
		found[t.Name] = numbers(len(t.Partitions))
	}
	return found, nil
}

// metadata is that of the topics.
func (p *Producer) metadata(ctx context.Context, topics []string) (*kafka.MetadataResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	return p.cfg.Client.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
}

func numbers(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
