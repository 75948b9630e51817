package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/kafkaconn"
	"recstream/internal/postgres"
)

// checkTimeout is how long one check waits for a server.
const checkTimeout = 10 * time.Second

func newCheckCommand(app *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Try the configuration, the parameters, the brokers, the topics, the database and the models",
		GroupID: groupAbout,
		Long: `check tries what an instance needs, changes nothing, and prints a line each: ok, or what to do. Of models it
puts through their gates the active one and those of running experiments, or the one of model.path.
It warns of settings of the brokers and of the database under which they can lose what they have acknowledged.
The exit status is 0 if all is well but for warnings, 1 if not, 2 if the configuration itself has a mistake.`,
		Example: "  recstream check --config recstream.yaml\n  recstream check -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return app.check(cmd.Context(), output) },
	}
	outputVar(cmd, &output, "text", "json")
	return cmd
}

// finding is the result of one check.
type finding struct {
	Check   string `json:"check"`
	OK      bool   `json:"ok"`
	Warning bool   `json:"warning,omitempty"` // ok, as long as nothing breaks
	Detail  string `json:"detail"`            // what was found
	ToDo    string `json:"to_do,omitempty"`   // what to do, if not ok
}

// warning makes a finding of something that works, and should be otherwise.
func warning(check, detail, todo string) finding {
	return finding{Check: check, OK: true, Warning: true, Detail: detail, ToDo: todo}
}

func (a *app) check(ctx context.Context, output string) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	findings := []finding{{Check: "config", OK: true, Detail: "valid"}, checkScoringFile(cfg.Scoring.File)}
	findings = append(findings, checkKafka(ctx, cfg)...)
	findings = append(findings, a.checkDatabase(ctx, cfg)...)
	if output == "json" {
		err = printJSON(a.stdout, findings)
	} else {
		printFindings(a, findings)
	}
	for _, f := range findings {
		if !f.OK && err == nil {
			err = errors.New("not everything is in place")
		}
	}
	return err
}

func printFindings(a *app, findings []finding) {
	for _, f := range findings {
		state := "ok  "
		switch {
		case !f.OK:
			state = "FAIL"
		case f.Warning:
			state = "WARN"
		}
		fmt.Fprintf(a.stdout, "%s  %-10s  %s\n", state, f.Check, f.Detail)
		if f.ToDo != "" {
			fmt.Fprintf(a.stdout, "      %-10s  -> %s\n", "", f.ToDo)
		}
	}
}

// failed makes a finding of one line.
func failed(check string, err error, todo string) finding {
	detail := oneLine(err)
	var refused *pgconn.PgError
	if errors.As(err, &refused) { // what the server said, without the ways that were tried
		detail = fmt.Sprintf("%s (SQLSTATE %s)", refused.Message, refused.Code)
	}
	return finding{Check: check, Detail: detail, ToDo: todo}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// databaseHint says what to do about a database that cannot be reached.
func databaseHint(err error, cfg config.Config) string {
	where := "; database.url is " + cfg.Database.URL.String()
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch {
		case strings.HasPrefix(refused.Code, "28"): // invalid authorization
			return "mend user and password" + where
		case refused.Code == "3D000": // no such database
			return "create the database" + where
		}
	}
	return "start Postgres, or set database.url or RECSTREAM_DATABASE_URL" + where
}

func checkKafka(ctx context.Context, cfg config.Config) []finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	transport, err := kafkaconn.NewTransport(cfg.Kafka)
	if err != nil {
		return []finding{failed("brokers", err, "mend kafka.tls or kafka.sasl")}
	}
	defer transport.CloseIdleConnections()
	client := kafkaconn.NewClient(cfg.Kafka, transport)
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return []finding{failed("brokers", err, "start Kafka, or set kafka.brokers (now "+strings.Join(cfg.Kafka.Brokers, ",")+"); if it runs, see that kafka.tls and kafka.sasl are what it wants")}
	}
	brokers := finding{Check: "brokers", OK: true, Detail: fmt.Sprintf("%d answering at %s", len(meta.Brokers), strings.Join(cfg.Kafka.Brokers, ","))}
	findings := []finding{brokers, checkTopics(ctx, client, cfg.Kafka), checkDelivery(ctx, client, cfg)}
	return append(findings, checkTopicDurability(ctx, client, cfg)...)
}

// checkOfDelivery is of how results leave.
const checkOfDelivery = "delivery"

