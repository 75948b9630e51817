package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/schemas"
)

// startBroker runs an embedded broker and returns its address and the environment that names it.
func startBroker(t *testing.T) (address string, environ []string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	address = cluster.ListenAddrs()[0]
	return address, []string{"RECSTREAM_KAFKA_BROKERS=" + address}
}

// newClient returns a client of another library than the one under test. Its partitioner is Kafka's.
func newClient(t *testing.T, address string, topics ...string) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(address),
		kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(10*time.Millisecond), // the topic may be created a moment later
		kgo.UnknownTopicRetries(-1),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// published reads n records of the requests topic.
func published(t *testing.T, address string, n int) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client := newClient(t, address, schemas.DefaultRequestTopic)
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d records, then %v", len(records), n, err)
		}
		records = append(records, fetches.Records()...)
	}
	if len(records) != n {
		t.Fatalf("%d records, want %d", len(records), n)
	}
	return records
}

// serveRequests answers what is published as recstream would, until the test ends.
func serveRequests(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	client := newClient(t, address, schemas.DefaultRequestTopic)
	var server sync.WaitGroup
	server.Go(func() {
		for ctx.Err() == nil {
			client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				client.Produce(ctx, &kgo.Record{Topic: schemas.DefaultResultTopic, Value: answerTo(r)}, nil)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		server.Wait()
	})
}

func answerTo(r *kgo.Record) []byte {
	var request schemas.Request
	source := schemas.Source{Topic: r.Topic, Partition: int(r.Partition), Offset: r.Offset}
	if err := schemas.DecodeRequest(r.Value, &request); err != nil {
		return schemas.AppendRejection(nil, &schemas.Rejection{
			RequestID: request.RequestID, Code: "out_of_range", Field: "limit", Detail: "is too high"}, source)
	}
	return schemas.AppendResult(nil, &schemas.Decision{
		RequestID: request.RequestID, UserID: request.UserID, Tier: schemas.TierModel, Source: source,
		Model: &schemas.ModelRef{Name: "m"},
		Items: []schemas.ScoredItem{{ItemID: "i1", Title: "Airplane!", Prediction: 0.9375, Score: 0.9375}},
	})
}
