package producer

import (
	"context"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"
	"github.com/segmentio/kafka-go/protocol/txnoffsetcommit"
)

// Committed returns the group's offset of the partition, negative where it has none. With transactions it is final:
// what another had begun before this outbox was opened, or this one and gave up, is committed or aborted by then, and the
// group's coordinator has shown that it is none of the past.
func (o *Outbox) Committed(ctx context.Context) (int64, error) {
	if o.transactionalID == "" {
		offset, err := o.ask(ctx, o.offsetFetch())
		return offset, o.failed("read committed offset", err)
	}
	if o.doubtful {
		if err := o.giveUp(ctx); err != nil {
			return 0, err
		}
	}
	o.doubtful = true
	offset, err := o.askMarked(ctx)
	if err != nil {
		return 0, o.failed("read committed offset", err)
	}
	if err := o.end(ctx, false); err != nil {
		return 0, o.failed("end the reading of the committed offset", err)
	}
	o.doubtful = false
	return offset, nil
}

// giveUp ends the transaction that was begun, one way or the other. Brokers before 4.0 raise the epoch of an open
// transaction by themselves and take its owner for fenced; one that was aborted they leave. Whatever comes of the abort,
// the epoch decides.
func (o *Outbox) giveUp(ctx context.Context) error {
	_ = o.end(ctx, false)
	if err := o.renew(ctx); err != nil {
		return o.failed("resolve transaction", err)
	}
	o.doubtful = false
	return nil
}

// askMarked asks behind a mark, which a transaction has begun for.
func (o *Outbox) askMarked(ctx context.Context) (int64, error) {
	if err := o.addGroup(ctx); err != nil {
		return 0, err
	}
	return o.ask(ctx, &marked{Request: o.offsetFetch(), mark: o.offsetCommit(0), clientID: clientID(o.cfg.Client)})
}

// offsetFetch is the request for the committed offset.
func (o *Outbox) offsetFetch() *offsetfetch.Request {
	return &offsetfetch.Request{GroupID: o.of.Group, Topics: []offsetfetch.RequestTopic{
		{Name: o.of.Topic, PartitionIndexes: []int32{int32(o.of.Partition)}}}}
}

// ask returns the offset of the partition that the request asks for.
func (o *Outbox) ask(ctx context.Context, req kafka.Request) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	answer, err := o.cfg.Client.Transport.RoundTrip(ctx, o.cfg.Client.Addr, req)
	if err != nil {
		return 0, err
	}
	return offsetOf(answer.(*offsetfetch.Response))
}

// offsetOf returns the one offset that a response has.
func offsetOf(res *offsetfetch.Response) (int64, error) {
	switch code := kafka.Error(res.ErrorCode); {
	case code == kafka.GroupIdNotFound:
		return -1, nil
	case code != 0:
		return 0, code
	case len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1:
		return 0, errIncomplete
	}
	found := res.Topics[0].Partitions[0]
	if code := kafka.Error(found.ErrorCode); code != 0 {
		return 0, code
	}
	return found.CommittedOffset, nil
}

// marked is a request for a committed offset that is not believed without a proof. A broker that was frozen, and is
// the group's coordinator no longer, answers from what it knew until it has heard of it; and one that has just become it
// shows, for a moment, less than was committed before. So an offset is written first, the mark, over the same
// connection and in a transaction that is aborted. A coordinator acknowledges it when its in-sync replicas have it and
// all before it; one of the past cannot. What it says after that is no older than the mark. The mark is what it said
// before, so that nothing worse could come of one that is seen.
type marked struct {
	*offsetfetch.Request // by which the coordinator is found
	mark                 *txnoffsetcommit.Request
	clientID             string
	markVersion, version int16
}

// Required takes the exchange over, always. It is told what the broker speaks before the exchange.
func (m *marked) Required(versions map[protocol.ApiKey]int16) bool {
	m.markVersion, m.version = versions[protocol.TxnOffsetCommit], versions[protocol.OffsetFetch]
	return true
}

// Mark is the offset that is written first: a transport that is wrapped may look at it.
func (m *marked) Mark() *txnoffsetcommit.Request { return m.mark }

// RawExchange asks, sets the mark, and asks again. After an error the library closes the connection.
func (m *marked) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	res, err := protocol.RoundTrip(rw, m.version, 1, m.clientID, m.Request)
	if err != nil {
		return nil, err
	}
	offset, err := offsetOf(res.(*offsetfetch.Response))
	if err != nil {
		return nil, err
	}
	m.mark.Topics[0].Partitions[0].CommittedOffset = max(offset, 0)
	set, err := protocol.RoundTrip(rw, m.markVersion, 2, m.clientID, m.mark)
	if err == nil {
		err = failureOf(set.(*txnoffsetcommit.Response))
	}
	if err != nil {
		return nil, fmt.Errorf("prove the coordinator: %w", err)
	}
	return protocol.RoundTrip(rw, m.version, 3, m.clientID, m.Request)
}

// failureOf returns what the broker says of the one offset.
func failureOf(res *txnoffsetcommit.Response) error {
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
		return errIncomplete
	}
	if code := kafka.Error(res.Topics[0].Partitions[0].ErrorCode); code != 0 {
		return code
	}
	return nil
}

// clientID is how the client names itself to brokers, for their quotas and logs.
func clientID(c *kafka.Client) string {
	if t, ok := c.Transport.(*kafka.Transport); ok {
		return t.ClientID
	}
	return ""
}
