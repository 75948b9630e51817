package producer

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/addoffsetstotxn"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"
	"github.com/segmentio/kafka-go/protocol/txnoffsetcommit"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/devstack"
)

// startCluster starts an Apache Kafka of three brokers with the topics.
func startCluster(t *testing.T) *devstack.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: three brokers")
	}
	cluster, err := devstack.StartCluster(t.Context(), devstack.ClusterOptions{Settings: devstack.QuickFailover()})
	if errors.Is(err, devstack.ErrNoKafka) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { must(t, cluster.Close()) })
	created, err := adminOf(t, cluster.Addrs()).CreateTopics(deadline(t), 3, 3, nil, requests, results, deadLetters)
	must(t, errors.Join(err, created.Error()))
	return cluster
}

func adminOf(t *testing.T, addrs []string) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	must(t, err)
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// soon does something again until it succeeds: while a broker is frozen, much fails at first.
func soon(t *testing.T, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := do(once)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// commitAs commits an offset in the group's name, as a tool does.
func commitAs(t *testing.T, addrs []string, offset int64) {
	t.Helper()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: assigned.Topic, Partition: int32(assigned.Partition), At: offset, LeaderEpoch: -1})
	soon(t, func(ctx context.Context) error {
		res, err := adminOf(t, addrs).CommitOffsets(ctx, assigned.Group, offsets) // a client keeps the coordinator in mind
		return errors.Join(err, res.Error())
	})
}

// TestFrozenCoordinatorIsNotBelieved freezes the group's coordinator, has another take its place, and asks the one
// that was frozen when it goes on: it does not know yet that it is none.
func TestFrozenCoordinatorIsNotBelieved(t *testing.T) {
	cluster := startCluster(t)
	commitAs(t, cluster.Addrs(), 1)
	openTransactional(t, transactional(t, cluster.Addrs()), assigned) // the topic of transactions is there now
	soon(t, cluster.InSync)
	coordinators := adminOf(t, cluster.Addrs()).FindGroupCoordinators(deadline(t), assigned.Group)
	must(t, coordinators.Error())
	frozen := cluster.Broker(int(coordinators[assigned.Group].NodeID))
	must(t, frozen.Pause())
	t.Cleanup(func() { _ = frozen.Resume() })
	others := slices.DeleteFunc(cluster.Addrs(), func(addr string) bool { return addr == frozen.Addr() })
	commitAs(t, others, 2)
	p := transactional(t, others)
	var o *Outbox
	soon(t, func(ctx context.Context) (err error) {
		if o, err = p.Open(ctx, assigned); err != nil {
			return err
		}
		return o.addGroup(ctx)
	})

	plain := askInTime(t, frozen.Addr(), func(rw io.ReadWriter) (protocol.Message, error) {
		return protocol.RoundTrip(rw, 5, 1, "", o.offsetFetch())
	})
	proven := askInTime(t, frozen.Addr(), func(rw io.ReadWriter) (protocol.Message, error) {
		m := &marked{Request: o.offsetFetch(), mark: o.offsetCommit(0)}
		m.Required(map[protocol.ApiKey]int16{protocol.TxnOffsetCommit: 3, protocol.OffsetFetch: 5})
		return m.RawExchange(rw)
	})
	must(t, frozen.Resume())
	a := <-plain
	t.Logf("without a mark: %d, %v", a.offset, a.err) // 1, unless it has heard of its successor by then
	if a := <-proven; a.err == nil && a.offset != 2 {
		t.Errorf("committed %d, want 2 or an error", a.offset)
	} else {
		t.Logf("behind a mark: %d, %v", a.offset, a.err)
	}
	soon(t, func(ctx context.Context) error {
		o, err := p.Open(ctx, assigned)
		if err != nil {
			return err
		}
		at, err := o.Committed(ctx)
		if err == nil && at != 2 {
			t.Errorf("committed %d, want 2", at)
		}
		return err
	})
}

// found is what a broker answers.
type found struct {
	offset int64
	err    error
}

// askInTime sends a request to a server that takes connections and does not read yet.
func askInTime(t *testing.T, addr string, ask func(io.ReadWriter) (protocol.Message, error)) <-chan found {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	sent, answer := &noticing{Conn: conn, written: make(chan struct{}, 8)}, make(chan found, 1)
	go func() {
		res, err := ask(sent)
		if err != nil {
			answer <- found{err: err}
			return
		}
		offset, err := offsetOf(res.(*offsetfetch.Response))
		answer <- found{offset, err}
	}()
	<-sent.written
	return answer
}

// noticing is a connection that says when something was written.
type noticing struct {
	net.Conn
	written chan struct{}
}

func (c *noticing) Write(b []byte) (n int, err error) {
	n, err = c.Conn.Write(b)
	c.written <- struct{}{}
	return n, err
}

// TestLostAnswersWhileReading has the broker do what it is asked for the committed offset, or not, and say nothing.
func TestLostAnswersWhileReading(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.AddOffsetsToTxn, kmsg.OffsetFetch, kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			broker, o := openImpatient(t)
			_, err := flushTo(t, o, 7)
			must(t, err)
			epoch := o.id.epoch
			loseAnswer(broker, key)
			if at := committedBy(t, o); at != 7 || o.id.epoch == epoch {
				t.Errorf("committed %d in epoch %d, want 7 in one after %d", at, o.id.epoch, epoch)
			}
			o.Add(answer("ada", "r"))
			_, err = flushTo(t, o, 9)
			must(t, err)
			if at := committedBy(t, o); at != 9 {
				t.Errorf("committed %d, want 9", at)
			}
		})
	}
}

// lateMark keeps the first mark back, and says that it timed out.
type lateMark struct {
	*kafka.Transport
	late  func() error // applies it
	begun func()       // called once, when a transaction has taken in the group
}

func (l *lateMark) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	if m, ok := req.(*marked); ok && l.late == nil {
		l.late = func() error {
			res, err := l.Transport.RoundTrip(context.Background(), addr, m.mark)
			if err != nil {
				return err
			}
			return failureOf(res.(*txnoffsetcommit.Response))
		}
		return nil, context.DeadlineExceeded
	}
	res, err := l.Transport.RoundTrip(ctx, addr, req)
	if _, ok := req.(*addoffsetstotxn.Request); ok && l.begun != nil {
		begun := l.begun
		l.begun = nil
		begun()
	}
	return res, err
}

// TestLateMarkIsNeverCommitted has a mark arrive between and within the transactions that follow.
func TestLateMarkIsNeverCommitted(t *testing.T) {
	onEachKafka(t, func(t *testing.T, addrs []string) {
		p := transactional(t, addrs)
		transport := &lateMark{Transport: p.cfg.Client.Transport.(*kafka.Transport)}
		o := openTransactional(t, p, assigned)
		_, err := flushTo(t, o, 7)
		must(t, err)
		p.cfg.Client.Transport = transport
		if at, err := o.Committed(deadline(t)); err == nil {
			t.Fatalf("committed %d without an answer", at)
		}
		must(t, o.giveUp(deadline(t)))
		late := func() {
			if transport.late() == nil {
				t.Error("a mark of an epoch that has ended is taken")
			}
		}
		late()
		transport.begun = late
		if at := committedBy(t, o); at != 7 {
			t.Errorf("committed %d, want 7", at)
		}
		transport.begun = late
		o.Add(answer("ada", "r"))
		_, err = flushTo(t, o, 9)
		must(t, err)
		late()
		if at := committedBy(t, openTransactional(t, p, assigned)); at != 9 {
			t.Errorf("committed %d, want 9", at)
		}
	})
}
