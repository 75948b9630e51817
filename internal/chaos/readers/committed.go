package readers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/schemas"
)

// Committed returns what a reader of committed records can see of a topic now, in the order of partition and offset,
// and where that ends: before the first record of a transaction that is still open. It is read with a client that
// neither the readers nor recstream use.
func Committed(ctx context.Context, brokers, topic string) ([]Record, Offsets, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(brokers, ",")...),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // they tell how far we are where the last records were aborted
	)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	ends, err := stableEnds(ctx, client, topic)
	if err != nil {
		return nil, nil, fmt.Errorf("read the ends of %s: %w", topic, err)
	}
	records, err := readTo(ctx, client, ends)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", topic, err)
	}
	slices.SortFunc(records, inOrder)
	return records, ends, nil
}

// stableEnds asks for the last stable offset of each partition.
func stableEnds(ctx context.Context, client *kgo.Client, topic string) (Offsets, error) {
	partitions, err := partitionsOf(ctx, client, topic)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = 1 // of committed records
	wanted := kmsg.NewListOffsetsRequestTopic()
	wanted.Topic = topic
	for _, p := range partitions {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = p, -1 // the end
		wanted.Partitions = append(wanted.Partitions, one)
	}
	req.Topics = append(req.Topics, wanted)
	ends := Offsets{}
	for _, shard := range client.RequestSharded(ctx, req) { // one for each leader
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("partition %d: %w", p.Partition, err)
				}
				ends[p.Partition] = p.Offset
			}
		}
	}
	return ends, nil
}

// partitionsOf returns the numbers of a topic's partitions.
func partitionsOf(ctx context.Context, client *kgo.Client, topic string) ([]int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	wanted := kmsg.NewMetadataRequestTopic()
	wanted.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, wanted)
	res, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	var numbers []int32
	for _, t := range res.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, err
		}
		for _, p := range t.Partitions {
			numbers = append(numbers, p.Partition)
		}
	}
	return numbers, nil
}

// readTo reads all partitions up to the ends. Right before an end is a record, or the marker of a transaction's end.
func readTo(ctx context.Context, client *kgo.Client, ends Offsets) ([]Record, error) {
	var records []Record
	position := Offsets{}
	for !position.reach(ends) {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, err
		}
		var errs []error
		fetches.EachError(func(_ string, p int32, err error) { errs = append(errs, fmt.Errorf("partition %d: %w", p, err)) })
		fetches.EachRecord(func(r *kgo.Record) {
			position[r.Partition] = max(position[r.Partition], r.Offset+1)
			if r.Attrs.IsControl() || r.Offset >= ends[r.Partition] {
				return
			}
			record, err := recordOf(r)
			records, errs = append(records, record), append(errs, err)
		})
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// recordOf says of a result what the readers say of it.
func recordOf(r *kgo.Record) (Record, error) {
	var result struct {
		RequestID string `json:"request_id"`
		Status    string `json:"status"`
	}
	if err := json.Unmarshal(r.Value, &result); err != nil {
		return Record{}, fmt.Errorf("offset %d: %w", r.Offset, err)
	}
	sum := sha256.Sum256(r.Value)
	record := Record{Partition: r.Partition, Offset: r.Offset, RequestID: result.RequestID, Status: result.Status,
		Key: string(r.Key), SHA256: hex.EncodeToString(sum[:])}
	for _, h := range r.Headers {
		if h.Key == schemas.HeaderID {
			record.ID = string(h.Value)
		}
	}
	return record, nil
}
