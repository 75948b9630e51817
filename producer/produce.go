package producer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// byLeader groups those lanes that have something to send by the broker that leads their partitions. One request takes
// the batches of a group: a broker that leads several partitions of a transaction asks the coordinator about them
// together, and refuses those that come on their own while it does.
func (s *sender) byLeader(ctx context.Context, lanes []*lane) (groups [][]*lane, err error) {
	meta, err := s.producer.metadata(ctx, topicsOf(lanes)) // as of the transport's last look, without a request
	if err != nil {
		return nil, fmt.Errorf("find leaders: %w", err)
	}
	places := map[int]int{}
	for _, l := range lanes {
		if l.sent == len(l.queue) {
			continue
		}
		leader, err := leaderOf(meta, l.target)
		if err != nil {
			return nil, &Error{Topic: l.topic, Partition: l.partition, Err: err}
		}
		i, there := places[leader]
		if !there {
			i = len(groups)
			places[leader], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], l)
	}
	return groups, nil
}

// topicsOf returns the topics that lanes lead to.
func topicsOf(lanes []*lane) (topics []string) {
	for _, l := range lanes {
		if !slices.Contains(topics, l.topic) {
			topics = append(topics, l.topic)
		}
	}
	return topics
}

// leaderOf returns the id of the broker that leads a partition.
func leaderOf(meta *kafka.MetadataResponse, of target) (int, error) {
	for _, t := range meta.Topics {
		if t.Name != of.topic {
			continue
		}
		for _, p := range t.Partitions {
			if p.ID != of.partition {
				continue
			}
			if p.Leader.Host == "" {
				return 0, kafka.LeaderNotAvailable
			}
			return p.Leader.ID, nil
		}
	}
	return 0, kafka.UnknownTopicOrPartition
}

// sendSafely is send for a goroutine of its own, where a panic would end the process.
func (s *sender) sendSafely(ctx context.Context, lanes []*lane) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("publish to %s/%d: panic: %v", lanes[0].topic, lanes[0].partition, v)
		}
	}()
	return s.send(ctx, lanes)
}

// send sends the lanes' batches, of each lane one after the other. A lane in trouble does not keep the others.
func (s *sender) send(ctx context.Context, lanes []*lane) error {
	slices.SortFunc(lanes, func(a, b *lane) int { // the request has each topic once
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	var errs []error
	for len(lanes) > 0 {
		replies, err := s.produce(ctx, lanes)
		left := lanes[:0:0]
		for _, l := range lanes {
			reply := replies.of(l.target)
			if err != nil {
				reply.err = err
			}
			l.queue[l.sent].offset = reply.offset
			if err := s.take(l, reply.err); err != nil {
				errs = append(errs, err)
			} else if l.sent < len(l.queue) {
				left = append(left, l)
			}
		}
		lanes = left
	}
	return errors.Join(errs...)
}

// take moves a lane on by what became of its first unsent batch. An error means that it stays where it is.
func (s *sender) take(l *lane, err error) error {
	b := l.queue[l.sent]
	switch {
	case err == nil || isDuplicate(err):
		l.acknowledged()
	case errors.Is(err, kafka.InvalidTimestamp) && b.backdate(): // and sent again
	case isTooLarge(err) && b.len() > 1:
		first, second := b.split()
		l.queue = slices.Replace(l.queue, l.sent, l.sent+1, first, second)
		l.limit = max(b.bytes()/2, minBatchBytes) // not to be refused every time
	case isTooLarge(err) && s.tooLarge != nil:
		instead, ok := s.tooLarge(l, err)
		switch {
		case !ok:
			return &Error{Topic: l.topic, Partition: l.partition, Err: err}
		case instead != nil:
			l.queue[l.sent] = instead
		default:
			l.queue = slices.Delete(l.queue, l.sent, l.sent+1)
			l.limit = s.cfg.BatchBytes // it was that record, not the batches' size
		}
	default:
		return &Error{Topic: l.topic, Partition: l.partition, Err: err}
	}
	return nil
}

// reply is what became of a batch: an error, or the offset of its first record, negative where the broker does not say.
type reply struct {
	offset int64
	err    error
}

// replies are a broker's, by partition.
type replies map[target]reply

// of returns that of a partition.
func (r replies) of(t target) reply {
	one, there := r[t]
	if !there {
		return reply{-1, errIncomplete}
	}
	return one
}

// produce sends the first unsent batch of each lane in one request, and waits for all in-sync replicas.
func (s *sender) produce(ctx context.Context, lanes []*lane) (replies, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	res, err := s.cfg.Client.Transport.RoundTrip(ctx, s.cfg.Client.Addr, s.produceRequest(lanes))
	if err != nil {
		return nil, err
	}
	all := replies{}
	for _, t := range res.(*produce.Response).Topics {
		for _, p := range t.Partitions {
			all[target{t.Topic, int(p.Partition)}] = reply{p.BaseOffset, errorOf(p.ErrorCode, p.ErrorMessage)}
		}
	}
	return all, nil
}

func (s *sender) produceRequest(lanes []*lane) *rawproduce.Request {
	req := &rawproduce.Request{TransactionalID: s.transactionalID, Acks: int16(kafka.RequireAll),
		Timeout: int32(s.cfg.Timeout.Milliseconds())}
	for _, l := range lanes {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != l.topic {
			req.Topics = append(req.Topics, rawproduce.RequestTopic{Topic: l.topic})
		}
		t := &req.Topics[len(req.Topics)-1]
		sealed := l.queue[l.sent].seal(s.id, l.sequence, s.transactionalID != "")
		t.Partitions = append(t.Partitions, rawproduce.RequestPartition{Partition: int32(l.partition),
			RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(sealed)}})
	}
	return req
}

// errorOf returns the error of a code and what the broker said of it, nil for none.
func errorOf(code int16, message string) error {
	switch {
	case code == 0:
		return nil
	case message == "":
		return kafka.Error(code)
	}
	return fmt.Errorf("%w: %s", kafka.Error(code), message)
}
