package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/scoring/experiment"
	"recstream/scoring/model"
)

func newExperimentCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "experiment",
		Short:   "Try models and parameters on a share of the users",
		GroupID: groupData,
		Long: `An experiment splits users between variants. A variant has a model, scoring parameters, or both; what it
leaves out is what everybody has. Assignment is GrowthBook's hash (version 2) of the user's id: sticky, without
storage. Anonymous users take no part; a user takes part in the first running experiment, by name, that takes
them. Decisions and results name the experiment and the variant.

Shadows are scored for every user that takes part, beside the reply: what they would have answered stands in
the table shadow_decisions, and nobody is served by them.`,
		Example: `  recstream experiment start trial.yaml --why "does the new model help?"
  recstream experiment list
  recstream experiment assign user-42`,
	}
	cmd.AddCommand(newExperimentListCommand(app), newExperimentShowCommand(app), newExperimentStartCommand(app),
		newExperimentStopCommand(app), newExperimentAssignCommand(app))
	onlySubcommands(cmd)
	return cmd
}

// change is who makes a change, and why.
type change struct{ actor, why string }

// changeVars adds the flags of a command that is audited.
func changeVars(cmd *cobra.Command, c *change) {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	cmd.Flags().StringVar(&c.actor, "by", name, "who makes the change, for the record")
	cmd.Flags().StringVar(&c.why, "why", "", "why the change is made, for the record")
}

