package producer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
	"github.com/segmentio/kafka-go/protocol/txnoffsetcommit"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/devstack"
	"recstream/schemas"
)

// onEachKafka runs a test on the embedded broker and on an Apache Kafka, each with topics of its own.
func onEachKafka(t *testing.T, test func(t *testing.T, addrs []string)) {
	t.Run("embedded", func(t *testing.T) {
		broker, err := devstack.StartBroker(devstack.BrokerOptions{Brokers: 3})
		must(t, err)
		t.Cleanup(broker.Close)
		createTopics(t, broker.Addr())
		test(t, broker.Addr())
	})
	t.Run("apache", func(t *testing.T) {
		if testing.Short() {
			t.Skip("-short: embedded broker only")
		}
		apache, err := devstack.StartKafka(t.Context(), devstack.KafkaOptions{})
		if errors.Is(err, devstack.ErrNoKafka) && os.Getenv("CI") == "" {
			t.Skip(err)
		}
		must(t, err)
		t.Cleanup(func() { must(t, apache.Close()) })
		createTopics(t, []string{apache.Addr()})
		test(t, []string{apache.Addr()})
	})
}

func createTopics(t *testing.T, addrs []string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	must(t, err)
	defer client.Close()
	res, err := kadm.NewClient(client).CreateTopics(deadline(t), 3, 1, nil, requests, results, deadLetters)
	must(t, err)
	must(t, res.Error())
}

func transactional(t testing.TB, addrs []string) *Producer {
	transport := &kafka.Transport{MetadataTTL: 100 * time.Millisecond}
	t.Cleanup(transport.CloseIdleConnections)
	return New(Config{
		Client:  &kafka.Client{Addr: kafka.TCP(addrs...), Transport: transport},
		Results: results, DeadLetters: deadLetters, Source: "/recstream/test", Timeout: 5 * time.Second, Transactions: true,
	})
}

// openTransactional opens an outbox as a worker does: again, until the coordinator is there.
func openTransactional(t testing.TB, p *Producer, of schemas.Assignment) *Outbox {
	t.Helper()
	for ctx := deadline(t); ; {
		o, err := p.Open(ctx, of)
		if err == nil {
			return o
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// flushTo flushes as a worker does: again, as long as the errors may pass. It returns the last one.
func flushTo(t testing.TB, o *Outbox, next int64) (failures int, err error) {
	t.Helper()
	for ctx := deadline(t); ; failures++ {
		err := o.Flush(ctx, next)
		var e interface{ Transient() bool }
		if err == nil || errors.As(err, &e) && !e.Transient() {
			return failures, err
		}
		if failures < 5 {
			t.Logf("flush %d: %v", failures, err)
		}
		if ctx.Err() != nil {
			t.Fatalf("flush %d: %v", failures, err)
		}
	}
}

func committedBy(t testing.TB, o *Outbox) int64 {
	t.Helper()
	for ctx := deadline(t); ; {
		offset, err := o.Committed(ctx)
		if err == nil {
			return offset
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// committedIDs returns the request ids of the results that are committed.
func committedIDs(t testing.TB, addrs []string) []string {
	t.Helper()
	return requestIDs(committedRecords(t, addrs, results))
}

// committedRecords reads a topic to its end as of now, as read_committed readers see it.
func committedRecords(t testing.TB, addrs []string, topic string) (list []*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(10*time.Millisecond),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	must(t, err)
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(deadline(t), topic)
	must(t, err)
	waiting := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			waiting[o.Partition] = o.Offset
		}
	})
	for ctx := deadline(t); len(waiting) > 0; {
		fetched := client.PollFetches(ctx)
		must(t, fetched.Err())
		fetched.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				list = append(list, r)
			}
			if r.Offset+1 >= waiting[r.Partition] {
				delete(waiting, r.Partition)
			}
		})
	}
	return list
}

