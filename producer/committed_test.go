package producer

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/internal/devstack"
)

// startCluster starts an Apache Kafka of three brokers with the topics.
func startCluster(t *testing.T) (*devstack.Cluster, *kadm.Client) {
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
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.Addrs()...))
	must(t, err)
	t.Cleanup(client.Close)
	admin := kadm.NewClient(client)
	created, err := admin.CreateTopics(deadline(t), 3, 3, nil, requests, results, deadLetters)
	must(t, errors.Join(err, created.Error()))
	return cluster, admin
}

// TestFrozenCoordinatorIsNotBelieved freezes the group's coordinator, has another take its place, and asks the one
// that was frozen when it goes on: it does not know yet that it is none.
func TestFrozenCoordinatorIsNotBelieved(t *testing.T) {
	cluster, admin := startCluster(t)
	o := openTransactional(t, transactional(t, cluster.Addrs()), assigned)
	_, err := flushTo(t, o, 1)
	must(t, err)
	must(t, cluster.InSync(deadline(t)))
	found := admin.FindGroupCoordinators(deadline(t), assigned.Group)
	must(t, found.Error())
	frozen := cluster.Broker(int(found[assigned.Group].NodeID))
	must(t, frozen.Pause())
	t.Cleanup(func() { _ = frozen.Resume() })
	_, err = flushTo(t, o, 2)
	must(t, err)
	must(t, o.addGroup(deadline(t)))

	plain := askInTime(t, frozen.Addr(), func(rw io.ReadWriter) (protocol.Message, error) {
		return protocol.RoundTrip(rw, 5, 1, "", o.position())
	})
	proven := askInTime(t, frozen.Addr(), func(rw io.ReadWriter) (protocol.Message, error) {
		m := &marked{Request: o.position(), mark: o.offsetCommit(0)}
		m.Required(map[protocol.ApiKey]int16{protocol.TxnOffsetCommit: 3, protocol.OffsetFetch: 5})
		return m.RawExchange(rw)
	})
	must(t, frozen.Resume())
	a := <-plain // 1, unless it has heard of its successor in time
	t.Logf("without a mark: %d, %v", a.offset, a.err)
	if a := <-proven; a.err == nil && a.offset != 2 {
		t.Errorf("committed %d, want 2 or an error", a.offset)
	} else {
		t.Logf("behind a mark: %d, %v", a.offset, a.err)
	}
	if at := committedBy(t, openTransactional(t, transactional(t, cluster.Addrs()), assigned)); at != 2 {
		t.Errorf("committed %d, want 2", at)
	}
}

// position is what a broker answers.
type position struct {
	offset int64
	err    error
}

// askInTime sends a request to a server that takes connections and does not read yet.
func askInTime(t *testing.T, addr string, ask func(io.ReadWriter) (protocol.Message, error)) <-chan position {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	sent, answer := &noticing{Conn: conn, written: make(chan struct{}, 8)}, make(chan position, 1)
	go func() {
		res, err := ask(sent)
		if err != nil {
			answer <- position{err: err}
			return
		}
		p := res.(*offsetfetch.Response).Topics[0].Partitions[0]
		if p.ErrorCode != 0 {
			err = kafka.Error(p.ErrorCode)
		}
		answer <- position{p.CommittedOffset, err}
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
