package deadletter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"

	"recstream/internal/devstack"
	"recstream/internal/devstack/devstacktest"
	"recstream/internal/postgres"
	"recstream/producer"
	"recstream/schemas"
)

// server has a database for each test.
var server devstacktest.Postgres

func TestMain(m *testing.M) { goleak.VerifyTestMain(server.Around(m)) }

const (
	requests = "requests"
	feedback = "feedback"
	letters  = "letters"
)

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bench is an embedded broker and a database.
type bench struct {
	client *kafka.Client
	db     *postgres.Database
}

func newBench(t *testing.T) *bench {
	t.Helper()
	broker, err := devstack.StartBroker(devstack.BrokerOptions{Topics: map[string]int{requests: 2, feedback: 1, letters: 2}})
	must(t, err)
	t.Cleanup(broker.Close)
	db, err := postgres.Open(t.Context(), postgres.Options{URL: server.Database(t)})
	must(t, err)
	t.Cleanup(db.Close)
	_, err = db.Migrate(deadline(t))
	must(t, err)
	transport := &kafka.Transport{MetadataTTL: 100 * time.Millisecond}
	t.Cleanup(transport.CloseIdleConnections)
	return &bench{&kafka.Client{Addr: kafka.TCP(broker.Addr()...), Transport: transport}, db}
}

// write writes n letters of valid requests, r-0 and so on.
func (b *bench) write(t *testing.T, n int, headers ...schemas.Header) {
	t.Helper()
	var list []producer.Record
	for i := range n {
		list = append(list, producer.Record{Topic: letters, Partition: i % 2, Key: fmt.Appendf(nil, "k-%d", i), Time: time.Now(),
			Value:   fmt.Appendf(nil, `{"request_id":"r-%d"}`, i),
			Headers: append(append([]schemas.Header{}, headers...), letterHeaders(requests, i%2, i)...)})
	}
	b.send(t, list...)
}

// send writes records in one transaction, and returns the offset of the first.
func (b *bench) send(t *testing.T, list ...producer.Record) int64 {
	t.Helper()
	must(t, b.courier(t, "test").Send(deadline(t), list))
	return list[0].Offset
}

func (b *bench) courier(t *testing.T, name string) *producer.Courier {
	t.Helper()
	c, err := producer.New(producer.Config{Client: b.client, Timeout: fetchTimeout}).OpenCourier(deadline(t), name)
	must(t, err)
	return c
}

// fault has requests fail with an error that says nothing: before they are sent, or after, their answers lost.
type fault struct {
	*kafka.Transport
	before, after func(kafka.Request) bool
}

var errLost = errors.New("the connection is lost")

func (f *fault) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	if f.before != nil && f.before(req) {
		return nil, errLost
	}
	res, err := f.Transport.RoundTrip(ctx, addr, req)
	if f.after != nil && f.after(req) {
		return nil, errLost
	}
	return res, err
}

// isFor returns a test for requests of the type of R.
func isFor[R kafka.Request](req kafka.Request) bool {
	_, is := req.(R)
	return is
}

// once returns a test that is true the first time that other is.
func once(other func(kafka.Request) bool) func(kafka.Request) bool {
	done := false
	return func(req kafka.Request) bool {
		is := !done && other(req)
		done = done || is
		return is
	}
}

// through has what is sent from now on go through a fault.
func (d *redriving) through(f *fault) {
	f.Transport = d.Topic.Client.Transport.(*kafka.Transport)
	d.producer = producer.New(producer.Config{Client: &kafka.Client{Addr: d.Topic.Client.Addr, Transport: f},
		Timeout: fetchTimeout, TransactionTimeout: transactionTimeout})
}

func letterHeaders(topic string, partition, offset int) (list []schemas.Header) {
	values := []string{"record_refused", "detail", "record", topic, strconv.Itoa(partition), strconv.Itoa(offset), "1", "2026-03-14T12:00:00Z"}
	for i, name := range deadLetterHeaders {
		list = append(list, schemas.Header{Key: name, Value: []byte(values[i])})
	}
	return list
}

func (b *bench) redriver() *Redriver {
	return &Redriver{Topic: Topic{b.client, letters}, Database: b.db, Name: "redrive", Requests: requests, Feedback: feedback,
		MaxRedrives: 3, Actor: "ada", Selection: "--all=true"}
}

func (b *bench) run(t *testing.T, r *Redriver) *Report {
	t.Helper()
	spans, err := r.Topic.Spans(deadline(t), time.Time{})
	must(t, err)
	report, err := r.Run(deadline(t), spans)
	must(t, err)
	return report
}

// sent returns how often each key is in the requests topic, for read_committed readers.
func (b *bench) sent(t *testing.T) map[string]int {
	t.Helper()
	topic := Topic{b.client, requests}
	spans, err := topic.Spans(deadline(t), time.Time{})
	must(t, err)
	count := map[string]int{}
	for _, s := range spans {
		must(t, topic.Read(deadline(t), s, func(l *Letter) error { count[string(l.Key)]++; return nil }, nil))
	}
	return count
}

// each fails where any of n letters was not sent that often.
func (b *bench) each(t *testing.T, n, times int) {
	t.Helper()
	sent := b.sent(t)
	for i := range n {
		if key := fmt.Sprintf("k-%d", i); sent[key] != times {
			t.Errorf("%s was sent %d times, want %d", key, sent[key], times)
		}
	}
}
