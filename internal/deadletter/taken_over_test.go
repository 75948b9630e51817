package deadletter

import (
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"recstream/producer"
)

// TestALostLockEndsTheRun has a run lose its connection to Postgres, and with it the lock. Another run begins and ends;
// only then the first goes on, as after a long pause of its machine.
func TestALostLockEndsTheRun(t *testing.T) {
	tests := map[string]struct {
		before, after func(kafka.Request) bool // of the first run, at which the lock is lost
		again         int64                    // letters that the other sends: there are five a partition, and each goes in one batch
		want          string                   // step in which the first finds out
	}{
		"between claim and send": {isFor[*addpartitionstotxn.Request], nil, 10, "before: begin transaction"},
		"before the records":     {isFor[*rawproduce.Request], nil, 10, "before: publish to requests/0"},
		"before the commit":      {isFor[*endtxn.Request], nil, 10, "before: commit transaction"},
		"after the commit":       {nil, isFor[*endtxn.Request], 5, "settle redrives"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.write(t, 10)
			d := locked(t, b.redriver())
			defer d.audit.Close()
			takenOver := false
			takeOver := func(is func(kafka.Request) bool) func(kafka.Request) bool {
				return func(req kafka.Request) bool {
					if is != nil && is(req) && !takenOver {
						takenOver = true
						b.loseLock(t)
						if report := b.run(t, b.redriver()); report.Settled != 5 || report.Sent != test.again {
							t.Errorf("the other run: %+v", report)
						}
					}
					return false
				}
			}
			d.through(&fault{before: takeOver(test.before), after: takeOver(test.after)})
			_, err := d.open(deadline(t))
			must(t, err)
			err = d.run(deadline(t), spansOf(t, d.Redriver))
			if err == nil || !takenOver || !strings.Contains(err.Error(), test.want) {
				t.Errorf("taken over %v, error %v, want one of %q", takenOver, err, test.want)
			}
			b.each(t, 10, 1)
			if report := b.run(t, b.redriver()); report.Settled != 0 || report.Sent != 0 {
				t.Errorf("a third run: %+v", report)
			}
		})
	}
}

// TestALostLockClaimsNothing has a run lose the lock before it claims its first letters: it sends none, though they are free.
func TestALostLockClaimsNothing(t *testing.T) {
	b := newBench(t)
	b.write(t, 10)
	d := locked(t, b.redriver())
	defer d.audit.Close()
	b.loseLock(t)
	if err := d.run(deadline(t), spansOf(t, d.Redriver)); err == nil || !strings.Contains(err.Error(), "claim dead letters") {
		t.Errorf("error %v, want one of the claim", err)
	}
	b.each(t, 10, 0)
}

// loseLock ends the connection of the run that has the lock.
func (b *bench) loseLock(t *testing.T) {
	t.Helper()
	tag, err := b.db.Pool().Exec(deadline(t), `SELECT pg_terminate_backend(pid, 10000) FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	must(t, err)
	if tag.RowsAffected() != 1 {
		t.Fatalf("%d connections have the lock, want 1", tag.RowsAffected())
	}
}

// TestTheSearchIsBounded has an app's transaction stay open in a partition while it is not known whether letters were sent:
// the run ends, and the next one finds out.
func TestTheSearchIsBounded(t *testing.T) {
	b := newBench(t)
	b.write(t, 10)
	b.leaveOpen(t, "app", producer.Record{Topic: requests, Value: []byte("{}"), Time: time.Now()})
	r := b.redriver()
	now := time.Now()
	r.clock.now = func() time.Time { now = now.Add(openWait / 4); return now }
	d := locked(t, r)
	d.through(&fault{after: once(isFor[*endtxn.Request])})
	_, err := d.open(deadline(t))
	must(t, err)
	err = d.run(deadline(t), spansOf(t, r))
	d.audit.Close()
	if err == nil || !strings.Contains(err.Error(), "look in requests/0") || !strings.Contains(err.Error(), "offset 1 has been held back for 1m0s") {
		t.Errorf("error %v, want one that names the partition and the offset", err)
	}
	b.courier(t, "app") // ends the transaction
	if report := b.run(t, b.redriver()); report.Settled != 5 || report.Sent != 5 {
		t.Errorf("the next run: %+v", report)
	}
	b.each(t, 10, 1)
}

// leaveOpen writes a record in a transaction that is not ended before its timeout.
func (b *bench) leaveOpen(t *testing.T, name string, record producer.Record) {
	t.Helper()
	f := &fault{Transport: b.client.Transport.(*kafka.Transport), before: isFor[*endtxn.Request]}
	c, err := producer.New(producer.Config{Client: &kafka.Client{Addr: b.client.Addr, Transport: f}, Timeout: fetchTimeout,
		TransactionTimeout: transactionTimeout}).OpenCourier(deadline(t), name)
	must(t, err)
	if err := c.Send(deadline(t), []producer.Record{record}); err == nil {
		t.Fatal("the transaction is ended")
	}
}
