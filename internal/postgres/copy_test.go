package postgres

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"recstream/schemas"
)

// fields cuts one row of a COPY into its fields; nil is null.
func fields(t *testing.T, b []byte) [][]byte {
	t.Helper()
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	list := make([][]byte, n)
	for i := range list {
		size := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if size >= 0 {
			list[i], b = b[:size:size], b[size:]
		}
	}
	if len(b) > 0 {
		t.Fatalf("%d bytes after the last field", len(b))
	}
	return list
}

// scan decodes a field with pgx, which knows nothing of the encoder.
func scan[T any](t *testing.T, oid uint32, field []byte) (v T) {
	t.Helper()
	if err := pgtype.NewMap().Scan(oid, pgtype.BinaryFormatCode, field, &v); err != nil {
		t.Fatalf("field of type %d, %x: %v", oid, field, err)
	}
	return v
}

// The columns' places in a row.
const (
	fieldRequestID   = 1
	fieldRequestedAt = 6
	fieldDegraded    = 9
	fieldModelID     = 10
	fieldConsidered  = 13
	fieldItemIDs     = 14
	fieldPredictions = 16
	fieldScores      = 17
	fieldQueue       = 18
	fieldTerms       = 29
)

func TestEncodedRowIsWhatPgxReads(t *testing.T) {
	r, models := newRandom(3), []schemas.ModelRef{{ID: 7}}
	for range 300 {
		d := r.decision(r.text(), noon, models)
		var c copyBuffer
		must(t, appendDecision(&c, LiveRun, d))
		f := fields(t, c.b)
		got := []any{
			scan[string](t, pgtype.TextOID, f[fieldRequestID]),
			scan[time.Time](t, pgtype.TimestamptzOID, f[fieldRequestedAt]).UTC(),
			scan[[]schemas.Reason](t, pgtype.TextArrayOID, f[fieldDegraded]),
			scan[int](t, pgtype.Int4OID, f[fieldConsidered]),
			scan[int64](t, pgtype.Int8OID, f[fieldQueue]),
			len(scan[[]string](t, pgtype.TextArrayOID, f[fieldItemIDs])),
			f[fieldModelID] == nil,
		}
		want := []any{d.RequestID, d.RequestedAt, d.Degraded, d.Considered, d.QueueTime.Microseconds(), len(d.Items), d.Model == nil}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("row\n got %v\nwant %v", got, want)
		}
		predictions := scan[[]*float64](t, pgtype.Float8ArrayOID, f[fieldPredictions])
		scores := scan[[]float64](t, pgtype.Float8ArrayOID, f[fieldScores])
		for i, item := range d.Items {
			if (predictions[i] == nil) != math.IsNaN(item.Prediction) || predictions[i] != nil && *predictions[i] != item.Prediction ||
				math.Float64bits(scores[i]) != math.Float64bits(item.Score) {
				t.Fatalf("item %+v: prediction %v, score %v", item, predictions[i], scores[i])
			}
		}
	}
}

func TestArrayHeaderSaysWhetherThereAreNulls(t *testing.T) {
	for name, test := range map[string]struct {
		prediction float64
		flag       uint32
	}{"a number": {0.5, 0}, "no prediction": {math.NaN(), 1}} {
		t.Run(name, func(t *testing.T) {
			d := decision("r", noon)
			d.Items = []schemas.ScoredItem{{Prediction: test.prediction}}
			var c copyBuffer
			must(t, appendDecision(&c, LiveRun, d))
			if got := binary.BigEndian.Uint32(fields(t, c.b)[fieldPredictions][4:]); got != test.flag {
				t.Errorf("null flag %d, want %d", got, test.flag)
			}
		})
	}
}

