package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring/model"
)

func newModelListCommand(m *modelCommand) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the bundles of the store, and which is active",
		Long: `list prints the bundles of the store. The database says which is active, and which is previous: the last that
served before the active one and was not left by a rollback, which is where 'recstream model rollback' goes. A model
has served once an instance has answered requests with it. Without a database bundles are listed all the same. One
that is not the bundle that was activated is called another bundle: instances do not take it.`,
		Example: "  recstream model list\n  recstream model list --store models -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return m.list(cmd.Context(), format) },
	}
	outputVar(cmd, &format, "table", "json")
	return cmd
}

// undefinedTable is Postgres's code for a table that is missing.
const undefinedTable = "42P01"

// listedModel is a bundle as list prints it.
type listedModel struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	Format    string   `json:"format,omitempty"`
	Trees     int      `json:"trees,omitempty"`
	Objective string   `json:"objective,omitempty"`
	AUC       *float64 `json:"auc,omitempty"`
	CreatedAt string   `json:"created_at,omitempty"`
	SHA256    string   `json:"sha256,omitempty"`
	State     string   `json:"state,omitempty"` // active, previous; what is wrong with it
	Error     string   `json:"error,omitempty"` // why it cannot be read
}

func (m *modelCommand) list(ctx context.Context, format string) error {
	store, err := m.store()
	if err != nil {
		return err
	}
	if info, err := os.Stat(store.Dir); err != nil || !info.IsDir() {
		return withHint(fmt.Errorf("no such directory: %s", store.Dir), storeHint)
	}
	entries, err := store.List()
	if err != nil {
		return err
	}
	list := make([]listedModel, len(entries))
	for i, e := range entries {
		list[i] = listEntry(store, e)
	}
	var active, previous *schemas.ModelRef
	err = m.askDatabase(ctx, func(ctx context.Context, db *postgres.Database) (err error) {
		active, previous, err = inForce(ctx, db)
		return err
	})
	if err != nil {
		fmt.Fprintf(m.stderr, "which model is active is not known: %s\n", failed("database", err, "").Detail)
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == undefinedTable {
			fmt.Fprintln(m.stderr, "hint: run 'recstream migrate up' first")
		}
	}
	for _, mark := range []struct {
		ref   *schemas.ModelRef
		state string
	}{{active, "active"}, {previous, "previous"}} {
		if mark.ref != nil && !markState(list, mark.ref, mark.state) {
			fmt.Fprintf(m.stderr, "the %s model, %s, is not in %s\n", mark.state, labelOf(mark.ref), store.Dir)
		}
	}
	if format == "json" {
		return printJSON(m.stdout, list)
	}
	rows := make([][]string, len(list))
	for i := range list {
		rows[i] = list[i].cells()
	}
	return printTable(m.stdout, []string{"NAME", "VERSION", "FORMAT", "TREES", "OBJECTIVE", "AUC", "CREATED", "STATE"}, rows)
}

// listEntry looks at a bundle without its gates.
func listEntry(store model.Store, e model.Entry) listedModel {
	l := listedModel{Name: e.Name, Version: e.Version}
	if e.Err != nil {
		l.Error = e.Err.Error()
		return l
	}
	l.Format, l.Objective, l.SHA256 = e.Manifest.Format, e.Manifest.Objective, e.SHA256
	if !e.Manifest.CreatedAt.IsZero() {
		l.CreatedAt = e.Manifest.CreatedAt.UTC().Format(timeFormat)
	}
	if t := e.Manifest.Training; t != nil {
		if auc, ok := t.Metrics["auc"]; ok {
			l.AUC = &auc
		}
	}
	f, err := store.Forest(e)
	if err != nil {
		l.Error = err.Error()
		return l
	}
	l.Trees = f.NumTrees()
	return l
}

func (l *listedModel) cells() []string {
	auc, trees, state := "", "", l.State
	if l.AUC != nil {
		auc = strconv.FormatFloat(*l.AUC, 'g', 4, 64)
	}
	if l.Trees > 0 {
		trees = strconv.Itoa(l.Trees)
	}
	if l.Error != "" {
		state += " cannot be read; see 'recstream model verify " + l.Name + "@" + l.Version + "'"
	}
	return []string{l.Name, l.Version, l.Format, trees, l.Objective, auc, l.CreatedAt, state}
}

// markState gives the bundle that ref means its state, and reports whether there is one.
func markState(list []listedModel, ref *schemas.ModelRef, state string) bool {
	for i := range list {
		if l := &list[i]; l.Name == ref.Name && l.Version == ref.Version {
			l.State = state
			if l.SHA256 != ref.SHA256 {
				l.State += ", but another bundle"
			}
			return true
		}
	}
	return false
}

func labelOf(ref *schemas.ModelRef) string { return ref.Name + "@" + ref.Version }

// inForce returns the active model and the one that a rollback goes back to, nil where there is none.
func inForce(ctx context.Context, db *postgres.Database) (active, previous *schemas.ModelRef, err error) {
	change, err := db.ActiveModel(ctx)
	if err != nil || change == nil {
		return nil, nil, err
	}
	previous, err = db.PreviousModel(ctx)
	return change.To, previous, err
}

func newModelLogCommand(m *modelCommand) *cobra.Command {
	var format string
	var limit int
	cmd := &cobra.Command{
		Use:   "log",
		Short: "List the changes of the active model: who, when, from, to, why",
		Long: `log prints the latest changes of the active model, the latest first. SERVED is when an instance had first answered
requests with it; where it is empty none has, and a rollback does not go back to it.`,
		Example: "  recstream model log\n  recstream model log --limit 5 -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit %d is not at least 1", limit)
			}
			return m.printLog(cmd.Context(), limit, format)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many changes")
	outputVar(cmd, &format, "table", "json")
	return cmd
}

// loggedChange is a change as log prints it.
type loggedChange struct {
	At       string `json:"at"`
	By       string `json:"by"`
	Action   string `json:"action"`
	From     string `json:"from,omitempty"`
	To       string `json:"to"`
	SHA256   string `json:"sha256"` // of To
	Why      string `json:"why,omitempty"`
	ServedAt string `json:"served_at,omitempty"`
}

func (m *modelCommand) printLog(ctx context.Context, limit int, format string) error {
	return m.withDatabase(ctx, func(db *postgres.Database) error {
		changes, err := db.ModelChanges(ctx, limit)
		if err != nil {
			return withHint(err, migrateHint)
		}
		list := make([]loggedChange, len(changes))
		rows := make([][]string, len(changes))
		for i, c := range changes {
			l := loggedChange{At: c.At.Format(timeFormat), By: c.Actor, Action: c.Action, To: labelOf(c.To),
				SHA256: c.To.SHA256, Why: c.Why, ServedAt: timeOrNothing(c.ServedAt)}
			if c.From != nil {
				l.From = labelOf(c.From)
			}
			list[i] = l
			rows[i] = []string{l.At, l.By, l.Action, l.From, l.To, l.ServedAt, l.Why}
		}
		if format == "json" {
			return printJSON(m.stdout, list)
		}
		return printTable(m.stdout, []string{"AT", "BY", "ACTION", "FROM", "TO", "SERVED", "WHY"}, rows)
	})
}

func timeOrNothing(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}
