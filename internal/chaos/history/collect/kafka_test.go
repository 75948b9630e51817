package collect_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/internal/chaos/history/collect"
)

// transact writes records in one transaction.
func transact(t *testing.T, c *kgo.Client, end kgo.TransactionEndTry, values ...string) {
	t.Helper()
	must(t, c.BeginTransaction())
	for _, v := range values {
		produce(t, c, &kgo.Record{Topic: topics.Results, Value: []byte(v)})
	}
	must(t, c.EndTransaction(within(t), end))
}

func read(t *testing.T, k *collect.Kafka, view collect.View) (values []string) {
	t.Helper()
	_, err := k.Read(within(t), topics.Results, view, func(r *kgo.Record) { values = append(values, string(r.Value)) })
	must(t, err)
	return values
}

func TestReadersSeeWhatTheirIsolationShows(t *testing.T) {
	b := startBroker(t)
	k, writer := dial(t, b), client(t, b, kgo.TransactionalID("writer"))
	if got := read(t, k, collect.Committed); got != nil {
		t.Errorf("read %q of an empty topic", got)
	}
	transact(t, writer, kgo.TryCommit, "a", "b")
	transact(t, writer, kgo.TryAbort, "c")
	transact(t, writer, kgo.TryCommit, "d")
	transact(t, writer, kgo.TryAbort, "e") // the log ends with a marker, behind what nobody sees
	if got := read(t, k, collect.Committed); !slices.Equal(got, []string{"a", "b", "d"}) {
		t.Errorf("committed %q", got)
	}
	if got := read(t, k, collect.Uncommitted); !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("uncommitted %q", got)
	}
}

func TestCommittedViewWaitsForOpenTransactions(t *testing.T) {
	b := startBroker(t)
	k, writer := dial(t, b), client(t, b, kgo.TransactionalID("writer"))
	must(t, writer.BeginTransaction())
	produce(t, writer, &kgo.Record{Topic: topics.Results, Value: []byte("a")})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := k.Read(ctx, topics.Results, collect.Committed, func(*kgo.Record) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the deadline", err)
	}
	if got := read(t, k, collect.Uncommitted); !slices.Equal(got, []string{"a"}) {
		t.Errorf("uncommitted %q", got)
	}
	must(t, writer.EndTransaction(within(t), kgo.TryCommit))
	if got := read(t, k, collect.Committed); !slices.Equal(got, []string{"a"}) {
		t.Errorf("committed %q", got)
	}
}

func TestNullIsToldFromEmpty(t *testing.T) {
	b := startBroker(t)
	produce(t, client(t, b),
		&kgo.Record{Topic: topics.DeadLetters},
		&kgo.Record{Topic: topics.DeadLetters, Key: []byte{}, Value: []byte{}, Headers: []kgo.RecordHeader{{Key: "null"}, {Key: "empty", Value: []byte{}}, {}}})
	var got []*kgo.Record
	_, err := dial(t, b).Read(within(t), topics.DeadLetters, collect.Committed, func(r *kgo.Record) { got = append(got, r) })
	must(t, err)
	if len(got) != 2 {
		t.Fatalf("%d records", len(got))
	}
	for i, e := range []struct{ null bool }{{true}, {false}} {
		r := collect.Emitted(got[i])
		if (r.Key == nil) != e.null || (r.Value == nil) != e.null {
			t.Errorf("record %d: key %v, value %v", i, r.Key, r.Value)
		}
	}
	if h := collect.Emitted(got[1]).Headers; len(h) != 3 || h[0].Value != nil || h[1].Value == nil || !bytes.Equal(h[1].Value, nil) || h[2].Key != "" {
		t.Errorf("headers %v", h)
	}
}
