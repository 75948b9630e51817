package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/internal/postgres"
	"recstream/schemas"
)

// settle finds out what became of the letters that were on their way, and returns them. Their transaction is over, so a
// letter was sent if a read_committed reader finds its id between where the partition ended before and where it ends now.
func (d *redriving) settle(ctx context.Context) ([]postgres.Redrive, error) {
	rows, err := d.audit.Unsettled(ctx)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	byTarget := map[target][]*postgres.Redrive{}
	for i := range rows {
		t := target{rows[i].To.Topic, rows[i].To.Partition}
		byTarget[t] = append(byTarget[t], &rows[i])
	}
	for t, list := range byTarget {
		if err := d.search(ctx, t, list); err != nil {
			return nil, fmt.Errorf("look in %s/%d for letters that were on their way: %w", t.topic, t.partition, err)
		}
	}
	return rows, d.audit.Settle(ctx, rows)
}

// target is a partition that letters go to.
type target struct {
	topic     string
	partition int
}

// search sets the state of the redrives to one partition.
func (d *redriving) search(ctx context.Context, t target, list []*postgres.Redrive) error {
	first, err := lookUpOffset(ctx, d.Topic.Client, t.topic, kafka.FirstOffsetOf(t.partition), kafka.ReadUncommitted)
	var end int64
	if err == nil {
		end, err = lookUpOffset(ctx, d.Topic.Client, t.topic, kafka.LastOffsetOf(t.partition), kafka.ReadUncommitted)
	}
	gone := errors.Is(err, kafka.UnknownTopicOrPartition)
	if err != nil && !gone {
		return err
	}
	byID, from := map[string]*postgres.Redrive{}, end
	for _, r := range list {
		r.State = postgres.RedriveAborted
		if gone || r.ToEnd < first || r.ToEnd > end { // deleted, by retention or with its topic
			r.State = postgres.RedriveUnknown
		}
		byID[r.ID] = r
		from = min(from, r.ToEnd)
	}
	if gone {
		return nil
	}
	source := committed.Partition{Client: d.Topic.Client, Topic: t.topic, Number: t.partition, MaxBytes: fetchBytes, Timeout: fetchTimeout}
	return d.findIDs(ctx, source, max(first, from), end, byID)
}

// openWait bounds how long a transaction of others may be open in front of letters that were on their way. A run that waits
// has the lock, and hears no signal while its own letters are in doubt.
const openWait = time.Minute

// findIDs reads up to end, and marks what it finds. It waits for the transactions of others that are open there: openWait
// at one offset.
func (d *redriving) findIDs(ctx context.Context, source committed.Partition, offset, end int64, byID map[string]*postgres.Redrive) error {
	for due := d.clock.now().Add(openWait); offset < end; {
		var records *committed.Records
		err := retry(ctx, source.Client, func() (err error) {
			records, err = source.Fetch(ctx, offset, fetchWait)
			return err
		})
		if err == nil {
			err = markSent(records, byID)
		}
		if err != nil {
			return err
		}
		switch next := records.Next(); {
		case next > offset:
			offset, due = next, d.clock.now().Add(openWait)
		case d.clock.now().After(due):
			return fmt.Errorf("offset %d has been held back for %v, as an open transaction of another program does; end that, or let it time out, then run this again",
				offset, openWait)
		}
	}
	return nil
}

// markSent sets the state of the redrives that are among the records, and their place.
func markSent(records *committed.Records, byID map[string]*postgres.Redrive) error {
	for {
		r, err := records.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, h := range r.Headers {
			if found := byID[string(h.Value)]; h.Key == schemas.HeaderDLQRedriveID && found != nil {
				found.State, found.To.Offset = postgres.RedriveSent, r.Offset
			}
		}
	}
}