// checkDelivery names the mode of delivery, and tries what it needs.
func checkDelivery(ctx context.Context, client *kafka.Client, cfg config.Config) finding {
	if cfg.Delivery == config.ExactlyOnce {
		return checkTransactions(ctx, client, cfg.Kafka)
	}
	return finding{Check: checkOfDelivery, OK: true, Detail: cfg.Delivery + ": a crash can publish results again, for all readers"}
}

// checkTransactions asks for a producer with a transactional id that no partition has, but with the same beginning.
func checkTransactions(ctx context.Context, client *kafka.Client, k config.Kafka) finding {
	const check = checkOfDelivery
	ask := func() error {
		res, err := client.InitProducerID(ctx, &kafka.InitProducerIDRequest{TransactionalID: k.Group + ".check",
			TransactionTimeoutMs: int(k.TransactionTimeout.Milliseconds()), ProducerID: -1, ProducerEpoch: -1})
		if err == nil {
			err = res.Error
		}
		if errors.Is(err, kafka.InvalidTransactionTimeout) || errors.Is(err, kafka.TransactionalIDAuthorizationFailed) {
			return backoff.Permanent(err)
		}
		return err
	}
	// The broker makes its topic of transactions at the first request for one.
	err := backoff.Retry(ask, backoff.WithContext(backoff.NewExponentialBackOff(backoff.WithMaxElapsedTime(checkTimeout/2)), ctx))
	switch {
	case errors.Is(err, kafka.InvalidTransactionTimeout):
		return failed(check, err, "lower kafka.transaction_timeout, or raise the brokers' transaction.max.timeout.ms")
	case errors.Is(err, kafka.TransactionalIDAuthorizationFailed):
		return failed(check, err, "let this user write to transactional ids that begin with "+k.Group)
	case err != nil:
		return failed(check, err, "see that the brokers can have a topic of transactions (transaction.state.log.replication.factor), or set delivery: at_least_once")
	}
	return finding{Check: check, OK: true, Detail: "exactly_once: the brokers take transactions"}
}

func checkTopics(ctx context.Context, client *kafka.Client, k config.Kafka) finding {
	missing, err := kafkaconn.MissingTopics(ctx, client, k)
	switch names := strings.Join(missing, ", "); {
	case err != nil:
		return failed("topics", err, "let this user describe the topics")
	case len(missing) == 0:
		return finding{Check: "topics", OK: true, Detail: "all there"}
	case k.CreateTopics:
		return finding{Check: "topics", OK: true, Detail: "serve will create " + names}
	default:
		return failed("topics", errors.New("missing: "+names), "create them, or set kafka.create_topics: true")
	}
}

// checkDatabase looks at the database, and at the models, which it names.
func (a *app) checkDatabase(ctx context.Context, cfg config.Config) []finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	db, err := openDatabase(ctx, cfg)
	if err == nil {
		defer db.Close()
		err = db.Ping(ctx)
	}
	if err != nil {
		models := checkModelFile(cfg.Model)
		if cfg.Model.Store != "" {
			models = failed(checkOfModel, errors.New("which is active is not known"), "mend the database, which says it")
		}
		return []finding{failed("database", err, databaseHint(err, cfg)), models}
	}
	findings := []finding{checkSchema(ctx, db), checkCatalog(ctx, db)}
	findings = append(findings, checkModels(ctx, db, cfg)...)
	return append(findings, checkDatabaseDurability(ctx, db)...)
}

func checkSchema(ctx context.Context, db *postgres.Database) finding {
	const todo = "run 'recstream migrate up'"
	steps, err := db.Migrations(ctx)
	if err != nil {
		return failed("database", err, todo)
	}
	for _, s := range steps {
		if !s.Applied {
			return failed("database", fmt.Errorf("answers, but lacks migration %s", s.Name), todo)
		}
	}
	return finding{Check: "database", OK: true, Detail: "answers, " + counted(len(steps), "migration") + " applied"}
}

func checkCatalog(ctx context.Context, db *postgres.Database) finding {
	n, err := db.CountItems(ctx)
	switch {
	case err != nil:
		return failed("catalogue", err, "run 'recstream migrate up'")
	case n == 0:
		return failed("catalogue", errors.New("has no items"), "run 'recstream catalog import FILE'")
	}
	return finding{Check: "catalogue", OK: true, Detail: counted(n, "item")}
}
