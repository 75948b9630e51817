// Package config owns recstream's settings and the text of its scoring parameters: names, defaults, limits and
// where they come from.
//
// A setting is read from the defaults, then the YAML file, then the environment; the later wins.
// Load refuses what it does not know (keys, duplicate keys, RECSTREAM_ variables) and names every
// mistake at once, by its YAML path. What it returns is valid, and prints without its secrets.
//
// The scoring parameters, a scoring.Params, have a file of their own: LoadScoring reads it as strictly, and names
// the line of every mistake; FormatScoring writes it, ScoringSchema is its JSON Schema, and Overlay puts the
// parameters of an experiment's variant over others.
//
// The package reads files and touches nothing else: whether a broker, a database or a model is
// there is for those who use the settings.
package config

import (
	"errors"
	"fmt"
	"time"

	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/profile"
)

// Config is everything that can be set. The struct tags are the one source of names: yaml is the
// key in the file, from which the variable's name follows, and desc is the line of documentation.
type Config struct {
	Delivery   string     `yaml:"delivery" desc:"exactly_once: results, dead letters and offsets in Kafka transactions; or at_least_once: a crash can publish results again"`
	Kafka      Kafka      `yaml:"kafka"`
	Consumer   Consumer   `yaml:"consumer"`
	Database   Database   `yaml:"database"`
	Ledger     Ledger     `yaml:"ledger"`
	Feedback   Feedback   `yaml:"feedback"`
	Profiles   Profiles   `yaml:"profiles"`
	Catalog    Catalog    `yaml:"catalog"`
	Popularity Popularity `yaml:"popularity"`
	Model      Model      `yaml:"model"`
	Scoring    Scoring    `yaml:"scoring"`
	HTTP       HTTP       `yaml:"http"`
	Log        Log        `yaml:"log"`
}

// Kafka says which cluster, group and topics are used.
type Kafka struct {
	Brokers           []string      `yaml:"brokers" desc:"Bootstrap brokers, each host:port"`
	Group             string        `yaml:"group" desc:"Consumer group; instances that share it share the work. That of feedback has -feedback at the end"`
	Topics            Topics        `yaml:"topics"`
	CreateTopics      bool          `yaml:"create_topics" desc:"Create topics that are missing"`
	Partitions        int           `yaml:"partitions" desc:"Partitions of a created topic"`
	ReplicationFactor int           `yaml:"replication_factor" desc:"Replicas of a created topic; -1 is the broker's default"`
	SessionTimeout    time.Duration `yaml:"session_timeout" desc:"Silence after which the group gives a member's partitions to others"`
	HeartbeatInterval time.Duration `yaml:"heartbeat_interval" desc:"Time between a member's heartbeats; a third of kafka.session_timeout at the most"`
	// A transaction that is left open holds the readers of committed records up for so long.
	TransactionTimeout time.Duration `yaml:"transaction_timeout" desc:"Time after which the broker aborts a transaction that an instance left open; the broker's transaction.max.timeout.ms at the most"`
	TLS                TLS           `yaml:"tls"`
	SASL               SASL          `yaml:"sasl"`
}

// The values of Config.Delivery.
const (
	ExactlyOnce = "exactly_once"
	AtLeastOnce = "at_least_once"
)

// Topics are the names of the four topics.
type Topics struct {
	Requests    string `yaml:"requests" desc:"Topic of request events, read"`
	Results     string `yaml:"results" desc:"Topic of result events, written"`
	Feedback    string `yaml:"feedback" desc:"Topic of feedback events, read"`
	DeadLetters string `yaml:"dead_letters" desc:"Topic of events that could not be handled, written"`
}

// TLS says whether connections to the brokers are encrypted.
type TLS struct {
	Enabled    bool   `yaml:"enabled" desc:"Encrypt connections to the brokers"`
	CAFile     string `yaml:"ca_file" desc:"PEM file of the authorities to trust; empty trusts the system's"`
	ServerName string `yaml:"server_name" desc:"Name expected in the brokers' certificates; empty is the broker's host"`
}

