package committed

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// Batches of a log, for tables.

const transactional = protocol.Transactional

// data is a batch with records at those offsets; the first may be missing from a compacted one.
func data(producer, base int64, offsets ...int64) protocol.RecordReader {
	return records(0, producer, base, offsets)
}

func inTransaction(producer, base int64, offsets ...int64) protocol.RecordReader {
	return records(transactional, producer, base, offsets)
}

func records(a protocol.Attributes, producer, base int64, offsets []int64) protocol.RecordReader {
	list := make([]protocol.Record, len(offsets))
	for i, offset := range offsets {
		list[i] = protocol.Record{Offset: offset, Value: protocol.NewBytes([]byte("v"))}
	}
	return &protocol.RecordBatch{Attributes: a, ProducerID: producer, BaseOffset: base, Records: protocol.NewRecordReader(list...)}
}

func marker(producer, offset int64) protocol.RecordReader {
	return &protocol.ControlBatch{ProducerID: producer, BaseOffset: offset, Records: protocol.NewRecordReader()}
}

func TestRecords(t *testing.T) {
	type log = []protocol.RecordReader
	type aborted = []fetch.ResponseTransaction
	tests := map[string]struct {
		from    int64
		log     log
		aborted aborted
		want    []int64 // offsets
		next    int64
	}{
		"nothing":               {5, nil, nil, nil, 5},
		"plain":                 {0, log{data(-1, 0, 0, 1), data(-1, 2, 2)}, nil, []int64{0, 1, 2}, 3},
		"from within a batch":   {1, log{data(-1, 0, 0, 1, 2)}, nil, []int64{1, 2}, 3},
		"committed":             {0, log{inTransaction(7, 0, 0), marker(7, 1)}, nil, []int64{0}, 2},
		"aborted":               {0, log{inTransaction(7, 0, 0, 1), marker(7, 2), data(-1, 3, 3)}, aborted{{ProducerID: 7, FirstOffset: 0}}, []int64{3}, 4},
		"trailing marker alone": {2, log{marker(7, 2)}, nil, nil, 3},
		"markers behind each other": {0, log{inTransaction(7, 0, 0), inTransaction(8, 1, 1), marker(8, 2), marker(7, 3)},
			aborted{{ProducerID: 8, FirstOffset: 1}, {ProducerID: 7, FirstOffset: 0}}, nil, 4},
		"aborted, listed by their ends": {0, log{inTransaction(7, 0, 0), inTransaction(8, 1, 1), marker(8, 2), inTransaction(7, 3, 3), marker(7, 4), data(-1, 5, 5)},
			aborted{{ProducerID: 8, FirstOffset: 1}, {ProducerID: 7, FirstOffset: 0}}, []int64{5}, 6},
		"begun before what was asked for": {4, log{inTransaction(7, 4, 4), marker(7, 5)}, aborted{{ProducerID: 7, FirstOffset: 1}}, nil, 6},
		"aborted, then committed":         {0, log{inTransaction(7, 0, 0), marker(7, 1), inTransaction(7, 2, 2), marker(7, 3)}, aborted{{ProducerID: 7, FirstOffset: 0}}, []int64{2}, 4},
		"aborted and compacted away, then committed": {0, log{marker(7, 1), inTransaction(7, 2, 2), marker(7, 3)},
			aborted{{ProducerID: 7, FirstOffset: 0}}, []int64{2}, 4},
		"the producer's plain records stay": {0, log{inTransaction(7, 0, 0), data(7, 1, 1)}, aborted{{ProducerID: 7, FirstOffset: 0}}, []int64{1}, 2},
		"gap at a batch's beginning":        {0, log{data(-1, 0, 4, 5)}, nil, []int64{4, 5}, 6},
		"gap within":                        {0, log{data(-1, 0, 0, 5)}, nil, []int64{0, 5}, 6},
		"emptied batch":                     {0, log{data(-1, 0), data(-1, 9, 9)}, nil, []int64{9}, 10},
		"emptied batch alone":               {0, log{data(-1, 0)}, nil, nil, 1},
		"asked for in a gap at the end":     {8, log{data(-1, 0, 0, 7)}, nil, nil, 9},
		"asked for in an emptied batch":     {3, log{data(-1, 0)}, nil, nil, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := &fetch.ResponsePartition{AbortedTransactions: test.aborted,
				RecordSet: protocol.RecordSet{Records: &protocol.RecordStream{Records: test.log}}}
			c := newRecords(p, test.from)
			var got []int64
			for {
				r, err := c.Read()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r.Offset)
			}
			if !slices.Equal(got, test.want) || c.Next() != test.next {
				t.Errorf("read %v up to %d, want %v up to %d", got, c.Next(), test.want, test.next)
			}
		})
	}
}
