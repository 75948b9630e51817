package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/proxy"
	"recstream/internal/devstack"
)

// setup says what a scenario runs on. The zero value is the shared servers, as they are.
type setup struct {
	ownPostgres   bool   // one that may be stopped
	ownKafka      bool   // one broker that may be stopped
	cluster       bool   // three brokers, of this scenario alone, in the place of one
	proxyPostgres bool   // instances reach Postgres through a proxy
	proxyKafka    bool   // instances and readers reach Kafka through proxies; implies a Kafka of its own
	partitions    int    // of each topic; default 4
	postgresDir   string // of the data of a Postgres of its own; empty is one that is made
	kafkaDir      string // likewise, of one broker
	atLeastOnce   bool   // instances run with that guarantee, and are judged by it
	env           []string
}

// stage is what one scenario runs on: servers, and a database, topics and groups of its own. What looks on goes past
// the proxies.
type stage struct {
	setup
	name string
	dir  string

	postgres *devstack.Postgres
	kafka    *devstack.Kafka   // nil with a cluster
	cluster  *devstack.Cluster // nil with one broker

	postgresProxy *proxy.Proxy      // nil without
	kafkaProxies  []*proxy.Proxy    // one a broker, in the order of their ids; none without
	behind        map[string]string // the broker's own address by its proxy's

	brokers []string // as instances and readers are told
	db      *pgxpool.Pool
	client  *kgo.Client // for requests to brokers, past the proxies
	program string
	env     []string // of the program
	fleet   []*instance
}

// open prepares a stage. All of it is closed at the end of the test.
func open(t *testing.T, want setup) *stage {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no faults")
	}
	want.ownKafka = want.ownKafka || want.proxyKafka
	want.partitions = cmp.Or(want.partitions, 4)
	s := &stage{setup: want, behind: map[string]string{},
		name: fmt.Sprintf("%s-%d", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), time.Now().UnixNano())}
	s.dir = workDir(t)
	var err error
	s.program, err = shared.program.get()
	need(t, err)
	s.openKafka(t)
	database := s.openPostgres(t)
	s.setEnvironment(database)
	s.command(t, "migrate", "up")
	s.command(t, "catalog", "import", "../demo/data/catalog.csv")
	s.createTopics(t)
	return s
}

// workDir returns a directory that stays if the test fails: it has the logs then, and the data of the brokers.
func workDir(t *testing.T) string {
	t.Helper()
	//nolint:usetesting // it is to stay
	dir, err := os.MkdirTemp(*keep, strings.ReplaceAll(t.Name(), "/", "-")+"-*")
	need(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs are in %s", dir)
		} else {
			_ = os.RemoveAll(dir)
		}
	})
	return dir
}

func (s *stage) openKafka(t *testing.T) {
	t.Helper()
	var advertised []string
	if s.proxyKafka {
		advertised = s.startKafkaProxies(t)
	}
	var own []string
	var err error
	switch {
	case s.setup.cluster:
		s.cluster, err = startCluster(s.path("kafka"), advertised)
		need(t, err)
		closeAtEnd(t, s.cluster.Close)
		own = s.cluster.Addrs()
	case s.ownKafka:
		s.kafka, err = startKafka(cmp.Or(s.kafkaDir, s.path("kafka")), strings.Join(advertised, ""))
		need(t, err)
		closeAtEnd(t, s.kafka.Close)
		own = []string{s.kafka.Addr()}
	default:
		s.kafka, err = shared.kafka.get()
		need(t, err)
		own = []string{s.kafka.Addr()}
	}
	s.brokers = own
	for i, p := range s.kafkaProxies {
		p.Forward(own[i])
		s.behind[p.Addr()] = own[i]
	}
	if s.proxyKafka {
		s.brokers = advertised
	}
	s.client, err = kgo.NewClient(append(s.direct(), kgo.SeedBrokers(own...), kgo.MetadataMinAge(50*time.Millisecond))...)
	need(t, err)
	t.Cleanup(s.client.Close)
}

// startKafkaProxies starts a proxy for each broker that is to come, and returns the addresses.
func (s *stage) startKafkaProxies(t *testing.T) (advertised []string) {
	t.Helper()
	n := 1
	if s.setup.cluster {
		n = 3
	}
	for range n {
		p, err := proxy.Start("", proxy.Kafka)
		need(t, err)
		closeAtEnd(t, p.Close)
		s.kafkaProxies = append(s.kafkaProxies, p)
		advertised = append(advertised, p.Addr())
	}
	return advertised
}

// direct are the options of a Kafka client that goes past the proxies, whatever the brokers advertise.
func (s *stage) direct() []kgo.Opt {
	return []kgo.Opt{kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, cmp.Or(s.behind[address], address))
	})}
}

// own are the brokers' own addresses.
func (s *stage) own() []string {
	if s.cluster != nil {
		return s.cluster.Addrs()
	}
	return []string{s.kafka.Addr()}
}

// openPostgres makes the database and returns the URL that instances are told.
func (s *stage) openPostgres(t *testing.T) string {
	t.Helper()
	var err error
	if s.ownPostgres {
		s.postgres, err = startPostgres(s.postgresDir)
		need(t, err)
		closeAtEnd(t, s.postgres.Close)
	} else {
		s.postgres, err = shared.postgres.get()
		need(t, err)
	}
	database, err := s.postgres.CreateDatabase(within(t, startTime))
	need(t, err)
	s.db, err = pgxpool.New(t.Context(), database)
	need(t, err)
	t.Cleanup(s.db.Close)
	if !s.proxyPostgres {
		return database
	}
	u, err := url.Parse(database)
	need(t, err)
	s.postgresProxy, err = proxy.Start(u.Host, proxy.Postgres)
	need(t, err)
	closeAtEnd(t, s.postgresProxy.Close)
	u.Host = s.postgresProxy.Addr()
	return u.String()
}