// SASL says how a client proves who it is.
type SASL struct {
	Mechanism string `yaml:"mechanism" desc:"plain, scram-sha-256, scram-sha-512, or empty for none"`
	Username  string `yaml:"username" desc:"SASL user"`
	Password  Secret `yaml:"password" desc:"SASL password; never printed"`
}

// Consumer says how requests are gathered into batches, and how long the waits are.
type Consumer struct {
	BatchRecords int           `yaml:"batch_records" desc:"Most records of a batch"`
	BatchBytes   int           `yaml:"batch_bytes" desc:"Bytes at which a batch is full; its last record may exceed them"`
	Linger       time.Duration `yaml:"linger" desc:"Longest wait for a batch to fill"`
	FetchMaxWait time.Duration `yaml:"fetch_max_wait" desc:"Longest wait of the broker for new records"`
	DrainTimeout time.Duration `yaml:"drain_timeout" desc:"Time to finish the batches in hand at a stop"`
	StallWarning time.Duration `yaml:"stall_warning" desc:"Time after which a worker that makes no progress is reported"`
}

// Database says where Postgres is.
type Database struct {
	URL            DatabaseURL `yaml:"url" desc:"Postgres, as postgres://user:password@host:port/database; the password is never printed"`
	MaxConnections int         `yaml:"max_connections" desc:"Most connections of one instance"`
}

// Ledger says how long decisions and outcomes are kept, and decisions remembered.
type Ledger struct {
	Retention       time.Duration `yaml:"retention" desc:"Age at which a day of decisions and outcomes is dropped; 0s keeps them forever"`
	PartitionsAhead int           `yaml:"partitions_ahead" desc:"Days for which partitions are made in advance"`
	ReplayRetention time.Duration `yaml:"replay_retention" desc:"Age at which a replay that does not run is deleted, with its decisions; 0s keeps it as long as decisions"`
	LookBack        time.Duration `yaml:"look_back" desc:"Time within which a repeated request id is answered with its first decision"`
}

// Feedback says whether feedback is read.
type Feedback struct {
	Enabled bool `yaml:"enabled" desc:"Read feedback events into outcomes and profiles"`
}

// Profiles says how users' profiles come about and how they are kept at hand.
type Profiles struct {
	HalfLife   time.Duration `yaml:"half_life" desc:"Time in which what feedback says of a user loses half its weight"`
	CacheBytes int           `yaml:"cache_bytes" desc:"Memory for profiles at hand, in bytes"`
	CacheTTL   time.Duration `yaml:"cache_ttl" desc:"Time for which a profile at hand is used before it is read again; 0s reads it for every batch"`
}

// Catalog says how the items are kept fresh.
type Catalog struct {
	RefreshInterval time.Duration `yaml:"refresh_interval" desc:"Time between looks for changed items, and for changed editorial lists"`
}

// Popularity says how outcomes become popularity.
type Popularity struct {
	HalfLife        time.Duration `yaml:"half_life" desc:"Time in which an outcome loses half its weight for the popularity of its item"`
	RefreshInterval time.Duration `yaml:"refresh_interval" desc:"Time between looks for new popularity"`
}

// Model says where models are, and which one scores.
type Model struct {
	Store          string        `yaml:"store" desc:"Directory of bundles; the database says which is active: see 'recstream model'"`
	Path           string        `yaml:"path" desc:"One model file or bundle instead of a store; without either no model scores"`
	Name           string        `yaml:"name" desc:"Name on decisions; empty is the file's or the bundle's. Only with path"`
	Version        string        `yaml:"version" desc:"Version on decisions; empty is the bundle's or taken from the file's hash. Only with path"`
	SHA256         string        `yaml:"sha256" desc:"Hash that the file must have, 64 hexadecimal digits; empty accepts any. Only with path"`
	ReloadInterval time.Duration `yaml:"reload_interval" desc:"Time between looks for another active model, for experiments, or for a changed file"`
	MaxMemory      int           `yaml:"max_memory" desc:"Bytes that one model may take to score fast; with less than it wants it scores slower"`
}

