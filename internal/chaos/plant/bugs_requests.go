//go:build faults

package plant

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addoffsetstotxn"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
	"github.com/segmentio/kafka-go/protocol/txnoffsetcommit"
)

// buggyRequests is a round trip with the bug that was planted, if it is one of requests to Kafka. The client makes a
// message for each round trip, so it may be changed.
func buggyRequests(next roundTripFunc) roundTripFunc {
	wrap := map[Bug]func(roundTripFunc) roundTripFunc{
		NoIdempotence:       withoutProducerID,
		ResultsScattered:    scattering,
		NoFencing:           withOwnID,
		OffsetPlusOne:       func(next roundTripFunc) roundTripFunc { return shifting(next, 1) },
		OffsetMinusOne:      func(next roundTripFunc) roundTripFunc { return shifting(next, -1) },
		OffsetApart:         committingApart,
		AbortTakenForCommit: aborting,
		OutcomeNotReadBack:  notReadingBack,
	}[planted.bug]
	if wrap == nil {
		return next
	}
	return wrap(next)
}

// withoutProducerID writes record batches that no broker knows again.
func withoutProducerID(next roundTripFunc) roundTripFunc {
	return func(ctx context.Context, to net.Addr, req kafka.Request) (kafka.Response, error) {
		if r, ok := req.(*rawproduce.Request); ok {
			planted.wrong()
			if err := stripProducerIDs(r); err != nil {
				return nil, err
			}
		}
		return next(ctx, to, req)
	}
}

// scattering writes each record batch to any partition. The batch has no producer id, since its numbers are those of
// another partition.
func scattering(next roundTripFunc) roundTripFunc {
	var partitions sync.Map // by topic
	return func(ctx context.Context, to net.Addr, req kafka.Request) (kafka.Response, error) {
		if r, ok := req.(*rawproduce.Request); ok {
			if err := stripProducerIDs(r); err != nil {
				return nil, err
			}
			return scatter(ctx, to, r, next, &partitions)
		}
		res, err := next(ctx, to, req)
		if m, ok := res.(*metadata.Response); ok && err == nil {
			for _, t := range m.Topics {
				partitions.Store(t.Name, int32(len(t.Partitions)))
			}
		}
		return res, err
	}
}

// scatter sends the record batches one by one, and answers as if they had gone where they should.
func scatter(ctx context.Context, to net.Addr, r *rawproduce.Request, next roundTripFunc, partitions *sync.Map) (kafka.Response, error) {
	all := &produce.Response{}
	for _, t := range r.Topics {
		answers := produce.ResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			meant := p.Partition
			if n, known := partitions.Load(t.Topic); known {
				planted.wrong()
				p.Partition = rand.Int32N(n.(int32))
			}
			one := *r
			one.Topics = []rawproduce.RequestTopic{{Topic: t.Topic, Partitions: []rawproduce.RequestPartition{p}}}
			res, err := next(ctx, to, &one)
			if err != nil {
				return nil, err
			}
			answer := res.(*produce.Response).Topics[0].Partitions[0]
			answer.Partition = meant
			answers.Partitions = append(answers.Partitions, answer)
		}
		all.Topics = append(all.Topics, answers)
	}
	return all, nil
}

// withOwnID makes the transactional ids those of this process.
func withOwnID(next roundTripFunc) roundTripFunc {
	own := func(id *string) {
		if *id != "" {
			planted.wrong()
			*id = fmt.Sprintf("%s.%d", *id, os.Getpid())
		}
	}
	return func(ctx context.Context, to net.Addr, req kafka.Request) (kafka.Response, error) {
		switch r := req.(type) {
		case *initproducerid.Request:
			own(&r.TransactionalID)
		case *addpartitionstotxn.Request:
			own(&r.TransactionalID)
		case *rawproduce.Request:
			own(&r.TransactionalID)
		case *addoffsetstotxn.Request:
			own(&r.TransactionalID)
		case *txnoffsetcommit.Request:
			own(&r.TransactionalID)
		case *endtxn.Request:
			own(&r.TransactionalID)
		case interface {
			Mark() *txnoffsetcommit.Request
		}:
			own(&r.Mark().TransactionalID)
		}
		return next(ctx, to, req)
	}
}

