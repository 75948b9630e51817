package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"recstream/internal/config"
	"recstream/internal/deadletter"
	"recstream/internal/postgres"
)

// redriveFlags are what the command line of dlq redrive says.
type redriveFlags struct {
	letterFlags
	change
	all         bool
	mended      string
	dryRun      bool
	again       bool
	force       bool
	rate        float64
	max         int
	maxRedrives int
	format      string
}

func newDLQRedriveCommand(app *app) *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use:   "redrive [PARTITION/OFFSET...]",
		Short: "Send dead letters back to the topic that they came from, mended or as they are",
		Long: `redrive sends the events of the letters that are chosen back to the partition that they came from, with their own key,
value and headers. Two headers are added: dlq_redrives counts how often the event was sent back, dlq_redrive_id names
the row of the table redrives that says who did it and why. The letters stay where they are.

Each letter is sent once, whatever is killed on the way: a run that was cut off is finished by the same command line
within a day, which sends what is left. --again sends letters once more that earlier runs have sent. An age, as in
--since 24h, is another selection each time: to finish a run with --again or --max, give the time that the run was told.

Left alone, and counted, are letters whose event came back --max-redrives times, and letters that would be refused
again as they are: mend those with --mended FILE, whose format is that of 'recstream dlq show -o json', and which sends
the letters in it alone. The exit status is 1 where letters were left alone for another cause than that they were sent,
or would be, with --dry-run.`,
		Example: `  recstream dlq redrive --reason record_refused --dry-run
  recstream dlq redrive --reason record_refused --rate 50 --why "column widened"
  recstream dlq redrive 3/17 --force
  recstream dlq redrive --mended mended.json --why "app 2.1 misspelt a field"
  recstream dlq redrive --all --since 2026-09-01 --max 1000`,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(args, time.Now())
			if err != nil {
				return err
			}
			if err := f.check(cmd, args); err != nil {
				return err
			}
			mended, sum, err := app.readMended(f.mended)
			if err != nil {
				return err
			}
			selection := selectionOf(cmd, args, filter, sum)
			return app.withLetters(cmd.Context(), filter, func(cfg config.Config, topic deadletter.Topic) error {
				return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
					r := f.redriver(cfg, topic, db)
					r.Filter, r.Mended, r.Selection = filter, mended, selection
					return app.redrive(cmd.Context(), cfg, r, &f)
				})
			})
		},
	}
	f.register(cmd)
	return cmd
}

func (f *redriveFlags) register(cmd *cobra.Command) {
	f.letterFlags.register(cmd)
	changeVars(cmd, &f.change)
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "choose all letters, where nothing else chooses")
	flags.StringVar(&f.mended, "mended", "", "send the letters of `FILE`, with its keys and values; - is standard input")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	flags.BoolVar(&f.again, "again", false, "send letters once more that were sent back before")
	flags.BoolVar(&f.force, "force", false, "send letters too that would be refused again as they are")
	flags.Float64Var(&f.rate, "rate", 0, "letters a second (default as fast as it goes)")
	flags.IntVar(&f.max, "max", 0, "send at most `N` letters (default no limit)")
	flags.IntVar(&f.maxRedrives, "max-redrives", 3, "leave events alone that came back `N` times")
	outputVar(cmd, &f.format, "table", "json")
}

// check finds mistakes in the flags.
func (f *redriveFlags) check(cmd *cobra.Command, args []string) error {
	chosen := len(args) > 0 || f.all || f.mended != ""
	for _, name := range []string{"reason", "stage", "topic", "since", "until", "key", "user", "request", "open"} {
		chosen = chosen || cmd.Flags().Changed(name)
	}
	switch {
	case !chosen:
		return usagef("no letters are chosen; name their places, choose by --reason or the like, or use --all")
	case f.rate < 0 || math.IsNaN(f.rate) || math.IsInf(f.rate, 0):
		return usagef("--rate %v is no rate; use a number of letters a second", f.rate)
	case f.max < 0 || cmd.Flags().Changed("max") && f.max == 0:
		return usagef("--max %d is no number of letters; use 1 or more", f.max)
	case f.maxRedrives < 1:
		return usagef("--max-redrives %d leaves no letter to send; use 1 or more", f.maxRedrives)
	}
	return nil
}

