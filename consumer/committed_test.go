package consumer

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/internal/devstack"
)

// Batches of a log, for tables.

const transactional = protocol.Transactional

// data is a batch with records at those offsets; the first may be missing from a compacted one.
func data(producer, base int64, offsets ...int64) protocol.RecordReader {
	return records(0, producer, base, offsets)
}

func inTransaction(producer, base int64, offsets ...int64) protocol.RecordReader {
	return records(transactional, producer, base, offsets)
}

func records(a protocol.Attributes, producer, base int64, offsets []int64) protocol.RecordReader {
	list := make([]protocol.Record, len(offsets))
	for i, offset := range offsets {
		list[i] = protocol.Record{Offset: offset, Value: protocol.NewBytes([]byte("v"))}
	}
	return &protocol.RecordBatch{Attributes: a, ProducerID: producer, BaseOffset: base, Records: protocol.NewRecordReader(list...)}
}

func marker(producer, offset int64) protocol.RecordReader {
	return &protocol.ControlBatch{ProducerID: producer, BaseOffset: offset, Records: protocol.NewRecordReader()}
}

func TestCommitted(t *testing.T) {
	type log = []protocol.RecordReader
	type aborted = []fetch.ResponseTransaction
	tests := map[string]struct {
		from    int64
		log     log
		aborted aborted
		want    []int64 // offsets
		next    int64
	}{
		"nothing":               {5, nil, nil, nil, 5},
		"plain":                 {0, log{data(-1, 0, 0, 1), data(-1, 2, 2)}, nil, []int64{0, 1, 2}, 3},
		"from within a batch":   {1, log{data(-1, 0, 0, 1, 2)}, nil, []int64{1, 2}, 3},
		"committed":             {0, log{inTransaction(7, 0, 0), marker(7, 1)}, nil, []int64{0}, 2},
		"aborted":               {0, log{inTransaction(7, 0, 0, 1), marker(7, 2), data(-1, 3, 3)}, aborted{{ProducerID: 7, FirstOffset: 0}}, []int64{3}, 4},
		"trailing marker alone": {2, log{marker(7, 2)}, nil, nil, 3},
		"markers behind each other": {0, log{inTransaction(7, 0, 0), inTransaction(8, 1, 1), marker(8, 2), marker(7, 3)},
			aborted{{ProducerID: 8, FirstOffset: 1}, {ProducerID: 7, FirstOffset: 0}}, nil, 4},
		"aborted, listed by their ends": {0, log{inTransaction(7, 0, 0), inTransaction(8, 1, 1), marker(8, 2), inTransaction(7, 3, 3), marker(7, 4), data(-1, 5, 5)},
			aborted{{ProducerID: 8, FirstOffset: 1}, {ProducerID: 7, FirstOffset: 0}}, []int64{5}, 6},
		"begun before what was asked for": {4, log{inTransaction(7, 4, 4), marker(7, 5)}, aborted{{ProducerID: 7, FirstOffset: 1}}, nil, 6},
		"aborted, then committed":         {0, log{inTransaction(7, 0, 0), marker(7, 1), inTransaction(7, 2, 2), marker(7, 3)}, aborted{{ProducerID: 7, FirstOffset: 0}}, []int64{2}, 4},
		"aborted and compacted away, then committed": {0, log{marker(7, 1), inTransaction(7, 2, 2), marker(7, 3)},
			aborted{{ProducerID: 7, FirstOffset: 0}}, []int64{2}, 4},
		"the producer's plain records stay": {0, log{inTransaction(7, 0, 0), data(7, 1, 1)}, aborted{{ProducerID: 7, FirstOffset: 0}}, []int64{1}, 2},
		"gap at a batch's beginning":        {0, log{data(-1, 0, 4, 5)}, nil, []int64{4, 5}, 6},
		"gap within":                        {0, log{data(-1, 0, 0, 5)}, nil, []int64{0, 5}, 6},
		"emptied batch":                     {0, log{data(-1, 0), data(-1, 9, 9)}, nil, []int64{9}, 10},
		"emptied batch alone":               {0, log{data(-1, 0)}, nil, nil, 1},
		"asked for in a gap at the end":     {8, log{data(-1, 0, 0, 7)}, nil, nil, 9},
		"asked for in an emptied batch":     {3, log{data(-1, 0)}, nil, nil, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := &fetch.ResponsePartition{AbortedTransactions: test.aborted,
				RecordSet: protocol.RecordSet{Records: &protocol.RecordStream{Records: test.log}}}
			c := newCommitted(p, test.from)
			var got []int64
			for {
				r, err := c.read()
				if errors.Is(err, io.EOF) {
					break
				}
				must(t, err)
				got = append(got, r.Offset)
			}
			if !slices.Equal(got, test.want) || c.next != test.next {
				t.Errorf("read %v up to %d, want %v up to %d", got, c.next, test.want, test.next)
			}
		})
	}
}

