package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"recstream/internal/devstack"
	"recstream/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "requests"

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := deadline(t); !holds(); {
		select {
		case <-tick.C:
		case <-end.Done():
			t.Fatalf("%s: not before the deadline", what)
		}
	}
}

func within(t testing.TB, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-deadline(t).Done():
		t.Fatalf("%s: not before the deadline", what)
	}
}

// startBroker starts an embedded broker with the topic.
func startBroker(t testing.TB, partitions int, o devstack.BrokerOptions) *devstack.Broker {
	t.Helper()
	o.Topics = map[string]int{topic: partitions}
	broker, err := devstack.StartBroker(o)
	must(t, err)
	t.Cleanup(broker.Close)
	return broker
}

// newClient returns a client like the program's.
func newClient(t testing.TB, broker *devstack.Broker) *kafka.Client {
	transport := &kafka.Transport{MetadataTTL: 100 * time.Millisecond}
	t.Cleanup(transport.CloseIdleConnections)
	return &kafka.Client{Addr: kafka.TCP(broker.Addr()...), Timeout: 5 * time.Second, Transport: transport}
}

// writer is a Kafka client of another make.
func writer(t testing.TB, broker *devstack.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(broker.Addr()...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.MetadataMinAge(10 * time.Millisecond),
	}, opts...)...)
	must(t, err)
	t.Cleanup(client.Close)
	return client
}

func write(t testing.TB, w *kgo.Client, records ...*kgo.Record) {
	t.Helper()
	must(t, w.ProduceSync(deadline(t), records...).FirstErr())
}

func event(id string) *kgo.Record {
	return &kgo.Record{Value: fmt.Appendf(nil, `{"request_id":%q}`, id)}
}

// codedError is a scorer's refusal for good.
type codedError struct{}

func (codedError) Error() string { return "broken tree" }
func (codedError) Code() string  { return "panic" }

// scorer recommends one item, named after the request.
type scorer struct {
	mu     sync.Mutex
	scored []string // request ids
	begin  func() error
	decide func(id string) error

	profiles bool                        // whether it needs them
	about    map[string]*schemas.Profile // by request id, what it was given
}

func (s *scorer) NeedsProfile(*schemas.Request) bool { return s.profiles }

func (s *scorer) End() {}

func (s *scorer) Begin() error {
	if s.begin != nil {
		return s.begin()
	}
	return nil
}

func (s *scorer) Decide(req *schemas.Request, p *schemas.Profile, d *schemas.Decision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != nil {
		if s.about == nil {
			s.about = map[string]*schemas.Profile{}
		}
		s.about[req.RequestID] = p
	}
	s.scored = append(s.scored, req.RequestID)
	if s.decide != nil {
		if err := s.decide(req.RequestID); err != nil {
			return err
		}
	}
	d.RequestID, d.UserID, d.RequestedAt = req.RequestID, req.UserID, req.RequestedAt
	d.Items = append(d.Items[:0], schemas.ScoredItem{ItemID: "item-" + req.RequestID})
	return nil
}

// ledger keeps decisions in memory, by the rules of the real one.
type ledger struct {
	mu      sync.Mutex
	fences  map[int]int64
	rows    map[string]schemas.Decision
	batches []schemas.Batch // as they were recorded or tried to
	finds   []bool          // the ever of each Find
	opened  []time.Time     // of each Fence
	gaps    []schemas.Gap

	// record, if not nil, is asked before a batch is stored; its error is the answer, with or without storing.
	record func(ctx context.Context, n int, b schemas.Batch) (store bool, err error)
	find   func() error
	// beforeMove, if not nil, is called before a fence is moved, with the lock held.
	beforeMove func()
}

var (
	errTransient = verdict(true)
	errPermanent = verdict(false)
	errConflict  = errors.New("answered elsewhere")
	errMoved     = errors.New("fenced")
)

