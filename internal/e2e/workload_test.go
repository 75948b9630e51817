package e2e

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// workload is what a test publishes: requests of some users in their order, with bad events among them.
type workload struct {
	good     int               // requests, ids r-000000 up
	bad      map[string]string // key of a bad event → the code that it must be refused with
	badValue map[string][]byte // key of a bad event → its bytes
	badTopic string            // of the bad events; empty is that of requests
	named    int               // bad events whose request id can be read: each gets a rejected result
	messages []kafka.Message
}

const users = 300

// badKinds are ways for an event to be bad, with the codes that they are refused with.
var badKinds = []struct {
	name, code string
	named      bool
	value      []byte
}{
	{"tombstone", schemas.CodeEmptyMessage, false, nil},
	{"empty", schemas.CodeEmptyMessage, false, []byte{}},
	{"not JSON", schemas.CodeInvalidJSON, false, []byte("hello")},
	{"cut short", schemas.CodeInvalidJSON, true, []byte(`{"request_id":"x","mood":"fun`)},
	{"not UTF-8", schemas.CodeInvalidUTF8, false, []byte("{\"request_id\":\"\xff\"}")},
	{"no id", schemas.CodeMissingField, false, []byte(`{"user_id":"u","mood":"funny"}`)},
	{"unknown field", schemas.CodeUnknownField, true, []byte(`{"request_id":"x","exlude":["a"]}`)},
	{"field twice", schemas.CodeDuplicateField, true, []byte(`{"request_id":"x","mood":"funny","mood":"action"}`)},
	{"wrong type", schemas.CodeWrongType, true, []byte(`{"request_id":"x","limit":"three"}`)},
	{"unknown mood", schemas.CodeUnknownValue, true, []byte(`{"request_id":"x","mood":"hungry"}`)},
	{"limit", schemas.CodeOutOfRange, true, []byte(`{"request_id":"x","limit":101}`)},
	{"long id", schemas.CodeTooLong, false, []byte(`{"request_id":"` + strings.Repeat("x", 129) + `"}`)},
	{"many candidates", schemas.CodeTooMany, true, []byte(`{"request_id":"x","candidates":["a"` + strings.Repeat(`,"a"`, 10_000) + `]}`)},
	{"time", schemas.CodeInvalidTime, true, []byte(`{"request_id":"x","requested_at":"yesterday"}`)},
	{"NUL", schemas.CodeInvalidText, false, []byte(`{"request_id":"a\u0000b"}`)},
	{"two values", schemas.CodeTrailingData, true, []byte(`{"request_id":"x"} {}`)},
	{"deep", schemas.CodeNestingTooDeep, true, []byte(`{"request_id":"x","mood":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`)},
	{"large", schemas.CodeMessageTooLarge, true, []byte(`{"request_id":"x","user_id":"` + strings.Repeat("x", schemas.MaxMessageBytes) + `"}`)},
}

// newWorkload makes n events, of which one in a hundred is bad.
func newWorkload(n int) *workload {
	w := &workload{bad: map[string]string{}, badValue: map[string][]byte{}}
	for i := range n {
		if i%100 == 99 {
			kind := badKinds[len(w.bad)%len(badKinds)]
			key := fmt.Sprintf("bad-%04d", len(w.bad))
			w.bad[key], w.badValue[key] = kind.code, kind.value
			if kind.named {
				w.named++
			}
			w.messages = append(w.messages, kafka.Message{Key: []byte(key), Value: kind.value,
				Headers: []kafka.Header{{Key: "kind", Value: []byte(kind.name)}}})
			continue
		}
		w.messages = append(w.messages, goodMessage(w.good))
		w.good++
	}
	return w
}

// goodMessage is the request r-<i>, of one of the users.
func goodMessage(i int) kafka.Message {
	r := schemas.Request{
		RequestID: fmt.Sprintf("r-%06d", i),
		UserID:    fmt.Sprintf("u-%03d", i*7919%users),
		Context: schemas.Context{
			Mood:          schemas.Mood(i % int(schemas.NumMoods)),
			GroupSize:     schemas.GroupSize(i / 5 % int(schemas.NumGroupSizes)),
			SessionLength: schemas.SessionLength(i / 20 % int(schemas.NumSessionLengths)),
		},
		Diversity:   math.NaN(),
		RequestedAt: time.Now(),
	}
	return kafka.Message{Key: []byte(r.PartitionKey()), Value: schemas.AppendRequest(nil, &r)}
}

// publish writes requests; each key's in their order.
func (s *stack) publish(t *testing.T, messages ...kafka.Message) {
	t.Helper()
	s.publishTo(t, s.requests(), messages...)
}

func (s *stack) publishTo(t *testing.T, topic string, messages ...kafka.Message) {
	t.Helper()
	w := s.writer()
	w.Topic = topic
	defer w.Close()
	if err := w.WriteMessages(within(t), messages...); err != nil {
		t.Fatal(err)
	}
}

func (s *stack) writer() *kafka.Writer {
	return &kafka.Writer{
		Addr:         s.client.Addr,
		Transport:    s.client.Transport,
		Topic:        s.requests(),
		Balancer:     kafka.Murmur2Balancer{Consistent: true},
		RequiredAcks: kafka.RequireAll,
		BatchSize:    500,
		BatchTimeout: 5 * time.Millisecond,
		MaxAttempts:  100, // through an outage
	}
}

// result is a result event as it was read.
type result struct {
	schemas.Result
	key   string
	id    string // ce_id
	value []byte
}

// readResults returns all result events, by partition, in order.
func (s *stack) readResults(t *testing.T) [][]result {
	t.Helper()
	return readTopic(t, s, s.results(), func(r kafka.Message) result {
		out := result{key: string(r.Key), id: header(r, schemas.HeaderID), value: bytes.Clone(r.Value)}
		mustDecode(t, r.Value, &out.Result)
		return out
	})
}

// readDeadLetters returns all dead letters, by key.
func (s *stack) readDeadLetters(t *testing.T) map[string][]kafka.Message {
	t.Helper()
	letters := map[string][]kafka.Message{}
	for _, partition := range readTopic(t, s, s.deadLetters(), func(m kafka.Message) kafka.Message { return m }) {
		for _, m := range partition {
			letters[string(m.Key)] = append(letters[string(m.Key)], m)
		}
	}
	return letters
}

func header(m kafka.Message, name string) string {
	for _, h := range m.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
