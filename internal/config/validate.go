package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate returns an *Error with every value that is not allowed, nil when there is none.
func (c Config) Validate() error {
	var v validation
	v.oneOf("delivery", c.Delivery, ExactlyOnce, AtLeastOnce)
	v.kafka(c.Kafka)
	v.consumer(c.Consumer)
	v.database(c.Database)
	v.ledger(c.Ledger)
	v.profiles(c.Profiles)
	v.duration("popularity.half_life", c.Popularity.HalfLife, time.Hour, 10*365*day)
	v.duration("popularity.refresh_interval", c.Popularity.RefreshInterval, 100*time.Millisecond, time.Hour)
	v.duration("catalog.refresh_interval", c.Catalog.RefreshInterval, 100*time.Millisecond, time.Hour)
	v.model(c.Model)
	v.duration("scoring.reload_interval", c.Scoring.ReloadInterval, 100*time.Millisecond, time.Hour)
	v.http(c.HTTP)
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "text", "json")
	if len(v.problems) == 0 {
		return nil
	}
	return &Error{Settings, v.problems}
}

// validation collects what is wrong.
type validation struct {
	problems []Problem
}

func (v *validation) refuse(path, format string, args ...any) {
	v.problems = append(v.problems, Problem{Where: path, Text: fmt.Sprintf(format, args...)})
}

// check refuses the field unless ok.
func (v *validation) check(ok bool, path, format string, args ...any) {
	if !ok {
		v.refuse(path, format, args...)
	}
}

func (v *validation) whole(path string, n, least, most int) {
	v.check(least <= n && n <= most, path, "%d is not from %d to %d", n, least, most)
}

func (v *validation) duration(path string, d, least, most time.Duration) {
	v.check(least <= d && d <= most, path, "%s is not from %s to %s",
		formatDuration(d), formatDuration(least), formatDuration(most))
}

func (v *validation) oneOf(path, value string, allowed ...string) {
	v.check(slices.Contains(allowed, value), path, "%q is not one of %s", value, strings.Join(allowed, ", "))
}

func (v *validation) kafka(k Kafka) {
	v.check(len(k.Brokers) > 0, "kafka.brokers", "names no broker; give at least one host:port")
	for i, b := range k.Brokers {
		v.check(isHostPort(b), fmt.Sprintf("kafka.brokers[%d]", i), "%q is not host:port with a port from 1 to 65535", b)
	}
	v.check(k.Group != "", "kafka.group", "is empty; name the consumer group")
	v.topics(k.Topics)
	v.whole("kafka.partitions", k.Partitions, 1, 10_000)
	v.check(k.ReplicationFactor == -1 || 1 <= k.ReplicationFactor && k.ReplicationFactor <= 100,
		"kafka.replication_factor", "%d is neither -1 (the broker's default) nor from 1 to 100", k.ReplicationFactor)
	v.duration("kafka.session_timeout", k.SessionTimeout, time.Second, 30*time.Minute)
	// A member is given up after three heartbeats are lost, never after one.
	const least = 100 * time.Millisecond
	most := max(k.SessionTimeout/3, least)
	v.check(least <= k.HeartbeatInterval && k.HeartbeatInterval <= most, "kafka.heartbeat_interval",
		"%s is not from %s to %s, a third of kafka.session_timeout (%s); lower it, or raise that",
		formatDuration(k.HeartbeatInterval), formatDuration(least), formatDuration(most), formatDuration(k.SessionTimeout))
	// A request of a transaction is waited for ten seconds, and has to be able to come in time.
	v.duration("kafka.transaction_timeout", k.TransactionTimeout, 10*time.Second, time.Hour)
	v.tls(k.TLS)
	v.sasl(k.SASL)
}

// topicName is what Kafka allows.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// topics refuses bad names, and one name for two topics: results would be read back as requests.
func (v *validation) topics(t Topics) {
	taken := map[string]string{}
	for _, topic := range []struct{ path, name string }{
		{"kafka.topics.requests", t.Requests},
		{"kafka.topics.results", t.Results},
		{"kafka.topics.feedback", t.Feedback},
		{"kafka.topics.dead_letters", t.DeadLetters},
	} {
		ok := topicName.MatchString(topic.name) && topic.name != "." && topic.name != ".."
		v.check(ok, topic.path, "%q is no topic name; use 1 to 249 letters, digits, dots, underscores and hyphens", topic.name)
		other, twice := taken[topic.name]
		v.check(!twice, topic.path, "%q is the name of %s too; each needs its own", topic.name, other)
		taken[topic.name] = topic.path
	}
}

