package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/config"
	"recstream/internal/kafkaconn"
	"recstream/internal/postgres"
)

// details are the findings in short: WARN or ok, and what was found.
func details(findings []finding) (list []string) {
	for _, f := range findings {
		state := "ok "
		if f.Warning {
			state = "WARN "
		}
		if !f.OK || f.Check != checkOfDurability || f.Warning == (f.ToDo == "") {
			state = "wrong: "
		}
		list = append(list, state+f.Detail)
	}
	return list
}

func TestJudgeDurability(t *testing.T) {
	good := settings{replicationFactor: "3", "min.insync.replicas": "2", "unclean.leader.election.enable": "false"}
	with := func(name, value string) settings {
		changed := settings{}
		for k, v := range good {
			changed[k] = v
		}
		changed[name] = value
		return changed
	}
	tests := map[string]struct {
		a, b settings
		want []string
	}{
		"all as it should be": {good, with(replicationFactor, "5"), []string{"ok a, b: as docs/guarantees.md wants it"}},
		"too few replicas":    {with(replicationFactor, "2"), good, []string{"WARN replication factor is not 3 or more: a has 2"}},
		"in both": {with("min.insync.replicas", "1"), with("min.insync.replicas", "1"),
			[]string{"WARN min.insync.replicas is not 2 or more: a has 1, b has 1"}},
		"unclean": {good, with("unclean.leader.election.enable", "true"),
			[]string{"WARN unclean.leader.election.enable is not false: b has true"}},
		"nothing known of one": {good, nil, []string{"WARN not there yet, or not for this user to see: b"}},
		"one setting not told": {good, settings{replicationFactor: "1", "min.insync.replicas": "2"},
			[]string{"WARN replication factor is not 3 or more: b has 1", "WARN unclean.leader.election.enable is not told: b"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := details(judge(wantedOfTopics, []string{"a", "b"}, map[string]settings{"a": tt.a, "b": tt.b}))
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestTopicDurability asks a broker; what it does not have, or does not tell, is said.
func TestTopicDurability(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := config.Default()
	cfg.Kafka.Brokers, cfg.Delivery = cluster.ListenAddrs(), config.AtLeastOnce
	results, dead := cfg.Kafka.Topics.Results, cfg.Kafka.Topics.DeadLetters
	createTopic(t, cluster.ListenAddrs(), results, 3, map[string]string{"min.insync.replicas": "2", "unclean.leader.election.enable": "false"})
	createTopic(t, cluster.ListenAddrs(), dead, 1, map[string]string{"min.insync.replicas": "1", "unclean.leader.election.enable": "true"})

	check := func() []string {
		transport, err := kafkaconn.NewTransport(cfg.Kafka)
		if err != nil {
			t.Fatal(err)
		}
		defer transport.CloseIdleConnections()
		return details(checkTopicDurability(t.Context(), kafkaconn.NewClient(cfg.Kafka, transport), cfg))
	}
	got := strings.Join(check(), "\n")
	for _, want := range []string{
		"WARN replication factor is not 3 or more: " + dead + " has 1\n",
		"WARN min.insync.replicas is not 2 or more: " + dead + " has 1\n",
		"WARN unclean.leader.election.enable is not false: " + dead + " has true\n",
		"WARN not there yet, or not for this user to see: __consumer_offsets",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, results) || strings.Contains(got, "__transaction_state") {
		t.Errorf("%s is all right, and transactions are not used:\n%s", results, got)
	}

	cluster.ControlKey(int16(kmsg.DescribeConfigs), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, errors.New("connection lost"), true
	})
	got = strings.Join(check(), "\n")
	if !strings.Contains(got, "WARN describe topics: ") || !strings.Contains(got, "WARN min.insync.replicas is not told: "+results+", "+dead) {
		t.Errorf("what cannot be read is not said:\n%s", got)
	}
}

func createTopic(t *testing.T, brokers []string, name string, replicas int16, configs map[string]string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 2, replicas
	for k, v := range configs {
		entry := kmsg.NewCreateTopicsRequestTopicConfig()
		entry.Name, entry.Value = k, &v
		topic.Configs = append(topic.Configs, entry)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), int32(10*time.Second/time.Millisecond)
	res, err := req.RequestWith(t.Context(), client)
	if err != nil || res.Topics[0].ErrorCode != 0 {
		t.Fatalf("create %s: %+v, %v", name, res, err)
	}
}

// TestDatabaseDurability asks a server that was started without fsync, in a session without synchronous commits.
func TestDatabaseDurability(t *testing.T) {
	db, err := postgres.Open(t.Context(), postgres.Options{URL: startDatabase(t) + "&synchronous_commit=off"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got := details(checkDatabaseDurability(t.Context(), db))
	want := []string{"WARN fsync is not on: the database has off", "WARN synchronous_commit is not on: the database has off"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDeliveryIsNamed in either mode, by check.
func TestDeliveryIsNamed(t *testing.T) {
	_, environ := startBroker(t)
	for mode, want := range map[string]string{
		config.ExactlyOnce: "ok    delivery    exactly_once: ",
		config.AtLeastOnce: "ok    delivery    at_least_once: ",
	} {
		got := recstream(t, append(environ, "RECSTREAM_DELIVERY="+mode, "RECSTREAM_DATABASE_URL=postgres://127.0.0.1:1/none"), "", "check")
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%s: lacks %q:\n%s%s", mode, want, got.stdout, got.stderr)
		}
	}
}
