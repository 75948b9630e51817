package producer

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/endtxn"

	"recstream/internal/devstack"
)

// openCourier opens a courier as a caller does: again, until the coordinator is there.
func openCourier(t *testing.T, p *Producer) *Courier {
	t.Helper()
	for ctx := deadline(t); ; {
		c, err := p.OpenCourier(ctx, "courier")
		if err == nil {
			return c
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// parcel is a record whose value has at least a size.
func parcel(topic string, partition int, value string, size int) Record {
	return Record{Topic: topic, Partition: partition, Key: []byte("k"), Value: []byte(value + strings.Repeat(" ", size)), Time: time.Now()}
}

func TestCourierTellsOffsets(t *testing.T) {
	onEachKafka(t, func(t *testing.T, addrs []string) {
		c := openCourier(t, transactional(t, addrs))
		next := map[target]int64{}
		for range 3 {
			var list []Record
			for i := range 30 {
				list = append(list, parcel([]string{results, requests}[i%2], i%3, "v", 0))
			}
			must(t, c.Send(deadline(t), list))
			for i, r := range list {
				to := target{r.Topic, r.Partition}
				if r.Offset != next[to] || r.TooLarge {
					t.Errorf("record %d of %v: offset %d, too large %t; want %d", i, to, r.Offset, r.TooLarge, next[to])
				}
				next[to]++
			}
			for to := range next {
				next[to]++ // where the transaction's marker stands
			}
		}
		if n := len(committedIDs(t, addrs)); n != 45 {
			t.Errorf("%d records in %s, want 45", n, results)
		}
	})
}

func TestCourierLeavesOutWhatIsTooLarge(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	limit(t, broker, results, "1000")
	c := openCourier(t, transactional(t, broker.Addr()))
	var list []Record
	for _, size := range []int{2000, 300, 300, 300, 300, 2000, 10, 2000} {
		list = append(list, parcel(results, 1, "v", size), parcel(requests, 1, "v", size))
	}
	must(t, c.Send(deadline(t), list))
	read := map[target]map[int64]int{} // lengths of values, by offset
	for _, topic := range []string{results, requests} {
		for _, r := range committedRecords(t, broker.Addr(), topic) {
			to := target{topic, int(r.Partition)}
			if read[to] == nil {
				read[to] = map[int64]int{}
			}
			read[to][r.Offset] = len(r.Value)
		}
	}
	for i, r := range list {
		tooLarge := r.Topic == results && len(r.Value) > 2000
		if r.TooLarge != tooLarge || !tooLarge && read[target{r.Topic, r.Partition}][r.Offset] != len(r.Value) || tooLarge && r.Offset >= 0 {
			t.Errorf("record %d to %s with %d bytes: too large %t, offset %d", i, r.Topic, len(r.Value), r.TooLarge, r.Offset)
		}
	}
	if n := len(read[target{results, 1}]) + len(read[target{requests, 1}]); n != 13 {
		t.Errorf("%d records are there, want 13", n)
	}
}

// lateCommit keeps the first commit of a transaction back, and says that it timed out.
type lateCommit struct {
	*kafka.Transport
	deliver func() error
}

func (l *lateCommit) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	if _, is := req.(*endtxn.Request); !is || l.deliver != nil {
		return l.Transport.RoundTrip(ctx, addr, req)
	}
	l.deliver = func() error {
		res, err := l.Transport.RoundTrip(context.Background(), addr, req)
		if err != nil {
			return err
		}
		return errorOf(res.(*endtxn.Response).ErrorCode, "")
	}
	return nil, context.DeadlineExceeded
}

// TestSpentCourier has a commit arrive when the next courier is in its transaction.
func TestSpentCourier(t *testing.T) {
	onEachKafka(t, func(t *testing.T, addrs []string) {
		p := transactional(t, addrs)
		late := &lateCommit{Transport: p.cfg.Client.Transport.(*kafka.Transport)}
		p.cfg.Client.Transport = late
		first := openCourier(t, p)
		list := []Record{parcel(results, 0, "v", 0)}
		if err := first.Send(deadline(t), list); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if err := first.Send(deadline(t), list); !errors.Is(err, ErrSpent) {
			t.Errorf("error %v, want %v", err, ErrSpent)
		}
		second := openCourier(t, p)
		second.load(list)
		must(t, second.sender.begin(deadline(t)))
		if err := late.deliver(); !errors.Is(err, kafka.InvalidProducerEpoch) && !errors.Is(err, kafka.ProducerFenced) {
			t.Errorf("the late commit is answered with %v, want a refusal", err)
		}
		must(t, second.sender.end(deadline(t), true))
		if n := len(committedRecords(t, addrs, results)); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
	})
}
