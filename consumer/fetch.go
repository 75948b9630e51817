package consumer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"recstream/consumer/committed"
	"recstream/schemas"
)

// fetcher gathers the messages of one partition into batches.
type fetcher struct {
	cfg       *Config
	log       *slog.Logger
	partition int
	offset    int64              // of the next record to read
	records   *committed.Records // what is left of the last response; nil is nothing
	gone      bool               // the topic was not there at some moment
}

// run hands out batches in order until ctx ends. It takes empty ones from free, so what waits is bounded by
// their number. It returns an error only where the partition must be opened anew.
func (f *fetcher) run(ctx context.Context, free <-chan *batch, out chan<- *batch) (err error) {
	defer func() { // here it would end the process, and the other partitions with it
		if v := recover(); v != nil {
			err = fmt.Errorf("fetch at offset %d: panic: %v", f.offset, v)
		}
	}()
	for {
		var b *batch
		select {
		case <-ctx.Done():
			return nil
		case b = <-free:
		}
		b.reset(f.offset)
		if err := f.fill(ctx, b); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case out <- b:
		}
	}
}

// fill reads until the batch is full, or has something and has lingered long enough or cannot get more, or ctx
// ends.
func (f *fetcher) fill(ctx context.Context, b *batch) error {
	var lingerUntil time.Time
	for ctx.Err() == nil {
		if !b.moved() {
			err := f.cfg.retry(ctx, f.log, stageFetch, func(int) error { return f.more(ctx, b, f.cfg.FetchMaxWait) })
			if err != nil && ctx.Err() == nil {
				return err
			}
			continue
		}
		if lingerUntil.IsZero() {
			lingerUntil = time.Now().Add(f.cfg.Linger)
		}
		wait := min(f.cfg.FetchMaxWait, time.Until(lingerUntil))
		if wait <= 0 || b.full(f.cfg.BatchRecords, f.cfg.BatchBytes) {
			return nil
		}
		if f.more(ctx, b, wait) != nil {
			return nil // the next batch meets the same trouble; this one goes first
		}
	}
	return nil
}

// more adds to the batch what is left of the last response, or else what the broker has, which holds an answer back for
// wait at the most while there is nothing. What cannot be read is trouble only where there is nothing before it.
func (f *fetcher) more(ctx context.Context, b *batch, wait time.Duration) error {
	if f.records == nil {
		if err := f.fetch(ctx, wait); err != nil {
			return err
		}
	}
	before := b.next
	err := f.take(b)
	if err != nil {
		f.records = nil
		if b.next > before {
			return nil
		}
	}
	return err
}

// take moves records of the last response into the batch, until it is full or nothing is left.
func (f *fetcher) take(b *batch) error {
	for f.records != nil && !b.full(f.cfg.BatchRecords, f.cfg.BatchBytes) {
		r, err := f.records.Read()
		if err == nil {
			b.add(f.cfg.Topic, f.partition, r)
		}
		f.offset = f.records.Next()
		b.next = f.offset
		if errors.Is(err, io.EOF) {
			f.records = nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("read records at offset %d: %w", f.offset, err)
		}
	}
	return nil
}

// fetch asks the broker for more, which it holds back for wait at the most while there is nothing.
func (f *fetcher) fetch(ctx context.Context, wait time.Duration) error {
	err := f.ask(ctx, wait)
	switch {
	case errors.Is(err, kafka.OffsetOutOfRange):
		return f.skipGap(ctx)
	case errors.Is(err, kafka.UnknownTopicOrPartition) || errors.Is(err, protocol.ErrNoTopic):
		f.gone = true
	case err == nil && f.gone:
		f.records = nil
		return &topicGoneError{offset: f.offset}
	}
	return err
}

// topicGoneError says that the topic was away and is there again. It may be another one of the same name, in
// which our offset means nothing.
type topicGoneError struct{ offset int64 }

func (e *topicGoneError) Error() string {
	return fmt.Sprintf("the topic was gone and is there again: offset %d may be of another log", e.offset)
}

// Transient is false: the partition is to be opened anew.
func (e *topicGoneError) Transient() bool { return false }

func (f *fetcher) ask(ctx context.Context, wait time.Duration) (err error) {
	f.records, err = f.source().Fetch(ctx, f.offset, wait)
	return err
}

// source is the partition as Kafka has it.
func (f *fetcher) source() committed.Partition { return sourceOf(f.cfg, f.partition) }

func sourceOf(cfg *Config, partition int) committed.Partition {
	return committed.Partition{Client: cfg.Client, Topic: cfg.Topic, Number: partition,
		MaxBytes: cfg.BatchBytes, Timeout: cfg.RequestTimeout}
}

// skipGap goes on at the log's start where the topic's retention has overtaken the reader. Where the log
// ends before the offset, it is another log than the one that was read: the partition is to be opened anew.
func (f *fetcher) skipGap(ctx context.Context) error {
	first, last, err := f.source().Bounds(ctx)
	if err != nil {
		return err
	}
	if f.offset >= first {
		return &logChangedError{offset: f.offset, first: first, last: last}
	}
	gap := schemas.Gap{From: f.offset, To: first, Reason: schemas.GapRetention}
	if err := noteGap(ctx, f.cfg, f.log, f.partition, gap); err != nil {
		return err
	}
	f.offset = first
	return nil
}

// logChangedError says that the log is not the one that was read before.
type logChangedError struct{ offset, first, last int64 }

func (e *logChangedError) Error() string {
	return fmt.Sprintf("offset %d is not in the log, which has %d to %d", e.offset, e.first, e.last)
}

// Transient is false: asking again does not help, opening the partition anew does.
func (e *logChangedError) Transient() bool { return false }
