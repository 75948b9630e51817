package kafkaconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/config"
	"recstream/internal/wait"
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

// seenEvery is how often a topic that was just created is looked for.
const seenEvery = 50 * time.Millisecond

// EnsureTopicLike creates a topic that is missing, with as many partitions as another one has, and returns that number;
// 0 is a topic that was there. It waits until the new one is seen, or until ctx ends. Where kafka.create_topics is off it
// creates none, and says so.
func EnsureTopicLike(ctx context.Context, client *kafka.Client, k config.Kafka, name, other string) (partitions int, err error) {
	there, err := partitionsOf(ctx, client, k, name)
	if err != nil || there > 0 {
		return 0, err
	}
	if !k.CreateTopics {
		return 0, fmt.Errorf("topic %s is missing; create it or set kafka.create_topics: true", name)
	}
	if partitions, err = partitionsOf(ctx, client, k, other); err != nil {
		return 0, err
	}
	if partitions == 0 {
		partitions = k.Partitions
	}
	answer, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: name, NumPartitions: partitions, ReplicationFactor: k.ReplicationFactor}}})
	if err != nil {
		return 0, fmt.Errorf("create topic %s: %w", name, cause(err))
	}
	if err := refused(answer.Errors); err != nil {
		return 0, err
	}
	for there == 0 {
		if there, err = partitionsOf(ctx, client, k, name); err != nil {
			return 0, err
		}
		if err := wait.For(ctx, seenEvery); err != nil {
			return 0, fmt.Errorf("topic %s was created and is not seen: %w", name, err)
		}
	}
	return partitions, nil
}

// partitionsOf returns how many partitions a topic has, 0 for one that is missing.
func partitionsOf(ctx context.Context, client *kafka.Client, k config.Kafka, name string) (int, error) {
	found, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{name}})
	if err != nil {
		return 0, fmt.Errorf("look for topic %s on %s: %w", name, strings.Join(k.Brokers, ","), cause(err))
	}
	n := 0
	for _, topic := range found.Topics {
		if topic.Error != nil && !errors.Is(topic.Error, kafka.UnknownTopicOrPartition) {
			return 0, fmt.Errorf("look for topic %s: %w", name, topic.Error)
		}
		n += len(topic.Partitions)
	}
	return n, nil
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
