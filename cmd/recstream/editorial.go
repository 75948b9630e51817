package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/catalogfile"
	"recstream/internal/postgres"
	"recstream/schemas"
)

func newEditorialCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "editorial",
		Short:   "Look after the lists that people made, for when no model can be trusted",
		GroupID: groupData,
		Long: `An editorial list names items, best first, for a context and a time. The editorial tier answers with the items of
the lists that hold for a request: those of the largest priority first, among equals by name. Items that do not suit
the request, or that it excludes, are passed over.`,
		Example: `  recstream editorial import lists.yaml
  recstream editorial list
  recstream editorial remove autumn`,
	}
	cmd.AddCommand(newEditorialImportCommand(app), newEditorialListCommand(app), newEditorialRemoveCommand(app))
	onlySubcommands(cmd)
	return cmd
}

func newEditorialImportCommand(app *app) *cobra.Command {
	var replaceAll bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add the lists of a YAML file, replacing those whose names are there",
		Long: `import stores lists, all in one transaction; lists that are not in the file stay as they are, unless --replace-all
removes them. Running instances use the new lists within seconds. FILE may be "-" for standard input. What
'recstream editorial list -o json' prints is a file too.

  - name: autumn              # replaces the list of this name
    mood: relaxing            # funny, action, dramatic or relaxing; all, if left out
    group_size: couple        # solo, couple or group; all, if left out
    session_length: short     # short, medium or binge; all, if left out
    starts_at: 2026-09-22     # a day in UTC, or an RFC 3339 time; always, if left out
    ends_at: 2026-12-21       # no longer used from then on; never, if left out
    priority: 10              # the larger comes first; 0, if left out
    items:                    # ids, best first
      - autumn-in-new-york-2000
      - october-sky-1999

Every mistake is named with its line, and then nothing is imported. Items that the catalogue does not have are
named and stay in their list: they count from when the catalogue has them.`,
		Example: `  recstream editorial import lists.yaml
  recstream editorial list -o json > saved.json
  recstream editorial import --replace-all saved.json`,
		Args: allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.importEditorial(cmd.Context(), args[0], replaceAll)
		},
	}
	cmd.Flags().BoolVar(&replaceAll, "replace-all", false, "remove the lists that are not in FILE")
	return cmd
}

func (a *app) importEditorial(ctx context.Context, path string, replaceAll bool) error {
	text, err := a.readInput(path)
	if err != nil {
		return err
	}
	lists, problems, err := catalogfile.ReadLists(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	a.printProblems(path, problems)
	if len(problems) > 0 {
		return withHint(fmt.Errorf("nothing imported: mistakes: %d", len(problems)), "mend them; 'recstream editorial import --help' has an example")
	}
	if len(lists) == 0 {
		return fmt.Errorf("%s: nothing imported: there is no list in it", path)
	}
	return a.withDatabase(ctx, func(db *postgres.Database) error {
		bar := progress(a.stderr, len(lists), "import")
		removed, err := db.ImportEditorial(ctx, lists, replaceAll, func(done int) {
			if bar != nil {
				_ = bar.Set(done) // it can only fail to draw
			}
		})
		if err != nil {
			return withHint(err, migrateHint)
		}
		fmt.Fprintf(a.stdout, "imported %d lists from %s\n", len(lists), path)
		if replaceAll {
			fmt.Fprintf(a.stdout, "removed %d other lists\n", removed)
		}
		return a.warnOfUnknownItems(ctx, db, lists)
	})
}

// warnOfUnknownItems names the items that the catalogue does not have.
func (a *app) warnOfUnknownItems(ctx context.Context, db *postgres.Database, lists []schemas.EditorialList) error {
	for _, l := range lists {
		unknown, err := db.UnknownItems(ctx, l.ItemIDs)
		if err != nil {
			return err
		}
		if n := len(unknown); n > 0 {
			named := strings.Join(unknown[:min(n, maxProblems)], ", ")
			if n > maxProblems {
				named += fmt.Sprintf(" and %d more", n-maxProblems)
			}
			fmt.Fprintf(a.stderr, "list %s: the catalogue does not have %d of its %d items: %s\n", l.Name, n, len(l.ItemIDs), named)
		}
	}
	return nil
}

// editorialList is a list as list prints it, and as import reads it.
type editorialList struct {
	Name          string   `json:"name"`
	Mood          string   `json:"mood,omitempty"`
	GroupSize     string   `json:"group_size,omitempty"`
	SessionLength string   `json:"session_length,omitempty"`
	StartsAt      string   `json:"starts_at,omitempty"`
	EndsAt        string   `json:"ends_at,omitempty"`
	Priority      int      `json:"priority"`
	Items         []string `json:"items"`
}

func newEditorialListCommand(app *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the editorial lists, for which context and time they are, and whether they hold now",
		Long: `list prints the lists in the order in which they are used: the largest priority first, then by name. STATE is
active, waiting for its start, or over.`,
		Example: `  recstream editorial list
  recstream editorial list -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
				lists, err := db.EditorialLists(cmd.Context())
				if err != nil {
					return withHint(err, migrateHint)
				}
				return app.printEditorial(lists, time.Now(), format)
			})
		},
	}
	outputVar(cmd, &format, "table", "json")
	return cmd
}

func (a *app) printEditorial(lists []schemas.EditorialList, now time.Time, format string) error {
	printed, rows := make([]editorialList, len(lists)), make([][]string, len(lists))
	for i, l := range lists {
		p := editorialList{Name: l.Name, Mood: l.Mood.String(), GroupSize: l.GroupSize.String(), SessionLength: l.SessionLength.String(),
			StartsAt: preciseOrNothing(l.StartsAt), EndsAt: preciseOrNothing(l.EndsAt), Priority: l.Priority, Items: l.ItemIDs}
		printed[i] = p
		rows[i] = []string{p.Name, cmp.Or(p.Mood, "all"), cmp.Or(p.GroupSize, "all"), cmp.Or(p.SessionLength, "all"),
			cmp.Or(timeOrNothing(l.StartsAt), "always"), cmp.Or(timeOrNothing(l.EndsAt), "always"),
			stateAt(&l, now), fmt.Sprint(l.Priority), fmt.Sprint(len(l.ItemIDs))}
	}
	if format == "json" {
		return printJSON(a.stdout, printed)
	}
	return printTable(a.stdout, []string{"NAME", "MOOD", "GROUP", "SESSION", "FROM", "UNTIL", "STATE", "PRIORITY", "ITEMS"}, rows)
}

// preciseOrNothing prints all that a time has, so that it is read back as it was.
func preciseOrNothing(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// stateAt says whether a list holds.
func stateAt(l *schemas.EditorialList, now time.Time) string {
	switch {
	case now.Before(l.StartsAt):
		return "waiting"
	case !l.EndsAt.IsZero() && !now.Before(l.EndsAt):
		return "over"
	}
	return "active"
}

func newEditorialRemoveCommand(app *app) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a list",
		Example: "  recstream editorial remove autumn",
		Args:    allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
				err := db.DeleteEditorial(cmd.Context(), args[0])
				if errors.Is(err, postgres.ErrNoEditorialList) {
					return withHint(fmt.Errorf("remove %q: %w", args[0], err), "run 'recstream editorial list'")
				}
				if err != nil {
					return withHint(err, migrateHint)
				}
				_, err = fmt.Fprintf(app.stdout, "list %s is removed\n", args[0])
				return err
			})
		},
	}
}
