package deadletter

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/postgres"
	"recstream/producer"
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

// TestMendedLettersThatAreGone has a file name letters that the topic does not have.
func TestMendedLettersThatAreGone(t *testing.T) {
	b := newBench(t)
	b.write(t, 30)
	const file = `{"partition":1,"offset":2,"value":"{}"} {"partition":1,"offset":90,"value":"{}"} {"partition":7,"offset":0,"value":"{}"}`
	for name, test := range map[string]struct {
		choose func(*Redriver)
		gone   int64
	}{
		"all are looked for":          {func(*Redriver) {}, 2},
		"another is chosen by itself": {func(r *Redriver) { r.Filter.Places = []Place{{1, 1}} }, 0},
		"some kinds are chosen":       {func(r *Redriver) { r.Filter.Reasons = []string{"invalid_json"} }, 0},
		"the run ends before":         {func(r *Redriver) { r.Max = 1 }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			mended, err := ReadMended(strings.NewReader(file))
			must(t, err)
			r := b.redriver()
			r.Mended, r.DryRun, r.Force = mended, true, true
			test.choose(r)
			report := b.run(t, r)
			got := Skipped{}
			if s := report.Skipped[SkipGone]; s != nil {
				got = *s
			}
			if got.Letters != test.gone || test.gone > 0 && got.Example.Offset != 90 {
				t.Errorf("gone: %+v, want %d, the first at 1/90", got, test.gone)
			}
		})
	}
}

// TestMendedLettersThatWereSentAreNotMissed sends a letter whose topic then deletes it, and repeats the command.
func TestMendedLettersThatWereSentAreNotMissed(t *testing.T) {
	b := newBench(t)
	b.write(t, 30)
	run := func() *Report {
		mended, err := ReadMended(strings.NewReader(`{"partition":1,"offset":2,"value":"{}"}`))
		must(t, err)
		r := b.redriver()
		r.Mended, r.Force = mended, true
		return b.run(t, r)
	}
	if r := run(); r.Sent != 1 {
		t.Fatalf("sent %d, skipped %v", r.Sent, r.Skipped)
	}
	_, err := b.client.Transport.RoundTrip(deadline(t), b.client.Addr, newDeleteRecords(letters, 1, 3))
	must(t, err)
	if r := run(); r.Sent != 0 || r.Skipped[SkipDone] == nil || r.Skipped[SkipGone] != nil {
		t.Errorf("sent %d, skipped %v; want one that was sent before", r.Sent, r.Skipped)
	}
}

// TestRateIsABound has a run that finds nothing to send for a minute: it does not send faster then.
func TestRateIsABound(t *testing.T) {
	b := newBench(t)
	b.write(t, 100)
	r := b.redriver()
	for i := range 50 {
		r.Filter.Places = append(r.Filter.Places, Place{1, int64(i)})
	}
	r.Rate = 100
	now := time.Unix(1_800_000_000, 0)
	r.Progress = func(*Report) { now = now.Add(time.Minute) }
	var waits []time.Duration
	r.clock = clock{func() time.Time { return now }, func(_ context.Context, due time.Time) error {
		waits = append(waits, due.Sub(now))
		now = due
		return nil
	}}
	if report := b.run(t, r); report.Sent != 50 {
		t.Errorf("sent %d", report.Sent)
	}
	if len(waits) != 5 { // ten at a time
		t.Errorf("waits %v, want 5", waits)
	}
	for _, w := range waits {
		if w != 100*time.Millisecond {
			t.Errorf("waits %v, want 100ms each", waits)
		}
	}
}

// TestWhoContinues has one begin a run and another continue it: each letter has the one who sent it.
func TestWhoContinues(t *testing.T) {
	b := newBench(t)
	b.write(t, 10)
	b.interrupt(t, b.redriver())
	r := b.redriver()
	r.Actor, r.Why = "grace", "ada is away"
	if report := b.run(t, r); report.Sent != 5 || !report.Run.Continued {
		t.Errorf("report %+v", report)
	}
	for partition, want := range []string{"ada", "grace ada is away"} {
		rows, err := b.db.RedrivesOf(deadline(t), letters, partition, []int64{0, 1, 2, 3, 4})
		must(t, err)
		for _, row := range rows {
			if got := strings.TrimSpace(row.Actor + " " + row.Why); got != want {
				t.Errorf("%v was sent by %q, want %q", row.Letter, got, want)
			}
		}
	}
}