func newLedger() *ledger {
	return &ledger{fences: map[int]int64{}, rows: map[string]schemas.Decision{}}
}

func (l *ledger) Fence(_ context.Context, _ string, partition int) (int64, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = append(l.opened, time.Now())
	f, ok := l.fences[partition]
	return f, ok, nil
}

func (l *ledger) MoveFence(_ context.Context, _ string, partition int, from, to int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.beforeMove != nil {
		l.beforeMove()
	}
	return moveFence(l.fences, partition, from, to)
}

// moveFence moves a fence as the real ledger does.
func moveFence(fences map[int]int64, partition int, from, to int64) error {
	found, ok := fences[partition]
	if !ok {
		found = -1
	}
	if found != from {
		return verdict(true)
	}
	fences[partition] = to
	return nil
}

func (l *ledger) NoteGap(_ context.Context, g schemas.Gap) (isNew bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(l.gaps, g) {
		return false, nil
	}
	l.gaps = append(l.gaps, g)
	return true, nil
}

func (l *ledger) Find(_ context.Context, ids []string, _ time.Time, ever bool) (map[string]*schemas.Decision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finds = append(l.finds, ever)
	if l.find != nil {
		if err := l.find(); err != nil {
			return nil, err
		}
	}
	found := map[string]*schemas.Decision{}
	for _, id := range ids {
		if d, ok := l.rows[id]; ok {
			found[id] = &d
		}
	}
	return found, nil
}

func (l *ledger) Record(ctx context.Context, b schemas.Batch) error {
	store, answer := true, error(nil)
	if l.record != nil {
		l.mu.Lock()
		n := len(l.batches)
		l.mu.Unlock()
		store, answer = l.record(ctx, n+1, b)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = append(l.batches, b)
	if store {
		if err := l.put(b); err != nil {
			return err
		}
	}
	return answer
}

// put stores a batch. The caller holds mu.
func (l *ledger) put(b schemas.Batch) error {
	if f, ok := l.fences[b.Partition]; !ok || f != b.From {
		return errMoved
	}
	for _, d := range b.Decisions {
		if _, there := l.rows[d.RequestID]; there {
			return errConflict
		}
	}
	for _, d := range b.Decisions {
		row := *d
		row.Items = append([]schemas.ScoredItem(nil), d.Items...)
		l.rows[d.RequestID] = row
	}
	l.fences[b.Partition] = b.Next
	return nil
}

func (l *ledger) stored() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows)
}

func (l *ledger) fence(partition int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fences[partition]
}

// outbox notes what is sent, and commits for real.
type outbox struct {
	client *kafka.Client
	of     schemas.Assignment
	mu     *sync.Mutex
	sent   *[]string // request ids, or rejection codes
	queued []string
	flush  func() error
}

func (o *outbox) Add(out *schemas.Outcome) {
	if out.Decision != nil {
		o.queued = append(o.queued, out.Decision.RequestID)
	} else {
		o.queued = append(o.queued, out.Rejection.Code)
	}
}

func (o *outbox) Flush(ctx context.Context, next int64) error {
	if o.flush != nil {
		if err := o.flush(); err != nil {
			return err
		}
	}
	res, err := o.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: o.of.Group, GenerationID: o.of.Generation,
		MemberID: o.of.Member, Topics: map[string][]kafka.OffsetCommit{o.of.Topic: {{Partition: o.of.Partition, Offset: next}}}})
	if err != nil {
		return err
	}
	if res.Topics[o.of.Topic][0].Error != nil {
		return errPermanent
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	*o.sent = append(*o.sent, o.queued...)
	o.queued = nil
	return nil
}

func (o *outbox) Committed(ctx context.Context) (int64, error) {
	res, err := o.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: o.of.Group, Topics: map[string][]int{o.of.Topic: {o.of.Partition}}})
	if err != nil {
		return 0, err
	}
	return res.Topics[o.of.Topic][0].CommittedOffset, res.Error
}
