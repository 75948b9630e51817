package committed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/schemas"
)

// Record batches of a log, for tables, written by another library.

const (
	transactional = 0x10
	control       = 0x20
)

// written is a batch as its bytes; what has a length before it is filled in.
func written(b *kmsg.RecordBatch, records ...kmsg.Record) []byte {
	b.Magic, b.ProducerEpoch, b.NumRecords = 2, 3, int32(len(records))
	var raw []byte
	for i := range records {
		body := records[i].AppendTo(nil)[1:] // its length is 0, which is one byte
		raw = append(binary.AppendVarint(raw, int64(len(body))), body...)
	}
	if codec := compress.Compression(b.Attributes & 7).Codec(); codec != nil {
		var packed bytes.Buffer
		w := codec.NewWriter(&packed)
		_, _ = w.Write(raw)
		_ = w.Close()
		raw = packed.Bytes()
	}
	b.Records = raw
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	b.CRC = 0
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}

func batchOf(attributes int16, producer, base, last int64, offsets ...int64) []byte {
	var list []kmsg.Record
	for _, offset := range offsets {
		list = append(list, kmsg.Record{OffsetDelta: int32(offset - base), Value: []byte("v")})
	}
	return written(&kmsg.RecordBatch{FirstOffset: base, LastOffsetDelta: int32(last - base), Attributes: attributes, ProducerID: producer}, list...)
}

// data is a batch with records at those offsets; the first may be missing from a compacted one.
func data(producer, base, last int64, offsets ...int64) []byte {
	return batchOf(0, producer, base, last, offsets...)
}

func inTransaction(producer, base, last int64, offsets ...int64) []byte {
	return batchOf(transactional, producer, base, last, offsets...)
}

func marker(producer, offset int64) []byte {
	return batchOf(transactional|control, producer, offset, offset, offset)
}

func recordsOf(raw []byte, from int64, aborted ...transaction) *Records {
	return newRecords(&response{body: new(buffer), records: raw, aborted: aborted}, from)
}

// offsetsOf reads all, and returns the offsets.
func offsetsOf(t *testing.T, c *Records) (got []int64) {
	t.Helper()
	for {
		r, err := c.Read()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Offset)
	}
}

func TestRecords(t *testing.T) {
	type log = [][]byte
	type aborted = []transaction
	tests := map[string]struct {
		from    int64
		log     log
		aborted aborted
		want    []int64 // offsets
		next    int64
	}{
		"nothing":               {5, nil, nil, nil, 5},
		"plain":                 {0, log{data(-1, 0, 1, 0, 1), data(-1, 2, 2, 2)}, nil, []int64{0, 1, 2}, 3},
		"from within a batch":   {1, log{data(-1, 0, 2, 0, 1, 2)}, nil, []int64{1, 2}, 3},
		"committed":             {0, log{inTransaction(7, 0, 0, 0), marker(7, 1)}, nil, []int64{0}, 2},
		"aborted":               {0, log{inTransaction(7, 0, 1, 0, 1), marker(7, 2), data(-1, 3, 3, 3)}, aborted{{7, 0}}, []int64{3}, 4},
		"trailing marker alone": {2, log{marker(7, 2)}, nil, nil, 3},
		"markers behind each other": {0, log{inTransaction(7, 0, 0, 0), inTransaction(8, 1, 1, 1), marker(8, 2), marker(7, 3)},
			aborted{{8, 1}, {7, 0}}, nil, 4},
		"aborted, listed by their ends": {0, log{inTransaction(7, 0, 0, 0), inTransaction(8, 1, 1, 1), marker(8, 2), inTransaction(7, 3, 3, 3), marker(7, 4), data(-1, 5, 5, 5)},
			aborted{{8, 1}, {7, 0}}, []int64{5}, 6},
		"begun before what was asked for": {4, log{inTransaction(7, 4, 4, 4), marker(7, 5)}, aborted{{7, 1}}, nil, 6},
		"aborted, then committed":         {0, log{inTransaction(7, 0, 0, 0), marker(7, 1), inTransaction(7, 2, 2, 2), marker(7, 3)}, aborted{{7, 0}}, []int64{2}, 4},
		"aborted and compacted away, then committed": {0, log{marker(7, 1), inTransaction(7, 2, 2, 2), marker(7, 3)},
			aborted{{7, 0}}, []int64{2}, 4},
		"the producer's plain records stay": {0, log{inTransaction(7, 0, 0, 0), data(7, 1, 1, 1)}, aborted{{7, 0}}, []int64{1}, 2},
		"gap at a batch's beginning":        {0, log{data(-1, 0, 5, 4, 5)}, nil, []int64{4, 5}, 6},
		"gap within":                        {0, log{data(-1, 0, 5, 0, 5)}, nil, []int64{0, 5}, 6},
		"gap at its end":                    {0, log{data(-1, 0, 5, 0, 1)}, nil, []int64{0, 1}, 6},
		"emptied batch":                     {0, log{data(-1, 0, 8), data(-1, 9, 9, 9)}, nil, []int64{9}, 10},
		"emptied batch alone":               {0, log{data(-1, 0, 0)}, nil, nil, 1},
		"asked for in a gap at the end":     {8, log{data(-1, 0, 8, 0, 7)}, nil, nil, 9},
		"asked for in an emptied batch":     {3, log{data(-1, 0, 3)}, nil, nil, 4},
		"cut off":                           {0, log{data(-1, 0, 1, 0, 1), data(-1, 2, 2, 2)[:30]}, nil, []int64{0, 1}, 2},
		"cut off in its length":             {0, log{data(-1, 0, 1, 0, 1), data(-1, 2, 2, 2)[:9]}, nil, []int64{0, 1}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := recordsOf(slices.Concat(test.log...), test.from, test.aborted...)
			if got := offsetsOf(t, c); !slices.Equal(got, test.want) || c.Next() != test.next {
				t.Errorf("read %v up to %d, want %v up to %d", got, c.Next(), test.want, test.next)
			}
		})
	}
}

