// Package tail follows a topic from its end on: all partitions, as a read_committed reader, without a group. Every
// instance that follows a topic sees all of it.
//
// It promises nothing of what came before a partition was found, or while a log was replaced by another: Whole says
// whether that can be now. Whoever needs what was missed asks elsewhere.
package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/internal/wait"
)

// Config says what is followed. All fields are required.
type Config struct {
	// Client's Transport must be a *kafka.Transport of the tail's own: each failure closes its idle connections.
	Client   *kafka.Client
	Topic    string
	MaxBytes int           // of one response
	MaxWait  time.Duration // how long the broker holds an empty fetch
	Timeout  time.Duration // of one request to a broker
	Refresh  time.Duration // between looks for new partitions
	Log      *slog.Logger
}

// Tail follows a topic.
type Tail struct {
	cfg Config

	mu      sync.Mutex
	readers map[int]*reader
	known   bool // the partitions were found at least once
}

// New returns a tail; Run follows.
func New(cfg Config) *Tail { return &Tail{cfg: cfg, readers: map[int]*reader{}} }

// Whole reports whether every partition that is known is being read, so that what is written from now on will be
// seen.
func (t *Tail) Whole() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.readers {
		if !r.reading.Load() {
			return false
		}
	}
	return t.known
}

// Run hands the value of each record to take until ctx ends; brokers that are away are waited for. The partitions
// are read side by side, so take is called by several goroutines; a value is valid during the call. While wanted
// returns false records are passed over.
func (t *Tail) Run(ctx context.Context, wanted func() bool, take func(value []byte)) {
	var running sync.WaitGroup
	defer running.Wait()
	failures := newBackoff()
	for {
		pause := t.cfg.Refresh
		if err := t.look(ctx, &running, wanted, take); err != nil {
			pause = failures.NextBackOff()
			t.cfg.Log.Debug("partitions not found, trying again", "topic", t.cfg.Topic, "wait", pause, "error", err)
		} else {
			failures.Reset()
		}
		if wait.For(ctx, pause) != nil {
			return
		}
	}
}

// look starts a reader for each partition that is new and ends those of partitions that are gone.
func (t *Tail) look(ctx context.Context, running *sync.WaitGroup, wanted func() bool, take func([]byte)) error {
	numbers, err := t.partitions(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, r := range t.readers {
		if !numbers[n] {
			r.end()
			delete(t.readers, n)
		}
	}
	for n := range numbers {
		if t.readers[n] != nil {
			continue
		}
		r := &reader{wanted: wanted, take: take, log: t.cfg.Log.With("topic", t.cfg.Topic, "partition", n), wait: t.cfg.MaxWait,
			source: committed.Partition{Client: t.cfg.Client, Topic: t.cfg.Topic, Number: n, MaxBytes: t.cfg.MaxBytes, Timeout: t.cfg.Timeout}}
		r.placed = t.known // what came later than the tail is read from its beginning
		var reading context.Context
		reading, r.end = context.WithCancel(ctx)
		t.readers[n] = r
		running.Go(func() { r.run(reading) })
	}
	t.known = true
	return nil
}

func (t *Tail) partitions(ctx context.Context) (map[int]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	meta, err := t.cfg.Client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{t.cfg.Topic}})
	if err != nil {
		return nil, err
	}
	numbers := map[int]bool{}
	for _, topic := range meta.Topics {
		if topic.Error != nil {
			return nil, topic.Error
		}
		for _, p := range topic.Partitions {
			numbers[p.ID] = true
		}
	}
	if len(numbers) == 0 {
		return nil, kafka.UnknownTopicOrPartition
	}
	return numbers, nil
}

// reader follows one partition.
type reader struct {
	source  committed.Partition
	wait    time.Duration
	wanted  func() bool
	take    func([]byte)
	log     *slog.Logger
	end     context.CancelFunc
	reading atomic.Bool // the last request was answered

	offset int64
	placed bool // offset is where to read
}

func (r *reader) run(ctx context.Context) {
	failures := newBackoff()
	for ctx.Err() == nil {
		err := r.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if r.reading.Store(err == nil); err == nil {
			failures.Reset()
			continue
		}
		pause := failures.NextBackOff()
		r.log.Debug("not read, trying again", "offset", r.offset, "wait", pause, "error", err)
		if wait.For(ctx, pause) != nil {
			return
		}
	}
}

// step finds the end of the log, or reads from it once. A log that lacks the offset is another one, or was
// shortened: its end is looked for again.
func (r *reader) step(ctx context.Context) (err error) {
	defer func() { // here it would end the process
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	if !r.placed {
		if _, r.offset, err = r.source.Bounds(ctx); err != nil {
			return err
		}
		r.placed = true
		return nil
	}
	records, err := r.source.Fetch(ctx, r.offset, r.wait)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		r.placed = false
	}
	if err != nil {
		return err
	}
	return r.hand(records)
}

// hand hands records on.
func (r *reader) hand(records *committed.Records) error {
	for {
		record, err := records.Read()
		r.offset = records.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if record.Value != nil && r.wanted() {
			r.take(record.Value)
		}
	}
}

// newBackoff waits from 20 ms to 1 s, without end.
func newBackoff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(20*time.Millisecond), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(time.Second), backoff.WithMaxElapsedTime(0))
}
