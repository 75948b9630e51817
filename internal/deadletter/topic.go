package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
)

// Topic is a topic of dead letters.
type Topic struct {
	Client *kafka.Client // its Transport must be a *kafka.Transport
	Name   string
}

const (
	fetchBytes   = 1 << 20
	fetchWait    = 250 * time.Millisecond
	fetchTimeout = 10 * time.Second
	patience     = 20 * time.Second // with a broker that is away
)

// Span is what is read of a partition: the offsets from First up to End, which is where read_committed readers stood
// when it was looked up. What is written later is not in it.
type Span struct {
	Partition  int
	First, End int64
}

// Spans returns what all partitions have, those of letters written before since left out.
func (t Topic) Spans(ctx context.Context, since time.Time) ([]Span, error) {
	partitions, err := partitionsOf(ctx, t.Client, t.Name)
	if err != nil {
		return nil, err
	}
	var spans []Span
	for _, p := range partitions {
		s, err := t.span(ctx, p, since)
		if err != nil {
			return nil, fmt.Errorf("look up offsets of %s/%d: %w", t.Name, p, err)
		}
		spans = append(spans, s)
	}
	return spans, nil
}

func (t Topic) span(ctx context.Context, partition int, since time.Time) (s Span, err error) {
	s.Partition = partition
	if s.First, err = offsetAt(ctx, t.Client, t.Name, kafka.FirstOffsetOf(partition)); err != nil {
		return s, err
	}
	if s.End, err = offsetAt(ctx, t.Client, t.Name, kafka.LastOffsetOf(partition)); err != nil || since.IsZero() {
		return s, err
	}
	first, err := offsetAt(ctx, t.Client, t.Name, kafka.TimeOffsetOf(partition, since))
	if first < 0 {
		first = s.End
	}
	s.First = max(s.First, min(first, s.End))
	return s, err
}

// partitionsOf returns the numbers of a topic's partitions, in order.
func partitionsOf(ctx context.Context, client *kafka.Client, topic string) ([]int, error) {
	found, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, fmt.Errorf("look for topic %s: %w", topic, err)
	}
	if err := found.Topics[0].Error; err != nil {
		return nil, fmt.Errorf("look for topic %s: %w", topic, err)
	}
	var numbers []int
	for _, p := range found.Topics[0].Partitions {
		numbers = append(numbers, p.ID)
	}
	slices.Sort(numbers)
	return numbers, nil
}

// offsetAt looks up one offset as a read_committed reader sees it; -1 where no record is of that time or later.
func offsetAt(ctx context.Context, client *kafka.Client, topic string, what kafka.OffsetRequest) (int64, error) {
	return lookUpOffset(ctx, client, topic, what, kafka.ReadCommitted)
}

// lookUpOffset looks up one offset, waiting for a broker that is away.
func lookUpOffset(ctx context.Context, client *kafka.Client, topic string, what kafka.OffsetRequest, level kafka.IsolationLevel) (offset int64, err error) {
	err = retry(ctx, client, func() error {
		res, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{IsolationLevel: level, Topics: map[string][]kafka.OffsetRequest{topic: {what}}})
		if err != nil {
			return err
		}
		if len(res.Topics[topic]) != 1 {
			return errors.New("the broker's answer lacks the partition")
		}
		one := res.Topics[topic][0]
		switch what.Timestamp {
		case kafka.FirstOffset:
			offset = one.FirstOffset
		case kafka.LastOffset:
			offset = one.LastOffset
		default:
			offset = -1
			for o := range one.Offsets {
				offset = o
			}
		}
		return one.Error
	})
	return offset, err
}

// retry tries again while a broker is away, for as long as patience goes.
func retry(ctx context.Context, client *kafka.Client, try func() error) error {
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(20*time.Millisecond), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(500*time.Millisecond), backoff.WithMaxElapsedTime(patience))
	var last error
	err := backoff.Retry(func() error {
		if last = try(); last == nil {
			return nil
		}
		if code := kafka.Error(0); errors.As(last, &code) && !code.Temporary() && code != kafka.ConcurrentTransactions {
			return backoff.Permanent(last)
		}
		client.Transport.(*kafka.Transport).CloseIdleConnections() // the next attempt asks the leader of then
		return last
	}, backoff.WithContext(policy, ctx))
	if err != nil && last != nil && ctx.Err() != nil {
		return fmt.Errorf("%w; last: %w", ctx.Err(), last)
	}
	return err
}

// ErrEnough ends a reading early, without a fault, where visit returns it.
var ErrEnough = errors.New("enough")

// Read hands the letters of a span to visit, in order. read is told how many offsets were passed since it was told
// last; it may be nil. Letters that retention deletes meanwhile are passed over.
func (t Topic) Read(ctx context.Context, s Span, visit func(*Letter) error, read func(offsets int64)) error {
	source := committed.Partition{Client: t.Client, Topic: t.Name, Number: s.Partition, MaxBytes: fetchBytes, Timeout: fetchTimeout}
	for offset := s.First; offset < s.End; {
		next, err := readOnce(ctx, source, offset, s.End, visit)
		if errors.Is(err, ErrEnough) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", t.Name, s.Partition, err)
		}
		if read != nil {
			read(min(next, s.End) - offset)
		}
		offset = next
	}
	return nil
}

// readOnce hands on what one fetch brings, up to end, and returns where to go on.
func readOnce(ctx context.Context, source committed.Partition, offset, end int64, visit func(*Letter) error) (next int64, err error) {
	var records *committed.Records
	err = retry(ctx, source.Client, func() (err error) {
		records, err = source.Fetch(ctx, offset, fetchWait)
		return err
	})
	if errors.Is(err, kafka.OffsetOutOfRange) {
		first, err := offsetAt(ctx, source.Client, source.Topic, kafka.FirstOffsetOf(source.Number))
		if err == nil && first <= offset {
			err = fmt.Errorf("offset %d is gone: the topic was made anew", offset)
		}
		return first, err
	}
	if err != nil {
		return offset, err
	}
	for {
		r, err := records.Read()
		if errors.Is(err, io.EOF) {
			return records.Next(), nil
		}
		if err != nil {
			return offset, err
		}
		if r.Offset >= end {
			return end, nil
		}
		if err := visit(newLetter(source.Topic, source.Number, r)); err != nil {
			return offset, err
		}
	}
}
