package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/tail"
	"recstream/internal/wait"
	"recstream/producer"
	"recstream/schemas"
)

// webPath asks over HTTP.
type webPath struct {
	url    string
	client http.Client
}

// connections are kept by the client, so that no request pays for a new one.
const connections = 512

func newWebPath(url string) *webPath {
	return &webPath{url: url + "/v1/recommendations",
		client: http.Client{Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections}}}
}

func (p *webPath) name() string { return "http" }

func (p *webPath) start(context.Context) (stop func()) { return p.client.CloseIdleConnections }

func (p *webPath) ask(ctx context.Context, r *schemas.Request) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(schemas.AppendRequest(nil, r)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=20")
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return err
}

// topicPath asks over Kafka alone: it publishes the request and reads the topic of results.
type topicPath struct {
	publisher *producer.Publisher
	results   *tail.Tail
	waiting   sync.Map // of chan struct{}, by request id
	count     atomic.Int64
}

func newTopicPath(s *stack) *topicPath {
	client := &kafka.Client{Addr: kafka.TCP(s.kafka.Addr()), Timeout: 10 * time.Second, Transport: s.transport}
	return &topicPath{
		publisher: producer.NewPublisher(producer.PublisherConfig{Topic: schemas.DefaultRequestTopic, Now: time.Now,
			Config: producer.Config{Client: client, Source: "/bench", Timeout: client.Timeout}}),
		results: tail.New(tail.Config{Client: client, Topic: schemas.DefaultResultTopic, MaxBytes: 1 << 20,
			MaxWait: 250 * time.Millisecond, Timeout: client.Timeout, Refresh: time.Minute, Log: slog.New(slog.DiscardHandler)}),
	}
}

func (p *topicPath) name() string { return "kafka" }

func (p *topicPath) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { p.publisher.Run(ctx) })
	running.Go(func() { p.results.Run(ctx, func() bool { return p.count.Load() > 0 }, p.take) })
	for !p.results.Whole() && wait.For(ctx, 10*time.Millisecond) == nil {
		continue
	}
	return func() {
		cancel()
		running.Wait()
	}
}

func (p *topicPath) take(value []byte) {
	var result struct {
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(value, &result) != nil {
		return
	}
	if done, ok := p.waiting.LoadAndDelete(result.RequestID); ok {
		close(done.(chan struct{}))
	}
}

func (p *topicPath) ask(ctx context.Context, r *schemas.Request) error {
	done := make(chan struct{})
	p.waiting.Store(r.RequestID, done)
	p.count.Add(1)
	defer p.count.Add(-1)
	err := p.publisher.Publish(ctx, producer.Event{ID: r.RequestID, Type: schemas.TypeRequest, Key: []byte(r.PartitionKey()),
		Value: schemas.AppendRequest(nil, r)})
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no result of %s: %w", r.RequestID, ctx.Err())
	}
}
