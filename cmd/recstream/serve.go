package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func newServeCommand(app *app) *cobra.Command {
	var migrate bool
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Answer requests until told to stop",
		GroupID: groupRun,
		Long: `serve reads request events, decides them, stores every decision in Postgres and writes the results to
Kafka. Run as many instances as the topic has partitions: they share the work through the consumer group.

It waits for servers that are away, at the start and later, and loses nothing meanwhile. The first SIGINT or
SIGTERM lets the batches in hand finish, within consumer.drain_timeout; the second stops at once. Either way
the next instance goes on where this one stopped. SIGHUP makes it look at the file of scoring.file at once.`,
		Example: `  recstream serve --config recstream.yaml
  RECSTREAM_KAFKA_BROKERS=kafka:9092 RECSTREAM_DATABASE_URL=postgres://db/recstream recstream serve --migrate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return app.serve(cmd.Context(), migrate) },
	}
	cmd.Flags().BoolVar(&migrate, "migrate", false, "bring the database's schema up to date first")
	return cmd
}

func (a *app) serve(ctx context.Context, migrate bool) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	log := a.newLogger(cfg.Log)
	p, err := newPipeline(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer p.close()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	p.params.Hangups = hangups
	if migrate {
		if err := prepare(ctx, log, []step{{"migrations", func(ctx context.Context) error {
			_, err := p.database.Migrate(ctx)
			return err
		}}}); err != nil {
			return err
		}
	}
	defer context.AfterFunc(ctx, func() {
		log.Info("stopping: the batches in hand are finished first; a second signal stops at once", "drain_timeout", cfg.Consumer.DrainTimeout)
	})()
	err = p.run(ctx, func() {
		log.Info("serving", "version", currentBuild().Version, "delivery", cfg.Delivery, "config_version", p.engine.ConfigVersion())
	})
	if err == nil {
		log.Info("stopped")
	}
	return err
}
