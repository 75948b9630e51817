package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"recstream/consumer"
	"recstream/internal/chaos/plant"
	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/producer"
	"recstream/schemas"
	"recstream/scoring/profile"
)

// runAll runs services until ctx ends and all have drained. One that returns an error stops the others.
func runAll(ctx context.Context, services []*consumer.Service) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(services))
	var running sync.WaitGroup
	for i, s := range services {
		running.Go(func() {
			if errs[i] = s.Run(ctx); errs[i] != nil {
				stop()
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// services are what reads topics: that of requests and, where it is on, that of feedback.
func (p *pipeline) services() []*consumer.Service {
	k := p.cfg.Kafka
	requests := p.consumerConfig(k.Group, k.Topics.Requests)
	requests.Observer = p.observed(k.Topics.Requests, p.metrics.Requests)
	requests.Events = consumer.Requests{
		NewScorer: func() consumer.Scorer {
			return &liveScorer{Scorer: p.engine.NewScorer(), shadows: p.shadows, metrics: p.metrics, log: p.log}
		},
		Ledger:   postgres.NewLedger(p.database, k.Group, p.cfg.Ledger.LookBack),
		Profiles: p.profiles,
	}
	services := []*consumer.Service{newService(requests)}
	if p.cfg.Feedback.Enabled {
		group := k.Group + feedbackSuffix
		feedback := p.consumerConfig(group, k.Topics.Feedback)
		feedback.Events = consumer.Feedback{Ledger: postgres.NewFeedbackLedger(p.database, group, p.applyFeedback, profile.Preference, p.cfg.Popularity.HalfLife)}
		feedback.Observer = p.observed(k.Topics.Feedback, p.metrics.Feedback)
		services = append(services, newService(feedback))
	}
	return services
}

// newService returns a service, with the faults that its tests plant in it; otherwise there are none.
func newService(cfg consumer.Config) *consumer.Service { return consumer.New(plant.Service(cfg)) }

// feedbackSuffix makes of the name of the requests' consumer group that of the feedback's.
const feedbackSuffix = "-feedback"

// applyFeedback brings a feedback into its user's profile, with what the catalogue knows of the item now.
func (p *pipeline) applyFeedback(user *schemas.Profile, f *schemas.Feedback) {
	profile.Apply(user, f, p.engine.Item(f.ItemID), p.cfg.Profiles.HalfLife)
}

// consumerConfig is all of a service's configuration but what is done with its events.
func (p *pipeline) consumerConfig(group, topic string) consumer.Config {
	k, c := p.cfg.Kafka, p.cfg.Consumer
	out := producer.New(producer.Config{
		Client:      p.client,
		Results:     k.Topics.Results,
		DeadLetters: k.Topics.DeadLetters,
		Source:      "/recstream/" + group,
		Timeout:     p.client.Timeout,

		Transactions:       p.cfg.Delivery == config.ExactlyOnce,
		TransactionTimeout: k.TransactionTimeout,
	})
	return consumer.Config{
		Brokers:           k.Brokers,
		Dialer:            p.dialer,
		Client:            p.client,
		Group:             group,
		Topic:             topic,
		BatchRecords:      c.BatchRecords,
		BatchBytes:        c.BatchBytes,
		Linger:            c.Linger,
		FetchMaxWait:      c.FetchMaxWait,
		SessionTimeout:    k.SessionTimeout,
		HeartbeatInterval: k.HeartbeatInterval,
		DrainTimeout:      c.DrainTimeout,
		StallWarning:      c.StallWarning,
		RequestTimeout:    p.client.Timeout,
		OpenOutbox: func(ctx context.Context, of schemas.Assignment) (consumer.Outbox, error) {
			return out.Open(ctx, of)
		},
		Now: time.Now,
		Log: p.log,
	}
}