// readMended reads the file and its checksum; "" is no file.
func (a *app) readMended(path string) (mended *deadletter.Mended, sum string, err error) {
	if path == "" {
		return nil, "", nil
	}
	hint := "it has what 'recstream dlq show -o json' prints, with key or value changed"
	text, err := a.readInput(path)
	if err != nil {
		return nil, "", withHint(configError(err), hint)
	}
	mended, err = deadletter.ReadMended(bytes.NewReader(text))
	if err == nil && mended.Len() == 0 {
		err = errors.New("there is no letter in it")
	}
	if err != nil {
		return nil, "", withHint(configError(fmt.Errorf("%s: %w", path, err)), hint)
	}
	return mended, fmt.Sprintf("%x", sha256.Sum256(text)), nil
}

// selectionOf is the part of the command line that says which letters are sent, and how, with absolute times. The same
// in another call continues a run that was cut off.
func selectionOf(cmd *cobra.Command, args []string, filter deadletter.Filter, mendedSum string) string {
	var parts []string
	cmd.Flags().Visit(func(f *pflag.Flag) { // in the order of names
		if slices.Contains([]string{"by", "why", "rate", "output", "dry-run", "config", "log-level"}, f.Name) {
			return
		}
		value := f.Value.String()
		switch f.Name {
		case "mended":
			value = mendedSum
		case "since":
			value = filter.Since.UTC().Format(time.RFC3339Nano)
		case "until":
			value = filter.Until.UTC().Format(time.RFC3339Nano)
		}
		parts = append(parts, fmt.Sprintf("--%s=%s", f.Name, value))
	})
	return strings.ToValidUTF8(strings.Join(append(parts, slices.Sorted(slices.Values(args))...), " "), "\ufffd")
}

func (f *redriveFlags) redriver(cfg config.Config, topic deadletter.Topic, db *postgres.Database) *deadletter.Redriver {
	return &deadletter.Redriver{
		Topic: topic, Database: db, Name: "recstream-redrive-" + topic.Name,
		Requests: cfg.Kafka.Topics.Requests, Feedback: cfg.Kafka.Topics.Feedback,
		Again: f.again, Force: f.force, DryRun: f.dryRun, Max: f.max, MaxRedrives: f.maxRedrives, Rate: f.rate,
		Actor: f.actor, Why: f.why,
	}
}

func (a *app) redrive(ctx context.Context, cfg config.Config, r *deadletter.Redriver, f *redriveFlags) error {
	spans, err := spansOf(ctx, cfg, r.Topic, r.Filter.Since)
	if err != nil {
		return err
	}
	spans = r.Filter.Narrow(spans)
	shown := a.newRedriveProgress(spans, r.DryRun)
	r.Progress = shown.show
	report, err := r.Run(ctx, spans)
	shown.finish()
	if err == nil || report.Chosen > 0 {
		if printed := a.printRedrive(r, report, f.format); err == nil {
			err = printed
		}
	}
	switch {
	case errors.Is(err, postgres.ErrRedriving):
		return withHint(err, "let it end, or stop it; then run this again")
	case err != nil && report.Run.ID != 0:
		return withHint(err, "run the same command again"+f.asTimes(r.Filter)+": it sends what is left, and nothing twice")
	case err != nil:
		return withHint(err, migrateHint)
	}
	return leftAlone(report)
}