func newFetcher(t testing.TB, broker *devstack.Broker, book *logbook) *fetcher {
	return &fetcher{log: book.logger(), cfg: &Config{
		Client: newClient(t, broker), Topic: topic, BatchRecords: 1000, BatchBytes: 1 << 20,
		FetchMaxWait: 50 * time.Millisecond, RequestTimeout: 5 * time.Second,
	}}
}

// readAll fills batches until the fetcher has come to an offset, and returns the offsets of what it read.
func readAll(t testing.TB, f *fetcher, end int64) (offsets []int64) {
	t.Helper()
	ctx := deadline(t)
	for b := new(batch); f.offset < end; {
		b.reset(f.offset)
		must(t, f.fill(ctx, b))
		if ctx.Err() != nil {
			t.Fatalf("at offset %d of %d at the deadline", f.offset, end)
		}
		for _, m := range b.messages {
			offsets = append(offsets, m.Offset)
		}
	}
	return offsets
}

func logEnd(t testing.TB, f *fetcher) int64 {
	t.Helper()
	_, last, err := bounds(deadline(t), f.cfg, f.partition)
	must(t, err)
	return last
}

// TestTransactionsOfARealLog has producers interleave plain writes, commits and aborts at random, and reads
// what came of it from every third offset, in responses of every size.
func TestTransactionsOfARealLog(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	random := rand.New(rand.NewPCG(5, 5))
	var wantAt []int64 // offsets of what is committed
	plain := writer(t, broker)
	for i := range 3 {
		transact(t, broker, random, fmt.Sprint("plan-", i), plain, &wantAt)
	}
	slices.Sort(wantAt)
	f := newFetcher(t, broker, &logbook{})
	end := logEnd(t, f)
	for from := int64(0); from < end; from += 3 {
		f.offset, f.records = from, nil
		f.cfg.BatchBytes = 1 + random.IntN(400)
		first, _ := slices.BinarySearch(wantAt, from)
		if got, want := readAll(t, f, end), wantAt[first:]; !slices.Equal(got, want) {
			t.Fatalf("from %d, in %d bytes: read\n     %v\nwant %v", from, f.cfg.BatchBytes, got, want)
		}
	}
}

// transact has four producers take random steps, and notes the offsets of what is committed.
func transact(t *testing.T, broker *devstack.Broker, random *rand.Rand, plan string, plain *kgo.Client, kept *[]int64) {
	t.Helper()
	type producer struct {
		*kgo.Client
		pending []*kgo.Record
		open    bool
	}
	producers := make([]*producer, 4)
	for i := range producers {
		producers[i] = &producer{Client: writer(t, broker, kgo.TransactionalID(fmt.Sprint(plan, i)))}
	}
	end := func(p *producer, commit kgo.TransactionEndTry) {
		must(t, p.EndTransaction(deadline(t), commit))
		for _, r := range p.pending {
			if commit {
				*kept = append(*kept, r.Offset)
			}
		}
		p.pending, p.open = nil, false
	}
	for range 60 {
		p := producers[random.IntN(len(producers))]
		switch step := random.IntN(6); {
		case step == 0:
			r := &kgo.Record{Value: []byte("plain")}
			write(t, plain, r)
			*kept = append(*kept, r.Offset)
		case !p.open:
			must(t, p.BeginTransaction())
			p.open = true
			fallthrough
		case step < 4:
			for range 1 + random.IntN(3) {
				r := &kgo.Record{Value: []byte("in a transaction")}
				write(t, p.Client, r)
				p.pending = append(p.pending, r)
			}
		default:
			end(p, kgo.TransactionEndTry(step == 4))
		}
	}
	for _, p := range producers {
		if p.open {
			end(p, kgo.TryAbort)
		}
	}
}

func TestCompactedLogIsReadToItsEnd(t *testing.T) {
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	compacted := "requests.compacted"
	policy := map[string]string{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "segment.bytes": "200"}
	must(t, broker.Cluster().CreateTopic(compacted, 1, policy))
	w := writer(t, broker, kgo.DefaultProduceTopic(compacted))
	for i := range 40 {
		var list []*kgo.Record
		for j := range 5 {
			list = append(list, &kgo.Record{Key: []byte{byte(j * i % 3)}, Value: fmt.Appendf(nil, "%d-%d", i, j)})
		}
		write(t, w, list...)
	}
	f := newFetcher(t, broker, &logbook{})
	f.cfg.Topic = compacted
	end := logEnd(t, f)
	broker.Cluster().Compact()
	for from := range end {
		f.offset, f.records = from, nil
		f.cfg.BatchBytes = 100
		if got := readAll(t, f, end); from == 0 && (len(got) == 200 || len(got) == 0) {
			t.Errorf("%d of 200 records are left: the log was not compacted", len(got))
		}
	}
}
