package deadletter

import (
	"context"
	"fmt"
	"time"

	"recstream/internal/postgres"
)

// Purge deletes the oldest letters of each partition.
type Purge struct {
	Topic      Topic
	Database   *postgres.Database
	OlderThan  time.Time
	Actor, Why string
	Read       func(offsets int64) // optional, told of the progress
}

// Doomed are the letters of one partition that are older than a purge's time and have none before them that is not.
type Doomed struct {
	Span    // from the first to the first that is kept
	Letters int64
	Open    int64 // of these are not known to have been sent back
	Oldest  time.Time
	Latest  time.Time
}

// Find reads which letters of a span are to go. Kafka deletes from the beginning of a partition on, so letters that
// stand behind a younger one are kept until that goes.
func (p *Purge) Find(ctx context.Context, s Span) (*Doomed, error) {
	d := &Doomed{Span: s}
	d.End = s.First
	kept := false
	audit, err := OpenAudit(ctx, p.Database, p.Topic.Name)
	if err != nil {
		return nil, err
	}
	err = p.Topic.Read(ctx, s, audit.Marked(ctx, func(l *Letter) error {
		if !l.At.Before(p.OlderThan) {
			kept, d.End = true, l.Place.Offset
			return ErrEnough
		}
		if d.Letters == 0 || l.At.Before(d.Oldest) {
			d.Oldest = l.At
		}
		if l.At.After(d.Latest) {
			d.Latest = l.At
		}
		d.Letters++
		if !l.SentBack {
			d.Open++
		}
		return nil
	}), p.Read)
	if !kept {
		d.End = s.End // what is between letters are markers of transactions
	}
	return d, err
}

// Delete deletes what was found, and writes that into the audit before and after.
func (p *Purge) Delete(ctx context.Context, d *Doomed) error {
	id, err := p.Database.BeginPurge(ctx, postgres.Purge{Actor: p.Actor, Why: p.Why, Topic: p.Topic.Name, Partition: d.Partition,
		From: d.First, Next: d.End, Letters: d.Letters, OlderThan: p.OlderThan})
	if err != nil {
		return err
	}
	if err := p.deleteRecords(ctx, d); err != nil {
		return fmt.Errorf("delete the letters of %s/%d before offset %d: %w", p.Topic.Name, d.Partition, d.End, err)
	}
	return p.Database.FinishPurge(ctx, id)
}

// deleteRecords may be tried again: a beginning that is further on already stays there.
func (p *Purge) deleteRecords(ctx context.Context, d *Doomed) error {
	client := p.Topic.Client
	return retry(ctx, client, func() error {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		m, err := client.Transport.RoundTrip(ctx, client.Addr, newDeleteRecords(p.Topic.Name, d.Partition, d.End))
		if err != nil {
			return err
		}
		return m.(*deleteRecordsResponse).err()
	})
}