func TestTransactionHasRecordsAndOffset(t *testing.T) {
	onEachKafka(t, func(t *testing.T, addrs []string) {
		o := openTransactional(t, transactional(t, addrs), assigned)
		if at := committedBy(t, o); at >= 0 {
			t.Errorf("committed %d before the first transaction", at)
		}
		var want []string
		for batch := range 30 {
			for i := range 7 {
				id := fmt.Sprintf("r-%02d-%d", batch, i)
				o.Add(answer("user-"+fmt.Sprint(i), id))
				want = append(want, id)
			}
			refused := refusal([]byte("key"), []byte("{"))
			refused.Rejection.At = time.Now() // brokers refuse records of other times
			o.Add(refused)
			if _, err := flushTo(t, o, int64(8*batch+8)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := flushTo(t, o, 1000) // of nothing, such as feedback that was stored
		must(t, err)
		got := committedIDs(t, addrs)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d results, want %d, each once", len(got), len(want))
		}
		if at := committedBy(t, o); at != 1000 {
			t.Errorf("committed %d, want 1000", at)
		}
	})
}

// TestSuccessorEndsWhatWasBegun has an owner stop at each place of a transaction, and another take over.
func TestSuccessorEndsWhatWasBegun(t *testing.T) {
	onEachKafka(t, func(t *testing.T, addrs []string) {
		for name, test := range map[string]struct {
			do        func(o *Outbox) error
			committed int64 // what the successor finds
		}{
			"before its first request": {func(*Outbox) error { return nil }, 0},
			"after its beginning":      {func(o *Outbox) error { return o.addPartitions(deadline(t), o.pending()) }, 0},
			"after its records": {func(o *Outbox) error {
				return errors.Join(o.addPartitions(deadline(t), o.pending()), o.sendAll(deadline(t), o.pending()))
			}, 0},
			"after its offset": {func(o *Outbox) error {
				return errors.Join(o.addPartitions(deadline(t), o.pending()), o.sendAll(deadline(t), o.pending()), o.addOffset(deadline(t), 5))
			}, 0},
			"after its commit": {func(o *Outbox) error { return o.attempt(deadline(t), 5) }, 5},
		} {
			t.Run(name, func(t *testing.T) {
				before := len(committedIDs(t, addrs))
				p := transactional(t, addrs)
				first := openTransactional(t, p, assigned)
				_, err := flushTo(t, first, 0)
				must(t, err)
				first.Add(answer("ada", "r"))
				must(t, test.do(first))

				second := openTransactional(t, p, assigned)
				if at := committedBy(t, second); at != test.committed {
					t.Errorf("the successor finds %d committed, want %d", at, test.committed)
				}
				_, err = flushTo(t, first, 5)
				if reopen := (*reopenError)(nil); !errors.As(err, &reopen) || reopen.why != whyDisowned {
					t.Errorf("its predecessor goes on: %v", err)
				}
				if test.committed == 0 {
					second.Add(answer("ada", "r"))
					_, err = flushTo(t, second, 5)
					must(t, err)
				}
				if got := committedIDs(t, addrs)[before:]; len(got) != 1 {
					t.Errorf("results %v, want one", got)
				}
			})
		}
	})
}

func TestMemberOfAnEarlierGenerationPublishesNothing(t *testing.T) {
	onEachKafka(t, func(t *testing.T, addrs []string) {
		group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: "live", Brokers: addrs, Topics: []string{requests},
			JoinGroupBackoff: 50 * time.Millisecond})
		must(t, err)
		defer group.Close()
		generation, err := group.Next(deadline(t))
		for ; err != nil; generation, err = group.Next(deadline(t)) { // the coordinator may not be there yet
		}
		of := assigned
		of.Group, of.Generation, of.Member = "live", int(generation.ID), generation.MemberID
		p := transactional(t, addrs)
		o := openTransactional(t, p, of)
		o.Add(answer("ada", "of the member"))
		_, err = flushTo(t, o, 1)
		must(t, err)
		for name, change := range map[string]func(){
			"generation": func() { of.Generation++ },
			"member":     func() { of.Member = "stranger" },
		} {
			change()
			stale := openTransactional(t, p, of)
			for _, withRecords := range []bool{true, false} {
				if withRecords {
					stale.Add(answer("ada", "of the stranger"))
				}
				_, err = flushTo(t, stale, 2)
				if reopen := (*reopenError)(nil); !errors.As(err, &reopen) || reopen.why != whyDisowned {
					t.Errorf("another %s, with records %t: %v, want a refusal", name, withRecords, err)
				}
				stale.forget()
				stale.doubtful = false
			}
			of.Generation, of.Member = int(generation.ID), generation.MemberID
		}
		last := openTransactional(t, p, of) // ends what the strangers left
		if got := committedIDs(t, addrs); len(got) != 1 || committedBy(t, last) != 1 {
			t.Errorf("results %v, committed %d; want one result and 1", got, committedBy(t, last))
		}
	})
}

