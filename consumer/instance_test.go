package consumer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/devstack"
	"recstream/internal/logbook"
	"recstream/schemas"
)

const group = "recstream"

// instance is a service, running on an embedded broker with stand-ins for all that it is plugged to.
type instance struct {
	cfg     Config
	ledger  *ledger
	scorer  *scorer
	book    *logbook.Book
	sent    []string // request ids and rejection codes, in the order in which they left
	mu      sync.Mutex
	stop    context.CancelFunc
	service *Service // once it is started
	ended   chan struct{}
	err     error // of Run, after ended
}

// newInstance returns an instance that a test may still change before it starts.
func newInstance(t testing.TB, broker *devstack.Broker) *instance {
	s := &instance{ledger: newLedger(), scorer: &scorer{}, book: &logbook.Book{}, ended: make(chan struct{})}
	s.cfg = Config{
		Brokers: broker.Addr(), Dialer: &kafka.Dialer{Timeout: time.Second}, Client: newClient(t, broker), Group: group, Topic: topic,
		BatchRecords: 100, BatchBytes: 1 << 20, FetchMaxWait: 50 * time.Millisecond,
		SessionTimeout: 2 * time.Second, HeartbeatInterval: 50 * time.Millisecond, DrainTimeout: 10 * time.Second,
		StallWarning: time.Minute, RequestTimeout: 2 * time.Second,
		Now: time.Now, Log: s.book.Logger(),
	}
	s.onFlush(nil)
	return s
}

// onFlush has outboxes ask before they flush.
func (s *instance) onFlush(flush func() error) {
	s.cfg.OpenOutbox = func(_ context.Context, of schemas.Assignment) (Outbox, error) { return s.newOutbox(of, flush), nil }
}

func (s *instance) newOutbox(of schemas.Assignment, flush func() error) *outbox {
	return &outbox{client: s.cfg.Client, of: of, mu: &s.mu, sent: &s.sent, flush: flush}
}

// start runs the service until the test ends or stops it.
func (s *instance) start(t testing.TB) {
	if s.cfg.Events == nil {
		s.cfg.Events = Requests{NewScorer: func() Scorer { return s.scorer }, Ledger: s.ledger}
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.service = New(s.cfg)
	go func() {
		defer close(s.ended)
		s.err = s.service.Run(ctx)
	}()
	t.Cleanup(func() {
		s.stop()
		<-s.ended
	})
}

// stopped stops the service and waits for its end, which must be without an error.
func (s *instance) stopped(t testing.TB) {
	t.Helper()
	s.stop()
	within(t, "the service's end", s.ended)
	must(t, s.err)
}

func (s *instance) answered() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

func (s *instance) answers(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " answers"), func() bool { return len(s.answered()) >= n })
}

// committedOffset returns the group's offset of a partition, -1 if there is none.
func committedOffset(t testing.TB, broker *devstack.Broker, partition int) int64 {
	t.Helper()
	res, err := newClient(t, broker).OffsetFetch(deadline(t), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {partition}}})
	must(t, err)
	return res.Topics[topic][0].CommittedOffset
}