func TestTermsAreLeftOutWhereTheBaseIsTheScore(t *testing.T) {
	minusZero := math.Copysign(0, -1)
	tests := map[string]struct {
		items []schemas.ScoredItem
		want  bool
	}{
		"no items":          {nil, true},
		"base alone":        {[]schemas.ScoredItem{{Score: 0.5, Terms: schemas.Terms{0.5}}, {}}, true},
		"a boost of one":    {[]schemas.ScoredItem{{Score: 0.5, Terms: schemas.Terms{0.5}}, {Score: 1, Terms: schemas.Terms{0.5, 0.5}}}, false},
		"the last term":     {[]schemas.ScoredItem{{Score: 0.5, Terms: schemas.Terms{0.5, schemas.TermDiversity: -1}}}, false},
		"a negative zero":   {[]schemas.ScoredItem{{Score: 0.5, Terms: schemas.Terms{0.5, minusZero}}}, false},
		"base is not score": {[]schemas.ScoredItem{{Score: 0.5}}, false},
		"zeros differ":      {[]schemas.ScoredItem{{Score: minusZero}}, false},
		"no number":         {[]schemas.ScoredItem{{Score: math.NaN(), Terms: schemas.Terms{math.NaN()}}}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := decision("r", noon)
			d.Items = test.items
			var c copyBuffer
			must(t, appendDecision(&c, LiveRun, d))
			if got := fields(t, c.b)[fieldTerms] == nil; got != test.want {
				t.Errorf("left out: %t, want %t", got, test.want)
			}
		})
	}
}

// tenItems is a decision of the usual size.
func tenItems() *schemas.Decision {
	d := decision("0190b5e2-request", noon)
	d.UserID, d.Model = "user-12345", &schemas.ModelRef{ID: 1}
	d.ColdStart = []schemas.ColdStart{schemas.ColdUnknownUser}
	for i := range 10 {
		d.Items = append(d.Items, schemas.ScoredItem{ItemID: fmt.Sprintf("movie-%d", i), Title: "Some Title", Prediction: 0.5, Score: 0.75,
			Terms: schemas.Terms{0.5, 0.25}})
	}
	return d
}

func TestEncodingARowAllocatesNothing(t *testing.T) {
	c, d := new(copyBuffer), tenItems()
	encode := func() {
		c.begin()
		must(t, appendDecision(c, LiveRun, d))
		c.end()
	}
	encode()
	if n := testing.AllocsPerRun(100, encode); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendDecision(b *testing.B) {
	terms, baseAlone := tenItems(), tenItems()
	for i := range baseAlone.Items {
		baseAlone.Items[i].Terms = schemas.Terms{baseAlone.Items[i].Score}
	}
	for name, d := range map[string]*schemas.Decision{"base alone": baseAlone, "terms": terms} {
		b.Run(name, func(b *testing.B) {
			c := new(copyBuffer)
			b.ReportAllocs()
			for b.Loop() {
				c.begin()
				must(b, appendDecision(c, LiveRun, d))
			}
		})
	}
}

func FuzzEncodedText(f *testing.F) {
	f.Add("id", "user", "title", 0.5, int64(0))
	f.Add("", "七", "\x00\xff", math.Inf(-1), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, id, user, title string, v float64, offset int64) {
		d := decision(id, noon)
		d.UserID, d.Source.Offset = user, offset
		d.Items = []schemas.ScoredItem{{ItemID: id, Title: title, Prediction: v, Score: v}}
		var c copyBuffer
		must(t, appendDecision(&c, LiveRun, d))
		row := fields(t, c.b)
		if string(row[fieldRequestID]) != id || (row[2] == nil) != (user == "") || string(row[2]) != user {
			t.Errorf("id %q, user %q", row[fieldRequestID], row[2])
		}
		if got := scan[[]string](t, pgtype.TextArrayOID, row[15]); got[0] != title {
			t.Errorf("title %q, want %q", got, title)
		}
		if got := scan[int64](t, pgtype.Int8OID, row[22]); got != offset {
			t.Errorf("offset %d, want %d", got, offset)
		}
	})
}