// TestTroubleInATransaction has each request of a transaction fail in several ways, before and after it was applied.
func TestTroubleInATransaction(t *testing.T) {
	keys := []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.InitProducerID,
		kmsg.OffsetFetch, kmsg.FindCoordinator}
	faults := map[string]kfake.Fault{
		"not coordinator": {Err: kerr.NotCoordinator, Count: 2},
		"loading":         {Err: kerr.CoordinatorLoadInProgress, Count: 3},
		"concurrent":      {Err: kerr.ConcurrentTransactions, Count: 3},
		"timed out":       {Err: kerr.RequestTimedOut, Count: 1},
		"sequence":        {Err: kerr.OutOfOrderSequenceNumber, Count: 1},
	}
	for _, key := range keys {
		for name, fault := range faults {
			t.Run(key.Name()+"/"+name, func(t *testing.T) {
				broker, err := devstack.StartBroker(devstack.BrokerOptions{})
				must(t, err)
				t.Cleanup(broker.Close)
				createTopics(t, broker.Addr())
				o := openTransactional(t, transactional(t, broker.Addr()), assigned)
				var want []string
				for batch := range 5 {
					if batch > 0 {
						fault.Keys = []kmsg.Key{key}
						broker.Cluster().Fault(fault)
					}
					for i := range 3 {
						id := fmt.Sprintf("r-%d-%d", batch, i)
						o.Add(answer("ada", id))
						want = append(want, id)
					}
					_, err := flushTo(t, o, int64(3*batch+3))
					must(t, err)
				}
				if got := committedIDs(t, broker.Addr()); !slices.Equal(got, want) {
					t.Errorf("results %v, want %v", got, want)
				}
				if at := committedBy(t, o); at != 15 {
					t.Errorf("committed %d, want 15", at)
				}
			})
		}
	}
}

// TestOneRequestABroker has the batches of all partitions that a broker leads in one request.
func TestOneRequestABroker(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	o := openTransactional(t, transactional(t, broker.Addr()), assigned)
	requests := broker.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Observe: true, Count: -1})
	for i := range 50 {
		o.Add(answer(fmt.Sprint("user ", i), fmt.Sprint("r", i)))
	}
	_, err := flushTo(t, o, 50)
	must(t, err)
	if n := requests.Hits(); n != 1 {
		t.Errorf("%d requests for results in six partitions of one broker, want 1", n)
	}
	if got := committedIDs(t, broker.Addr()); len(got) != 50 {
		t.Errorf("%d results, want 50", len(got))
	}
}

// openImpatient opens an outbox that soon gives a request up, at an embedded broker.
func openImpatient(t *testing.T) (*devstack.Broker, *Outbox) {
	t.Helper()
	broker, err := devstack.StartBroker(devstack.BrokerOptions{})
	must(t, err)
	t.Cleanup(broker.Close)
	createTopics(t, broker.Addr())
	p := transactional(t, broker.Addr())
	p.cfg.Timeout = 300 * time.Millisecond
	return broker, openTransactional(t, p, assigned)
}

