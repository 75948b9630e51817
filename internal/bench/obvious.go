package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/segmentio/kafka-go"

	"recstream/consumer"
	"recstream/schemas"
)

// The obvious program: one loop that fetches a batch, decodes and scores it, copies it into two keyed tables,
// writes the results and commits. It looks for no repeated request ids and has no fence.

const (
	obviousBatch = 1000   // messages
	obviousQueue = 10_000 // messages that the Reader holds ready
)

// obviousTables hold what the ledger holds, one row a request and one a recommendation.
const obviousTables = `
	CREATE TABLE bench_requests (
		request_id text PRIMARY KEY, user_id text, mood text, group_size text, session_length text,
		requested_at timestamptz NOT NULL, scored_at timestamptz NOT NULL, tier text NOT NULL, model_id integer,
		config_version text NOT NULL, considered integer NOT NULL,
		source_topic text NOT NULL, source_partition integer NOT NULL, source_offset bigint NOT NULL);
	CREATE TABLE bench_recommendations (
		request_id text NOT NULL, rank integer NOT NULL, item_id text NOT NULL, title text NOT NULL,
		prediction float8, score float8 NOT NULL, PRIMARY KEY (request_id, rank))`

var (
	requestColumns = []string{"request_id", "user_id", "mood", "group_size", "session_length", "requested_at", "scored_at",
		"tier", "model_id", "config_version", "considered", "source_topic", "source_partition", "source_offset"}
	recommendationColumns = []string{"request_id", "rank", "item_id", "title", "prediction", "score"}
)

// obviousRequest is the event as encoding/json reads it.
type obviousRequest struct {
	RequestID     string    `json:"request_id"`
	UserID        string    `json:"user_id"`
	Mood          string    `json:"mood"`
	GroupSize     string    `json:"group_size"`
	SessionLength string    `json:"session_length"`
	Limit         int       `json:"limit"`
	Candidates    []string  `json:"candidates"`
	Exclude       []string  `json:"exclude"`
	RequestedAt   time.Time `json:"requested_at"`
}

// obvious answers the requests with the obvious program. It starts the watch when the first message is there.
func (s *session) obvious(ctx context.Context, scorer consumer.Scorer) error {
	if _, err := s.database.Pool().Exec(ctx, obviousTables); err != nil {
		return err
	}
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{s.Broker}, GroupID: s.Group, Topic: s.Topic, StartOffset: kafka.FirstOffset,
		MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 500 * time.Millisecond, QueueCapacity: obviousQueue,
	})
	writer := &kafka.Writer{
		Addr: kafka.TCP(s.Broker), Topic: s.Results, Balancer: kafka.Murmur2Balancer{}, RequiredAcks: kafka.RequireAll,
		BatchSize: obviousBatch, BatchTimeout: 5 * time.Millisecond,
	}
	err := s.answerAll(ctx, reader, writer, scorer)
	s.watch.end()
	return errors.Join(err, writer.Close(), reader.Close())
}

// answerAll is the loop. Each step waits for the one before, so nothing is lost when it stops anywhere: the
// batch is read again, and its rows refused.
func (s *session) answerAll(ctx context.Context, reader *kafka.Reader, writer *kafka.Writer, scorer consumer.Scorer) error {
	for done := 0; done < s.Requests; {
		// A program that ran for ever would stop waiting for a full batch after some time; here the end is known.
		messages, err := s.fetchBatch(ctx, reader, min(obviousBatch, s.Requests-done))
		if err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		decisions, err := decideAll(messages, scorer)
		if err != nil {
			return fmt.Errorf("decide: %w", err)
		}
		if err := s.copyAll(ctx, decisions); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if err := s.writeAll(ctx, writer, decisions); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if err := reader.CommitMessages(ctx, messages...); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		done += len(messages)
	}
	return nil
}

// fetchBatch returns the next n messages, of any partitions.
func (s *session) fetchBatch(ctx context.Context, reader *kafka.Reader, n int) ([]kafka.Message, error) {
	messages := make([]kafka.Message, 0, n)
	for len(messages) < n {
		m, err := reader.FetchMessage(ctx)
		if err != nil {
			return nil, err
		}
		s.watch.begin()
		messages = append(messages, m)
	}
	return messages, nil
}

// decideAll decodes and decides a batch. The first error ends the program: it knows no dead letters.
func decideAll(messages []kafka.Message, scorer consumer.Scorer) ([]schemas.Decision, error) {
	if err := scorer.Begin(); err != nil {
		return nil, err
	}
	decisions := make([]schemas.Decision, len(messages))
	for i, m := range messages {
		var event obviousRequest
		if err := json.Unmarshal(m.Value, &event); err != nil {
			return nil, err
		}
		req, began, d := event.request(m.Time), time.Now(), &decisions[i]
		if err := scorer.Decide(&req, nil, d); err != nil {
			return nil, err
		}
		d.ScoredAt, d.ScoreTime = began.UTC(), time.Since(began)
		d.QueueTime = max(0, began.Sub(d.RequestedAt))
		d.Source = schemas.Source{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset}
	}
	return decisions, nil
}

