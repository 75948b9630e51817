package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"recstream/internal/catalogfile"
	"recstream/internal/postgres"
	"recstream/schemas"
)

// maxProblems is how many bad lines are printed; the rest is counted.
const maxProblems = 20

func newCatalogCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "catalog",
		Short:   "Look after the items that can be recommended",
		GroupID: groupData,
		Example: "  recstream catalog import films.csv",
	}
	cmd.AddCommand(newCatalogImportCommand(app))
	onlySubcommands(cmd)
	return cmd
}

type catalogImport struct {
	format  string
	skipBad bool
}

func newCatalogImportCommand(app *app) *cobra.Command {
	var opts catalogImport
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add the items of a CSV or JSON Lines file, replacing those whose ids are there",
		Long: `import adds items to the catalogue, all in one transaction; items that are not in the file stay as they are.
Running instances use the new catalogue within seconds.

A CSV file begins with a line of column names: id and title, and as far as wanted genres, duration_min, year,
popularity, added_at, expires_at, hidden, suitability (solo, couple, group; empty is all), franchise and tags
(anything else that items have in common, such as directors). Lists are joined with "|". A JSON Lines file has one
object a line with the same names, lists as arrays. FILE may be "-" for standard input, with --format.

Every line with a mistake is named. Then nothing is imported, unless --skip-bad leaves those lines out.`,
		Example: `  recstream catalog import films.csv
  zcat films.jsonl.gz | recstream catalog import --format jsonl --skip-bad -`,
		Args: allArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return app.importCatalog(cmd.Context(), args[0], opts) },
	}
	enumVar(cmd, cmd.Flags(), &opts.format, "format", "", "format of FILE (default: told by its name)", "csv", "jsonl")
	cmd.Flags().BoolVar(&opts.skipBad, "skip-bad", false, "import the good lines of a file that has bad ones")
	return cmd
}

func (a *app) importCatalog(ctx context.Context, path string, opts catalogImport) error {
	items, err := a.readCatalog(path, opts)
	if err != nil {
		return err
	}
	return a.withDatabase(ctx, func(db *postgres.Database) error {
		bar := progress(a.stderr, len(items), "import")
		err := db.ImportItems(ctx, items, func(done int) {
			if bar != nil {
				_ = bar.Set(done) // it can only fail to draw
			}
		})
		if err != nil {
			return withHint(err, migrateHint)
		}
		fmt.Fprintf(a.stdout, "imported %s from %s\n", counted(len(items), "item"), path)
		return nil
	})
}

func (a *app) readCatalog(path string, opts catalogImport) ([]schemas.Item, error) {
	format := catalogfile.Format(opts.format)
	if format == "" {
		var ok bool
		if format, ok = catalogfile.FormatOf(path); !ok {
			return nil, usagef("%s: the name does not tell the format; add --format csv or --format jsonl", path)
		}
	}
	var input io.Reader = a.stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		input = file
	}
	items, problems, err := catalogfile.Read(input, format)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := a.reportProblems(path, problems, opts.skipBad); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%s: nothing imported: there is no item in it", path)
	}
	return items, nil
}

func (a *app) reportProblems(path string, problems []catalogfile.Problem, skip bool) error {
	a.printProblems(path, problems)
	if len(problems) == 0 {
		return nil
	}
	if skip {
		fmt.Fprintf(a.stderr, "%s: left out %d lines\n", path, len(problems))
		return nil
	}
	return withHint(errors.New("nothing imported: lines with mistakes: "+fmt.Sprint(len(problems))),
		"mend them, or add --skip-bad to leave them out")
}

func (a *app) printProblems(path string, problems []catalogfile.Problem) {
	for i, p := range problems {
		if i == maxProblems {
			fmt.Fprintf(a.stderr, "%s: and %d more\n", path, len(problems)-i)
			return
		}
		fmt.Fprintf(a.stderr, "%s: %v\n", path, p)
	}
}
