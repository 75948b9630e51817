package collect_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/goleak"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/history/collect"
	"recstream/internal/devstack"
	"recstream/internal/devstack/devstacktest"
	"recstream/internal/postgres"
)

var (
	topics = history.Topics{Requests: "requests", Feedback: "feedback", Results: "results", DeadLetters: "dead-letters"}
	groups = history.Groups{Requests: "group", Feedback: "group-feedback"}
)

// offsetsTopic is a topic like others to the embedded Kafka.
const offsetsTopic = "__consumer_offsets"

// server has a database for each test.
var server devstacktest.Postgres

func TestMain(m *testing.M) { goleak.VerifyTestMain(server.Around(m)) }

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startBroker starts an embedded Kafka with the topics of a run.
func startBroker(t *testing.T) *devstack.Broker {
	t.Helper()
	b, err := devstack.StartBroker(devstack.BrokerOptions{Topics: map[string]int{
		topics.Requests: 3, topics.Feedback: 2, topics.Results: 2, topics.DeadLetters: 2, offsetsTopic: 1}})
	must(t, err)
	t.Cleanup(b.Close)
	return b
}

func dial(t *testing.T, b *devstack.Broker) *collect.Kafka {
	t.Helper()
	k, err := collect.Dial(b.Addr())
	must(t, err)
	t.Cleanup(k.Close)
	return k
}

// client returns a client of the tests' own.
func client(t *testing.T, b *devstack.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addr()...), kgo.MaxVersions(kversion.V3_0_0()), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func produce(t *testing.T, c *kgo.Client, records ...*kgo.Record) {
	t.Helper()
	must(t, c.ProduceSync(within(t), records...).FirstErr())
}

// openDatabase returns a database with recstream's tables.
func openDatabase(t *testing.T) *pgxpool.Pool {
	t.Helper()
	db, err := postgres.Open(within(t), postgres.Options{URL: server.Database(t)})
	must(t, err)
	t.Cleanup(db.Close)
	_, err = db.Migrate(within(t))
	must(t, err)
	_, err = db.Pool().Exec(within(t), `SELECT decisions_create_partition(current_date), outcomes_create_partition(current_date)`)
	must(t, err)
	return db.Pool()
}

func execute(t *testing.T, db *pgxpool.Pool, statement string, args ...any) {
	t.Helper()
	_, err := db.Exec(within(t), statement, args...)
	must(t, err)
}