// request returns the event as the scorers take it; recorded stands in for a time that is missing.
func (r *obviousRequest) request(recorded time.Time) schemas.Request {
	req := schemas.Request{RequestID: r.RequestID, UserID: r.UserID, Limit: r.Limit,
		Candidates: r.Candidates, Exclude: r.Exclude, RequestedAt: r.RequestedAt}
	req.Mood, _ = schemas.ParseMood(r.Mood)
	req.GroupSize, _ = schemas.ParseGroupSize(r.GroupSize)
	req.SessionLength, _ = schemas.ParseSessionLength(r.SessionLength)
	if req.RequestedAt.IsZero() {
		req.RequestedAt = recorded
	}
	return req
}

// copyAll stores a batch in one transaction.
func (s *session) copyAll(ctx context.Context, decisions []schemas.Decision) error {
	return pgx.BeginFunc(ctx, s.database.Pool(), func(tx pgx.Tx) error {
		requests, recommendations := rowsOf(decisions)
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"bench_requests"}, requestColumns, pgx.CopyFromRows(requests))
		if err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"bench_recommendations"}, recommendationColumns, pgx.CopyFromRows(recommendations))
		return err
	})
}

// rowsOf makes the rows of both tables.
func rowsOf(decisions []schemas.Decision) (requests, recommendations [][]any) {
	for i := range decisions {
		d := &decisions[i]
		requests = append(requests, []any{d.RequestID, d.UserID, d.Context.Mood.String(), d.Context.GroupSize.String(),
			d.Context.SessionLength.String(), d.RequestedAt, d.ScoredAt, string(d.Tier), d.Model.ID,
			d.ConfigVersion, d.Considered, d.Source.Topic, d.Source.Partition, d.Source.Offset})
		for rank, it := range d.Items {
			recommendations = append(recommendations, []any{d.RequestID, rank + 1, it.ItemID, it.Title, it.Prediction, it.Score})
		}
	}
	return requests, recommendations
}

// writeAll publishes a batch and returns when all of it is acknowledged. Keys are those of recstream.
func (s *session) writeAll(ctx context.Context, writer *kafka.Writer, decisions []schemas.Decision) error {
	messages := make([]kafka.Message, len(decisions))
	for i := range decisions {
		d := &decisions[i]
		value, err := json.Marshal(resultOf(d))
		if err != nil {
			return err
		}
		key := d.UserID
		if key == "" {
			key = d.RequestID
		}
		messages[i] = kafka.Message{Key: []byte(key), Value: value, Headers: s.headersOf(d)}
	}
	return writer.WriteMessages(ctx, messages...)
}

// resultOf makes the event that recstream makes, for encoding/json.
func resultOf(d *schemas.Decision) *schemas.Result {
	r := &schemas.Result{
		RequestID: d.RequestID, UserID: d.UserID, Status: schemas.StatusOK, Tier: d.Tier, Degraded: []schemas.Reason{},
		Model:         &schemas.ResultModel{Name: d.Model.Name, Version: d.Model.Version, SHA256: d.Model.SHA256},
		ConfigVersion: d.ConfigVersion, ScoredAt: d.ScoredAt,
		Timings: &schemas.Timings{Queue: millis(d.QueueTime), Score: millis(d.ScoreTime)},
		Source:  schemas.ResultSource(d.Source),
	}
	for rank, it := range d.Items {
		r.Items = append(r.Items, schemas.ResultItem{Rank: rank + 1, ItemID: it.ItemID, Title: it.Title, Prediction: &it.Prediction, Score: it.Score})
	}
	return r
}

// millis returns d in milliseconds, exact to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// headersOf returns the headers of a result, the same as recstream's.
func (s *session) headersOf(d *schemas.Decision) []kafka.Header {
	id := schemas.AppendResultID(nil, d.RequestID, d.Source)
	return []kafka.Header{
		{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)},
		{Key: schemas.HeaderSpecVersion, Value: []byte(schemas.SpecVersion)},
		{Key: schemas.HeaderID, Value: id},
		{Key: schemas.HeaderType, Value: []byte(schemas.TypeResult)},
		{Key: schemas.HeaderSource, Value: []byte("/recstream/" + s.Group)},
		{Key: schemas.HeaderTime, Value: []byte(d.ScoredAt.Format(time.RFC3339Nano))},
	}
}
