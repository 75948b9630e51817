package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/schemas"
)

// found is what a round left behind.
type found struct {
	stored          fingerprint // of the ids of the stored requests
	recommendations int         // stored
	answered        fingerprint // of the ids in the results
	refused         int         // results and dead letters that say no
}

// check refuses a round that does not have one row and one result for each request, with all its recommendations.
func (f found) check(want fingerprint, recommendations int) error {
	var errs []error
	if f.stored != want {
		errs = append(errs, fmt.Errorf("%d requests stored, not the %d that were sent", f.stored.count, want.count))
	}
	if f.answered != want {
		errs = append(errs, fmt.Errorf("%d results, not those of the %d requests", f.answered.count, want.count))
	}
	if f.recommendations != recommendations {
		errs = append(errs, fmt.Errorf("%d recommendations stored, want %d", f.recommendations, recommendations))
	}
	if f.refused > 0 {
		errs = append(errs, fmt.Errorf("%d requests rejected", f.refused))
	}
	return errors.Join(errs...)
}

// inspect reads what a round left behind.
func (s *stack) inspect(ctx context.Context, c *contender, j job) (f found, err error) {
	conn, err := pgx.Connect(ctx, j.DatabaseURL)
	if err != nil {
		return f, err
	}
	defer conn.Close(ctx)
	if f.stored, err = storedIDs(ctx, conn, c.requestIDs); err != nil {
		return f, fmt.Errorf("read stored requests: %w", err)
	}
	if err := conn.QueryRow(ctx, c.recommendations).Scan(&f.recommendations); err != nil {
		return f, fmt.Errorf("count recommendations: %w", err)
	}
	ends, err := s.ends(ctx, j.Results)
	if err != nil {
		return f, err
	}
	for partition, end := range ends {
		if err := s.readResults(ctx, j.Results, partition, end, &f); err != nil {
			return f, fmt.Errorf("read results: %w", err)
		}
	}
	dead, err := s.ends(ctx, j.DeadLetters)
	for _, end := range dead {
		f.refused += int(end)
	}
	return f, err
}

// storedIDs runs a query that returns ids, and takes their bytes as they come: the text itself.
func storedIDs(ctx context.Context, conn *pgx.Conn, query string) (f fingerprint, err error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return f, err
	}
	defer rows.Close()
	for rows.Next() {
		f.add(rows.RawValues()[0])
	}
	return f, rows.Err()
}

// ends returns the offsets after the last records of a topic, by partition.
func (s *stack) ends(ctx context.Context, topic string) (map[int]int64, error) {
	var wanted []kafka.OffsetRequest
	for _, p := range numbers(s.partitions) {
		wanted = append(wanted, kafka.LastOffsetOf(p))
	}
	res, err := s.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: wanted}})
	if err != nil {
		return nil, fmt.Errorf("read the end of %s: %w", topic, err)
	}
	ends := map[int]int64{}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("read the end of %s: %w", topic, p.Error)
		}
		ends[p.Partition] = p.LastOffset
	}
	return ends, nil
}

// readResults reads a partition from its beginning up to end, without what was aborted.
func (s *stack) readResults(ctx context.Context, topic string, partition int, end int64, f *found) error {
	source := committed.Partition{Client: s.client, Topic: topic, Number: partition, MaxBytes: 8 << 20, Timeout: 10 * time.Second}
	for next := int64(0); next < end; {
		records, err := source.Fetch(ctx, next, time.Second)
		if err != nil {
			return err
		}
		for {
			r, err := records.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if err := f.result(r.Value); err != nil {
				return err
			}
		}
		next = records.Next()
	}
	return nil
}

// What a result looks like, whoever writes it: the field order is that of the published type.
var (
	resultBegins = []byte(`{"request_id":"`)
	resultIsOK   = []byte(`"status":"` + string(schemas.StatusOK) + `"`)
)

// result counts one result. Its request id comes first and has no escapes.
func (f *found) result(value []byte) error {
	rest, ok := bytes.CutPrefix(value, resultBegins)
	id, _, closed := bytes.Cut(rest, []byte(`"`))
	if !ok || !closed {
		return fmt.Errorf("%.60q is no result", value)
	}
	f.answered.add(id)
	if !bytes.Contains(value, resultIsOK) {
		f.refused++
	}
	return nil
}
