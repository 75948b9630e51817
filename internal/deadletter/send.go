package deadletter

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/segmentio/kafka-go"

	"recstream/internal/postgres"
	"recstream/producer"
)

// flush sends the letters that wait. What is begun is ended, whatever becomes of ctx; then ctx is looked at.
func (d *redriving) flush(ctx context.Context) error {
	batch := d.batch
	d.batch, d.bytes = nil, 0
	if len(batch) == 0 {
		return ctx.Err()
	}
	send := d.deliver
	if d.audit == nil {
		send = d.wouldSend
	}
	before := d.report.Sent
	err := send(ctx, batch)
	d.tell(0)
	if err != nil {
		return err
	}
	if sent := d.report.Sent - before; d.audit != nil && d.Rate > 0 && sent > 0 {
		return d.clock.until(ctx, d.pace.after(sent, d.clock.now()))
	}
	return ctx.Err()
}

// pace bounds how many letters leave a second. Time in which none left is not saved up.
type pace struct {
	rate float64
	due  time.Time // from when on letters may leave
}

// after notes that letters have left, and returns when the next may.
func (p *pace) after(letters int64, now time.Time) time.Time {
	if p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(time.Duration(float64(letters) / p.rate * float64(time.Second)))
	return p.due
}

// deliver sends letters, and those again of which it is known that they were not sent, as long as a broker may be away.
func (d *redriving) deliver(ctx context.Context, batch []outgoing) error {
	return retry(ctx, d.Topic.Client, func() (err error) {
		batch, err = d.attempt(context.WithoutCancel(ctx), batch)
		return err
	})
}

// attempt notes that letters are about to be sent, sends them in one transaction, and notes that they are. After a
// failure that may pass it returns those that were not sent.
func (d *redriving) attempt(ctx context.Context, batch []outgoing) (left []outgoing, err error) {
	batch, err = d.claim(ctx, batch)
	if err != nil || len(batch) == 0 {
		return nil, final(err)
	}
	records := make([]producer.Record, len(batch))
	for i := range batch {
		records[i] = batch[i].record
		records[i].Time = d.clock.now()
	}
	failure := d.courier.Send(ctx, records)
	if failure == nil {
		return nil, final(d.settleSent(ctx, batch, records))
	}
	if left, err = d.settleDoubtful(ctx, batch); err != nil {
		return nil, final(fmt.Errorf("%w; before: %w", err, failure))
	}
	if len(left) == 0 {
		return nil, nil
	}
	return left, fmt.Errorf("send letters back: %w", failure)
}

// final has an error end the run.
func final(err error) error {
	if err == nil {
		return nil
	}
	return backoff.Permanent(err)
}

// settleSent notes that letters are sent, save those that their topic does not take.
func (d *redriving) settleSent(ctx context.Context, batch []outgoing, records []producer.Record) error {
	rows := make([]postgres.Redrive, len(batch))
	for i := range batch {
		rows[i] = batch[i].row
		if records[i].TooLarge {
			rows[i].State = postgres.RedriveAborted
			d.report.skip(SkipTooLarge, batch[i].letter)
			continue
		}
		rows[i].State, rows[i].To.Offset = postgres.RedriveSent, records[i].Offset
		d.count(&batch[i])
	}
	return d.audit.Settle(ctx, rows)
}

// settleDoubtful finds out what became of letters whose transaction did not end well, and returns those that were not
// sent.
func (d *redriving) settleDoubtful(ctx context.Context, batch []outgoing) (left []outgoing, err error) {
	settled, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	states := map[string]postgres.RedriveState{}
	for i := range settled {
		states[settled[i].ID] = settled[i].State
	}
	for i := range batch {
		switch states[batch[i].row.ID] {
		case postgres.RedriveSent:
			d.count(&batch[i])
		case postgres.RedriveAborted:
			batch[i].rename()
			left = append(left, batch[i])
		case postgres.RedriveUnknown, postgres.RedriveSending:
			d.report.skip(SkipUncertain, batch[i].letter)
		}
	}
	return left, nil
}

// open fences whoever sent letters before, this run's own late requests too, and finds out what became of the letters
// that were on their way. Only after it letters are claimed.
func (d *redriving) open(ctx context.Context) (settled []postgres.Redrive, err error) {
	err = retry(ctx, d.Topic.Client, func() (err error) {
		d.courier, err = d.producer.OpenCourier(ctx, d.Name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("begin transactions as %s: %w", d.Name, err)
	}
	return d.settle(ctx)
}

// claim notes the ends of the partitions and who is about to be sent, and leaves out what may not.
func (d *redriving) claim(ctx context.Context, batch []outgoing) ([]outgoing, error) {
	ends := map[target]int64{}
	rows := make([]postgres.Redrive, len(batch))
	for i := range batch {
		to := target{batch[i].record.Topic, batch[i].record.Partition}
		if _, known := ends[to]; !known {
			end, err := lookUpOffset(ctx, d.Topic.Client, to.topic, kafka.LastOffsetOf(to.partition), kafka.ReadUncommitted)
			if err != nil {
				return nil, fmt.Errorf("look up the end of %s/%d: %w", to.topic, to.partition, err)
			}
			ends[to] = end
		}
		batch[i].row.ToEnd = ends[to]
		rows[i] = batch[i].row
	}
	claimed, err := d.audit.Claim(ctx, rows)
	if err != nil {
		return nil, err
	}
	var kept []outgoing
	for i := range batch {
		if claimed[i] {
			kept = append(kept, batch[i])
		} else {
			d.report.skip(SkipDone, batch[i].letter)
		}
	}
	return kept, nil
}

func (d *redriving) count(sent *outgoing) {
	d.report.Sent++
	if sent.row.Mended {
		d.report.Mended++
	}
	d.report.Groups.Add(sent.letter)
}

// wouldSend counts what a run would send. All letters are of one partition.
func (d *redriving) wouldSend(ctx context.Context, batch []outgoing) error {
	offsets := make([]int64, len(batch))
	for i := range batch {
		offsets[i] = batch[i].letter.Place.Offset
	}
	done, err := d.Database.RedrivesOf(ctx, d.Topic.Name, batch[0].letter.Place.Partition, offsets)
	if err != nil {
		return err
	}
	for _, out := range batch {
		skip := Skip("")
		for _, r := range done {
			if r.Letter != out.letter.Place || !r.LetterAt.Equal(out.letter.At) {
				continue
			}
			if r.State == postgres.RedriveSending {
				skip = SkipUnsettled
			} else if r.State != postgres.RedriveAborted && !d.Again {
				skip = SkipDone
			}
		}
		if skip != "" {
			d.report.skip(skip, out.letter)
		} else {
			d.count(&out)
		}
	}
	return ctx.Err()
}
