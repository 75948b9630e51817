package main

import (
	"context"
	"fmt"

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
	return &cobra.Command{
		Use:     "up",
		Short:   "Apply the steps that are missing",
		Example: "  recstream migrate up --config recstream.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
				applied, err := db.Migrate(cmd.Context())
				for _, m := range applied {
					fmt.Fprintf(app.stdout, "applied %s\n", m.Name)
				}
				if err == nil && len(applied) == 0 {
					fmt.Fprintln(app.stdout, "nothing to do: the schema is up to date")
				}
				return err
			})
		},
	}
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
