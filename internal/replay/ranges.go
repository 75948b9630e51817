package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/internal/postgres"
)

// Span says which events of a topic are to be read. The zero value is all that there are now.
type Span struct {
	FromOffset, ToOffset *int64    // nil is the log's start, and its end; To is not included
	FromTime, ToTime     time.Time // of the records; zero leaves it to the offsets; To is not included
	Partitions           []int     // nil is all
}

// Ranges returns the offsets of a span, by partition, as the topic is now: what is published later is no part of it.
func (s Span) Ranges(ctx context.Context, client *kafka.Client, topic string, timeout time.Duration) ([]postgres.ReplayPartition, error) {
	numbers, err := partitionsOf(ctx, client, topic)
	if err != nil {
		return nil, err
	}
	for _, n := range s.Partitions {
		if !slices.Contains(numbers, n) {
			return nil, fmt.Errorf("%s has no partition %d, it has %d to %d", topic, n, numbers[0], numbers[len(numbers)-1])
		}
	}
	if s.Partitions != nil {
		numbers = slices.Compact(slices.Sorted(slices.Values(s.Partitions)))
	}
	ranges := make([]postgres.ReplayPartition, len(numbers))
	for i, n := range numbers {
		source := committed.Partition{Client: client, Topic: topic, Number: n, Timeout: timeout}
		if ranges[i], err = s.rangeOf(ctx, source); err != nil {
			return nil, fmt.Errorf("look up the offsets of %s/%d: %w", topic, n, err)
		}
	}
	return ranges, nil
}

func partitionsOf(ctx context.Context, client *kafka.Client, topic string) (numbers []int, err error) {
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, fmt.Errorf("look for topic %s: %w", topic, err)
	}
	for _, t := range meta.Topics {
		if t.Error != nil {
			return nil, fmt.Errorf("look for topic %s: %w", topic, t.Error)
		}
		for _, p := range t.Partitions {
			numbers = append(numbers, p.ID)
		}
	}
	if len(numbers) == 0 {
		return nil, fmt.Errorf("look for topic %s: %w", topic, kafka.UnknownTopicOrPartition)
	}
	slices.Sort(numbers)
	return numbers, nil
}

// rangeOf returns the range of one partition, cut to the log's bounds.
func (s Span) rangeOf(ctx context.Context, source committed.Partition) (r postgres.ReplayPartition, err error) {
	first, last, err := source.Bounds(ctx)
	if err != nil {
		return r, err
	}
	from, to := first, last
	if s.FromOffset != nil {
		from = *s.FromOffset
	}
	if s.ToOffset != nil {
		to = *s.ToOffset
	}
	if !s.FromTime.IsZero() {
		if from, err = offsetAt(ctx, source, s.FromTime, last); err != nil {
			return r, err
		}
	}
	if !s.ToTime.IsZero() {
		if to, err = offsetAt(ctx, source, s.ToTime, last); err != nil {
			return r, err
		}
	}
	from = min(max(from, first), last)
	to = min(max(to, from), last)
	return postgres.ReplayPartition{Partition: source.Number, From: from, To: to, Next: from}, nil
}

// offsetAt returns the offset of the first record of that time or a later one, last where there is none.
func offsetAt(ctx context.Context, source committed.Partition, at time.Time, last int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, source.Timeout)
	defer cancel()
	res, err := source.Client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
		source.Topic: {kafka.TimeOffsetOf(source.Number, at)}}})
	if err != nil {
		return 0, err
	}
	for _, p := range res.Topics[source.Topic] {
		if p.Partition != source.Number {
			continue
		}
		if p.Error != nil {
			return 0, p.Error
		}
		for offset := range p.Offsets {
			if offset >= 0 {
				return offset, nil
			}
		}
		return last, nil
	}
	return 0, errors.New("the broker's answer lacks the partition")
}
