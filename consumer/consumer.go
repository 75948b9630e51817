package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// Fences keeps the fence of each partition: the offset after the last event that is stored.
type Fences interface {
	Fence(ctx context.Context, topic string, partition int) (next int64, ok bool, err error)
	// MoveFence moves a fence from where it was found, negative for nowhere. It is an error, a transient one, if it stands
	// elsewhere by now.
	MoveFence(ctx context.Context, topic string, partition int, from, to int64) error
	// NoteGap keeps a record of events that were passed over. The same gap may be noted again, and is not new then.
	NoteGap(context.Context, schemas.Gap) (isNew bool, err error)
}

// Events says what a topic's events are, and with that what is done with them: [Requests] or [Feedback].
type Events interface {
	fences() Fences
	handler(*settler) handler // for one worker
}

// Outbox publishes outcomes and commits offsets, for one worker.
type Outbox interface {
	// Committed returns the group's offset of the worker's partition, negative for none. What the partition's owner
	// before had begun to publish is over by then: committed, or never to be.
	Committed(context.Context) (int64, error)
	Add(*schemas.Outcome)
	// Flush publishes what was added, commits next, the offset after what it came of, and forgets it. After an error
	// Flush is called again with the same offset, and does what is left.
	Flush(ctx context.Context, next int64) error
}

// Config holds what a service works with. All fields are required but Log, Observer and Dialer.
type Config struct {
	Brokers []string
	Dialer  *kafka.Dialer // for the group's connections
	Client  *kafka.Client // for everything else, with a Transport
	Group   string
	Topic   string

	BatchRecords int           // most messages in a batch
	BatchBytes   int           // size at which a batch is full, in bytes of keys and values
	Linger       time.Duration // how long a batch that has something waits for more
	FetchMaxWait time.Duration // how long the broker holds an empty fetch

	SessionTimeout    time.Duration
	HeartbeatInterval time.Duration
	DrainTimeout      time.Duration // to finish the batch in hand
	StallWarning      time.Duration // a worker that makes no progress for so long is reported
	RequestTimeout    time.Duration // of one request to a broker

	Events     Events
	OpenOutbox func(context.Context, schemas.Assignment) (Outbox, error)
	Now        func() time.Time
	Log        *slog.Logger
	Observer   Observer
}

// Service consumes one topic as a member of a consumer group.
type Service struct {
	cfg     Config
	log     *slog.Logger
	workers sync.WaitGroup
	watch   watch
	joined  atomic.Bool
}

// New returns a service. The topic must exist when it runs.
func New(cfg Config) *Service {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg, log: log, watch: watch{observer: cfg.observer()}}
}

// Joined reports whether the service has joined its group at least once since it runs.
func (s *Service) Joined() bool { return s.joined.Load() }

// leaveTimeout is how long leaving the group may take, after the workers have finished.
const leaveTimeout = 5 * time.Second

// Run consumes until ctx ends, then lets the workers finish their batches within the drain timeout, leaves
// the group and returns nil. Whatever the brokers do it goes on trying; only a wrong configuration is an error.
func (s *Service) Run(ctx context.Context) error {
	group, err := kafka.NewConsumerGroup(s.groupConfig())
	if err != nil {
		return fmt.Errorf("consumer group: %w", err)
	}
	watching, stopWatching := context.WithCancel(context.Background())
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch.run(watching, s.cfg.StallWarning, s.log) })
	defer watcher.Wait()
	defer stopWatching()

	s.join(ctx, group)
	s.leave(group)
	return nil
}

// join takes part in one generation after the other until ctx ends.
func (s *Service) join(ctx context.Context, group *kafka.ConsumerGroup) {
	failures := 0
	for {
		generation, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, kafka.ErrGroupClosed):
			return
		case err != nil:
			// The group waits JoinGroupBackoff by itself before it tries again.
			failures++
			s.log.Log(ctx, retryLevel(failures+quietAttempts), "consumer group not joined, trying again",
				keyGroup, s.cfg.Group, keyAttempt, failures, keyError, err)
		default:
			failures = 0
			s.start(ctx, generation)
		}
	}
}

// leave waits for the workers, which have the drain timeout, and then leaves the group. The group stays joined
// until then: its heartbeats keep the partitions ours. A coordinator that does not answer is not waited for.
func (s *Service) leave(group *kafka.ConsumerGroup) {
	left := make(chan struct{})
	go func() {
		defer close(left)
		s.workers.Wait()
		_ = group.Close() // it never fails
	}()
	timer := time.NewTimer(s.cfg.DrainTimeout + leaveTimeout)
	defer timer.Stop()
	select {
	case <-left:
	case <-timer.C:
		s.log.Warn("stopped without leaving the consumer group: its coordinator does not answer", keyGroup, s.cfg.Group)
	}
}

func (s *Service) groupConfig() kafka.ConsumerGroupConfig {
	return kafka.ConsumerGroupConfig{
		ID:                     s.cfg.Group,
		Brokers:                s.cfg.Brokers,
		Dialer:                 s.cfg.Dialer,
		Topics:                 []string{s.cfg.Topic},
		HeartbeatInterval:      s.cfg.HeartbeatInterval,
		SessionTimeout:         s.cfg.SessionTimeout,
		RebalanceTimeout:       s.cfg.DrainTimeout + s.cfg.SessionTimeout,
		JoinGroupBackoff:       500 * time.Millisecond,
		WatchPartitionChanges:  true,
		PartitionWatchInterval: 5 * time.Second,
		StartOffset:            kafka.FirstOffset,
		Timeout:                s.cfg.RequestTimeout,
	}
}

// start gives each assigned partition a worker. A worker that returns ends the generation, and the group joins
// anew. When we stop, workers stay until all have finished: the generation's heartbeats end with the first.
func (s *Service) start(stop context.Context, generation *kafka.Generation) {
	assigned := generation.Assignments[s.cfg.Topic]
	s.log.Info("joined consumer group", keyGroup, s.cfg.Group, keyGeneration, generation.ID, keyPartitions, len(assigned))
	s.cfg.observer().Joined(len(assigned))
	s.joined.Store(true)
	for _, a := range assigned {
		w := newWorker(s, generation, a.ID)
		s.workers.Add(1)
		generation.Start(func(ended context.Context) {
			w.run(stop, ended)
			s.workers.Done()
			if stop.Err() != nil {
				<-ended.Done()
			}
		})
	}
}
