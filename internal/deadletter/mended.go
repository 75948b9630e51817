package deadletter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Document is a letter as JSON. What is no UTF-8 is in the base64 field in place of the other; null is null.
type Document struct {
	Partition   int              `json:"partition"`
	Offset      int64            `json:"offset"`
	At          time.Time        `json:"at"`
	Reason      string           `json:"reason"`
	Detail      string           `json:"detail,omitempty"`
	Stage       string           `json:"stage,omitempty"`
	Meaning     string           `json:"meaning,omitempty"`
	Advice      string           `json:"advice,omitempty"`
	From        *DocumentPlace   `json:"from,omitempty"`
	Attempts    int              `json:"attempts,omitempty"`
	GivenUpAt   *time.Time       `json:"given_up_at,omitempty"`
	Omitted     int              `json:"value_omitted,omitempty"`
	Redrives    int              `json:"redrives"`
	Headers     []DocumentHeader `json:"headers,omitempty"`
	Redriven    []DocumentDrive  `json:"redriven,omitempty"`
	Key         *string          `json:"key,omitempty"`
	KeyBase64   []byte           `json:"key_base64,omitempty"`
	Value       json.RawMessage  `json:"value"` // a string; when read, it may be a JSON object as well
	ValueBase64 []byte           `json:"value_base64,omitempty"`
}

// DocumentPlace is a place in Kafka.
type DocumentPlace struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
}

// DocumentHeader is a header of the event.
type DocumentHeader struct {
	Key         string  `json:"key"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

// DocumentDrive is one time that the letter was sent back, and what came of it.
type DocumentDrive struct {
	ID      string        `json:"id"`
	At      time.Time     `json:"at"`
	By      string        `json:"by"`
	Why     string        `json:"why,omitempty"`
	State   string        `json:"state"`
	Mended  bool          `json:"mended"`
	To      DocumentPlace `json:"to"` // offset -1 is unknown
	Outcome string        `json:"outcome"`
}

// NewDocument returns a letter as JSON has it, without its redrives.
func NewDocument(l *Letter) Document {
	meaning := MeaningOf(l.Reason)
	d := Document{Partition: l.Place.Partition, Offset: l.Place.Offset, At: l.At, Reason: l.Reason, Detail: l.Detail, Stage: l.Stage,
		Meaning: meaning.What, Advice: meaning.Do, Attempts: l.Attempts, Omitted: l.Omitted, Redrives: l.Redrives, Value: json.RawMessage("null")}
	if l.From.Topic != "" {
		d.From = &DocumentPlace{l.From.Topic, l.From.Partition, l.From.Offset}
	}
	if !l.GivenUpAt.IsZero() {
		d.GivenUpAt = &l.GivenUpAt
	}
	for _, h := range l.Headers {
		text, raw := textOrBytes(h.Value)
		d.Headers = append(d.Headers, DocumentHeader{h.Key, text, raw})
	}
	d.Key, d.KeyBase64 = textOrBytes(l.Key)
	var text *string
	if text, d.ValueBase64 = textOrBytes(l.Value); text != nil {
		d.Value, _ = json.Marshal(*text) // a string can be written
	}
	return d
}

// textOrBytes returns b as text if it is UTF-8, else as it is; neither for null.
func textOrBytes(b []byte) (*string, []byte) {
	if b == nil {
		return nil, nil
	}
	if !utf8.Valid(b) {
		return nil, b
	}
	s := string(b)
	return &s, nil
}

// Mended are the keys and values that letters are sent back with.
type Mended struct {
	byPlace map[Place]event
}

type event struct {
	at         time.Time // of the letter; zero is any
	key, value []byte
}

// Len returns how many letters there are.
func (m *Mended) Len() int { return len(m.byPlace) }

// times returns where the letters stand, with the times that the file gives them.
func (m *Mended) times() map[Place]time.Time {
	times := map[Place]time.Time{}
	if m != nil {
		for place, e := range m.byPlace {
			times[place] = e.at
		}
	}
	return times
}

// ReadMended reads documents that follow each other, such as 'recstream dlq show -o json' prints. Of each its
// partition, offset, at, key and value count.
func ReadMended(r io.Reader) (*Mended, error) {
	m := &Mended{byPlace: map[Place]event{}}
	decoder := json.NewDecoder(r)
	for n := 1; ; n++ {
		var d struct {
			Partition *int   `json:"partition"`
			Offset    *int64 `json:"offset"`
			Document
		}
		err := decoder.Decode(&d)
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err == nil && (d.Partition == nil || d.Offset == nil) {
			err = errors.New("partition and offset say which letter it is; both are needed")
		}
		if err != nil {
			return nil, fmt.Errorf("letter %d: %w", n, err)
		}
		one := event{at: d.At, key: d.KeyBase64}
		if d.Key != nil {
			one.key = []byte(*d.Key)
		}
		if one.value, err = valueOf(&d.Document); err != nil {
			return nil, fmt.Errorf("letter %d: value: %w", n, err)
		}
		at := Place{*d.Partition, *d.Offset}
		if _, twice := m.byPlace[at]; twice {
			return nil, fmt.Errorf("letter %d: %d/%d is there twice", n, at.Partition, at.Offset)
		}
		m.byPlace[at] = one
	}
}

// valueOf returns the bytes of a document's value: of a string what it says, of an object its text.
func valueOf(d *Document) ([]byte, error) {
	switch {
	case d.ValueBase64 != nil:
		return d.ValueBase64, nil
	case len(d.Value) == 0 || string(d.Value) == "null":
		return nil, nil
	case d.Value[0] == '"':
		var s string
		err := json.Unmarshal(d.Value, &s)
		return []byte(s), err
	case d.Value[0] == '{':
		var b bytes.Buffer
		err := json.Compact(&b, d.Value)
		return b.Bytes(), err
	}
	return nil, errors.New("is neither a string nor an object, nor null; bytes go into value_base64, in base64")
}

// apply returns a letter's key and value as they are to be sent, and whether they are others than before. chosen is
// false where the letter is not among the mended.
func (m *Mended) apply(l *Letter) (key, value []byte, mended, chosen bool, err error) {
	if m == nil {
		return l.Key, l.Value, false, true, nil
	}
	one, ok := m.byPlace[Place{l.Place.Partition, l.Place.Offset}]
	if !ok {
		return nil, nil, false, false, nil
	}
	if !one.at.IsZero() && !one.at.Equal(l.At) {
		return nil, nil, false, true, fmt.Errorf("the letter at %d/%d is of %s, the file's of %s: it is another one",
			l.Place.Partition, l.Place.Offset, l.At.Format(time.RFC3339Nano), one.at.Format(time.RFC3339Nano))
	}
	return one.key, one.value, !same(one.key, l.Key) || !same(one.value, l.Value), true, nil
}

// same compares bytes; null is not the same as empty.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