func closeAtEnd(t *testing.T, closer func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := closer(); err != nil {
			t.Error(err)
		}
	})
}

func (s *stage) topics() history.Topics {
	return history.Topics{Requests: s.name + ".requests", Feedback: s.name + ".feedback",
		Results: s.name + ".results", DeadLetters: s.name + ".dead-letters"}
}

func (s *stage) groups() history.Groups {
	return history.Groups{Requests: s.name, Feedback: s.name + "-feedback"}
}

// sessionTimeout is how long a member of the group may be silent. Short, so that kills are noticed soon.
const sessionTimeout = 3 * time.Second

// halfLife is that of profiles and popularity: so long that no feedback of a run fades away.
const halfLife = 365 * 24 * time.Hour

// setEnvironment configures the program: small batches, so that there are many moments between two steps, and
// timeouts as short as a busy machine can keep.
func (s *stage) setEnvironment(database string) {
	topics := s.topics()
	s.env = append(os.Environ(),
		"RECSTREAM_KAFKA_BROKERS="+strings.Join(s.brokers, ","),
		"RECSTREAM_KAFKA_GROUP="+s.name,
		"RECSTREAM_KAFKA_TOPICS_REQUESTS="+topics.Requests,
		"RECSTREAM_KAFKA_TOPICS_RESULTS="+topics.Results,
		"RECSTREAM_KAFKA_TOPICS_FEEDBACK="+topics.Feedback,
		"RECSTREAM_KAFKA_TOPICS_DEAD_LETTERS="+topics.DeadLetters,
		"RECSTREAM_KAFKA_SESSION_TIMEOUT="+sessionTimeout.String(),
		"RECSTREAM_KAFKA_HEARTBEAT_INTERVAL=500ms",
		"RECSTREAM_KAFKA_TRANSACTION_TIMEOUT=10s",
		"RECSTREAM_CONSUMER_BATCH_RECORDS=25",
		"RECSTREAM_DATABASE_URL="+database,
		"RECSTREAM_MODEL_PATH=../demo/data/model.txt",
		"RECSTREAM_PROFILES_HALF_LIFE="+halfLife.String(),
		"RECSTREAM_POPULARITY_HALF_LIFE="+halfLife.String(),
	)
	if s.atLeastOnce {
		s.env = append(s.env, "RECSTREAM_DELIVERY=at_least_once")
	}
	s.env = append(s.env, s.setup.env...)
}

// createTopics makes the topics, replicated where there are brokers for it.
func (s *stage) createTopics(t *testing.T) {
	t.Helper()
	topics := s.topics()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(startTime.Milliseconds())
	for _, name := range []string{topics.Requests, topics.Feedback, topics.Results, topics.DeadLetters} {
		one := kmsg.NewCreateTopicsRequestTopic()
		one.Topic, one.NumPartitions, one.ReplicationFactor = name, int32(s.partitions), int16(len(s.own()))
		req.Topics = append(req.Topics, one)
	}
	eventually(t, "the topics to be made", startTime, func() (bool, string) {
		res, err := req.RequestWith(t.Context(), s.client)
		if err != nil {
			return false, err.Error()
		}
		for _, topic := range res.Topics {
			err := kerr.ErrorForCode(topic.ErrorCode)
			if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
				return false, err.Error()
			}
		}
		return true, ""
	})
	s.awaitTopics(t)
}

// awaitTopics waits until every broker knows the leaders of all topics: readers do not wait for a topic to appear.
func (s *stage) awaitTopics(t *testing.T) {
	t.Helper()
	topics := s.topics()
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range []string{topics.Requests, topics.Feedback, topics.Results, topics.DeadLetters} {
		one := kmsg.NewMetadataRequestTopic()
		one.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, one)
	}
	for id := range s.own() {
		eventually(t, "the topics to be known", startTime, func() (bool, string) {
			found, err := req.RequestWith(t.Context(), s.client.Broker(id+1))
			if err != nil {
				return false, err.Error()
			}
			for _, topic := range found.Topics {
				for _, p := range topic.Partitions {
					if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
						return false, err.Error()
					}
				}
				if len(topic.Partitions) != s.partitions {
					return false, fmt.Sprint(kerr.ErrorForCode(topic.ErrorCode))
				}
			}
			return true, ""
		})
	}
}

// command runs a command of the program to its end.
func (s *stage) command(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(within(t, startTime), s.program, args...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("recstream %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// items returns the ids of the catalogue's items.
func (s *stage) items(t *testing.T) (ids []string) {
	t.Helper()
	need(t, s.db.QueryRow(t.Context(), `SELECT array_agg(id ORDER BY id) FROM items`).Scan(&ids))
	return ids
}

// path returns the path of a file that stays if the test fails.
func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// within returns a context that ends with the test, or after that time.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until cond holds, and fails with what it last said if that takes too long.
func eventually(t *testing.T, what string, limit time.Duration, cond func() (ok bool, state string)) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, state := cond()
		if ok {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("waited %s for %s: %s", limit, what, state)
		case <-ticker.C:
		}
	}
}
