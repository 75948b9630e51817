package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"recstream/internal/config"
)

// app is what the subcommands share: the process's surroundings and the flags of every command.
type app struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer

	configFile string
	logLevel   string // "" leaves it to the configuration
	started    bool   // a command's own work has begun; errors before are about the command line
}

// run executes one command line and returns the exit status. It is the whole program but for signals:
// ctx ends the command, environ has "NAME=value" strings.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &app{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := newRootCommand(app)
	// Without this copy cobra would take a nil slice for os.Args.
	root.SetArgs(append([]string{}, args...))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return report(stderr, cmd, err, app.started)
}

// The groups of the root command's help.
const (
	groupRun   = "run"
	groupData  = "data"
	groupAbout = "about"
)

func newRootCommand(app *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "recstream",
		Short: "Answer recommendation requests from Kafka, and keep every decision in Postgres",
		Long: `recstream reads recommendation requests from Kafka, ranks the catalogue's items with a model,
keeps every decision in Postgres and writes the results to Kafka.

Settings come from the defaults, the file of --config and RECSTREAM_ variables; the later wins.
'recstream config fields' lists them, 'recstream config' prints those in force.

Exit status:
  0    done
  1    the work failed
  2    the command line or the configuration has a mistake
  3    a replay differs more than its limits allow
  130, 143
       stopped at once by a second SIGINT or SIGTERM; the first lets the work in hand finish`,
		Example: `  recstream demo
  recstream serve --config recstream.yaml
  recstream publish --user ada --mood funny --wait
  recstream config fields
  recstream schema request`,
		Version:       currentBuild().Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("recstream {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVar(&app.configFile, "config", "", "configuration `FILE` in YAML (default $"+config.FileVariable+")")
	enumVar(root, flags, &app.logLevel, "log-level", "", "least level that is logged, instead of the configured one", "debug", "info", "warn", "error")

	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run:"},
		&cobra.Group{ID: groupData, Title: "Set up and feed:"},
		&cobra.Group{ID: groupAbout, Title: "Look up:"},
	)
	root.AddCommand(
		newServeCommand(app),
		newDemoCommand(app),
		newMigrateCommand(app),
		newCatalogCommand(app),
		newEditorialCommand(app),
		newModelCommand(app),
		newExperimentCommand(app),
		newScoringCommand(app),
		newPublishCommand(app),
		newDLQCommand(app),
		newReplayCommand(app),
		newCheckCommand(app),
		newExplainCommand(app),
		newSimulateCommand(app),
		newFeaturesCommand(app),
		newConfigCommand(app),
		newSchemaCommand(app),
		newStatusCommand(app),
		newVersionCommand(app),
	)
	app.markStart(root)
	return root
}

// onlySubcommands makes a command that does nothing by itself refuse a subcommand that it does not have.
func onlySubcommands(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.SuggestionsMinimumDistance = 2 // cobra sets this for the root only
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usageError{text}
	}
}

// markStart makes every command below cmd note that its work has begun.
func (a *app) markStart(cmd *cobra.Command) {
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.started = true
			return work(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		a.markStart(sub)
	}
}

// loadConfig returns the settings in force: --config, else RECSTREAM_CONFIG, names the file.
func (a *app) loadConfig() (config.Config, error) {
	file := a.configFile
	if file == "" {
		file = a.getenv(config.FileVariable)
	}
	cfg, err := config.Load(file, a.environ)
	if err != nil {
		return config.Config{}, configError(err)
	}
	if a.logLevel != "" {
		cfg.Log.Level = a.logLevel
	}
	return cfg, nil
}

// getenv returns the variable's value, the last where there are several, "" where there is none.
func (a *app) getenv(name string) string {
	value := ""
	for _, pair := range a.environ {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
		}
	}
	return value
}

// newLogger returns the logger that the settings ask for. It writes to standard error:
// standard output is for what a command was asked to print.
func (a *app) newLogger(log config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(log.Level)); err != nil {
		level = slog.LevelInfo // cannot be: the settings are valid
	}
	opts := &slog.HandlerOptions{Level: level}
	if log.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, opts))
	}
	return slog.New(slog.NewTextHandler(a.stderr, opts))
}
