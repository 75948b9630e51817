package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/internal/postgres"
	"recstream/schemas"
)

// settle finds out what became of the letters that were on their way, and returns them. Their transaction is over, so a
// letter was sent if a read_committed reader finds its id between where the partition ended before and where it ends now.
func settle(ctx context.Context, client *kafka.Client, audit *postgres.Redrives) ([]postgres.Redrive, error) {
	rows, err := audit.Unsettled(ctx)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	byTarget := map[target][]*postgres.Redrive{}
	for i := range rows {
		t := target{rows[i].To.Topic, rows[i].To.Partition}
		byTarget[t] = append(byTarget[t], &rows[i])
	}
	for t, list := range byTarget {
		if err := search(ctx, client, t, list); err != nil {
			return nil, fmt.Errorf("look in %s/%d for letters that were on their way: %w", t.topic, t.partition, err)
		}
	}
	return rows, audit.Settle(ctx, rows)
}

// target is a partition that letters go to.
type target struct {
	topic     string
	partition int
}

// search sets the state of the redrives to one partition.
func search(ctx context.Context, client *kafka.Client, t target, list []*postgres.Redrive) error {
	first, err := lookUpOffset(ctx, client, t.topic, kafka.FirstOffsetOf(t.partition), kafka.ReadUncommitted)
	var end int64
	if err == nil {
		end, err = lookUpOffset(ctx, client, t.topic, kafka.LastOffsetOf(t.partition), kafka.ReadUncommitted)
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
	source := committed.Partition{Client: client, Topic: t.topic, Number: t.partition, MaxBytes: fetchBytes, Timeout: fetchTimeout}
	return findIDs(ctx, source, max(first, from), end, byID)
}

// findIDs reads up to end, waiting for the transactions of others that are open there, and marks what it finds.
func findIDs(ctx context.Context, source committed.Partition, offset, end int64, byID map[string]*postgres.Redrive) error {
	for offset < end {
		var records *committed.Records
		err := retry(ctx, source.Client, func() (err error) {
			records, err = source.Fetch(ctx, offset, fetchWait)
			return err
		})
		if err != nil {
			return err
		}
		for {
			r, err := records.Read()
			if errors.Is(err, io.EOF) {
				break
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
		offset = records.Next()
	}
	return nil
}
