package kafkaconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go"

	"recstream/internal/config"
)

// MissingTopics returns which of the configured topics the cluster does not have.
func MissingTopics(ctx context.Context, client *kafka.Client, k config.Kafka) ([]string, error) {
	names := []string{k.Topics.Requests, k.Topics.Results, k.Topics.Feedback, k.Topics.DeadLetters}
	found, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
	if err != nil {
		return nil, fmt.Errorf("look for topics on %s: %w", strings.Join(k.Brokers, ","), cause(err))
	}
	var missing []string
	for _, topic := range found.Topics {
		switch {
		case errors.Is(topic.Error, kafka.UnknownTopicOrPartition):
			missing = append(missing, topic.Name)
		case topic.Error != nil:
			return nil, fmt.Errorf("look for topic %s: %w", topic.Name, topic.Error)
		}
	}
	return missing, nil
}

// deadLetterBytes is the size of record batch that a created dead-letter topic takes: the largest event that Kafka
// takes by default, and the headers that a dead letter has on top.
const deadLetterBytes = "2097152"

// EnsureTopics creates the configured topics that are missing and returns their names. Where
// kafka.create_topics is off it creates none, and its error names those that are missing.
// That another instance creates the same topic at the same moment is no error.
func EnsureTopics(ctx context.Context, client *kafka.Client, k config.Kafka) ([]string, error) {
	missing, err := MissingTopics(ctx, client, k)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	if !k.CreateTopics {
		return nil, fmt.Errorf("topics missing: %s; create them or set kafka.create_topics: true", strings.Join(missing, ", "))
	}
	wanted := make([]kafka.TopicConfig, len(missing))
	for i, name := range missing {
		wanted[i] = kafka.TopicConfig{Topic: name, NumPartitions: k.Partitions, ReplicationFactor: k.ReplicationFactor}
		if name == k.Topics.DeadLetters {
			wanted[i].ConfigEntries = []kafka.ConfigEntry{{ConfigName: "max.message.bytes", ConfigValue: deadLetterBytes}}
		}
	}
	answer, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: wanted})
	if err != nil {
		return nil, fmt.Errorf("create topics %s: %w", strings.Join(missing, ", "), cause(err))
	}
	created := slices.DeleteFunc(missing, func(name string) bool { return answer.Errors[name] != nil })
	return created, refused(answer.Errors)
}

// refused joins the errors of a topic creation, apart from "already exists".
func refused(answers map[string]error) error {
	var errs []error
	for name, err := range answers {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			errs = append(errs, fmt.Errorf("create topic %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// cause strips what kafka.Client puts before an error: the name of its own method.
func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), "kafka.(*Client)") {
		return inner
	}
	return err
}
