package deadletter

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"recstream/schemas"
)

// record is one that is to be sent.
type record struct {
	topic      string
	partition  int
	key, value []byte
	headers    []schemas.Header
}

// sender writes records in transactions of one transactional id: all of a call, or none, and each once. Whoever
// opens a sender of the same id later ends what this one has begun, and fences it.
type sender struct {
	client   *kafka.Client
	name     string // transactional id
	id       int
	epoch    int
	sequence map[target]int32 // of the next record
}

type target struct {
	topic     string
	partition int
}

// transactionTimeout bounds how long a sender that was killed holds up the read_committed readers of its topics.
const transactionTimeout = 15 * time.Second

// openSender returns once every transaction that was begun under the name is committed or aborted.
func openSender(ctx context.Context, client *kafka.Client, name string) (*sender, error) {
	s := &sender{client: client, name: name, sequence: map[target]int32{}}
	err := retry(ctx, client, func() error {
		res, err := client.InitProducerID(ctx, &kafka.InitProducerIDRequest{TransactionalID: name,
			TransactionTimeoutMs: int(transactionTimeout.Milliseconds()), ProducerID: -1, ProducerEpoch: -1})
		if err != nil {
			return err
		}
		s.id, s.epoch = res.Producer.ProducerID, res.Producer.ProducerEpoch
		return res.Error
	})
	if err != nil {
		return nil, fmt.Errorf("begin transactions as %s: %w", name, err)
	}
	return s, nil
}

// send writes records in one transaction and returns their offsets. After an error none of them is there, or, where
// the transaction could not be ended, all or none: the next sender of the name finds out. A record that its topic does
// not take for its size is the error kafka.MessageSizeTooLarge, and the transaction is aborted.
func (s *sender) send(ctx context.Context, records []record) ([]int64, error) {
	offsets := make([]int64, len(records))
	err := s.begin(ctx, records)
	for _, t := range targets(records) {
		if err == nil {
			err = s.produce(ctx, t, records, offsets)
		}
	}
	if err == nil {
		return offsets, s.end(ctx, true)
	}
	// An open transaction would hold up the live stream until it times out.
	if aborted := s.end(ctx, false); aborted != nil {
		return nil, fmt.Errorf("%w; before: %v", aborted, err) //nolint:errorlint // the cause is not to be acted on
	}
	return nil, err
}

// targets returns where the records go, in the order of their first.
func targets(records []record) (list []target) {
	seen := map[target]bool{}
	for i := range records {
		t := target{records[i].topic, records[i].partition}
		if !seen[t] {
			seen[t] = true
			list = append(list, t)
		}
	}
	return list
}

func (s *sender) begin(ctx context.Context, records []record) error {
	topics := map[string][]kafka.AddPartitionToTxn{}
	for _, t := range targets(records) {
		topics[t.topic] = append(topics[t.topic], kafka.AddPartitionToTxn{Partition: t.partition})
	}
	err := retry(ctx, s.client, func() error {
		res, err := s.client.AddPartitionsToTxn(ctx, &kafka.AddPartitionsToTxnRequest{
			TransactionalID: s.name, ProducerID: s.id, ProducerEpoch: s.epoch, Topics: topics})
		if err != nil {
			return err
		}
		for _, partitions := range res.Topics {
			for _, p := range partitions {
				if p.Error != nil {
					return p.Error
				}
			}
		}
		return nil
	})
	return named(err, "begin transaction")
}

func (s *sender) end(ctx context.Context, commit bool) error {
	err := retry(ctx, s.client, func() error {
		res, err := s.client.EndTxn(ctx, &kafka.EndTxnRequest{TransactionalID: s.name, ProducerID: s.id, ProducerEpoch: s.epoch, Committed: commit})
		if err != nil {
			return err
		}
		return res.Error
	})
	return named(err, "end transaction")
}

func named(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// produce writes the records of one target. What is tried again has the same sequence numbers: the broker drops it.
func (s *sender) produce(ctx context.Context, t target, records []record, offsets []int64) error {
	var places []int
	var list []protocol.Record
	for i, r := range records {
		if r.topic == t.topic && r.partition == t.partition {
			places = append(places, i)
			list = append(list, r.encode())
		}
	}
	batch, err := s.batch(s.sequence[t], list)
	if err != nil {
		return err
	}
	var base int64
	err = retry(ctx, s.client, func() error {
		res, err := s.client.RawProduce(ctx, &kafka.RawProduceRequest{Topic: t.topic, Partition: t.partition, RequiredAcks: kafka.RequireAll,
			TransactionalID: s.name, RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(batch)}})
		if err != nil {
			return err
		}
		base = res.BaseOffset
		return res.Error
	})
	if err != nil {
		return fmt.Errorf("write to %s/%d: %w", t.topic, t.partition, err)
	}
	for i, place := range places {
		offsets[place] = base + int64(i)
	}
	s.sequence[t] += int32(len(list))
	return nil
}

func (r *record) encode() protocol.Record {
	headers := make([]protocol.Header, len(r.headers))
	for i, h := range r.headers {
		headers[i] = protocol.Header{Key: h.Key, Value: h.Value}
	}
	return protocol.Record{Time: time.Now(), Key: protocol.NewBytes(r.key), Value: protocol.NewBytes(r.value), Headers: headers}
}

// Layout of a record set of one record batch, as the Kafka protocol guide has it under "Record Batch". In front stand
// the 4 bytes of the set's size.
const (
	posCRC           = 4 + 17
	posAttributes    = 4 + 21
	posProducerID    = 4 + 43
	posProducerEpoch = 4 + 51
	posBaseSequence  = 4 + 53
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch encodes records of a transaction. The library writes no producer's number, so it is filled in here.
func (s *sender) batch(sequence int32, list []protocol.Record) ([]byte, error) {
	var b bytes.Buffer
	set := protocol.RecordSet{Version: 2, Attributes: protocol.Transactional, Records: protocol.NewRecordReader(list...)}
	if _, err := set.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("encode records: %w", err)
	}
	buf := b.Bytes()
	be := binary.BigEndian
	be.PutUint64(buf[posProducerID:], uint64(s.id))
	be.PutUint16(buf[posProducerEpoch:], uint16(s.epoch))
	be.PutUint32(buf[posBaseSequence:], uint32(sequence))
	be.PutUint32(buf[posCRC:], crc32.Checksum(buf[posAttributes:], castagnoli))
	return buf, nil
}
