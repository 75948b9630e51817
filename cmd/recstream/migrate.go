package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/spf13/cobra"

	"recstream/internal/postgres"
)

func newMigrateCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "migrate",
		Short:   "Bring the database's schema up to date, or look at it",
		GroupID: groupData,
		Long: `migrate looks after the database's schema. The steps are part of this program; each is applied once, in a
transaction, and a lock lets several instances try at the same time.`,
		Example: `  recstream migrate up
  recstream migrate status -o json`,
	}
	cmd.AddCommand(newMigrateUpCommand(app), newMigrateStatusCommand(app))
	onlySubcommands(cmd)
	return cmd
}

func newMigrateUpCommand(app *app) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Apply the steps that are missing",
		Long: `up applies the steps that are missing. A step that changes a table needs it for itself for a moment: it waits
two seconds for a long query, because the live stream waits behind it, and then lets the stream go on, says who is
in the way, and tries again.`,
		Example: `  recstream migrate up --config recstream.yaml
  recstream migrate up --wait 30m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
				return app.migrateUp(cmd.Context(), db, wait)
			})
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", time.Minute, "how long to try again while a table is in use")
	return cmd
}

// migrateUp applies the steps that are missing, and tries again for that long while a table is in use.
func (a *app) migrateUp(ctx context.Context, db *postgres.Database, wait time.Duration) error {
	nothing := true
	up := func() error {
		applied, err := db.Migrate(ctx)
		for _, m := range applied {
			fmt.Fprintf(a.stdout, "applied %s\n", m.Name)
			nothing = false
		}
		if err != nil && !errors.Is(err, postgres.ErrTableInUse) {
			return backoff.Permanent(err)
		}
		return err
	}
	notify := func(err error, pause time.Duration) {
		fmt.Fprintf(a.stderr, "%v; trying again in %v\n", err, pause.Round(100*time.Millisecond))
	}
	err := backoff.RetryNotify(up, backoff.WithContext(migrationPauses(wait), ctx), notify)
	if errors.Is(err, postgres.ErrTableInUse) {
		return withHint(err, "let that query end, or end it with SELECT pg_terminate_backend(pid), and run 'recstream migrate up' again; --wait tries for longer")
	}
	if err == nil && nothing {
		fmt.Fprintln(a.stdout, "nothing to do: the schema is up to date")
	}
	return err
}

// migrationPauses are mostly longer than an attempt waits, so that the live stream catches up in between.
func migrationPauses(wait time.Duration) backoff.BackOff {
	if wait <= 0 {
		return &backoff.StopBackOff{}
	}
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(3*time.Second), backoff.WithMaxInterval(15*time.Second),
		backoff.WithMaxElapsedTime(wait))
}

func newMigrateStatusCommand(app *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "List the steps and whether each is applied",
		Example: "  recstream migrate status",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
				steps, err := db.Migrations(cmd.Context())
				if err != nil {
					return err
				}
				if output == "json" {
					return printJSON(app.stdout, steps)
				}
				var rows [][]string
				for _, s := range steps {
					state := "missing"
					if s.Applied {
						state = "applied"
					}
					rows = append(rows, []string{fmt.Sprint(s.Version), s.Name, state})
				}
				return printTable(app.stdout, []string{"VERSION", "NAME", "STATE"}, rows)
			})
		},
	}
	outputVar(cmd, &output, "table", "json")
	return cmd
}

// withDatabase runs use with the configured database, which must answer.
func (a *app) withDatabase(ctx context.Context, use func(*postgres.Database) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		return configError(err)
	}
	defer db.Close()
	if err := db.Ping(ctx); err != nil {
		return withHint(err, databaseHint(err, cfg))
	}
	return use(db)
}
