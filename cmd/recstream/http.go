package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/consumer"
	"recstream/internal/httpapi"
	"recstream/internal/kafkaconn"
	"recstream/internal/postgres"
	"recstream/internal/tail"
	"recstream/producer"
	"recstream/schemas"
)

// web is the HTTP interface of an instance, or none where it is off.
type web struct {
	server  *httpapi.Server  // nil where it is off
	results *kafka.Transport // of what follows the topic of results
	stop    context.CancelFunc
	// drained ends when the instance is to stop and the requests over HTTP are answered: the consumers, which
	// answer them, stop after it.
	drained context.Context
	running sync.WaitGroup
	err     error // of the server, once drained
}

// startWeb takes the configured address and serves health from now on; the rest once it is opened. The caller closes
// it.
func (p *pipeline) startWeb(ctx context.Context, services []*consumer.Service) (*web, error) {
	if !p.cfg.HTTP.Enabled() {
		return &web{stop: func() {}, drained: ctx}, nil
	}
	// A tail closes idle connections at each failure: those of the consumers and publishers are none of its business.
	results, err := kafkaconn.NewTransport(p.cfg.Kafka)
	if err != nil {
		return nil, err
	}
	requests, feedback := p.newPublisher(p.cfg.Kafka.Topics.Requests), p.newPublisher(p.cfg.Kafka.Topics.Feedback)
	w := &web{results: results, server: httpapi.New(httpapi.Config{
		Settings: p.cfg.HTTP,
		Requests: eventPublisher{requests, schemas.TypeRequest},
		Feedback: eventPublisher{feedback, schemas.TypeFeedback},
		Results: tail.New(tail.Config{Client: kafkaconn.NewClient(p.cfg.Kafka, results), Topic: p.cfg.Kafka.Topics.Results,
			MaxBytes: p.cfg.Consumer.BatchBytes, MaxWait: p.cfg.Consumer.FetchMaxWait, Timeout: p.client.Timeout, Refresh: resultsRefresh, Log: p.log}),
		Ledger:  postgres.NewLedger(p.database, p.cfg.Kafka.Group, p.cfg.Ledger.LookBack),
		LookUps: lookUps(p.cfg.Database.MaxConnections),
		Items:   p.engine,
		Info:    newInstanceInfo(p, services),
		Metrics: p.metrics.Handler(),
		Observe: p.metrics.HTTP,
		Now:     time.Now,
		Log:     p.log,
	})}
	if err := w.server.Listen(ctx); err != nil {
		return nil, configError(withHint(err, "is another instance listening there? Choose another port, or none to switch HTTP off"))
	}
	var serving, publishing context.Context
	var stopPublishing, markDrained context.CancelFunc
	serving, w.stop = context.WithCancel(ctx)
	publishing, stopPublishing = context.WithCancel(context.WithoutCancel(ctx))
	w.drained, markDrained = context.WithCancel(context.WithoutCancel(ctx))
	w.running.Go(func() { requests.Run(publishing) })
	w.running.Go(func() { feedback.Run(publishing) })
	w.running.Go(func() {
		defer markDrained()
		defer stopPublishing()
		w.err = w.server.Run(serving)
	})
	p.address = w.server.Addr().String()
	p.log.Info("listening for HTTP", "address", p.address)
	return w, nil
}

// lookUps is how many of the database's connections HTTP may use at the same time: a quarter. Work in the background
// may use half of them, so that there are some left for what the consumers store.
func lookUps(connections int) int { return max(1, connections/4) }

// resultsRefresh is how often the topic of results is looked at for new partitions.
const resultsRefresh = 5 * time.Second

// open says that events can be decided from now on.
func (w *web) open() {
	if w.server != nil {
		w.server.Open()
	}
}

// close ends what still runs, and returns what ended the server before its time.
func (w *web) close() error {
	w.stop()
	w.running.Wait()
	if w.results != nil {
		w.results.CloseIdleConnections()
	}
	return w.err
}

// httpSource is the ce_source of what came over HTTP.
const httpSource = "/recstream/http"

func (p *pipeline) newPublisher(topic string) *producer.Publisher {
	return producer.NewPublisher(producer.PublisherConfig{Topic: topic, Waiting: p.cfg.HTTP.MaxInFlight, Now: time.Now,
		Config: producer.Config{Client: p.client, Source: httpSource, Timeout: p.client.Timeout}})
}

// eventPublisher publishes events of one type.
type eventPublisher struct {
	*producer.Publisher
	eventType string
}

// Publish returns when the event is safe in its topic.
func (p eventPublisher) Publish(ctx context.Context, e httpapi.Event) error {
	err := p.Publisher.Publish(ctx, producer.Event{ID: e.ID, Type: p.eventType, Key: e.Key, Value: e.Value, TraceParent: e.TraceParent})
	if errors.Is(err, producer.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", httpapi.ErrTooLarge, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.eventType, err)
	}
	return nil
}
