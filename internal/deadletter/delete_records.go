package deadletter

import (
	"errors"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// The messages of DeleteRecords (API key 21, versions 0 and 1) as the Kafka protocol guide has them; the library
// lacks them.

func init() { protocol.Register(&deleteRecordsRequest{}, &deleteRecordsResponse{}) }

type deleteRecordsRequest struct {
	Topics    []deleteRecordsTopic `kafka:"min=v0,max=v1"`
	TimeoutMs int32                `kafka:"min=v0,max=v1"`
}

type deleteRecordsTopic struct {
	Name       string                   `kafka:"min=v0,max=v1"`
	Partitions []deleteRecordsPartition `kafka:"min=v0,max=v1"`
}

type deleteRecordsPartition struct {
	Partition int32 `kafka:"min=v0,max=v1"`
	Offset    int64 `kafka:"min=v0,max=v1"` // of the first record that is kept
}

type deleteRecordsResponse struct {
	ThrottleTimeMs int32                        `kafka:"min=v0,max=v1"`
	Topics         []deleteRecordsTopicResponse `kafka:"min=v0,max=v1"`
}

type deleteRecordsTopicResponse struct {
	Name       string                           `kafka:"min=v0,max=v1"`
	Partitions []deleteRecordsPartitionResponse `kafka:"min=v0,max=v1"`
}

type deleteRecordsPartitionResponse struct {
	Partition    int32 `kafka:"min=v0,max=v1"`
	LowWatermark int64 `kafka:"min=v0,max=v1"`
	ErrorCode    int16 `kafka:"min=v0,max=v1"`
}

// newDeleteRecords asks for the records of one partition before an offset to be deleted.
func newDeleteRecords(topic string, partition int, before int64) *deleteRecordsRequest {
	return &deleteRecordsRequest{TimeoutMs: int32(fetchTimeout.Milliseconds()),
		Topics: []deleteRecordsTopic{{Name: topic, Partitions: []deleteRecordsPartition{{Partition: int32(partition), Offset: before}}}}}
}

// ApiKey says which request it is.
//
//nolint:staticcheck // the library's name
func (r *deleteRecordsRequest) ApiKey() protocol.ApiKey { return protocol.DeleteRecords }

// Broker names the partition's leader, which alone takes the request.
func (r *deleteRecordsRequest) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	t := &r.Topics[0]
	topic, ok := cluster.Topics[t.Name]
	if !ok {
		return protocol.Broker{}, protocol.NewErrNoTopic(t.Name)
	}
	p, ok := topic.Partitions[t.Partitions[0].Partition]
	if !ok {
		return protocol.Broker{}, protocol.NewErrNoPartition(t.Name, t.Partitions[0].Partition)
	}
	leader, ok := cluster.Brokers[p.Leader]
	if !ok {
		return protocol.Broker{}, protocol.NewErrNoLeader(t.Name, p.ID)
	}
	return leader, nil
}

// ApiKey says which response it is.
//
//nolint:staticcheck // the library's name
func (r *deleteRecordsResponse) ApiKey() protocol.ApiKey { return protocol.DeleteRecords }

// err returns the error of the one partition that was asked for.
func (r *deleteRecordsResponse) err() error {
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return errors.New("the broker's answer lacks the partition")
	}
	if code := r.Topics[0].Partitions[0].ErrorCode; code != 0 {
		return kafka.Error(code)
	}
	return nil
}

var _ protocol.BrokerMessage = (*deleteRecordsRequest)(nil)