// TestBrokenBatches are told, and end the reading.
func TestBrokenBatches(t *testing.T) {
	whole := data(-1, 4, 5, 4, 5)
	changed := func(at int, to byte) []byte {
		raw := slices.Clone(whole)
		raw[at] = to
		return raw
	}
	defer func(most int64) { mostInflated = most }(mostInflated)
	mostInflated = 1 << 20
	bomb := written(&kmsg.RecordBatch{Attributes: int16(compress.Gzip)}, kmsg.Record{Value: make([]byte, mostInflated+1)})
	for name, test := range map[string]struct {
		raw  []byte
		want string
	}{
		"the first cut off":  {whole[:40], "cut off"},
		"a byte wrong":       {changed(len(whole)-1, 'w'), "checksum"},
		"an old format":      {changed(16, 1), "record format 1"},
		"no room for itself": {changed(11, 5), "unexpected EOF"},
		"unknown codec":      {written(&kmsg.RecordBatch{Attributes: 5}, kmsg.Record{}), "unknown compression"},
		"not compressed":     {broken(whole), "offset 4, gzip"},
		"comes to too much":  {bomb, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			c := recordsOf(test.raw, 0)
			_, err := c.Read()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if _, err := c.Read(); !errors.Is(err, io.EOF) {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

// broken says that a batch is compressed, which it is not.
func broken(whole []byte) []byte {
	raw := slices.Clone(whole)
	raw[22] |= byte(compress.Gzip)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}

// randomBatch is a batch of records with all that they can have.
func randomBatch(random *rand.Rand, base int64) []byte {
	some := func() []byte {
		switch random.IntN(4) {
		case 0:
			return nil
		case 1:
			return []byte{}
		}
		v := make([]byte, random.IntN(300))
		for i := range v {
			v[i] = byte(random.IntN(4))
		}
		return v
	}
	var list []kmsg.Record
	for i := range 1 + random.IntN(20) {
		r := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: random.Int64N(1000) - 500, Key: some(), Value: some()}
		for range random.IntN(4) {
			r.Headers = append(r.Headers, kmsg.Header{Key: fmt.Sprint("h", random.IntN(9)), Value: some()})
		}
		list = append(list, r)
	}
	attributes := int16(random.IntN(5))
	if random.IntN(4) == 0 {
		attributes |= int16(appendTime)
	}
	return written(&kmsg.RecordBatch{FirstOffset: base, LastOffsetDelta: int32(len(list) - 1), Attributes: attributes, ProducerID: -1,
		FirstTimestamp: 1_700_000_000_000 + random.Int64N(1e9), MaxTimestamp: 1_800_000_000_000}, list...)
}

// TestRecordsAsTheLibraryReadsThem compares with kafka-go, for all compressions. It gives a record the time of its
// producer also where the broker's counts, which is told apart.
func TestRecordsAsTheLibraryReadsThem(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	for range 300 {
		var raw []byte
		base := random.Int64N(1e6)
		begin := base
		for range 1 + random.IntN(4) {
			raw = append(raw, randomBatch(random, base)...)
			base += 100
		}
		c := recordsOf(raw, begin)
		for n, want := range libraryReads(t, raw) {
			got, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			if got.Time.Equal(time.UnixMilli(1_800_000_000_000)) {
				want.Time = got.Time
			}
			if len(got.Headers) == 0 {
				want.Headers = got.Headers
			}
			if a, b := fmt.Sprintf("%#v", *got), fmt.Sprintf("%#v", want); a != b {
				t.Fatalf("record %d:\n     %s\nwant %s", n, a, b)
			}
		}
		if _, err := c.Read(); !errors.Is(err, io.EOF) {
			t.Fatalf("behind the last: %v", err)
		}
	}
}

// libraryReads returns what kafka-go makes of batches.
func libraryReads(t *testing.T, raw []byte) (list []Record) {
	t.Helper()
	var set protocol.RecordSet
	if _, err := set.ReadFrom(bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...))); err != nil {
		t.Fatal(err)
	}
	for {
		r, err := set.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		one := Record{Offset: r.Offset, Time: r.Time.UTC(), Key: read(t, r.Key), Value: read(t, r.Value)}
		for _, h := range r.Headers {
			one.Headers = append(one.Headers, schemas.Header{Key: h.Key, Value: h.Value})
		}
		list = append(list, one)
	}
}

func read(t *testing.T, b protocol.Bytes) []byte {
	t.Helper()
	if b == nil {
		return nil
	}
	v, err := protocol.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// FuzzRecords wants any bytes to be read or refused, and what is read to go forward.
func FuzzRecords(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 8 {
		f.Add(randomBatch(random, 5), false)
	}
	f.Add(slices.Concat(inTransaction(7, 0, 0, 0), marker(7, 1)), true)
	f.Fuzz(func(t *testing.T, raw []byte, sum bool) {
		if sum && len(raw) > 21 { // else the checksum keeps everything out
			binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
			binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
		}
		c := recordsOf(raw, 3, transaction{7, 0})
		for next := c.Next(); ; next = c.Next() {
			r, err := c.Read()
			if c.Next() < next || err == nil && r.Offset < 3 {
				t.Fatalf("went from %d to %d", next, c.Next())
			}
			if err != nil {
				return
			}
		}
	})
}
