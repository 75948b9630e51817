package producer

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addoffsetstotxn"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
	"github.com/segmentio/kafka-go/protocol/txnoffsetcommit"
)

// agreeable is a broker that says yes to all that a transaction asks for, with six partitions of each topic.
type agreeable struct{}

func (agreeable) RoundTrip(_ context.Context, _ net.Addr, req kafka.Request) (kafka.Response, error) {
	switch req := req.(type) {
	case *metadata.Request:
		return clusterOf(req.TopicNames), nil
	case *initproducerid.Request:
		return &initproducerid.Response{ProducerID: 1}, nil
	case *addpartitionstotxn.Request:
		res := &addpartitionstotxn.Response{}
		for _, t := range req.Topics {
			res.Results = append(res.Results, addpartitionstotxn.ResponseResult{Name: t.Name,
				Results: make([]addpartitionstotxn.ResponsePartition, len(t.Partitions))})
		}
		return res, nil
	case *rawproduce.Request:
		res := &produce.Response{}
		for _, t := range req.Topics {
			topic := produce.ResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				topic.Partitions = append(topic.Partitions, produce.ResponsePartition{Partition: p.Partition})
			}
			res.Topics = append(res.Topics, topic)
		}
		return res, nil
	case *addoffsetstotxn.Request:
		return &addoffsetstotxn.Response{}, nil
	case *txnoffsetcommit.Request:
		return &txnoffsetcommit.Response{Topics: []txnoffsetcommit.ResponseTopic{{Name: requests,
			Partitions: make([]txnoffsetcommit.ResponsePartition, 1)}}}, nil
	case *endtxn.Request:
		return &endtxn.Response{}, nil
	}
	return nil, fmt.Errorf("no answer to %T", req)
}

func clusterOf(topics []string) *metadata.Response {
	res := &metadata.Response{Brokers: []metadata.ResponseBroker{{NodeID: 1, Host: "localhost", Port: 9092}}}
	for _, name := range topics {
		t := metadata.ResponseTopic{Name: name}
		for i := range int32(6) {
			t.Partitions = append(t.Partitions, metadata.ResponsePartition{PartitionIndex: i, LeaderID: 1})
		}
		res.Topics = append(res.Topics, t)
	}
	return res
}

// BenchmarkFlush is one transaction of 500 results, without a network.
func BenchmarkFlush(b *testing.B) {
	p := New(Config{Client: &kafka.Client{Addr: kafka.TCP("localhost:9092"), Transport: agreeable{}},
		Results: results, DeadLetters: deadLetters, Source: "/recstream/test", Timeout: time.Second, Transactions: true})
	o := openTransactional(b, p, assigned)
	out := answer("ada", "r")
	users := make([]string, 500)
	for i := range users {
		users[i] = fmt.Sprint("user ", i)
	}
	b.ReportAllocs()
	for next := int64(1); b.Loop(); next++ {
		for _, user := range users {
			out.Decision.UserID = user
			o.Add(out)
		}
		must(b, o.Flush(b.Context(), next))
	}
}
