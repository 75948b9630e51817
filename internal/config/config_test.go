package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write puts text into a file of the test's own and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recstream.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestLoadOrder(t *testing.T) {
	path := write(t, "kafka:\n  group: from-file\n  partitions: 12\nconsumer:\n  linger: 7ms\nmodel:\n")
	cfg, err := Load(path, []string{
		"RECSTREAM_KAFKA_GROUP=from-env",
		"RECSTREAM_KAFKA_BROKERS=a:1,b:2",
		"RECSTREAM_LOG_LEVEL=", // empty is as good as none
		"RECSTREAM_TEST_ANY=x", "RECSTREAM_PG_ANY=x", "RECSTREAM_CONFIG=elsewhere", "HOME=/root",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Kafka.Group, want.Kafka.Partitions = "from-env", 12
	want.Kafka.Brokers = []string{"a:1", "b:2"}
	want.Consumer.Linger = 7 * time.Millisecond
	if got, want := fmt.Sprintf("%+v", cfg), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLoadEmptyFile(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		if _, err := Load(write(t, text), nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLoadMissingFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "absent.yaml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want an error that is os.ErrNotExist", err)
	}
}

func TestLoadRefusesFile(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"unknown section":    {"kafkas:\n  group: x\n", "kafkas: no such setting; did you mean kafka? (FILE:1)"},
		"unknown key":        {"kafka:\n  topics:\n    reqests: x\n", "kafka.topics.reqests: no such setting; did you mean requests? (FILE:3)"},
		"key of nothing":     {"zzzzzzzz: 1\n", "zzzzzzzz: no such setting (FILE:1)"},
		"duplicate key":      {"kafka:\n  group: a\n  group: b\n", "kafka.group: is there twice, first in line 2 (FILE:3)"},
		"duplicate section":  {"log:\n  level: info\nlog:\n  level: warn\n", "log: is there twice, first in line 1 (FILE:3)"},
		"text for number":    {"kafka:\n  partitions: six\n", "kafka.partitions: is a whole number (FILE:2)"},
		"fraction":           {"kafka:\n  partitions: 1.5\n", "kafka.partitions: is a whole number (FILE:2)"},
		"duration, no unit":  {"consumer:\n  drain_timeout: 20\n", "consumer.drain_timeout: is a duration with its unit, such as 250ms, 20s or 48h (FILE:2)"},
		"text for bool":      {"kafka:\n  create_topics: maybe\n", "kafka.create_topics: is true or false (FILE:2)"},
		"text for list":      {"kafka:\n  brokers: a:1\n", "kafka.brokers: is a list (FILE:2)"},
		"text for section":   {"kafka: yes\n", "kafka: is a section with keys of its own (FILE:1)"},
		"list for all":       {"- kafka\n", "the whole file: is a section with keys of its own (FILE:1)"},
		"scoring parameter":  {"scoring:\n  max_items: 5\n", "scoring.max_items: no such setting (FILE:2)"},
		"number for text":    {"kafka:\n  group: 5\n", "kafka.group: is a text; numbers, true and false are put in quotes to be one (FILE:2)"},
		"null in a list":     {"kafka:\n  brokers: [\"a:1\", ~]\n", "kafka.brokers[1]: is empty: remove it, or give it a value (FILE:2)"},
		"deep":               {"kafka: " + strings.Repeat("[", 40) + "\n", "FILE: nests deeper than 32 (FILE:1)"},
		"deep by dashes":     {strings.Repeat("- ", 200) + "\n", "FILE: nests deeper than 32 (FILE:1)"},
		"large":              {"#" + strings.Repeat("x", 1<<20) + "\n", "FILE: is larger than 262144 bytes"},
		"no UTF-8":           {"log:\n  level: info # \xff\n", "FILE: has a byte that is no text in UTF-8; save the file as UTF-8 (FILE:2)"},
		"anchor":             {"kafka: &k\n  group: a\n", "kafka: is a section with keys of its own (FILE:1)"},
		"several documents":  {"log:\n  level: info\n---\nlog:\n  level: warn\n", "FILE: holds several YAML documents; one is allowed"},
		"syntax":             {"kafka: [\n", "FILE:1: "},
		"value out of range": {"kafka:\n  brokers: [\"a:1\", b]\n", `kafka.brokers[1]: "b" is not host:port with a port from 1 to 65535`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := write(t, tt.text)
			_, err := Load(path, nil)
			want := "configuration: " + strings.ReplaceAll(tt.want, "FILE", path)
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestLoadRefusesVariable(t *testing.T) {
	tests := map[string]struct{ variable, want string }{
		"unknown":  {"RECSTREAM_KAFKA_BROKER=x:1", "RECSTREAM_KAFKA_BROKER: no such setting; did you mean RECSTREAM_KAFKA_BROKERS?"},
		"number":   {"RECSTREAM_KAFKA_PARTITIONS=six", "RECSTREAM_KAFKA_PARTITIONS: sets kafka.partitions, which is a whole number"},
		"duration": {"RECSTREAM_CONSUMER_LINGER=5", "RECSTREAM_CONSUMER_LINGER: sets consumer.linger, which is a duration with its unit, such as 250ms, 20s or 48h"},
		"bool":     {"RECSTREAM_KAFKA_TLS_ENABLED=maybe", "RECSTREAM_KAFKA_TLS_ENABLED: sets kafka.tls.enabled, which is true or false"},
		"range":    {"RECSTREAM_LOG_LEVEL=loud", `log.level: "loud" is not one of debug, info, warn, error`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Load("", []string{tt.variable})
			if err == nil || err.Error() != "configuration: "+tt.want {
				t.Errorf("got  %v\nwant configuration: %s", err, tt.want)
			}
		})
	}
}

func TestLoadNamesEveryMistake(t *testing.T) {
	path := write(t, "kafka:\n  broker: x\n  partitions: six\n  group: \"\"\n")
	_, err := Load(path, []string{"RECSTREAM_X=1", "RECSTREAM_LOG_FORMAT=xml"})
	var invalid *Error
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want an *Error", err)
	}
	var where []string
	for _, p := range invalid.Problems {
		where = append(where, p.Where)
	}
	want := "kafka.broker kafka.partitions RECSTREAM_X kafka.group log.format"
	if got := strings.Join(where, " "); got != want {
		t.Errorf("mistakes at %s, want %s", got, want)
	}
	if !strings.HasPrefix(err.Error(), "configuration: 5 mistakes\n  kafka.broker: ") {
		t.Errorf("error text: %s", err)
	}
}

// TestErrorsKeepSecrets gives secrets in places where they are refused.
func TestErrorsKeepSecrets(t *testing.T) {
	const secret = "hunter2"
	files := []string{
		"kafka:\n  sasl:\n    password: {a: " + secret + "}\n",
		"kafka:\n  sasl:\n    password: " + secret + "\n",
		"database:\n  url: mysql://u:" + secret + "@h/d\n",
		"database:\n  url: \"postgres://u:" + secret + "@h:port/d\"\n",
		"database:\n  url: [" + secret + "]\n",
		"database:\n  url: 'postgres://u:" + secret + "@h/d\n",
	}
	for _, text := range files {
		_, err := Load(write(t, text), nil)
		if err == nil {
			t.Errorf("%q was accepted", text)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error tells the secret: %v", text, err)
		}
	}
}

// TestHeartbeatNamesTheSessionTimeout: who lowers that alone has to be told what the two have to do with each other.
func TestHeartbeatNamesTheSessionTimeout(t *testing.T) {
	_, err := Load("", []string{"RECSTREAM_KAFKA_SESSION_TIMEOUT=6s"})
	if want := "3s is not from 100ms to 2s, a third of kafka.session_timeout (6s)"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v lacks %q", err, want)
	}
}

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		want   string // where
	}{
		"no brokers":                {func(c *Config) { c.Kafka.Brokers = nil }, "kafka.brokers"},
		"port 0":                    {func(c *Config) { c.Kafka.Brokers = []string{"h:0"} }, "kafka.brokers[0]"},
		"topic with a space":        {func(c *Config) { c.Kafka.Topics.Feedback = "a b" }, "kafka.topics.feedback"},
		"topic named twice":         {func(c *Config) { c.Kafka.Topics.Results = c.Kafka.Topics.Requests }, "kafka.topics.results"},
		"no partitions":             {func(c *Config) { c.Kafka.Partitions = 0 }, "kafka.partitions"},
		"replication factor 0":      {func(c *Config) { c.Kafka.ReplicationFactor = 0 }, "kafka.replication_factor"},
		"short session":             {func(c *Config) { c.Kafka.SessionTimeout = time.Millisecond }, "kafka.session_timeout kafka.heartbeat_interval"},
		"rare heartbeat":            {func(c *Config) { c.Kafka.HeartbeatInterval = 5 * time.Second }, "kafka.heartbeat_interval"},
		"tls file without tls":      {func(c *Config) { c.Kafka.TLS.CAFile = "ca.pem" }, "kafka.tls.ca_file"},
		"tls name without tls":      {func(c *Config) { c.Kafka.TLS.ServerName = "kafka" }, "kafka.tls.server_name"},
		"unknown mechanism":         {func(c *Config) { c.Kafka.SASL = SASL{"gssapi", "u", "p"} }, "kafka.sasl.mechanism"},
		"sasl without user":         {func(c *Config) { c.Kafka.SASL.Mechanism = "plain" }, "kafka.sasl.username kafka.sasl.password"},
		"user without sasl":         {func(c *Config) { c.Kafka.SASL = SASL{"", "u", "p"} }, "kafka.sasl.username kafka.sasl.password"},
		"batch of none":             {func(c *Config) { c.Consumer.BatchRecords = 0 }, "consumer.batch_records"},
		"batch of few bytes":        {func(c *Config) { c.Consumer.BatchBytes = 1 }, "consumer.batch_bytes"},
		"negative linger":           {func(c *Config) { c.Consumer.Linger = -1 }, "consumer.linger"},
		"long fetch":                {func(c *Config) { c.Consumer.FetchMaxWait = time.Minute }, "consumer.fetch_max_wait"},
		"short drain":               {func(c *Config) { c.Consumer.DrainTimeout = 0 }, "consumer.drain_timeout"},
		"short stall":               {func(c *Config) { c.Consumer.StallWarning = 0 }, "consumer.stall_warning"},
		"database of other kind":    {func(c *Config) { c.Database.URL = "mysql://h/d" }, "database.url"},
		"database without a URL":    {func(c *Config) { c.Database.URL = "" }, "database.url"},
		"one connection":            {func(c *Config) { c.Database.MaxConnections = 1 }, "database.max_connections"},
		"retention of the window":   {func(c *Config) { c.Ledger.Retention = c.Ledger.LookBack }, "ledger.retention"},
		"negative retention":        {func(c *Config) { c.Ledger.Retention = -1 }, "ledger.retention"},
		"replays kept for a second": {func(c *Config) { c.Ledger.ReplayRetention = time.Second }, "ledger.replay_retention"},
		"no partition ahead":        {func(c *Config) { c.Ledger.PartitionsAhead = 0 }, "ledger.partitions_ahead"},
		"no look-back":              {func(c *Config) { c.Ledger.LookBack = 0 }, "ledger.look_back"},
		"short half-life":           {func(c *Config) { c.Profiles.HalfLife = time.Minute }, "profiles.half_life"},
		"small cache":               {func(c *Config) { c.Profiles.CacheBytes = 0 }, "profiles.cache_bytes"},
		"negative time to live":     {func(c *Config) { c.Profiles.CacheTTL = -1 }, "profiles.cache_ttl"},
		"refresh without interval":  {func(c *Config) { c.Catalog.RefreshInterval = 0 }, "catalog.refresh_interval"},
		"short hash":                {func(c *Config) { c.Model.SHA256 = "abc" }, "model.sha256"},
		"reload without interval":   {func(c *Config) { c.Model.ReloadInterval = 0 }, "model.reload_interval"},
		"params without interval":   {func(c *Config) { c.Scoring.ReloadInterval = 0 }, "scoring.reload_interval"},
		"log level":                 {func(c *Config) { c.Log.Level = "INFO" }, "log.level"},
		"log format":                {func(c *Config) { c.Log.Format = "" }, "log.format"},
		"no retention is allowed":   {func(c *Config) { c.Ledger.Retention = 0 }, ""},
		"sasl is allowed":           {func(c *Config) { c.Kafka.SASL = SASL{"scram-sha-512", "u", "p"} }, ""},
		"tls is allowed":            {func(c *Config) { c.Kafka.TLS = TLS{true, "ca.pem", "kafka"} }, ""},
		"no linger is allowed":      {func(c *Config) { c.Consumer.Linger = 0 }, ""},
		"no cache is allowed":       {func(c *Config) { c.Profiles.CacheTTL = 0 }, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := Default()
			tt.change(&cfg)
			var where []string
			var invalid *Error
			if errors.As(cfg.Validate(), &invalid) {
				for _, p := range invalid.Problems {
					where = append(where, p.Where)
				}
			}
			if got := strings.Join(where, " "); got != tt.want {
				t.Errorf("refused %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSecretsAreHidden(t *testing.T) {
	cfg := Default()
	cfg.Kafka.SASL = SASL{MechanismPlain, "ada", "hunter2"}
	cfg.Database.URL = "postgres://ada:hunter2@db:5432/recstream?sslpassword=hunter2&sslmode=require"
	yamlText, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	jsonText, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]string{
		"yaml": string(yamlText), "json": string(jsonText),
		"%v": fmt.Sprintf("%v", cfg), "%+v": fmt.Sprintf("%+v", cfg), "%#v": fmt.Sprintf("%#v", cfg),
		"slog": cfg.Kafka.SASL.Password.LogValue().String() + cfg.Database.URL.LogValue().String() + "ada [hidden] sslmode=require",
	}
	for name, text := range forms {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s tells the secret: %s", name, text)
		}
		if !strings.Contains(text, "ada") || !strings.Contains(text, "[hidden]") || !strings.Contains(text, "sslmode=require") {
			t.Errorf("%s hides too much: %s", name, text)
		}
	}
	if cfg.Kafka.SASL.Password.Reveal() != "hunter2" || !strings.Contains(cfg.Database.URL.Reveal(), ":hunter2@") {
		t.Error("Reveal does not return the secret")
	}
}

// TestYAMLRoundTrip shows that the printed configuration is one that can be loaded.
func TestYAMLRoundTrip(t *testing.T) {
	text, err := Default().YAML()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(write(t, string(text)), nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	again, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(text) {
		t.Errorf("got\n%s\nwant\n%s", again, text)
	}
}