// loseAnswer has the broker say nothing to the next request of that kind.
func loseAnswer(broker *devstack.Broker, key kmsg.Key) {
	broker.Cluster().ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
}

// TestLostAnswersInATransaction has the broker do what it is asked, or not, and say nothing.
func TestLostAnswersInATransaction(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			broker, o := openImpatient(t)
			loseAnswer(broker, key)
			o.Add(answer("ada", "r"))
			failures, err := flushTo(t, o, 1)
			must(t, err)
			if failures == 0 {
				t.Error("a request without an answer is no failure")
			}
			if got := committedIDs(t, broker.Addr()); len(got) != 1 || committedBy(t, o) != 1 {
				t.Errorf("results %v, committed %d; want one result and 1", got, committedBy(t, o))
			}
		})
	}
}

// TestGivenUpTransactionIsResolvedInPlace has an outbox give a transaction up at each place, and go on.
func TestGivenUpTransactionIsResolvedInPlace(t *testing.T) {
	onEachKafka(t, func(t *testing.T, addrs []string) {
		o := openTransactional(t, transactional(t, addrs), assigned)
		next := int64(1)
		o.Add(answer("ada", "first"))
		_, err := flushTo(t, o, next) // a broker that is new has no coordinator at first
		must(t, err)
		for name, begin := range map[string]func() error{
			"nothing": func() error { return nil },
			"begun":   func() error { return o.addPartitions(deadline(t), o.pending()) },
			"records": func() error {
				return errors.Join(o.addPartitions(deadline(t), o.pending()), o.sendAll(deadline(t), o.pending()))
			},
			"committed": func() error { return o.attempt(deadline(t), next) },
		} {
			next += 5
			o.Add(answer("ada", name))
			must(t, begin())
			o.doubtful = true // as after an answer that was lost
			_, err := flushTo(t, o, next)
			must(t, err)
		}
		if got := committedIDs(t, addrs); len(got) != 5 || committedBy(t, o) != next {
			t.Errorf("results %v, committed %d; want five and %d", got, committedBy(t, o), next)
		}
	})
}

// lateTransport keeps the first commit of an offset back, and says that it timed out.
type lateTransport struct {
	*kafka.Transport
	late func()
}

func (l *lateTransport) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	switch req.(type) {
	case *offsetcommit.Request, *txnoffsetcommit.Request:
		if l.late == nil {
			l.late = func() { _, _ = l.Transport.RoundTrip(context.Background(), addr, req) }
			return nil, context.DeadlineExceeded
		}
	}
	return l.Transport.RoundTrip(ctx, addr, req)
}

// TestLateCommitTakesNothingBack has a commit arrive after a later one.
func TestLateCommitTakesNothingBack(t *testing.T) {
	onEachKafka(t, func(t *testing.T, addrs []string) {
		p := transactional(t, addrs)
		late := &lateTransport{Transport: p.cfg.Client.Transport.(*kafka.Transport)}
		p.cfg.Client.Transport = late
		o := openTransactional(t, p, assigned)
		_, err := flushTo(t, o, 1) // nothing leaves, and the answer is lost
		must(t, err)
		o.Add(answer("ada", "r"))
		_, err = flushTo(t, o, 2)
		must(t, err)
		late.late()
		if at := committedBy(t, openTransactional(t, p, assigned)); at != 2 {
			t.Errorf("committed %d, want 2", at)
		}
	})
}

func TestCommitWithoutAnswerIsNotRepeated(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	p := newProducer(t, broker)
	late := &lateTransport{Transport: p.cfg.Client.Transport.(*kafka.Transport)}
	p.cfg.Client.Transport = late
	o, err := p.Open(deadline(t), assigned)
	must(t, err)
	var reopen *reopenError
	if err := o.Flush(deadline(t), 1); !errors.As(err, &reopen) || reopen.why != whyUnsure {
		t.Errorf("error %v, want one that says that nothing is known", err)
	}
}
