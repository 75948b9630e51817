package deadletter

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/postgres"
	"recstream/schemas"
)

func TestRedriveSendsEachOnce(t *testing.T) {
	b := newBench(t)
	b.write(t, 250)
	dry := b.redriver()
	dry.DryRun = true
	if r := b.run(t, dry); r.Sent != 250 || len(b.sent(t)) != 0 {
		t.Errorf("dry run: %d, sent %v", r.Sent, b.sent(t))
	}
	first := b.redriver()
	first.Max = 130
	if r := b.run(t, first); r.Sent != 130 {
		t.Errorf("at most 130: sent %d", r.Sent)
	}
	if r := b.run(t, b.redriver()); r.Sent != 120 || r.Skipped[SkipDone].Letters != 130 {
		t.Errorf("the rest: sent %d, skipped %v", r.Sent, r.Skipped)
	}
	b.each(t, 250, 1)
	again := b.redriver()
	again.Again = true
	if r := b.run(t, again); r.Sent != 250 {
		t.Errorf("again: sent %d", r.Sent)
	}
	b.each(t, 250, 2)
}

// TestRedriveIsCutOff ends a run at each point where it can be ended; the next run makes it whole.
func TestRedriveIsCutOff(t *testing.T) {
	type step = func(t *testing.T, d *redriving, batch []outgoing, records []record)
	claim := func(t *testing.T, d *redriving, batch []outgoing, _ []record) {
		if kept, err := d.claim(t.Context(), batch); err != nil || len(kept) != len(batch) {
			t.Fatalf("claimed %d of %d, error %v", len(kept), len(batch), err)
		}
	}
	begin := func(t *testing.T, d *redriving, _ []outgoing, records []record) {
		must(t, d.sender.begin(t.Context(), records))
	}
	produce := func(t *testing.T, d *redriving, _ []outgoing, records []record) {
		must(t, d.sender.produce(t.Context(), targets(records)[0], records, make([]int64, len(records))))
	}
	send := func(t *testing.T, d *redriving, _ []outgoing, records []record) {
		_, err := d.sender.send(t.Context(), records)
		must(t, err)
	}
	tests := map[string]struct {
		steps   []step
		settled int
		sent    int64 // by the next run
	}{
		"before anything":         {nil, 0, 10},
		"after the claim":         {[]step{claim}, 10, 10},
		"in a transaction":        {[]step{claim, begin}, 10, 10},
		"with some records there": {[]step{claim, begin, produce}, 10, 10},
		"after the commit":        {[]step{claim, send}, 10, 0},
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
				cutOff(t, r, test.steps...)
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

// cutOff begins a run, takes the steps with all letters in one batch, and lets go as a process that is killed does.
func cutOff(t *testing.T, r *Redriver, steps ...func(t *testing.T, d *redriving, batch []outgoing, records []record)) {
	t.Helper()
	audit, err := r.Database.LockRedrives(deadline(t), r.Topic.Name)
	must(t, err)
	defer audit.Close()
	d := &redriving{Redriver: r, partitions: map[string][]int{}, audit: audit, started: time.Now()}
	must(t, d.begin(deadline(t)))
	spans, err := r.Topic.Spans(deadline(t), time.Time{})
	must(t, err)
	var batch []outgoing
	var records []record
	for _, s := range spans {
		must(t, r.Topic.Read(deadline(t), s, func(l *Letter) error {
			out, skip, err := d.prepare(t.Context(), l)
			if err != nil || skip != "" {
				t.Fatalf("%q %v", skip, err)
			}
			batch, records = append(batch, *out), append(records, out.record)
			return nil
		}, nil))
	}
	for _, step := range steps {
		step(t, d, batch, records)
	}
}

func TestOneRedriveAtATime(t *testing.T) {
	b := newBench(t)
	b.write(t, 1)
	held, err := b.db.LockRedrives(deadline(t), letters)
	must(t, err)
	if report, err := b.redriver().Run(deadline(t), nil); !errors.Is(err, postgres.ErrRedriving) {
		t.Errorf("beside another: %+v, %v", report, err)
	}
	held.Close()
	b.run(t, b.redriver())
}

// TestAnOldSenderIsFenced has a process that lost its lock go on sending.
func TestAnOldSenderIsFenced(t *testing.T) {
	b := newBench(t)
	old, err := openSender(deadline(t), b.client, "redrive")
	must(t, err)
	list := []record{{topic: requests, value: []byte("{}")}}
	must(t, old.begin(deadline(t), list))
	_, err = openSender(deadline(t), b.client, "redrive")
	must(t, err)
	if offsets, err := old.send(deadline(t), list); err == nil {
		t.Errorf("sent to %v", offsets)
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
	cutOff(t, r, func(t *testing.T, d *redriving, batch []outgoing, records []record) {
		_, err := d.claim(t.Context(), batch)
		must(t, err)
		_, err = d.sender.send(t.Context(), records)
		must(t, err)
	})
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

func TestLeftAlone(t *testing.T) {
	deep := schemas.Header{Key: HeaderRedrives, Value: []byte("3")}
	tests := map[string]struct {
		change func(*record)
		force  bool
		want   Skip
	}{
		"fine":                {func(*record) {}, false, ""},
		"came back too often": {func(r *record) { r.headers = append([]schemas.Header{deep}, r.headers...) }, false, SkipLoop},
		"still bad":           {func(r *record) { r.value = []byte("{") }, false, SkipBad},
		"still bad, forced":   {func(r *record) { r.value = []byte("{") }, true, ""},
		"no letter":           {func(r *record) { r.headers = nil }, true, SkipNoLetter},
		"of another topic":    {func(r *record) { r.headers = letterHeaders("results", 0, 0) }, true, SkipForeign},
		"without its value": {func(r *record) {
			r.value, r.headers = nil, append(r.headers, schemas.Header{Key: schemas.HeaderDLQValueOmitted, Value: []byte("99")})
		}, true, SkipOmitted},
	}
	b := newBench(t)
	s, err := openSender(deadline(t), b.client, "test")
	must(t, err)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			one := record{topic: letters, key: []byte(name), value: []byte(`{"request_id":"r"}`), headers: letterHeaders(requests, 0, 0)}
			test.change(&one)
			offsets, err := s.send(deadline(t), []record{one})
			must(t, err)
			r := b.redriver()
			r.Force = test.force
			r.Filter.Places = []Place{{0, offsets[0]}}
			r.Selection = name
			report := b.run(t, r)
			if test.want == "" && report.Sent != 1 || test.want != "" && report.Skipped[test.want] == nil {
				t.Errorf("sent %d, skipped %v", report.Sent, report.Skipped)
			}
		})
	}
}

// TestTooLarge has a topic that takes less than a batch, and less than one of the letters.
func TestTooLarge(t *testing.T) {
	b := newBench(t)
	b.write(t, 20)
	s, err := openSender(deadline(t), b.client, "test")
	must(t, err)
	large := record{topic: letters, key: []byte("large"), value: append([]byte(`{"request_id":"r"}`), make([]byte, 2000)...), headers: letterHeaders(requests, 0, 0)}
	for i := range 2000 {
		large.value[18+i] = ' '
	}
	_, err = s.send(deadline(t), []record{large})
	must(t, err)
	res, err := b.client.AlterConfigs(deadline(t), &kafka.AlterConfigsRequest{Resources: []kafka.AlterConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: requests,
		Configs: []kafka.AlterConfigRequestConfig{{Name: "max.message.bytes", Value: "1000"}}}}})
	must(t, err)
	for _, err := range res.Errors {
		must(t, err)
	}
	report := b.run(t, b.redriver())
	if report.Sent != 20 || report.Skipped[SkipTooLarge] == nil || report.Skipped[SkipTooLarge].Letters != 1 {
		t.Errorf("sent %d, skipped %v", report.Sent, report.Skipped)
	}
	b.each(t, 20, 1)
}

func TestInterruptedRunEndsWhatItHasBegun(t *testing.T) {
	b := newBench(t)
	b.write(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	r := b.redriver()
	r.Read = func(int64) { cancel() }
	spans, err := r.Topic.Spans(deadline(t), time.Time{})
	must(t, err)
	report, err := r.Run(ctx, spans)
	if !errors.Is(err, context.Canceled) || report.Sent != 5 {
		t.Errorf("sent %d, error %v", report.Sent, err)
	}
	if report := b.run(t, b.redriver()); report.Sent != 5 || report.Settled != 0 || !report.Run.Continued {
		t.Errorf("the next run: %+v", report)
	}
	b.each(t, 10, 1)
}
