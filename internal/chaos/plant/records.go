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

// stripProducerID makes a plain record batch of one that belongs to a producer and its transaction.
func stripProducerID(r *rawproduce.Request) error {
	set := &r.Topics[0].Partitions[0].RecordSet
	b, err := io.ReadAll(set.Reader)
	if err != nil || len(b) < posRecords {
		return fmt.Errorf("record batch of %d bytes: %w", len(b), err)
	}
	b[transactionalAt] &^= transactional
	copy(b[posProducer:posRecords], bytes.Repeat([]byte{0xff}, posRecords-posProducer))
	binary.BigEndian.PutUint32(b[posCRC:], crc32.Checksum(b[posAttributes:], crc32.MakeTable(crc32.Castagnoli)))
	*set = protocol.RawRecordSet{Reader: bytes.NewReader(b)}
	r.TransactionalID = ""
	return nil
}
