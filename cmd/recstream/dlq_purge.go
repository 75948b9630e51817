package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/deadletter"
	"recstream/internal/postgres"
)

// purgeFlags are what the command line of dlq purge says.
type purgeFlags struct {
	change
	olderThan string
	yes       bool
	format    string
}

func newDLQPurgeCommand(app *app) *cobra.Command {
	var f purgeFlags
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Delete old dead letters, for ever",
		Long: `purge deletes the letters that are older than an age. Without --yes it says what would go, and deletes nothing. Kafka
deletes from the beginning of a partition on, so that a letter behind a younger one stays until that goes. How many of
the letters nobody has sent back is said too (OPEN).
What was deleted is written into the table dead_letter_purges, with who did it and why.`,
		Example: `  recstream dlq purge --older-than 30d
  recstream dlq purge --older-than 30d --yes --why "retention"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			age, err := parseAge(f.olderThan)
			if err != nil {
				return usagef("--older-than %q is no age; use such as 30d or 12h", f.olderThan)
			}
			return app.withLetters(cmd.Context(), deadletter.Filter{}, func(cfg config.Config, topic deadletter.Topic) error {
				return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
					p := &deadletter.Purge{Topic: topic, Database: db, OlderThan: time.Now().Add(-age), Actor: f.actor, Why: f.why}
					return app.purge(cmd.Context(), cfg, p, &f)
				})
			})
		},
	}
	changeVars(cmd, &f.change)
	cmd.Flags().StringVar(&f.olderThan, "older-than", "", "delete letters of more than that `age`, such as 30d or 12h")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "delete; without it nothing is")
	outputVar(cmd, &f.format, "table", "json")
	return cmd
}

// purgedPartition is a partition's part of a purge.
type purgedPartition struct {
	Partition int        `json:"partition"`
	From      int64      `json:"from"` // offset of the first letter that goes
	Next      int64      `json:"next"` // offset of the first that stays
	Letters   int64      `json:"letters"`
	Open      int64      `json:"open"` // of these were not sent back
	First     *time.Time `json:"first,omitempty"`
	Last      *time.Time `json:"last,omitempty"`
}

func (a *app) purge(ctx context.Context, cfg config.Config, p *deadletter.Purge, f *purgeFlags) error {
	spans, err := spansOf(ctx, cfg, p.Topic, time.Time{})
	if err != nil {
		return err
	}
	bar := a.newReadBar(spans, "read")
	p.Read = bar.add
	found := []*deadletter.Doomed{}
	for _, s := range spans {
		d, err := p.Find(ctx, s)
		if err != nil {
			return withHint(err, migrateHint)
		}
		if d.Letters > 0 {
			found = append(found, d)
		}
	}
	bar.finish()
	for _, d := range found {
		if !f.yes {
			break
		}
		if err := p.Delete(ctx, d); err != nil {
			return withHint(err, "run it again; "+migrateHint)
		}
	}
	return a.printPurge(p, found, f)
}

func (a *app) printPurge(p *deadletter.Purge, found []*deadletter.Doomed, f *purgeFlags) error {
	list, rows, letters, open := []purgedPartition{}, [][]string{}, int64(0), int64(0)
	for _, d := range found {
		letters += d.Letters
		open += d.Open
		list = append(list, purgedPartition{d.Partition, d.First, d.End, d.Letters, d.Open, &d.Oldest, &d.Latest})
		rows = append(rows, []string{fmt.Sprint(d.Partition), fmt.Sprint(d.First), fmt.Sprint(d.End), fmt.Sprint(d.Letters), fmt.Sprint(d.Open),
			d.Oldest.Format(timeFormat), d.Latest.Format(timeFormat)})
	}
	if f.format == "json" {
		return printJSON(a.stdout, struct {
			Topic      string            `json:"topic"`
			OlderThan  time.Time         `json:"older_than"`
			Deleted    bool              `json:"deleted"`
			Letters    int64             `json:"letters"`
			Open       int64             `json:"open"`
			Partitions []purgedPartition `json:"partitions"`
		}{p.Topic.Name, p.OlderThan.UTC(), f.yes, letters, open, list})
	}
	if letters > 0 {
		if err := printTable(a.stdout, []string{"PARTITION", "FROM", "UP TO", "LETTERS", "OPEN", "FIRST", "LAST"}, rows); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("%s from before %s, %d of them never sent back", lettersText(letters), stampOf(p.OlderThan), open)
	text := "deleted " + what
	if !f.yes {
		text = "would delete " + what + ", for ever; --yes does"
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return err
}