// EngineOptions are what an engine takes from the settings. A replay that is to come to the same decisions has to take
// the same.
func (c Config) EngineOptions() scoring.Options {
	return scoring.Options{MaxBytes: int64(c.Model.MaxMemory), HalfLife: c.Profiles.HalfLife, PopularityHalfLife: c.Popularity.HalfLife}
}

// Scoring says where the scoring parameters are. They have a file of their own, since they change while
// instances run: see LoadScoring.
type Scoring struct {
	File           string        `yaml:"file" desc:"YAML file of the scoring parameters, followed when it changes; empty is their defaults: see 'recstream scoring'"`
	ReloadInterval time.Duration `yaml:"reload_interval" desc:"Time between looks for a changed file of scoring parameters"`
}

// Log says what is logged, and how.
type Log struct {
	Level  string `yaml:"level" desc:"Least level that is logged: debug, info, warn or error"`
	Format string `yaml:"format" desc:"text or json"`
}

// Default returns the settings that hold where nothing else is said.
func Default() Config {
	return Config{
		Delivery: ExactlyOnce,
		Kafka: Kafka{
			Brokers: []string{"127.0.0.1:9092"},
			Group:   "recstream",
			Topics: Topics{
				Requests:    schemas.DefaultRequestTopic,
				Results:     schemas.DefaultResultTopic,
				Feedback:    schemas.DefaultFeedbackTopic,
				DeadLetters: schemas.DefaultDeadLetterTopic,
			},
			CreateTopics:       true,
			Partitions:         6,
			ReplicationFactor:  -1,
			SessionTimeout:     10 * time.Second,
			HeartbeatInterval:  3 * time.Second,
			TransactionTimeout: 30 * time.Second,
		},
		Consumer: Consumer{
			BatchRecords: 1000,
			BatchBytes:   1 << 20,
			Linger:       5 * time.Millisecond,
			FetchMaxWait: 250 * time.Millisecond,
			DrainTimeout: 20 * time.Second,
			StallWarning: time.Minute,
		},
		Database:   Database{URL: "postgres://localhost:5432/recstream", MaxConnections: 8},
		Ledger:     Ledger{Retention: 90 * day, PartitionsAhead: 7, ReplayRetention: 30 * day, LookBack: 2 * day},
		Feedback:   Feedback{Enabled: true},
		Profiles:   Profiles{HalfLife: profile.DefaultHalfLife, CacheBytes: 64 << 20, CacheTTL: 5 * time.Second},
		Catalog:    Catalog{RefreshInterval: 5 * time.Second},
		Popularity: Popularity{HalfLife: scoring.DefaultPopularityHalfLife, RefreshInterval: 30 * time.Second},
		Model:      Model{ReloadInterval: 2 * time.Second, MaxMemory: 1 << 30},
		Scoring:    Scoring{ReloadInterval: 2 * time.Second},
		HTTP:       defaultHTTP(),
		Log:        Log{Level: "info", Format: "text"},
	}
}

const day = 24 * time.Hour

// Load returns the settings of the YAML file at path and of environ ("NAME=value" strings, as
// os.Environ gives them), which wins. An empty path reads no file. An error is an *Error that lists
// every mistake found, unless the file cannot be read at all.
func Load(path string, environ []string) (Config, error) {
	cfg := Default()
	d := &decoder{}
	if path != "" {
		text, err := readFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("read configuration: %w", err)
		}
		d = decodeYAML(path, text, &cfg)
	}
	d.problems = append(d.problems, decodeEnv(environ, &cfg)...)
	// A value that could not be read has its default still, so the rest can be judged all the same.
	var invalid *Error
	if errors.As(cfg.Validate(), &invalid) {
		d.invalid(invalid.Problems)
	}
	if len(d.problems) > 0 {
		return Config{}, &Error{Settings, atMost(maxProblems, d.problems)}
	}
	return cfg, nil
}
