package deadletter

import (
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"recstream/producer"
)

// TestRedriveIsCutOff ends a run at each point where it can be ended; the next run makes it whole.
func TestRedriveIsCutOff(t *testing.T) {
	tests := map[string]struct {
		step    func(*testing.T, *redriving, []outgoing)
		settled int
		sent    int64 // by the next run
	}{
		"before anything":        {func(*testing.T, *redriving, []outgoing) {}, 0, 10},
		"after the claim":        {sendUntil(isFor[*addpartitionstotxn.Request]), 10, 10},
		"in a transaction":       {sendUntil(isFor[*rawproduce.Request]), 10, 10},
		"with the records there": {sendUntil(isFor[*endtxn.Request]), 10, 10},
		"after the commit":       {sendUntil(nil), 10, 0},
	}
	for name, test := range tests {
		for _, again := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", again"}[again], func(t *testing.T) {
				b := newBench(t)
				b.write(t, 10)
				times := 1
				if again {
					b.run(t, b.redriver())
					times = 2
				}
				r := b.redriver()
				r.Again = again
				r.Selection = "--mine=true"
				cutOff(t, r, test.step)
				report := b.run(t, r)
				if report.Settled != test.settled || report.Sent != test.sent || !report.Run.Continued {
					t.Errorf("report %+v", report)
				}
				b.each(t, 10, times)
				if report := b.run(t, b.redriver()); report.Sent != 0 {
					t.Errorf("a third run sends %d", report.Sent)
				}
			})
		}
	}
}

// sendUntil claims letters and sends them, up to a request that is not sent any more.
func sendUntil(end func(kafka.Request) bool) func(*testing.T, *redriving, []outgoing) {
	return func(t *testing.T, d *redriving, batch []outgoing) {
		t.Helper()
		d.through(&fault{before: end})
		_, err := d.open(deadline(t))
		must(t, err)
		kept, err := d.claim(t.Context(), batch)
		if err != nil || len(kept) != len(batch) {
			t.Fatalf("claimed %d of %d, error %v", len(kept), len(batch), err)
		}
		records := make([]producer.Record, len(batch))
		for i := range batch {
			records[i] = batch[i].record
			records[i].Time = time.Now()
		}
		if err := d.courier.Send(t.Context(), records); (err != nil) != (end != nil) {
			t.Fatal(err)
		}
	}
}

// cutOff begins a run, takes a step with all letters in one batch, and lets go as a process that is killed does.
func cutOff(t *testing.T, r *Redriver, step func(*testing.T, *redriving, []outgoing)) {
	t.Helper()
	d := locked(t, r)
	defer d.audit.Close()
	var batch []outgoing
	for _, s := range spansOf(t, r) {
		must(t, r.Topic.Read(deadline(t), s, func(l *Letter) error {
			out, skip, err := d.prepare(t.Context(), l)
			if err != nil || skip != "" {
				t.Fatalf("%q %v", skip, err)
			}
			batch = append(batch, *out)
			return nil
		}, nil))
	}
	step(t, d, batch)
}

// locked begins a run, as Run does. The caller closes its audit.
func locked(t *testing.T, r *Redriver) *redriving {
	t.Helper()
	audit, err := r.Database.LockRedrives(deadline(t), r.Topic.Name)
	must(t, err)
	d := r.begin()
	d.audit = audit
	must(t, d.takeOver(deadline(t)))
	return d
}

func spansOf(t *testing.T, r *Redriver) []Span {
	t.Helper()
	spans, err := r.Topic.Spans(deadline(t), time.Time{})
	must(t, err)
	return spans
}

// TestRequestsGetLost has a request of a run, or its answer, get lost; the run goes on and sends each letter once.
func TestRequestsGetLost(t *testing.T) {
	for name, request := range map[string]func(kafka.Request) bool{
		"producer id": isFor[*initproducerid.Request], "begin": isFor[*addpartitionstotxn.Request],
		"records": isFor[*rawproduce.Request], "commit": isFor[*endtxn.Request],
	} {
		for when, f := range map[string]*fault{"before it is sent": {before: once(request)}, "after it is done": {after: once(request)}} {
			t.Run(name+" "+when, func(t *testing.T) {
				b := newBench(t)
				b.write(t, 10)
				d := locked(t, b.redriver())
				defer d.audit.Close()
				d.through(f)
				_, err := d.open(deadline(t))
				must(t, err)
				must(t, d.run(deadline(t), spansOf(t, d.Redriver)))
				if d.report.Sent != 10 || d.report.Skipped != nil {
					t.Errorf("sent %d, skipped %v", d.report.Sent, d.report.Skipped)
				}
				b.each(t, 10, 1)
			})
		}
	}
}

// TestLateCommit has a commit that was given up arrive when the next transaction has been begun: it ends nothing.
func TestLateCommit(t *testing.T) {
	b := newBench(t)
	b.write(t, 10)
	d := locked(t, b.redriver())
	defer d.audit.Close()
	var commit kafka.Request
	var refusal error
	hold := once(isFor[*endtxn.Request])
	f := &fault{before: func(req kafka.Request) bool {
		if hold(req) {
			commit = req
			return true
		}
		if isFor[*rawproduce.Request](req) && commit != nil && refusal == nil {
			res, err := d.Topic.Client.Transport.RoundTrip(deadline(t), b.client.Addr, commit)
			must(t, err)
			refusal = kafka.Error(res.(*endtxn.Response).ErrorCode)
		}
		return false
	}}
	d.through(f)
	_, err := d.open(deadline(t))
	must(t, err)
	must(t, d.run(deadline(t), spansOf(t, d.Redriver)))
	if !errors.Is(refusal, kafka.InvalidProducerEpoch) && !errors.Is(refusal, kafka.ProducerFenced) {
		t.Errorf("the late commit is answered with %v, want a refusal", refusal)
	}
	b.each(t, 10, 1)
}

// TestAnOldRunIsFenced has a process that lost its lock go on sending.
func TestAnOldRunIsFenced(t *testing.T) {
	b := newBench(t)
	old := b.courier(t, "redrive")
	b.courier(t, "redrive")
	if err := old.Send(deadline(t), []producer.Record{{Topic: requests, Value: []byte("{}"), Time: time.Now()}}); err == nil {
		t.Error("it can send")
	}
	if sent := b.sent(t); len(sent) != 0 {
		t.Errorf("sent %v", sent)
	}
}

// TestWhatCannotBeKnown lets retention delete what would tell whether a letter was sent.
func TestWhatCannotBeKnown(t *testing.T) {
	b := newBench(t)
	b.write(t, 10)
	r := b.redriver()
	cutOff(t, r, sendUntil(nil))
	p := &Purge{Topic: Topic{b.client, requests}, Database: b.db}
	for partition := range 2 {
		must(t, p.deleteRecords(deadline(t), &Doomed{Span: Span{Partition: partition, End: 3}}))
	}
	if report := b.run(t, r); report.Uncertain != 6 || report.Settled != 4 || report.Sent != 0 {
		t.Errorf("report %+v", report)
	}
	r.Again, r.Selection = true, "--again=true"
	if report := b.run(t, r); report.Sent != 10 {
		t.Errorf("again: report %+v", report)
	}
}
