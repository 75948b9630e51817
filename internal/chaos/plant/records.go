//go:build faults

package plant

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// Where fields of a record batch stand, magic 2, after the four bytes of the record set's size: as the Kafka protocol
// guide has them under "Record Batch".
const (
	posCRC          = 4 + 17
	posAttributes   = 4 + 21
	posProducer     = 4 + 43 // id, epoch and base sequence, up to the count of records
	posRecords      = 4 + 57
	transactionalAt = posAttributes + 1
	transactional   = 1 << 4
)

// stripProducerIDs makes plain record batches of those that belong to a producer and its transaction.
func stripProducerIDs(r *rawproduce.Request) error {
	r.TransactionalID = ""
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			if err := stripProducerID(&r.Topics[i].Partitions[j].RecordSet); err != nil {
				return err
			}
		}
	}
	return nil
}

func stripProducerID(set *protocol.RawRecordSet) error {
	b, err := io.ReadAll(set.Reader)
	if err != nil || len(b) < posRecords {
		return fmt.Errorf("record batch of %d bytes: %w", len(b), err)
	}
	b[transactionalAt] &^= transactional
	copy(b[posProducer:posRecords], bytes.Repeat([]byte{0xff}, posRecords-posProducer))
	binary.BigEndian.PutUint32(b[posCRC:], crc32.Checksum(b[posAttributes:], crc32.MakeTable(crc32.Castagnoli)))
	*set = protocol.RawRecordSet{Reader: bytes.NewReader(b)}
	return nil
}
