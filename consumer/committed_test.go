package consumer

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/internal/devstack"
	"recstream/internal/logbook"
)

func newFetcher(t testing.TB, broker *devstack.Broker, book *logbook.Book) *fetcher {
	return &fetcher{log: book.Logger(), cfg: &Config{
		Client: newClient(t, broker), Topic: topic, BatchRecords: 1000, BatchBytes: 1 << 20,
		FetchMaxWait: 50 * time.Millisecond, RequestTimeout: 5 * time.Second, Events: Requests{Ledger: newLedger()},
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
	_, last, err := f.source().Bounds(deadline(t))
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
	f := newFetcher(t, broker, &logbook.Book{})
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
	f := newFetcher(t, broker, &logbook.Book{})
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

// TestSmallBatchesTakeTheirBytes fetches a log that was written event by event. In the library each batch takes a page of
// 64 KiB: these would be 130 MB.
func TestSmallBatchesTakeTheirBytes(t *testing.T) {
	const events, mostBytes = 2000, 24 << 20 // of the broker too, which is in this process
	broker := startBroker(t, 1, devstack.BrokerOptions{})
	w := writer(t, broker)
	for range events {
		write(t, w, event("a"))
	}
	f := newFetcher(t, broker, &logbook.Book{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	must(t, f.ask(deadline(t), time.Second))
	n := 0
	for {
		_, err := f.records.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		n++
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; n != events || took > mostBytes {
		t.Errorf("%d of %d events, in %d MB", n, events, took>>20)
	}
}
