// Package committed reads partitions as a read_committed reader sees them: in order, without the records of
// aborted transactions and without transaction markers.
//
// It speaks the fetch protocol itself: kafka-go's Reader gives out aborted records, and its offsets can be rewound
// by a stale commit. It keeps no offset, tries nothing twice and belongs to no group: all that is its user's.
package committed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// Partition is a partition to read. It is safe for concurrent use.
type Partition struct {
	Client   *kafka.Client // with a Transport
	Topic    string
	Number   int
	MaxBytes int           // size at which a response is full; its first record batch may exceed them
	Timeout  time.Duration // of one request to a broker, on top of a wait that was asked for
}

// Fetch returns the records from an offset on, which the broker holds back for wait at the most while there are
// none. After an error the next request asks the partition's leader of then.
func (p Partition) Fetch(ctx context.Context, offset int64, wait time.Duration) (*Records, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+p.Timeout)
	defer cancel()
	answer, err := p.Client.Transport.RoundTrip(ctx, p.Client.Addr, &exchange{Request: p.request(offset, wait), clientID: p.clientID()})
	if err != nil {
		return nil, p.reconnect(err)
	}
	r := answer.(*response)
	if err := r.failure(); err != nil {
		r.body.release()
		return nil, p.reconnect(err)
	}
	return newRecords(r, offset), nil
}

// clientID is how the client names itself to brokers, for their quotas and logs.
func (p Partition) clientID() string {
	if t, ok := p.Client.Transport.(*kafka.Transport); ok {
		return t.ClientID
	}
	return ""
}

func (p Partition) request(offset int64, wait time.Duration) *fetch.Request {
	const readCommitted = 1
	return &fetch.Request{
		ReplicaID:      -1,
		MaxWaitTime:    int32(max(wait.Milliseconds(), 1)),
		MinBytes:       1,
		MaxBytes:       math.MaxInt32, // of all partitions; there is one, with its own limit
		IsolationLevel: readCommitted,
		SessionEpoch:   -1,
		Topics: []fetch.RequestTopic{{
			Topic: p.Topic,
			Partitions: []fetch.RequestPartition{{
				Partition:          int32(p.Number),
				CurrentLeaderEpoch: -1,
				FetchOffset:        offset,
				LogStartOffset:     -1,
				PartitionMaxBytes:  int32(p.MaxBytes),
			}},
		}},
	}
}

// failure returns the error that the broker has answered with.
func (r *response) failure() error {
	switch {
	case r.err != 0:
		return r.err
	case r.none:
		return errors.New("the broker's answer lacks the partition")
	}
	return nil
}

// reconnect drops idle connections, so that the next attempt asks the partition's leader of then, not of now.
func (p Partition) reconnect(err error) error {
	if !errors.Is(err, kafka.OffsetOutOfRange) {
		if t, ok := p.Client.Transport.(interface{ CloseIdleConnections() }); ok {
			t.CloseIdleConnections()
		}
	}
	return err
}

// Bounds returns the offset of the partition's first record and that after its last.
func (p Partition) Bounds(ctx context.Context) (first, last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	res, err := p.Client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
		p.Topic: {kafka.FirstOffsetOf(p.Number), kafka.LastOffsetOf(p.Number)},
	}})
	if err != nil {
		return 0, 0, fmt.Errorf("read log bounds: %w", err)
	}
	for _, one := range res.Topics[p.Topic] {
		if one.Partition == p.Number {
			if one.Error != nil {
				return 0, 0, fmt.Errorf("read log bounds: %w", one.Error)
			}
			return one.FirstOffset, one.LastOffset, nil
		}
	}
	return 0, 0, errors.New("read log bounds: the broker's answer lacks the partition")
}
