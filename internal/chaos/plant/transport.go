//go:build faults

package plant

import (
	"context"
	"net"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Transport plants faults around requests to Kafka.
func Transport(t kafka.RoundTripper) kafka.RoundTripper {
	return &transport{next: t, roundTrip: buggyRequests(reaching(t.RoundTrip))}
}

// transport is another transport with its requests changed.
type transport struct {
	next      kafka.RoundTripper
	roundTrip roundTripFunc
}

type roundTripFunc func(context.Context, net.Addr, kafka.Request) (kafka.Response, error)

func (t *transport) RoundTrip(ctx context.Context, to net.Addr, req kafka.Request) (kafka.Response, error) {
	return t.roundTrip(ctx, to, req)
}

// CloseIdleConnections closes those of the transport beneath.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// around are the points before a request and after its answer, whatever that says.
var around = map[protocol.ApiKey]struct{ before, after Point }{
	protocol.InitProducerId:     {BeforeProducerID, AfterProducerID},
	protocol.Fetch:              {BeforeFetch, AfterFetch},
	protocol.AddPartitionsToTxn: {"", PartitionsAdded},
	protocol.Produce:            {BeforeProduce, AfterProduce},
	protocol.AddOffsetsToTxn:    {"", OffsetsAdded},
	protocol.TxnOffsetCommit:    {"", OffsetInTxn},
	protocol.EndTxn:             {BeforeEnd, AfterEnd},
}

// aroundReading are those of the requests with which a partition that is taken over learns its committed offset.
var aroundReading = map[protocol.ApiKey]struct{ before, after Point }{
	protocol.AddOffsetsToTxn: {"", MarkBegun},
	protocol.OffsetFetch:     {BeforeOffset, AfterOffset},
	protocol.EndTxn:          {"", MarkEnded},
}

type readingKey struct{}

// reading marks what is done with the context as the reading of the committed offset.
func reading(ctx context.Context) context.Context { return context.WithValue(ctx, readingKey{}, true) }

// reaching is a round trip with the points around it.
func reaching(next roundTripFunc) roundTripFunc {
	return func(ctx context.Context, to net.Addr, req kafka.Request) (kafka.Response, error) {
		s, points := streamOf(ctx), around[req.ApiKey()]
		if ctx.Value(readingKey{}) != nil {
			points = aroundReading[req.ApiKey()]
		}
		if f, ok := req.(interface{ Topic() string }); ok { // a fetch: the fetcher's context is its own
			s = streamOfTopic(f.Topic())
		}
		if err := planted.reach(s, points.before); err != nil {
			return nil, err
		}
		res, err := next(ctx, to, req)
		if err != nil || isEmpty(res) {
			return res, err
		}
		if err := planted.reach(s, points.after); err != nil {
			return nil, err
		}
		return res, nil
	}
}

func streamOfTopic(topic string) *stream {
	s, _ := streams.Load(topic)
	found, _ := s.(*stream)
	return found
}

// isEmpty reports whether a response is to a fetch and has nothing.
func isEmpty(res kafka.Response) bool {
	f, ok := res.(interface{ IsEmpty() bool })
	return ok && f.IsEmpty()
}
