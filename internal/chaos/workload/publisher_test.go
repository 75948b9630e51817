package workload

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"recstream/internal/chaos/history"
	"recstream/internal/devstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func startPublisher(t *testing.T, opts ...kgo.Opt) (*devstack.Broker, *Publisher) {
	t.Helper()
	b, err := devstack.StartBroker(devstack.BrokerOptions{Topics: map[string]int{mixed.Topics.Requests: 3, mixed.Topics.Feedback: 2}})
	must(t, err)
	t.Cleanup(b.Close)
	p, err := NewPublisher(b.Addr(), opts...)
	must(t, err)
	t.Cleanup(p.Close)
	return b, p
}

// content is an event without its place and time.
func content(p history.Published) string {
	return fmt.Sprint(p.Topic, p.Kind, p.Fault, p.RequestID, p.UserID, p.Codes, p.Large, fingerprintOf(recordOf(&p)))
}

func contents(list []history.Published) []string {
	var texts []string
	for _, p := range list {
		texts = append(texts, content(p))
	}
	slices.Sort(texts)
	return texts
}

// places sees that events are at places of their own, in order, those of one key in the order of publishing.
func places(t *testing.T, published, landed []history.Published) {
	t.Helper()
	next := map[string]int64{} // by topic and partition
	at := map[string][]string{}
	for _, p := range landed {
		home := fmt.Sprint(p.Topic, p.Partition)
		if p.Offset < next[home] || p.Time.IsZero() {
			t.Errorf("event at %v, %v", p.Place, p.Time)
		}
		next[home] = p.Offset + 1
		at[p.Topic+p.Key.String()] = append(at[p.Topic+p.Key.String()], content(p))
	}
	want := map[string][]string{}
	for _, p := range published {
		want[p.Topic+p.Key.String()] = append(want[p.Topic+p.Key.String()], content(p))
	}
	for key, list := range want {
		if key != mixed.Topics.Requests+"null" && key != mixed.Topics.Feedback+"null" && !slices.Equal(at[key], list) {
			t.Errorf("events of key %s are not in their order", key)
		}
	}
}

func TestWhatIsPublishedLands(t *testing.T) {
	_, p := startPublisher(t)
	g := New(mixed)
	events := append(g.Take(600), g.Take(600)...)
	must(t, p.Publish(within(t), events[:500]...))
	must(t, p.Publish(within(t), events[500:]...))
	landed, err := p.Published(within(t))
	must(t, err)
	if !slices.Equal(contents(landed), contents(events)) {
		t.Error("other events landed than were published")
	}
	places(t, events, landed)
}

// TestLostAnswersDoNotMatter cuts the connection after each second write was applied.
// TestSameContentKeepsWhatItsLetterMayLeaveOut wants each of two events of one content to be as it was published.
func TestSameContentKeepsWhatItsLetterMayLeaveOut(t *testing.T) {
	_, p := startPublisher(t)
	event := history.Published{Place: history.Place{Topic: mixed.Topics.Requests}, Kind: history.Bad, Key: []byte("k"), Value: []byte("{}")}
	for _, large := range []bool{false, true, false} {
		event.Large = large
		must(t, p.Publish(within(t), event))
	}
	landed, err := p.Published(within(t))
	must(t, err)
	if len(landed) != 3 || landed[0].Large || !landed[1].Large || landed[2].Large {
		t.Errorf("landed: %+v", landed)
	}
}

func TestLostAnswersDoNotMatter(t *testing.T) {
	cut := &cutter{}
	_, p := startPublisher(t, kgo.Dialer(cut.dial), kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }))
	opts := mixed
	opts.Heavy = -1
	g := New(opts)
	var events []history.Published
	for range 20 {
		batch := g.Take(20)
		events = append(events, batch...)
		cut.next()
		must(t, p.Publish(within(t), batch...))
	}
	landed, err := p.Published(within(t))
	must(t, err)
	if !slices.Equal(contents(landed), contents(events)) {
		t.Errorf("%d events landed, %d were published", len(landed), len(events))
	}
	places(t, events, landed)
	if cut.times() == 0 {
		t.Error("no connection was cut: the test shows nothing")
	}
}

func TestEventsThatRetentionDeletedStillCount(t *testing.T) {
	b, p := startPublisher(t)
	events := New(Options{Topics: mixed.Topics}).Take(300)
	must(t, p.Publish(within(t), events...))
	before, err := p.Published(within(t))
	must(t, err)
	deleteBefore(t, b, 1, 20)
	after, err := p.Published(within(t))
	must(t, err)
	if len(after) != len(events) || !slices.EqualFunc(before, after, func(x, y history.Published) bool {
		return x.Place == y.Place && content(x) == content(y) && x.Time.Equal(y.Time)
	}) {
		t.Errorf("%d events after retention, %d before, %d published", len(after), len(before), len(events))
	}
}

// deleteBefore deletes a partition's records before an offset.
func deleteBefore(t *testing.T, b *devstack.Broker, partition int32, offset int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()...))
	must(t, err)
	defer client.Close()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = mixed.Topics.Requests
	one := kmsg.NewDeleteRecordsRequestTopicPartition()
	one.Partition, one.Offset = partition, offset
	topic.Partitions = append(topic.Partitions, one)
	req.Topics = append(req.Topics, topic)
	res, err := req.RequestWith(within(t), client)
	must(t, err)
	if code := res.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("delete records: error code %d", code)
	}
}

func TestForeignEventsAreNoTruth(t *testing.T) {
	b, p := startPublisher(t)
	must(t, p.Publish(within(t), New(Options{Topics: mixed.Topics}).Take(10)...))
	other, err := NewPublisher(b.Addr())
	must(t, err)
	defer other.Close()
	must(t, other.Publish(within(t), New(Options{Topics: mixed.Topics, Prefix: "other-"}).Take(1)...))
	if _, err := p.Published(within(t)); err == nil || !strings.Contains(err.Error(), "not published") {
		t.Errorf("error %v, want one of an event that was not published", err)
	}
}

func TestTooLargeIsNotTriedForEver(t *testing.T) {
	_, p := startPublisher(t)
	event := history.Published{Place: history.Place{Topic: mixed.Topics.Requests}, Value: make(history.Bytes, 2<<20)}
	if err := p.Publish(within(t), event); err == nil || within(t).Err() != nil {
		t.Errorf("error %v, want that it is too large", err)
	}
}

func TestPublishEndsWithItsContext(t *testing.T) {
	b, p := startPublisher(t)
	b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Publish(ctx, New(mixed).Take(1)...); err == nil || ctx.Err() == nil {
		t.Errorf("error %v", err)
	}
}

// cutter cuts connections between a request that was sent and its answer.
type cutter struct {
	armed, cut atomic.Int32
}

func (c *cutter) next()      { c.armed.Store(1) }
func (c *cutter) times() int { return int(c.cut.Load()) }

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, cutter: c}, nil
}

type cutConn struct {
	net.Conn
	*cutter
	produced atomic.Int32
}

// apiProduce is how a produce request begins, behind its length.
const apiProduce = 0

func (c *cutConn) Write(b []byte) (int, error) {
	if len(b) > 6 && b[4] == 0 && b[5] == apiProduce {
		c.produced.Store(1)
	}
	return c.Conn.Write(b)
}

// Read waits for the answer, so that the request was applied, and keeps it.
func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.produced.Swap(0) == 1 && c.armed.Swap(0) == 1 {
		c.cut.Add(1)
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}