// shifting commits other offsets than it is told.
func shifting(next roundTripFunc, by int64) roundTripFunc {
	return func(ctx context.Context, to net.Addr, req kafka.Request) (kafka.Response, error) {
		switch r := req.(type) {
		case *txnoffsetcommit.Request:
			planted.wrong()
			r.Topics[0].Partitions[0].CommittedOffset += by
		case *offsetcommit.Request:
			planted.wrong()
			r.Topics[0].Partitions[0].CommittedOffset += by
		}
		return next(ctx, to, req)
	}
}

// committingApart keeps the offset back until the transaction is over.
func committingApart(next roundTripFunc) roundTripFunc {
	var kept sync.Map // by transactional id
	return func(ctx context.Context, to net.Addr, req kafka.Request) (kafka.Response, error) {
		if r, ok := req.(*txnoffsetcommit.Request); ok {
			planted.wrong()
			kept.Store(r.TransactionalID, r)
			return &txnoffsetcommit.Response{Topics: []txnoffsetcommit.ResponseTopic{{Name: r.Topics[0].Name,
				Partitions: []txnoffsetcommit.ResponsePartition{{Partition: r.Topics[0].Partitions[0].Partition}}}}}, nil
		}
		res, err := next(ctx, to, req)
		if r, ok := req.(*endtxn.Request); ok && err == nil {
			if k, some := kept.LoadAndDelete(r.TransactionalID); some {
				err = committed(next(ctx, to, plainCommit(k.(*txnoffsetcommit.Request))))
			}
		}
		return res, err
	}
}

// plainCommit is a commit of the offset in no transaction.
func plainCommit(r *txnoffsetcommit.Request) *offsetcommit.Request {
	return &offsetcommit.Request{GroupID: r.GroupID, GenerationID: r.GenerationID, MemberID: r.MemberID, RetentionTimeMs: -1,
		Topics: []offsetcommit.RequestTopic{{Name: r.Topics[0].Name, Partitions: []offsetcommit.RequestPartition{{
			PartitionIndex: r.Topics[0].Partitions[0].Partition, CommittedOffset: r.Topics[0].Partitions[0].CommittedOffset,
			CommittedLeaderEpoch: -1}}}}}
}

// committed returns why a commit was refused.
func committed(res kafka.Response, err error) error {
	if err != nil {
		return err
	}
	if code := res.(*offsetcommit.Response).Topics[0].Partitions[0].ErrorCode; code != 0 {
		return kafka.Error(code)
	}
	return nil
}

// aborting aborts the second transaction of requests instead of committing it. Its offset is committed all the same, as
// the next batch of its partition would, if there were one.
func aborting(next roundTripFunc) roundTripFunc {
	var kept sync.Map // offsets by transactional id
	var ended atomic.Int64
	return func(ctx context.Context, to net.Addr, req kafka.Request) (kafka.Response, error) {
		switch r := req.(type) {
		case *txnoffsetcommit.Request:
			kept.Store(r.TransactionalID, r)
		case *endtxn.Request:
			if !r.Committed || !isOfRequests(streamOf(ctx)) || ended.Add(1) != 2 {
				break
			}
			planted.wrong()
			r.Committed = false
			res, err := next(ctx, to, r)
			if offset, some := kept.Load(r.TransactionalID); some && err == nil {
				err = committed(next(ctx, to, plainCommit(offset.(*txnoffsetcommit.Request))))
			}
			return res, err
		}
		return next(ctx, to, req)
	}
}

// notReadingBack has an outbox that asks what became of a transaction believe that it was not committed: it asks after
// it has renewed a producer id.
func notReadingBack(next roundTripFunc) roundTripFunc {
	var renewed sync.Map // streams
	return func(ctx context.Context, to net.Addr, req kafka.Request) (kafka.Response, error) {
		if r, ok := req.(*initproducerid.Request); ok && r.ProducerID >= 0 {
			renewed.Store(streamOf(ctx), true)
		}
		res, err := next(ctx, to, req)
		if r, ok := res.(*offsetfetch.Response); ok && err == nil {
			if _, asks := renewed.LoadAndDelete(streamOf(ctx)); asks {
				planted.wrong()
				r.Topics[0].Partitions[0].CommittedOffset = -1
			}
		}
		return res, err
	}
}
