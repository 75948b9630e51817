package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/scoring"
)

func newScoringCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "scoring",
		Short:   "Scoring parameters: their defaults, a file's mistakes, and those that were in force",
		GroupID: groupData,
		Long: `Scoring parameters say which items suit a request, how scores are blended, how different the items of an answer
are, and when a model is not to be trusted. They stand in a YAML file of their own, which scoring.file names; instances
follow it while they run. Their hash is the config_version of every decision, and the database has the text of all that
were in force.`,
		Example: `  recstream scoring defaults > scoring.yaml
  recstream scoring check scoring.yaml
  RECSTREAM_SCORING_FILE=scoring.yaml recstream serve`,
	}
	onlySubcommands(cmd)
	cmd.AddCommand(newScoringDefaultsCommand(app), newScoringSchemaCommand(app), newScoringCheckCommand(app),
		newScoringShowCommand(app), newScoringListCommand(app))
	return cmd
}

// loadScoring reads the parameters of scoring.file, with their text.
func loadScoring(file string) (scoring.Params, []byte, error) {
	params, text, err := config.LoadScoring(file)
	if err != nil {
		return scoring.Params{}, nil, configError(fmt.Errorf("scoring.file: %w", err))
	}
	return params, text, nil
}

// checkScoringFile looks at the file of scoring.file, or says that there is none.
func checkScoringFile(file string) finding {
	const check = "scoring"
	params, _, err := loadScoring(file)
	switch {
	case err != nil:
		return failed(check, err, "mend the file; an instance that runs keeps the parameters that it has, but none would start")
	case file == "":
		return finding{Check: check, OK: true, Detail: "the defaults, config_version " + params.Version()}
	}
	return finding{Check: check, OK: true, Detail: file + ", config_version " + params.Version()}
}

func newScoringDefaultsCommand(app *app) *cobra.Command {
	return &cobra.Command{
		Use:     "defaults",
		Short:   "Print a file with every key, its default and its meaning",
		Example: "  recstream scoring defaults > scoring.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := app.stdout.Write(config.FormatScoring(scoring.DefaultParams()))
			return err
		},
	}
}

func newScoringSchemaCommand(app *app) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the file, for editors",
		Example: "  recstream scoring schema > scoring.schema.json    # beside scoring.yaml, whose first line names it",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := app.stdout.Write(config.ScoringSchema())
			return err
		},
	}
}

func newScoringCheckCommand(app *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Try a file of scoring parameters, and name every mistake by its line",
		Long: `check reads the file, or standard input for "-", as an instance would, and prints ok and the config_version that
decisions would have. With mistakes it lists them all, and the exit status is 2.`,
		Example: `  recstream scoring check scoring.yaml
  recstream scoring check scoring.yaml -o json`,
		Args: allArgs,
		RunE: func(_ *cobra.Command, args []string) error { return app.checkScoring(args[0], output) },
	}
	outputVar(cmd, &output, "text", "json")
	return cmd
}

// scoringFinding is what there is to say of a file of parameters.
type scoringFinding struct {
	File          string           `json:"file"`
	OK            bool             `json:"ok"`
	ConfigVersion string           `json:"config_version,omitempty"`
	Mistakes      []config.Problem `json:"mistakes"`
}

func (a *app) checkScoring(path, output string) error {
	text, err := a.readInput(path)
	if err != nil {
		return configError(err)
	}
	found := scoringFinding{File: path, Mistakes: []config.Problem{}}
	params, err := config.ParseScoring(path, text)
	if invalid, ok := errors.AsType[*config.Error](err); ok {
		found.Mistakes = invalid.Problems
	} else {
		found.OK, found.ConfigVersion = true, params.Version()
	}
	switch {
	case output == "json":
		return errors.Join(printJSON(a.stdout, found), err)
	case err == nil:
		_, err = fmt.Fprintf(a.stdout, "ok  %s  config_version %s\n", path, found.ConfigVersion)
	}
	return err
}

func newScoringShowCommand(app *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show [VERSION]",
		Short: "Print the parameters of this configuration, or those of a config_version",
		Long: `show prints the parameters that this configuration has, with every key. With the config_version of a decision it
prints the text that was in force then, as it was written; the database keeps it.`,
		Example: `  recstream scoring show
  recstream scoring show 1fbc65bc895c > then.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return app.showScoring()
			}
			return app.showStoredScoring(cmd.Context(), args[0])
		},
	}
}

func (a *app) showScoring() error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	params, _, err := loadScoring(cfg.Scoring.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n# config_version %s\n", bytes.TrimRight(config.FormatScoring(params), "\n"), params.Version())
	return err
}

func (a *app) showStoredScoring(ctx context.Context, version string) error {
	return a.withDatabase(ctx, func(db *postgres.Database) error {
		text, ok, err := db.ConfigText(ctx, version)
		switch {
		case err != nil:
			return withHint(err, migrateHint)
		case !ok:
			return withHint(fmt.Errorf("no instance has used parameters of the version %s", version), "run 'recstream scoring list'")
		}
		_, err = fmt.Fprint(a.stdout, text)
		return err
	})
}

func newScoringListCommand(app *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the parameters that were in force, the latest first",
		Example: "  recstream scoring list\n  recstream scoring list -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return app.listScoring(cmd.Context(), output) },
	}
	outputVar(cmd, &output, "table", "json")
	return cmd
}

// usedScoring is one set of parameters that was in force.
type usedScoring struct {
	ConfigVersion string    `json:"config_version"`
	FirstUsedAt   time.Time `json:"first_used_at"`
	Default       bool      `json:"default"` // they are this program's defaults
}

func (a *app) listScoring(ctx context.Context, output string) error {
	defaults := scoring.DefaultParams()
	list := []usedScoring{}
	err := a.withDatabase(ctx, func(db *postgres.Database) error {
		stored, err := db.Configs(ctx)
		for _, c := range stored {
			list = append(list, usedScoring{c.Version, c.FirstUsedAt, c.Version == defaults.Version()})
		}
		return withHint(err, migrateHint)
	})
	if err != nil {
		return err
	}
	if output == "json" {
		return printJSON(a.stdout, list)
	}
	var rows [][]string
	for _, c := range list {
		note := ""
		if c.Default {
			note = "defaults"
		}
		rows = append(rows, []string{c.ConfigVersion, c.FirstUsedAt.Format(time.RFC3339), note})
	}
	return printTable(a.stdout, []string{"CONFIG_VERSION", "FIRST USED", ""}, rows)
}
