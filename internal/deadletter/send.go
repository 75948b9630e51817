package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/postgres"
	"recstream/internal/wait"
)

// flush sends the letters that wait. What is begun is ended, whatever becomes of ctx; then ctx is looked at.
func (d *redriving) flush(ctx context.Context) error {
	batch := d.batch
	d.batch, d.bytes = nil, 0
	if len(batch) == 0 {
		return ctx.Err()
	}
	if d.audit == nil {
		return d.wouldSend(ctx, batch)
	}
	if err := d.sendAudited(context.WithoutCancel(ctx), batch); err != nil {
		return err
	}
	if d.Rate > 0 {
		return wait.Until(ctx, d.started.Add(time.Duration(float64(d.report.Sent)/d.Rate*float64(time.Second))))
	}
	return ctx.Err()
}

// sendAudited notes that letters are about to be sent, sends them in one transaction, and notes that they are. A batch
// that is too large for a topic is halved.
func (d *redriving) sendAudited(ctx context.Context, batch []outgoing) error {
	batch, err := d.claim(ctx, batch)
	if err != nil || len(batch) == 0 {
		return err
	}
	rows, records := make([]postgres.Redrive, len(batch)), make([]record, len(batch))
	for i := range batch {
		rows[i], records[i] = batch[i].row, batch[i].record
	}
	offsets, err := d.sender.send(ctx, records)
	if tooLarge := errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge); tooLarge {
		return d.halve(ctx, batch, rows)
	}
	if err != nil {
		return fmt.Errorf("send letters back: %w", err) // their rows say sending: the next run finds out
	}
	for i := range rows {
		rows[i].State, rows[i].To.Offset = postgres.RedriveSent, offsets[i]
	}
	d.count(batch)
	return d.audit.Settle(ctx, rows)
}

func (d *redriving) halve(ctx context.Context, batch []outgoing, rows []postgres.Redrive) error {
	for i := range rows {
		rows[i].State = postgres.RedriveAborted
	}
	if err := d.audit.Settle(ctx, rows); err != nil {
		return err
	}
	if len(batch) == 1 {
		d.report.skip(SkipTooLarge, batch[0].letter)
		return nil
	}
	for i := range batch {
		batch[i].row.ID = newID()
		batch[i].record.headers[len(batch[i].record.headers)-1].Value = []byte(batch[i].row.ID)
	}
	if err := d.sendAudited(ctx, batch[:len(batch)/2]); err != nil {
		return err
	}
	return d.sendAudited(ctx, batch[len(batch)/2:])
}

// claim notes the ends of the partitions and who is about to be sent, and leaves out what may not.
func (d *redriving) claim(ctx context.Context, batch []outgoing) ([]outgoing, error) {
	ends := map[target]int64{}
	rows := make([]postgres.Redrive, len(batch))
	for i := range batch {
		to := target{batch[i].record.topic, batch[i].record.partition}
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

func (d *redriving) count(sent []outgoing) {
	for i := range sent {
		d.report.Sent++
		if sent[i].row.Mended {
			d.report.Mended++
		}
		d.report.Groups.Add(sent[i].letter)
	}
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
			d.count([]outgoing{out})
		}
	}
	return ctx.Err()
}
