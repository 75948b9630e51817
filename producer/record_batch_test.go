package producer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"recstream/schemas"
)

// decoded is a record as kafka-go's own reader, which checks sizes and checksum, understands it.
type decoded struct {
	key, value string
	null       bool // the value is
	headers    string
	unixMS     int64
	offset     int64
}

func decode(t *testing.T, raw []byte) (records []decoded, batch *protocol.RecordBatch) {
	t.Helper()
	var set protocol.RecordSet
	if _, err := set.ReadFrom(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	stream := set.Records.(*protocol.RecordStream)
	batch = stream.Records[0].(*protocol.RecordBatch)
	for {
		r, err := batch.ReadRecord()
		if errors.Is(err, io.EOF) {
			return records, batch
		}
		if err != nil {
			t.Fatal(err)
		}
		key, _ := protocol.ReadAll(r.Key)
		value, _ := protocol.ReadAll(r.Value)
		d := decoded{key: string(key), value: string(value), null: r.Value == nil, unixMS: r.Time.UnixMilli(), offset: r.Offset}
		for _, h := range r.Headers {
			d.headers += fmt.Sprintf("%s=%s;", h.Key, h.Value)
		}
		records = append(records, d)
	}
}

func threeRecords() *recordBatch {
	b := new(recordBatch)
	b.reset()
	b.add([]byte("k1"), []byte("v1"), []schemas.Header{{Key: "h", Value: []byte("x")}}, 1_000)
	b.add(nil, bytes.Repeat([]byte("v"), 300), nil, 990)
	b.add([]byte{}, nil, []schemas.Header{{Key: "a", Value: nil}, {Key: "b", Value: []byte{}}}, 5_000)
	return b
}

func TestSealedBatchReadsBack(t *testing.T) {
	got, batch := decode(t, threeRecords().seal(producerID{id: 77, epoch: 3}, 41, false))
	want := []decoded{
		{key: "k1", value: "v1", headers: "h=x;", unixMS: 1_000, offset: 0},
		{value: string(bytes.Repeat([]byte("v"), 300)), unixMS: 990, offset: 1},
		{null: true, headers: "a=;b=;", unixMS: 5_000, offset: 2},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("records\n got %v\nwant %v", got, want)
	}
	if batch.ProducerID != 77 || batch.ProducerEpoch != 3 || batch.BaseSequence != 41 {
		t.Errorf("producer %d epoch %d sequence %d, want 77 3 41", batch.ProducerID, batch.ProducerEpoch, batch.BaseSequence)
	}
}

func TestSealIsRepeatable(t *testing.T) {
	b := threeRecords()
	first := bytes.Clone(b.seal(producerID{1, 2}, 3, false))
	b.seal(producerID{9, 9}, 9, false)
	if !bytes.Equal(first, b.seal(producerID{1, 2}, 3, false)) {
		t.Error("sealing again with the same numbers gives other bytes")
	}
}

func TestSplitKeepsRecordsInOrder(t *testing.T) {
	whole, _ := decode(t, threeRecords().seal(producerID{}, 0, false))
	first, second := threeRecords().split()
	a, _ := decode(t, first.seal(producerID{}, 0, false))
	b, _ := decode(t, second.seal(producerID{}, 0, false))
	if len(a) != 1 || len(b) != 2 {
		t.Fatalf("split into %d and %d records", len(a), len(b))
	}
	for i := range b {
		b[i].offset += int64(len(a))
	}
	if got := append(a, b...); fmt.Sprint(got) != fmt.Sprint(whole) {
		t.Errorf("after the split\n got %v\nwant %v", got, whole)
	}
}

func TestStripLeavesOutTheValueAndThenAllThatIsTheEvents(t *testing.T) {
	b, e, out := new(recordBatch), new(encoder), exampleOutcome()
	out.Decision, out.Rejection = nil, &schemas.Rejection{Code: "c", At: time.UnixMilli(42)}
	headers, ms := e.deadLetter("/recstream/test", out)
	b.reset()
	b.add([]byte("key"), []byte("too long"), headers, ms)
	_, record := b.record(0)
	omitted := fmt.Sprintf("dlq_value_omitted=%d;", len(record))

	first := b.strip()
	got, _ := decode(t, first.seal(producerID{}, 0, false))
	if len(got) != 1 || got[0].key != "key" || !got[0].null || got[0].unixMS != 42 ||
		!strings.HasPrefix(got[0].headers, "traceparent=00-1-2-01;other=x;ce_specversion=1.0;") || !strings.HasSuffix(got[0].headers, omitted) {
		t.Errorf("without its value: %+v", got)
	}
	got, _ = decode(t, first.strip().seal(producerID{}, 0, false))
	if len(got) != 1 || got[0].key != "" || !got[0].null || got[0].unixMS != 42 ||
		!strings.HasPrefix(got[0].headers, "dlq_reason=c;") || !strings.HasSuffix(got[0].headers, omitted) {
		t.Errorf("bare: %+v", got)
	}
}

func TestRecordsFromBefore1970(t *testing.T) {
	b := new(recordBatch)
	b.reset()
	b.add(nil, nil, nil, -5)
	b.add(nil, nil, nil, -7)
	raw := b.seal(producerID{}, 0, false)
	if latest := int64(binary.BigEndian.Uint64(raw[posMaxTimestamp:])); latest != -5 {
		t.Errorf("the batch's latest time is %d, want -5", latest)
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	b, e, out := new(recordBatch), new(encoder), exampleOutcome()
	encode := func() {
		b.reset()
		for range 10 {
			key, value, headers, ms := e.result("/recstream/test", out)
			b.add(key, value, headers, ms)
		}
		b.seal(producerID{1, 1}, 1, false)
	}
	encode()
	if n := testing.AllocsPerRun(100, encode); n > 0 {
		t.Errorf("%v allocations for 10 results, want 0", n)
	}
}