func newExperimentListCommand(app *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the experiments, running and stopped",
		Example: `  recstream experiment list
  recstream experiment list -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := app.storedExperiments(cmd.Context())
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(app.stdout, list)
			}
			rows := make([][]string, len(list))
			for i, x := range list {
				rows[i] = []string{x.Name, x.state(), x.ChangedAt, percent(x.Share()), x.namespace(), names(x.Variants), names(x.Shadows)}
			}
			return printTable(app.stdout, []string{"NAME", "STATE", "SINCE", "COVERAGE", "NAMESPACE", "VARIANTS", "SHADOWS"}, rows)
		},
	}
	outputVar(cmd, &format, "table", "json")
	return cmd
}

// storedExperiment is an experiment as the commands print it.
type storedExperiment struct {
	experiment.Experiment
	Running   bool   `json:"running"`
	ChangedAt string `json:"changed_at"`
}

func (x *storedExperiment) state() string {
	if x.Running {
		return "running"
	}
	return "stopped"
}

// namespace is the name and the range, "" where there is none.
func (x *storedExperiment) namespace() string {
	if x.Namespace == nil {
		return ""
	}
	return fmt.Sprintf("%s %v-%v", x.Namespace.Name, x.Namespace.Start, x.Namespace.End)
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'g', 4, 64) + " %" }

func names(list []experiment.Variant) string {
	var out []string
	for _, v := range list {
		out = append(out, v.Name)
	}
	return strings.Join(out, ", ")
}

func (a *app) storedExperiments(ctx context.Context) (list []storedExperiment, err error) {
	err = a.withDatabase(ctx, func(db *postgres.Database) (err error) {
		list, err = readExperiments(ctx, db)
		return err
	})
	return list, err
}

func readExperiments(ctx context.Context, db *postgres.Database) ([]storedExperiment, error) {
	rows, err := db.Experiments(ctx)
	if err != nil {
		return nil, withHint(err, migrateHint)
	}
	list := make([]storedExperiment, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal(row.Spec, &list[i].Experiment); err != nil {
			return nil, fmt.Errorf("experiment %s: %w", row.Name, err)
		}
		list[i].Name, list[i].Running, list[i].ChangedAt = row.Name, row.Running, row.ChangedAt.Format(timeFormat)
	}
	return list, nil
}

// timeFormat is how tables print times: UTC, to the second.
const timeFormat = "2006-01-02T15:04:05Z"

func newExperimentShowCommand(app *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Print an experiment as the file that starts it",
		Example: `  recstream experiment show new-ranker
  recstream experiment show new-ranker > new-ranker.yaml`,
		Args: allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := app.storedExperiments(cmd.Context())
			if err != nil {
				return err
			}
			i := slices.IndexFunc(list, func(x storedExperiment) bool { return x.Name == args[0] })
			if i < 0 {
				return withHint(fmt.Errorf("there is no experiment %q", args[0]), "run 'recstream experiment list'")
			}
			if format == "json" {
				return printJSON(app.stdout, list[i])
			}
			text, err := yaml.Marshal(list[i].Experiment)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(app.stdout, "# %s since %s\n%s", list[i].state(), list[i].ChangedAt, text)
			return err
		},
	}
	outputVar(cmd, &format, "yaml", "json")
	return cmd
}

func newExperimentStartCommand(app *app) *cobra.Command {
	var c change
	var store string
	cmd := &cobra.Command{
		Use:   "start FILE",
		Short: "Start the experiment that a YAML file describes",
		Long: `start checks an experiment and puts it into force; instances follow within seconds. An experiment that runs
must be stopped before it is started in another form. FILE may be "-" for standard input. Where another running
experiment shares users with it, start says so.

  name: new-ranker          # on decisions and results
  seed: new-ranker          # of the hash; the name, if left out
  coverage: 0.5             # share of the users that take part; 1, if left out
  namespace:                # keeps experiments from sharing users; may be left out
    name: ranking
    start: 0
    end: 0.5
  variants:
    - name: control
      weight: 0.5           # weights add up to 1; equal, if all are left out
    - name: new
      weight: 0.5
      model: films@2        # of model.store; the active one, if left out
      params: |             # scoring parameters in place of the configured ones
        max_items: 20
  shadows:
    - name: next
      model: films@3`,
		Example: `  recstream experiment start trial.yaml --why "does the new model help?"`,
		Args:    allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.startExperiment(cmd.Context(), args[0], store, c)
		},
	}
	changeVars(cmd, &c)
	storeVar(cmd.Flags(), &store)
	return cmd
}

func (a *app) startExperiment(ctx context.Context, path, store string, c change) error {
	text, err := a.readInput(path)
	if err != nil {
		return err
	}
	var x experiment.Experiment
	if err := readYAML(text, &x); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	cfg.Model.Store = cmp.Or(store, cfg.Model.Store)
	if err := errors.Join(x.Validate(), pinVariants(cfg, &x)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	spec, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return a.withDatabase(ctx, func(db *postgres.Database) error {
		others, err := readExperiments(ctx, db)
		if err != nil {
			return err
		}
		if err := db.StartExperiment(ctx, x.Name, spec, c.actor, c.why); err != nil {
			if errors.Is(err, postgres.ErrExperimentRunning) {
				return withHint(err, fmt.Sprintf("run 'recstream experiment stop %s' first", x.Name))
			}
			return withHint(err, migrateHint)
		}
		warnOfOverlaps(a.stderr, &x, others)
		_, err = fmt.Fprintf(a.stdout, "experiment %s is running\n", x.Name)
		return err
	})
}

// pinVariants puts the models of an experiment through their gates, and its parameters through theirs. It pins
// each model by its hash, so that a variant is one model in all instances.
func pinVariants(cfg config.Config, x *experiment.Experiment) error {
	var errs []error
	pin := func(what string, list []experiment.Variant) {
		for i := range list {
			if err := pinVariant(cfg, &list[i]); err != nil {
				errs = append(errs, fmt.Errorf("%s %s: %w", what, list[i].Name, err))
			}
		}
	}
	pin("variant", x.Variants)
	pin("shadow", x.Shadows)
	return errors.Join(errs...)
}

func pinVariant(cfg config.Config, v *experiment.Variant) error {
	if v.Params != "" {
		base, _, err := loadScoring(cfg.Scoring.File)
		if err != nil {
			return err
		}
		if _, err := config.Overlay(base, v.Params); err != nil {
			return err
		}
	}
	if v.Model == "" {
		return nil
	}
	if cfg.Model.Store == "" {
		return configError(withHint(errors.New("model.store is not set"), storeHint))
	}
	m, err := openPinned(model.Store{Dir: cfg.Model.Store}, v.Model, v.SHA256)
	if err != nil {
		return err
	}
	v.SHA256 = m.Ref.SHA256
	return nil
}

// readInput reads a file, or standard input for "-".
func (a *app) readInput(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(a.stdin)
	}
	return os.ReadFile(path)
}

func newExperimentStopCommand(app *app) *cobra.Command {
	var c change
	cmd := &cobra.Command{
		Use:     "stop NAME",
		Short:   "Stop a running experiment",
		Example: `  recstream experiment stop new-ranker --why "the candidate won"`,
		Args:    allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
				if err := db.StopExperiment(cmd.Context(), args[0], c.actor, c.why); err != nil {
					if errors.Is(err, postgres.ErrExperimentStopped) {
						return withHint(err, "run 'recstream experiment list'")
					}
					return withHint(err, migrateHint)
				}
				_, err := fmt.Fprintf(app.stdout, "experiment %s is stopped\n", args[0])
				return err
			})
		},
	}
	changeVars(cmd, &c)
	return cmd
}

func newExperimentAssignCommand(app *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "assign USER",
		Short: "Print the experiment and the variant that a user gets",
		Example: `  recstream experiment assign user-42
  recstream experiment assign user-42 -o json`,
		Args: allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := app.storedExperiments(cmd.Context())
			if err != nil {
				return err
			}
			got := assignment{User: args[0]}
			for i := range list {
				if v, ok := list[i].Assign(args[0]); list[i].Running && ok && v >= 0 {
					got.Experiment, got.Variant = list[i].Name, list[i].Variants[v].Name
					break
				}
			}
			if format == "json" {
				return printJSON(app.stdout, got)
			}
			if got.Experiment == "" {
				_, err = fmt.Fprintf(app.stdout, "%s takes part in no running experiment\n", got.User)
				return err
			}
			_, err = fmt.Fprintf(app.stdout, "%s gets variant %s of experiment %s\n", got.User, got.Variant, got.Experiment)
			return err
		},
	}
	outputVar(cmd, &format, "text", "json")
	return cmd
}

// assignment is what a user gets; without an experiment the rest is empty.
type assignment struct {
	User       string `json:"user"`
	Experiment string `json:"experiment,omitempty"`
	Variant    string `json:"variant,omitempty"`
}
