package producer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go"

	"recstream/internal/devstack"
	"recstream/schemas"
)

func TestBatchesAreCutToWhatTheTopicTakes(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	limit(t, broker, results, "1500")
	o := openOutbox(t, broker)
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint("r", i))
		o.Add(answer("ada", want[i]))
	}
	if failures := flush(t, o); failures != 0 {
		t.Errorf("%d failures: cutting a batch is none", failures)
	}
	if got := requestIDs(records(t, broker, results, 40)); !slices.Equal(got, want) {
		t.Errorf("arrived %v, want %v", got, want)
	}
}

// limit sets a topic's largest batch.
func limit(t *testing.T, broker *devstack.Broker, topic, size string) {
	t.Helper()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(broker.Addr()...), Transport: transport}
	res, err := client.IncrementalAlterConfigs(deadline(t), &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "max.message.bytes", Value: size}}}}})
	must(t, err)
	must(t, res.Resources[0].Error)
}

func TestDeadLetterThatIsTooLargeLeavesOutWhatItMust(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 2000)
	mine := schemas.Header{Key: "mine", Value: []byte("m")}
	tests := map[string]struct {
		out  *schemas.Outcome
		key  []byte
		mine string // the event's header
	}{
		"large value":   {refusal([]byte("key"), large, mine), []byte("key"), "m"},
		"large key":     {refusal(large, large, mine), nil, ""},
		"large headers": {refusal([]byte("key"), nil, mine, schemas.Header{Key: "large", Value: large}, mine), nil, ""},
		"large name":    {refusal([]byte("key"), []byte("v"), schemas.Header{Key: string(large)}), nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			broker := startBroker(t, devstack.BrokerOptions{})
			limit(t, broker, deadLetters, "1000")
			o := openOutbox(t, broker)
			o.Add(test.out)
			must(t, o.Flush(deadline(t), 1))
			o.Add(refusal([]byte("key"), []byte("the next one is whole")))
			must(t, o.Flush(deadline(t), 1))
			for _, r := range records(t, broker, deadLetters, 2) {
				h := headerMap(r)
				if string(r.Value) == "the next one is whole" {
					if _, omitted := h["dlq_value_omitted"]; omitted || len(r.Headers) != cloudEventHeaders+deadLetterHeaders {
						t.Errorf("the next dead letter has headers %v", h)
					}
					continue
				}
				if r.Value != nil || !bytes.Equal(r.Key, test.key) || h["mine"] != test.mine {
					t.Errorf("key %.10q, value %.10q, headers %.300v", r.Key, r.Value, h)
				}
				if size := h["dlq_value_omitted"]; len(size) != 4 || h["dlq_reason"] != "invalid_json" || h["dlq_topic"] != "requests" || h["dlq_at"] == "" {
					t.Errorf("headers %.300v lack what a dead letter says", h)
				}
			}
		})
	}
}

func TestResultThatIsTooLargeWaitsForAnOperator(t *testing.T) {
	broker := startBroker(t, devstack.BrokerOptions{})
	limit(t, broker, results, "300")
	o := openOutbox(t, broker)
	o.Add(answer("ada", "r"))
	var e *Error
	if err := o.Flush(deadline(t), 1); !errors.As(err, &e) || !e.Transient() || !errors.Is(err, kafka.MessageSizeTooLarge) {
		t.Errorf("error %v, want a transient one that is %v", err, kafka.MessageSizeTooLarge)
	}
	limit(t, broker, results, "100000")
	must(t, o.Flush(deadline(t), 1))
	records(t, broker, results, 1)
}
