package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"

	"recstream/internal/config"
	"recstream/internal/postgres"
)

// checkOfDurability is of the settings of the servers that docs/guarantees.md asks for. recstream runs without them, and
// one broker is all that many a test has; so what is otherwise is a warning.
const checkOfDurability = "durability"

// wanted is a setting without which a server can lose what it has acknowledged.
type wanted struct {
	name  string
	value string // what it should be, in words
	met   func(value string) bool
	todo  string
}

// replicationFactor is told by the topic's metadata, not by its configuration.
const replicationFactor = "replication factor"

// wantedOfTopics are the settings of a topic.
var wantedOfTopics = []wanted{
	{replicationFactor, "3 or more", atLeast(3),
		"add replicas with kafka-reassign-partitions; kafka.replication_factor is that of topics that serve creates"},
	{"min.insync.replicas", "2 or more", atLeast(2),
		"kafka-configs --alter --topic TOPIC --add-config min.insync.replicas=2, with three replicas or more"},
	{"unclean.leader.election.enable", "false", not("true"),
		"kafka-configs --alter --topic TOPIC --add-config unclean.leader.election.enable=false"},
}

// wantedOfPostgres are the settings of the database's server, as this user's sessions have them.
var wantedOfPostgres = []wanted{
	{"fsync", "on", not("off"), "set it on in postgresql.conf: a crash of the machine can ruin the database"},
	{"full_page_writes", "on", not("off"), "set it on in postgresql.conf: a crash of the machine can ruin pages"},
	{"synchronous_commit", "on", not("off"),
		"set it on for the server, the database and the user: a crash can lose rows whose results are out already"},
}

func atLeast(n int) func(string) bool {
	return func(value string) bool {
		got, err := strconv.Atoi(value)
		return err == nil && got >= n
	}
}

func not(bad string) func(string) bool { return func(value string) bool { return value != bad } }

// settings are what is known of one topic, or of the database, by the setting's name.
type settings map[string]string

// judge compares what is known of some things, by their names, with what is wanted: a warning for each setting that one of
// them has otherwise or does not tell, and one for those of which nothing is known.
func judge(want []wanted, names []string, known map[string]settings) (findings []finding) {
	warn := func(what, todo string, of []string) {
		if of != nil {
			findings = append(findings, warning(checkOfDurability, what+": "+strings.Join(of, ", "), todo))
		}
	}
	var unseen, seen []string
	for _, name := range names {
		if known[name] == nil {
			unseen = append(unseen, name)
		} else {
			seen = append(seen, name)
		}
	}
	for _, w := range want {
		var otherwise, untold []string
		for _, name := range seen {
			switch value, ok := known[name][w.name]; {
			case !ok:
				untold = append(untold, name)
			case !w.met(value):
				otherwise = append(otherwise, fmt.Sprintf("%s has %s", name, value))
			}
		}
		warn(w.name+" is not "+w.value, w.todo, otherwise)
		warn(w.name+" is not told", "run it as a user who may describe the configuration", untold)
	}
	warn("not there yet, or not for this user to see", "run it again once serve has run, as a user who may describe them", unseen)
	if findings == nil {
		findings = []finding{{Check: checkOfDurability, OK: true, Detail: strings.Join(names, ", ") + ": as docs/guarantees.md wants it"}}
	}
	return findings
}

// checkTopicDurability looks at the topics whose records must not be lost.
func checkTopicDurability(ctx context.Context, client *kafka.Client, cfg config.Config) []finding {
	names := []string{cfg.Kafka.Topics.Results, cfg.Kafka.Topics.DeadLetters, "__consumer_offsets"}
	if cfg.Delivery == config.ExactlyOnce {
		names = append(names, "__transaction_state")
	}
	known, err := replications(ctx, client, names)
	if err == nil {
		err = describeTopics(ctx, client, known)
	}
	findings := judge(wantedOfTopics, names, known)
	if err != nil {
		findings = append(findings, warning(checkOfDurability, oneLine(err), "run it as a user who may describe the configuration of topics"))
	}
	return findings
}

// replications returns the replication factor of the topics that the brokers tell of: that of the partition with the fewest
// replicas.
func replications(ctx context.Context, client *kafka.Client, names []string) (map[string]settings, error) {
	known := map[string]settings{}
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
	if err != nil {
		return known, fmt.Errorf("look for topics: %w", err)
	}
	for _, topic := range meta.Topics {
		if topic.Error != nil || len(topic.Partitions) == 0 {
			continue // not there, or not for this user's eyes
		}
		fewest := slices.MinFunc(topic.Partitions, func(a, b kafka.Partition) int { return len(a.Replicas) - len(b.Replicas) })
		known[topic.Name] = settings{replicationFactor: strconv.Itoa(len(fewest.Replicas))}
	}
	return known, nil
}

// describeTopics adds to what is known of topics what their configuration says.
func describeTopics(ctx context.Context, client *kafka.Client, known map[string]settings) error {
	if len(known) == 0 {
		return nil
	}
	req := &kafka.DescribeConfigsRequest{}
	for name := range known {
		of := kafka.DescribeConfigRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: name}
		for _, w := range wantedOfTopics[1:] {
			of.ConfigNames = append(of.ConfigNames, w.name)
		}
		req.Resources = append(req.Resources, of)
	}
	answer, err := client.DescribeConfigs(ctx, req)
	if err != nil {
		return fmt.Errorf("describe topics: %w", err)
	}
	for _, topic := range answer.Resources {
		if topic.Error != nil {
			err = errors.Join(err, fmt.Errorf("describe topic %s: %w", topic.ResourceName, topic.Error))
		}
		for _, entry := range topic.ConfigEntries {
			known[topic.ResourceName][entry.ConfigName] = entry.ConfigValue
		}
	}
	return err
}

// checkDatabaseDurability looks at what the database's server does with what it has acknowledged.
func checkDatabaseDurability(ctx context.Context, db *postgres.Database) []finding {
	const database = "the database"
	known := settings{}
	for _, w := range wantedOfPostgres {
		var value string
		if err := db.Pool().QueryRow(ctx, `SELECT current_setting($1)`, w.name).Scan(&value); err == nil {
			known[w.name] = value
		}
	}
	return judge(wantedOfPostgres, []string{database}, map[string]settings{database: known})
}