func (v *validation) tls(t TLS) {
	v.check(t.Enabled || t.CAFile == "", "kafka.tls.ca_file", "is set while kafka.tls.enabled is false; set both or none")
	v.check(t.Enabled || t.ServerName == "", "kafka.tls.server_name", "is set while kafka.tls.enabled is false; set both or none")
}

func (v *validation) sasl(s SASL) {
	v.check(slices.Contains(Mechanisms, s.Mechanism), "kafka.sasl.mechanism",
		"%q is not one of %s, or empty for none", s.Mechanism, strings.Join(Mechanisms[1:], ", "))
	if s.Mechanism == "" {
		v.check(s.Username == "", "kafka.sasl.username", "is set while kafka.sasl.mechanism is empty; set both or none")
		v.check(s.Password == "", "kafka.sasl.password", "is set while kafka.sasl.mechanism is empty; set both or none")
		return
	}
	v.check(s.Username != "", "kafka.sasl.username", "is empty; %s needs it", s.Mechanism)
	v.check(s.Password != "", "kafka.sasl.password", "is empty; %s needs it", s.Mechanism)
	v.check(s.Password != hidden, "kafka.sasl.password", "is %q, which is what recstream prints in its place", hidden)
}

// Mechanisms are the values of kafka.sasl.mechanism; the empty one is no SASL.
var Mechanisms = []string{"", MechanismPlain, MechanismScramSHA256, MechanismScramSHA512}

// The SASL mechanisms.
const (
	MechanismPlain       = "plain"
	MechanismScramSHA256 = "scram-sha-256"
	MechanismScramSHA512 = "scram-sha-512"
)

func (v *validation) consumer(c Consumer) {
	v.whole("consumer.batch_records", c.BatchRecords, 1, 100_000)
	v.whole("consumer.batch_bytes", c.BatchBytes, 1<<10, 64<<20)
	v.duration("consumer.linger", c.Linger, 0, 10*time.Second)
	v.duration("consumer.fetch_max_wait", c.FetchMaxWait, 10*time.Millisecond, 10*time.Second)
	v.duration("consumer.drain_timeout", c.DrainTimeout, time.Second, 10*time.Minute)
	v.duration("consumer.stall_warning", c.StallWarning, time.Second, day)
}

func (v *validation) database(d Database) {
	// The URL is not repeated: it may hold a password, and it is not known where.
	u, err := url.Parse(d.URL.Reveal())
	v.check(err == nil && isPostgres(u.Scheme) && u.Opaque == "",
		"database.url", "is no URL of the form postgres://user:password@host:port/database")
	if err == nil {
		password, _ := u.User.Password()
		v.check(password != hiddenPassword, "database.url", "has %q for a password, which is what recstream prints in its place", hiddenPassword)
	}
	v.whole("database.max_connections", d.MaxConnections, 2, 1000)
}

func (v *validation) ledger(l Ledger) {
	v.duration("ledger.look_back", l.LookBack, time.Minute, 30*day)
	v.whole("ledger.partitions_ahead", l.PartitionsAhead, 1, 366)
	v.check(l.ReplayRetention == 0 || l.ReplayRetention >= time.Hour, "ledger.replay_retention",
		"%s is neither 0s (as long as decisions) nor 1h or longer", formatDuration(l.ReplayRetention))
	// A request id is remembered by its row, so the row has to outlive the look-back window.
	v.check(l.Retention == 0 || l.Retention > l.LookBack, "ledger.retention",
		"%s is neither 0s (forever) nor longer than ledger.look_back (%s)",
		formatDuration(l.Retention), formatDuration(l.LookBack))
}

func (v *validation) profiles(p Profiles) {
	v.duration("profiles.half_life", p.HalfLife, time.Hour, 10*365*day)
	v.whole("profiles.cache_bytes", p.CacheBytes, 1<<20, 1<<30)
	v.duration("profiles.cache_ttl", p.CacheTTL, 0, time.Hour)
}

func (v *validation) model(m Model) {
	digest, err := hex.DecodeString(m.SHA256)
	v.check(m.SHA256 == "" || err == nil && len(digest) == 32, "model.sha256", "%q is not 64 hexadecimal digits", m.SHA256)
	v.check(m.Store == "" || m.Path == "", "model.path", "there is a model.store too; one of the two says which model scores")
	v.check(m.MaxMemory >= 1<<20, "model.max_memory", "%d is less than a mebibyte, 1048576", m.MaxMemory)
	v.duration("model.reload_interval", m.ReloadInterval, 100*time.Millisecond, time.Hour)
}

func isHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && 1 <= n && n <= 65535
}