// asTimes says with which times to repeat the command, "" where its flags have no ages.
func (f *redriveFlags) asTimes(filter deadletter.Filter) (text string) {
	if _, err := parseAge(f.since); err == nil {
		text += " with --since " + filter.Since.Format(time.RFC3339)
	}
	if _, err := parseAge(f.until); err == nil {
		text += " with --until " + filter.Until.Format(time.RFC3339)
	}
	return text
}

// leftAlone is an error where letters were left alone that somebody wants sent, or would be.
func leftAlone(report *deadletter.Report) error {
	var n int64
	for why, s := range report.Skipped {
		if why != deadletter.SkipDone {
			n += s.Letters
		}
	}
	if n == 0 {
		return nil
	}
	verb := "were"
	if n == 1 {
		verb = "was"
	}
	return withHint(fmt.Errorf("%s %s left alone", lettersText(n), verb), "LEFT ALONE says why, and 'recstream dlq show' shows each")
}

// redriveReport is what redrive prints as JSON.
type redriveReport struct {
	Topic     string        `json:"topic"`
	DryRun    bool          `json:"dry_run"`
	Run       int64         `json:"run,omitempty"`
	Continued bool          `json:"continued"`
	Settled   int           `json:"settled"`
	Uncertain int           `json:"uncertain"`
	Chosen    int64         `json:"chosen"`
	Sent      int64         `json:"sent"`
	Mended    int64         `json:"mended"`
	Groups    []letterGroup `json:"groups"`
	LeftAlone []letterSkip  `json:"left_alone"`
}

type letterSkip struct {
	Letters int64  `json:"letters"`
	Why     string `json:"why"`
	Example string `json:"example"`
}

func (a *app) printRedrive(r *deadletter.Redriver, report *deadletter.Report, format string) error {
	p := redriveReport{Topic: r.Topic.Name, DryRun: r.DryRun, Run: report.Run.ID, Continued: report.Run.Continued, Settled: report.Settled,
		Uncertain: report.Uncertain, Chosen: report.Chosen, Sent: report.Sent, Mended: report.Mended, LeftAlone: []letterSkip{}}
	list := listOf(p.Topic, &report.Groups)
	list.forgetOpen()
	p.Groups = list.Groups
	for why, s := range report.Skipped {
		p.LeftAlone = append(p.LeftAlone, letterSkip{s.Letters, string(why), placeText(s.Example)})
	}
	slices.SortFunc(p.LeftAlone, func(x, y letterSkip) int { return cmp.Or(cmp.Compare(y.Letters, x.Letters), cmp.Compare(x.Why, y.Why)) })
	if format == "json" {
		return printJSON(a.stdout, p)
	}
	if report.Run.Continued {
		fmt.Fprintf(a.stdout, "continues run %d of %s, which was cut off after %s\n", p.Run, report.Run.StartedAt.Format(timeFormat), lettersText(int64(report.Run.Sent)))
	}
	if p.Settled+p.Uncertain > 0 {
		fmt.Fprintf(a.stdout, "a run that was cut off had %s on the way; of %d it cannot be known any more whether they were sent\n",
			lettersText(int64(p.Settled+p.Uncertain)), p.Uncertain)
	}
	return a.printRedriveTables(&p)
}

func (a *app) printRedriveTables(p *redriveReport) error {
	if p.Sent > 0 {
		if err := printGroupTable(a.stdout, p.Groups, false); err != nil {
			return err
		}
	}
	if len(p.LeftAlone) > 0 {
		var rows [][]string
		for _, s := range p.LeftAlone {
			rows = append(rows, []string{fmt.Sprint(s.Letters), s.Example, s.Why})
		}
		if err := printTable(a.stdout, []string{"LEFT ALONE", "FIRST", "WHY"}, rows); err != nil {
			return err
		}
	}
	verb := fmt.Sprintf("run %d: sent", p.Run)
	if p.DryRun {
		verb = "would send"
	}
	_, err := fmt.Fprintf(a.stdout, "%s %d of %s back, %d of them mended\n", verb, p.Sent, lettersText(p.Chosen), p.Mended)
	return err
}