// TestOldRunsAreNotContinued gives the command of a run that was cut off some time ago.
func TestOldRunsAreNotContinued(t *testing.T) {
	tests := map[string]struct {
		started, sent time.Duration // ago
		continued     bool
		want          int64 // letters that are sent
	}{
		"a while ago":           {23 * time.Hour, 23 * time.Hour, true, 5},
		"at work until an hour": {48 * time.Hour, time.Hour, true, 5},
		"yesterday":             {25 * time.Hour, 25 * time.Hour, false, 10},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.write(t, 10)
			r := b.redriver()
			r.Again = true
			b.interrupt(t, r)
			for table, age := range map[string]time.Duration{"redrive_runs SET started_at": test.started, "redrives SET begun_at": test.sent} {
				_, err := b.db.Pool().Exec(deadline(t), "UPDATE "+table+" = now() - $1::interval", age)
				must(t, err)
			}
			r = b.redriver()
			r.Again = true
			if report := b.run(t, r); report.Run.Continued != test.continued || report.Sent != test.want {
				t.Errorf("continued %v, sent %d; want %v, %d", report.Run.Continued, report.Sent, test.continued, test.want)
			}
		})
	}
}

// interrupt ends a run when it has read the first partition. Five of ten letters are sent then.
func (b *bench) interrupt(t *testing.T, r *Redriver) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r.Progress = func(report *Report) {
		if report.Read > 0 {
			cancel()
		}
	}
	if report, err := r.Run(ctx, spansOf(t, r)); !errors.Is(err, context.Canceled) || report.Sent != 5 {
		t.Errorf("sent %d, error %v", report.Sent, err)
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

func TestLeftAlone(t *testing.T) {
	deep := schemas.Header{Key: schemas.HeaderDLQRedrives, Value: []byte("3")}
	tests := map[string]struct {
		change func(*producer.Record)
		force  bool
		want   Skip
	}{
		"fine":                {func(*producer.Record) {}, false, ""},
		"came back too often": {func(r *producer.Record) { r.Headers = append([]schemas.Header{deep}, r.Headers...) }, false, SkipLoop},
		"still bad":           {func(r *producer.Record) { r.Value = []byte("{") }, false, SkipBad},
		"still bad, forced":   {func(r *producer.Record) { r.Value = []byte("{") }, true, ""},
		"no letter":           {func(r *producer.Record) { r.Headers = nil }, true, SkipNoLetter},
		"of another topic":    {func(r *producer.Record) { r.Headers = letterHeaders("results", 0, 0) }, true, SkipForeign},
		"without its value": {func(r *producer.Record) {
			r.Value, r.Headers = nil, append(r.Headers, schemas.Header{Key: schemas.HeaderDLQValueOmitted, Value: []byte("99")})
		}, true, SkipOmitted},
	}
	b := newBench(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			one := producer.Record{Topic: letters, Key: []byte(name), Value: []byte(`{"request_id":"r"}`), Headers: letterHeaders(requests, 0, 0),
				Time: time.Now()}
			test.change(&one)
			offset := b.send(t, one)
			r := b.redriver()
			r.Force = test.force
			r.Filter.Places = []Place{{0, offset}}
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
	b.send(t, producer.Record{Topic: letters, Key: []byte("large"), Value: []byte(`{"request_id":"r"}` + strings.Repeat(" ", 2000)),
		Headers: letterHeaders(requests, 0, 0), Time: time.Now()})
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
	b.interrupt(t, b.redriver())
	if report := b.run(t, b.redriver()); report.Sent != 5 || report.Settled != 0 || !report.Run.Continued {
		t.Errorf("the next run: %+v", report)
	}
	b.each(t, 10, 1)
}
