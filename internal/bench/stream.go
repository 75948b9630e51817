package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/consumer"
	"recstream/internal/config"
	"recstream/internal/kafkaconn"
	"recstream/internal/postgres"
	"recstream/internal/profiles"
	"recstream/producer"
	"recstream/schemas"
)

// stream answers the requests as the service does: the same parts, wired alike, with default settings. It
// starts the watch before the first partition is read.
func (s *session) stream(ctx context.Context, newScorer func() consumer.Scorer) error {
	transport, err := kafkaconn.NewTransport(s.cfg.Kafka)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	client := kafkaconn.NewClient(s.cfg.Kafka, transport)
	published := &tally{left: int64(s.Requests), done: make(chan struct{})} // by this process
	cfg, err := s.consumerConfig(client, published)
	if err != nil {
		return err
	}
	cfg.Events = consumer.Requests{NewScorer: newScorer, Ledger: postgres.NewLedger(s.database, s.cfg.Kafka.Group, s.cfg.Ledger.LookBack),
		Profiles: profiles.NewCache(s.database, s.cfg.Profiles.CacheBytes, s.cfg.Profiles.CacheTTL, time.Now)}

	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- consumer.New(cfg).Run(running) }()
	select {
	case <-published.done:
		err = awaitCommit(ctx, client, s.job)
		s.watch.end()
	case <-s.lead.over():
		s.watch.end()
	case err := <-ended:
		return errors.Join(errors.New("the consumer ended early"), err, ctx.Err())
	}
	stop()
	return errors.Join(err, <-ended)
}

// consumerConfig wires the parts up as the service does, apart from what is done with the events. What leaves is counted.
func (s *session) consumerConfig(client *kafka.Client, published *tally) (consumer.Config, error) {
	k, c := s.cfg.Kafka, s.cfg.Consumer
	dialer, err := kafkaconn.NewDialer(k)
	out := producer.New(producer.Config{
		Client:      client,
		Results:     k.Topics.Results,
		DeadLetters: k.Topics.DeadLetters,
		Source:      "/recstream/" + k.Group,
		Timeout:     client.Timeout,

		Transactions:       s.cfg.Delivery == config.ExactlyOnce,
		TransactionTimeout: k.TransactionTimeout,
	})
	return consumer.Config{
		Brokers:           k.Brokers,
		Dialer:            dialer,
		Client:            client,
		Group:             k.Group,
		Topic:             k.Topics.Requests,
		BatchRecords:      c.BatchRecords,
		BatchBytes:        c.BatchBytes,
		Linger:            c.Linger,
		FetchMaxWait:      c.FetchMaxWait,
		SessionTimeout:    k.SessionTimeout,
		HeartbeatInterval: k.HeartbeatInterval,
		DrainTimeout:      c.DrainTimeout,
		StallWarning:      c.StallWarning,
		RequestTimeout:    client.Timeout,
		OpenOutbox: func(ctx context.Context, of schemas.Assignment) (consumer.Outbox, error) {
			if err := s.lead.await(ctx); err != nil {
				return nil, err
			}
			s.watch.begin()
			box, err := out.Open(ctx, of)
			return &countedOutbox{Outbox: box, published: published}, err
		},
		Observer: s.lead.observer(),
		Now:      time.Now,
		Log:      s.log,
	}, err
}

// tally counts down to the last request. done is closed then.
type tally struct {
	left int64
	done chan struct{}
}

// add counts n requests more as done.
func (t *tally) add(n int) {
	if n > 0 && atomic.AddInt64(&t.left, -int64(n)) == 0 {
		close(t.done)
	}
}

// countedOutbox counts what was published.
type countedOutbox struct {
	consumer.Outbox
	published *tally
	waiting   int
}

// Add counts an outcome as waiting.
func (o *countedOutbox) Add(out *schemas.Outcome) {
	o.Outbox.Add(out)
	o.waiting++
}

// Flush counts as published what waited.
func (o *countedOutbox) Flush(ctx context.Context, next int64) error {
	err := o.Outbox.Flush(ctx, next)
	if err == nil {
		o.published.add(o.waiting)
		o.waiting = 0
	}
	return err
}

// commitPoll is the time between looks at the committed offsets: the error of the measured time.
const commitPoll = 2 * time.Millisecond

// awaitCommit returns when the group has committed everything. The topic begins at offset 0.
func awaitCommit(ctx context.Context, client *kafka.Client, j job) error {
	ticker := time.NewTicker(commitPoll)
	defer ticker.Stop()
	for {
		offsets, err := committedOffsets(ctx, client, j)
		if err != nil || total(offsets) == int64(j.Requests) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// committedOffsets returns how far the group has come, by partition.
func committedOffsets(ctx context.Context, client *kafka.Client, j job) (map[int]int64, error) {
	res, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{
		GroupID: j.Group, Topics: map[string][]int{j.Topic: numbers(j.Partitions)},
	})
	if err != nil {
		return nil, fmt.Errorf("read committed offsets: %w", err)
	}
	offsets := map[int]int64{}
	for _, p := range res.Topics[j.Topic] {
		offsets[p.Partition] = max(0, p.CommittedOffset)
	}
	return offsets, nil
}

// total adds offsets up.
func total(offsets map[int]int64) (sum int64) {
	for _, offset := range offsets {
		sum += offset
	}
	return sum
}

// plainScorer leaves scoring out: it answers with the first candidates of the request. What it says of them is
// made up, and as long as what the model says, so that rows and results have their usual size.
type plainScorer struct {
	answers map[string]schemas.ScoredItem
	model   *schemas.ModelRef
	version string
}

// plainAnswers makes up what to say of each item.
func plainAnswers(s *session) *plainScorer {
	p := &plainScorer{answers: map[string]schemas.ScoredItem{}, model: &s.model, version: s.engine.ConfigVersion()}
	for i, it := range s.items {
		made := float64(i+1) / float64(len(s.items)+7)
		p.answers[it.ID] = schemas.ScoredItem{ItemID: it.ID, Title: it.Title, Prediction: made, Score: made}
	}
	return p
}

// Begin does nothing.
func (p *plainScorer) Begin() error { return nil }

// End does nothing.
func (p *plainScorer) End() {}

// NeedsProfile is false.
func (p *plainScorer) NeedsProfile(*schemas.Request) bool { return false }

// Decide takes the first candidates.
func (p *plainScorer) Decide(req *schemas.Request, _ *schemas.Profile, dst *schemas.Decision) error {
	items := dst.Items[:0]
	for _, id := range req.Candidates[:min(len(req.Candidates), req.Limit)] {
		items = append(items, p.answers[id])
	}
	*dst = schemas.Decision{
		RequestID: req.RequestID, UserID: req.UserID, Context: req.Context, RequestedAt: req.RequestedAt,
		Tier: schemas.TierModel, Degraded: dst.Degraded[:0], Model: p.model, ConfigVersion: p.version, CatalogVersion: 1,
		Considered: len(req.Candidates), Items: items,
	}
	return nil
}
