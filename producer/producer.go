package producer

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// Config says where results and dead letters go.
type Config struct {
	Client      *kafka.Client // its Transport is shared by all
	Results     string        // topic
	DeadLetters string        // topic
	Source      string        // CloudEvents source of the results, a URI reference
	Timeout     time.Duration // of one request to a broker
	BatchBytes  int           // most bytes of one record batch; default 512 KiB
}

const defaultBatchBytes = 512 << 10

// Producer opens outboxes. It is safe for concurrent use.
type Producer struct {
	cfg Config
}

// New returns a producer.
func New(cfg Config) *Producer {
	if cfg.BatchBytes == 0 {
		cfg.BatchBytes = defaultBatchBytes
	}
	return &Producer{cfg: cfg}
}

// Open returns an empty outbox with a producer id of its own.
func (p *Producer) Open(ctx context.Context) (*Outbox, error) {
	counts, err := p.partitions(ctx)
	if err != nil {
		return nil, err
	}
	o := &Outbox{cfg: p.cfg, producer: p, targets: map[target]*lane{}}
	o.results = numbers(counts[p.cfg.Results])
	o.deadLetters = numbers(counts[p.cfg.DeadLetters])
	if err := o.renew(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

// partitions returns how many partitions the topics have.
func (p *Producer) partitions(ctx context.Context) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	topics := []string{p.cfg.Results}
	if p.cfg.DeadLetters != "" { // a Publisher has none
		topics = append(topics, p.cfg.DeadLetters)
	}
	meta, err := p.cfg.Client.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		return nil, fmt.Errorf("read partitions: %w", err)
	}
	counts := map[string]int{}
	for _, t := range meta.Topics {
		if t.Error != nil {
			return nil, fmt.Errorf("read partitions of %s: %w", t.Name, t.Error)
		}
		counts[t.Name] = len(t.Partitions)
	}
	for _, name := range topics {
		if counts[name] == 0 {
			return nil, fmt.Errorf("read partitions of %s: %w", name, kafka.UnknownTopicOrPartition)
		}
	}
	return counts, nil
}

func numbers(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
