package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/kafkaconn"
)

// publishFlags are what the command line of publish says.
type publishFlags struct {
	file  string // "-" is standard input
	input *input // standard input, where it is the source
	force bool

	generate int
	rate     float64
	seed     uint64
	users    int

	requestFlags

	wait    bool
	timeout time.Duration
	output  string
}

func newPublishCommand(app *app) *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:     "publish [FILE]",
		Short:   "Publish request events, and print their results",
		GroupID: groupData,
		Long: `publish writes request events to the requests topic. They come from one of three places:

  a file     JSON Lines, one request a line; - is standard input. Lines that are no valid
             request are reported and left out; --force publishes them too, to try dead letters.
  --generate made-up requests of many households. The same --seed makes the same requests,
             ids included: published twice, they are answered from the ledger the second time.
  flags      one request: --user, --mood, --group, --session, --limit, --id, and what else
             'recstream schema request' has.

With --wait every result is printed as it arrives, one JSON object a line. The exit status is 1
when lines were left out, or when results are missing after --timeout.`,
		Example: `  recstream publish --user ada --mood funny --wait
  recstream publish --user ada --mood funny --group couple --session short --limit 3 --wait -o table
  recstream publish --user ada --similar-to heat --exclude ronin,spy --explain --wait
  recstream publish requests.jsonl
  recstream publish --generate 10000 --rate 500 --seed 7`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.file = args[0]
			}
			events, err := f.events(cmd, app)
			if err != nil {
				return err
			}
			cfg, err := app.loadConfig()
			if err != nil {
				return err
			}
			return app.publish(cmd.Context(), cfg, &f, events)
		},
	}
	f.register(cmd)
	return cmd
}

func (f *publishFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.force, "force", false, "publish invalid lines of the file too")
	flags.IntVar(&f.generate, "generate", 0, "publish `N` made-up requests")
	flags.Float64Var(&f.rate, "rate", 0, "requests a second (default as fast as it goes)")
	flags.Uint64Var(&f.seed, "seed", 0, "seed of --generate (default another one each time)")
	flags.IntVar(&f.users, "users", 1000, "households of --generate")
	f.requestFlags.register(cmd)
	flags.BoolVar(&f.wait, "wait", false, "wait for the results and print them")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "longest wait for a further result")
	outputVar(cmd, &f.output, "json", "table")
}

// publish sends the events and, with --wait, prints their results.
func (a *app) publish(ctx context.Context, cfg config.Config, f *publishFlags, events eventSeq) error {
	transport, err := kafkaconn.NewTransport(cfg.Kafka)
	if err != nil {
		return configError(err)
	}
	defer transport.CloseIdleConnections()
	client := kafkaconn.NewClient(cfg.Kafka, transport)
	if _, err := kafkaconn.EnsureTopics(ctx, client, cfg.Kafka); err != nil {
		return withHint(err, "is Kafka running at "+strings.Join(cfg.Kafka.Brokers, ",")+
			"? Set kafka.brokers or RECSTREAM_KAFKA_BROKERS to where it is")
	}
	p := newPublisher(a, cfg, f, transport)
	if f.input != nil {
		f.input.idle = p.flush
	}
	var results *resultWatch
	if f.wait {
		if results, err = watchResults(ctx, cfg, client, a.newResultPrinter(f.output)); err != nil {
			return err
		}
		p.expect = results.expect
	}
	err = errors.Join(p.run(ctx, events), p.writer.Close())
	fmt.Fprintln(a.stderr, p.summary())
	if results != nil {
		err = results.finish(ctx, f.timeout, err, a)
	}
	if err == nil && p.refused > 0 && !f.force {
		err = withHint(fmt.Errorf("%d lines are no valid request and were left out", p.refused),
			"mend them, or use --force to publish them as they are")
	}
	return err
}

// newWriter returns a writer of events: acknowledged by all in-sync replicas, one partition for one key.
func newWriter(cfg config.Config, topic string, transport *kafka.Transport) *kafka.Writer {
	return &kafka.Writer{
		Addr:         kafka.TCP(cfg.Kafka.Brokers...),
		Topic:        topic,
		Balancer:     &kafka.Murmur2Balancer{Consistent: true},
		RequiredAcks: kafka.RequireAll,
		BatchSize:    publishBatch,
		BatchTimeout: 5 * time.Millisecond, // the default waits a second for more
		Transport:    transport,
	}
}

// newPublisher prepares a publisher of requests.
func newPublisher(a *app, cfg config.Config, f *publishFlags, transport *kafka.Transport) *publisher {
	return &publisher{
		writer: newWriter(cfg, cfg.Kafka.Topics.Requests, transport),
		rate:   f.rate,
		force:  f.force,
		stderr: a.stderr,
		bar:    progress(a.stderr, f.generate, "publish"),
		expect: func(string) {},
	}
}
