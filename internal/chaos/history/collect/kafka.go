package collect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/chaos/history"
)

// Kafka reads topics and asks brokers. It is safe for concurrent use.
type Kafka struct {
	brokers []string
	opts    []kgo.Opt
	client  *kgo.Client // for requests
}

// Dial returns a Kafka of those brokers; no connection is made before it is used.
func Dial(brokers []string, opts ...kgo.Opt) (*Kafka, error) {
	k := &Kafka{brokers: brokers, opts: opts}
	var err error
	k.client, err = k.open()
	return k, err
}

// Close ends the connections.
func (k *Kafka) Close() { k.client.Close() }

func (k *Kafka) open(more ...kgo.Opt) (*kgo.Client, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(k.brokers...), kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(time.Second)}
	client, err := kgo.NewClient(append(append(opts, k.opts...), more...)...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka client: %w", err)
	}
	return client, nil
}

// View is how much of a topic a reader sees.
type View int8

// The views.
const (
	Uncommitted View = iota // all that is in the log
	Committed               // without what aborted transactions wrote, as far as no transaction is open
)

// lookAgain is after what time something that is to come is looked for again.
const lookAgain = 20 * time.Millisecond

// Read hands each record that a topic has now to the function, those of a partition in order, and returns the logs'
// bounds. In the committed view it waits for open transactions to end, until ctx does.
func (k *Kafka) Read(ctx context.Context, topic string, view View, each func(*kgo.Record)) ([]history.Log, error) {
	logs, err := k.Bounds(ctx, topic)
	if err == nil && view == Committed {
		err = k.awaitStable(ctx, topic, logs)
	}
	if err == nil {
		err = k.read(ctx, topic, logs, view, each)
	}
	if err != nil {
		return nil, fmt.Errorf("read topic %s: %w", topic, err)
	}
	return logs, nil
}

// read reads each log up to its end. It sees the markers of transactions too: only they tell that a log which ends
// with one, or with what was aborted, has been read.
func (k *Kafka) read(ctx context.Context, topic string, logs []history.Log, view View, each func(*kgo.Record)) error {
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	for _, l := range logs {
		if l.First < l.End {
			from[int32(l.Partition)] = kgo.NewOffset().At(l.First)
			left[int32(l.Partition)] = l.End
		}
	}
	isolation := kgo.ReadUncommitted()
	if view == Committed {
		isolation = kgo.ReadCommitted()
	}
	client, err := k.open(kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords(), kgo.FetchMaxWait(lookAgain),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("%w with offsets still to come: %v", context.Cause(ctx), left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end, reading := left[r.Partition]
			if reading && r.Offset+1 >= end { // beyond it where retention has deleted the end meanwhile
				delete(left, r.Partition)
			}
			if reading && r.Offset < end && !r.Attrs.IsControl() {
				each(r)
			}
		})
	}
	return nil
}

// awaitStable waits until no transaction is open before the ends of the logs.
func (k *Kafka) awaitStable(ctx context.Context, topic string, logs []history.Log) error {
	return await(ctx, func() (state string, err error) {
		stable, err := k.list(ctx, []string{topic}, latest, Committed)
		if err != nil {
			return "", err
		}
		for _, l := range logs {
			if at := stable[home{topic, l.Partition}]; at < l.End {
				return fmt.Sprintf("partition %d has an open transaction: stable up to %d of %d", l.Partition, at, l.End), nil
			}
		}
		return "", nil
	})
}

// await asks until the state is empty, that is, as wished, or ctx ends. An error is a state too.
func await(ctx context.Context, ask func() (state string, err error)) error {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		state, err := ask()
		if state == "" && err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%w: %s", context.Cause(ctx), state), err)
		}
	}
}

// Bounds returns the bounds of all partitions of the topics.
func (k *Kafka) Bounds(ctx context.Context, topics ...string) ([]history.Log, error) {
	first, err := k.list(ctx, topics, earliest, Uncommitted)
	if err != nil {
		return nil, err
	}
	end, err := k.list(ctx, topics, latest, Uncommitted)
	if err != nil {
		return nil, err
	}
	var logs []history.Log
	for _, topic := range topics {
		for p := 0; ; p++ {
			at, known := end[home{topic, p}]
			if !known {
				break
			}
			logs = append(logs, history.Log{Topic: topic, Partition: p, First: first[home{topic, p}], End: at})
		}
	}
	return logs, nil
}

// home is a partition.
type home struct {
	topic     string
	partition int
}

// What a broker can be asked for in the place of a time.
const (
	latest   = -1
	earliest = -2
)

// list asks for an offset of every partition of the topics.
func (k *Kafka) list(ctx context.Context, topics []string, what int64, view View) (map[home]int64, error) {
	counts, err := k.partitions(ctx, topics)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.IsolationLevel = int8(view)
	for topic, n := range counts {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for p := range n {
			one := kmsg.NewListOffsetsRequestTopicPartition()
			one.Partition, one.Timestamp = int32(p), what
			t.Partitions = append(t.Partitions, one)
		}
		req.Topics = append(req.Topics, t)
	}
	res, err := req.RequestWith(ctx, k.client)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	offsets := map[home]int64{}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("list offsets of %s/%d: %w", t.Topic, p.Partition, err)
			}
			offsets[home{t.Topic, int(p.Partition)}] = p.Offset
		}
	}
	return offsets, nil
}

// partitions counts the partitions of topics.
func (k *Kafka) partitions(ctx context.Context, topics []string) (map[string]int, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
	}
	res, err := req.RequestWith(ctx, k.client)
	if err != nil {
		return nil, fmt.Errorf("count partitions: %w", err)
	}
	counts := map[string]int{}
	for _, t := range res.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("count partitions of %s: %w", *t.Topic, err)
		}
		counts[*t.Topic] = len(t.Partitions)
	}
	return counts, nil
}

// committed returns a group's committed offsets in a topic, by partition. One without an offset is not there.
func (k *Kafka) committed(ctx context.Context, group, topic string, partitions int) (map[int]int64, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	t := kmsg.NewOffsetFetchRequestTopic()
	t.Topic = topic
	for p := range partitions {
		t.Partitions = append(t.Partitions, int32(p))
	}
	req.Topics = append(req.Topics, t)
	res, err := req.RequestWith(ctx, k.client)
	if err == nil {
		err = kerr.ErrorForCode(res.ErrorCode)
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read committed offsets of %s: %w", group, err)
	}
	offsets := map[int]int64{}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("read committed offset of %s in %s/%d: %w", group, topic, p.Partition, err)
			}
			if p.Offset >= 0 {
				offsets[int(p.Partition)] = p.Offset
			}
		}
	}
	return offsets, nil
}
