package collect

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/chaos/history"
)

// offsetsTopic is where Kafka keeps what groups have committed. Nothing is dropped from it as long as its log has one
// segment.
const offsetsTopic = "__consumer_offsets"

// commits returns what the groups of the run have committed of their topics.
func (o *Observer) commits(ctx context.Context) (list []history.Commit, err error) {
	var failure error
	_, err = o.kafka.Read(ctx, offsetsTopic, Committed, func(r *kgo.Record) {
		c, is, err := commitOf(r)
		if err != nil {
			failure = fmt.Errorf("read commit %v: %w", placeOf(r), err)
		}
		if is && slices.Contains(o.streams(), stream{c.Group, c.Topic}) {
			list = append(list, c)
		}
	})
	if err == nil {
		err = failure
	}
	return list, err
}

// commitOf returns the commit that a record is of; other records are about the groups' members.
func commitOf(r *kgo.Record) (c history.Commit, is bool, err error) {
	const lastOfCommits = 1 // version of the key
	if len(r.Key) < 2 || binary.BigEndian.Uint16(r.Key) > lastOfCommits {
		return c, false, nil
	}
	key := kmsg.NewOffsetCommitKey()
	if err := key.ReadFrom(r.Key); err != nil {
		return c, false, err
	}
	c = history.Commit{Group: key.Group, Topic: key.Topic, Partition: int(key.Partition), Offset: history.None}
	switch {
	case r.Value == nil:
	case len(r.Value) < 10:
		return c, false, errors.New("the value is too short")
	default: // whatever its version, it begins with that and the offset
		c.Offset = int64(binary.BigEndian.Uint64(r.Value[2:]))
	}
	return c, true, nil
}
