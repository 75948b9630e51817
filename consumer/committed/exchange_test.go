package committed

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// answer is a broker's to a fetch of one partition, in a version of the protocol, written by another library.
func answer(version int16, change func(*kmsg.FetchResponse, *kmsg.FetchResponseTopicPartition)) []byte {
	res, topic, partition := kmsg.NewPtrFetchResponse(), kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
	res.SetVersion(version)
	topic.Topic = "requests"
	for _, first := range []int64{3, 9} {
		aborted := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
		aborted.ProducerID, aborted.FirstOffset = first+100, first
		partition.AbortedTransactions = append(partition.AbortedTransactions, aborted)
	}
	partition.RecordBatches = []byte("batches")
	change(res, &partition)
	if res.Topics == nil {
		topic.Partitions = append(topic.Partitions, partition)
		res.Topics = append(res.Topics, topic)
	}
	return res.AppendTo(nil)
}

func TestResponsesOfAllVersions(t *testing.T) {
	for version := int16(leastVersion); version <= mostVersion; version++ {
		body := answer(version, func(*kmsg.FetchResponse, *kmsg.FetchResponseTopicPartition) {})
		r := response{body: &buffer{bytes: body}}
		err := r.read(version)
		if err != nil || r.failure() != nil || string(r.records) != "batches" || !slices.Equal(r.aborted, []transaction{{103, 3}, {109, 9}}) {
			t.Errorf("version %d: %q, aborted %v, %v, %v", version, r.records, r.aborted, err, r.failure())
		}
		for n := range body { // an answer that is not whole
			r := response{body: &buffer{bytes: body[:n]}}
			if err := r.read(version); !errors.Is(err, io.ErrUnexpectedEOF) && !r.none {
				t.Errorf("version %d, %d of %d bytes: %v", version, n, len(body), err)
			}
		}
	}
}

func TestFailuresInResponses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*kmsg.FetchResponse, *kmsg.FetchResponseTopicPartition)
		want   error // nil is any
	}{
		"of the partition": {func(_ *kmsg.FetchResponse, p *kmsg.FetchResponseTopicPartition) {
			p.ErrorCode = kerr.OffsetOutOfRange.Code
		}, kafka.OffsetOutOfRange},
		"of all": {func(r *kmsg.FetchResponse, _ *kmsg.FetchResponseTopicPartition) {
			r.ErrorCode = kerr.UnknownServerError.Code
		}, kafka.Unknown},
		"no topic": {func(r *kmsg.FetchResponse, _ *kmsg.FetchResponseTopicPartition) {
			r.Topics = []kmsg.FetchResponseTopic{}
		}, nil},
		"no partition": {func(r *kmsg.FetchResponse, _ *kmsg.FetchResponseTopicPartition) {
			r.Topics = []kmsg.FetchResponseTopic{{Topic: "requests"}}
		}, nil},
		"nothing aborted, no records": {func(_ *kmsg.FetchResponse, p *kmsg.FetchResponseTopicPartition) {
			p.AbortedTransactions, p.RecordBatches, p.ErrorCode = nil, nil, kerr.NotLeaderForPartition.Code
		}, kafka.NotLeaderForPartition},
	} {
		t.Run(name, func(t *testing.T) {
			r := response{body: &buffer{bytes: answer(mostVersion, test.change)}}
			if err := r.read(mostVersion); err != nil {
				t.Fatal(err)
			}
			if err := r.failure(); err == nil || test.want != nil && !errors.Is(err, test.want) || len(r.records) > 0 && r.err == 0 {
				t.Errorf("failure %v, want %v", err, test.want)
			}
		})
	}
}

func TestOldBrokersAreRefused(t *testing.T) {
	e := new(exchange)
	if !e.Required(map[protocol.ApiKey]int16{protocol.Fetch: 3}) {
		t.Error("the library would read the answer")
	}
	if _, err := e.RawExchange(nil); err == nil {
		t.Error("a version without transactions is spoken")
	}
}
