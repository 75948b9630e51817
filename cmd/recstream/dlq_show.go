package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/deadletter"
	"recstream/internal/postgres"
)

// showFlags are what the command line of dlq show says.
type showFlags struct {
	letterFlags
	limit  int
	full   bool
	raw    bool
	format string
}

func newDLQShowCommand(app *app) *cobra.Command {
	var f showFlags
	cmd := &cobra.Command{
		Use:   "show [PARTITION/OFFSET...]",
		Short: "Show dead letters: payload, headers, where from, why, and what to do",
		Long: `show prints letters, named by their place or chosen by flags; --limit bounds how many. A payload that is JSON is laid
out, other text is printed with its control characters escaped, and what is no text as a hex dump; long ones are cut
unless --full asks for all. Where the letter was sent back before, it says what came of that.

-o json prints one JSON object a letter. That is what 'recstream dlq redrive --mended FILE' reads: change key or value,
which may be a string or a JSON object, and leave the rest. --raw prints the bytes of one letter's value and nothing else.`,
		Example: `  recstream dlq show 3/17
  recstream dlq show --reason unknown_field --limit 3
  recstream dlq show 3/17 --raw > value.bin
  recstream dlq show --user ada -o json | jq -c '.value |= (fromjson | .mood = "funny")' > mended.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(args, time.Now())
			if err != nil {
				return err
			}
			if f.limit < 1 {
				return usagef("--limit %d is no number of letters; use 1 or more", f.limit)
			}
			if f.raw && len(args) != 1 {
				return usagef("--raw prints one letter; name its place, such as 3/17")
			}
			return app.withLetters(cmd.Context(), filter, func(cfg config.Config, topic deadletter.Topic) error {
				return app.showLetters(cmd.Context(), cfg, topic, filter, &f)
			})
		},
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.IntVar(&f.limit, "limit", 10, "show at most `N` letters")
	flags.BoolVar(&f.full, "full", false, "print long payloads in full")
	flags.BoolVar(&f.raw, "raw", false, "print the value's bytes alone")
	outputVar(cmd, &f.format, "text", "json")
	return cmd
}

func (a *app) showLetters(ctx context.Context, cfg config.Config, topic deadletter.Topic, filter deadletter.Filter, f *showFlags) error {
	letters, more, err := a.findLetters(ctx, cfg, topic, filter, f.limit)
	if err != nil {
		return err
	}
	if len(letters) == 0 {
		return withHint(fmt.Errorf("no such dead letter in %s", topic.Name), "run 'recstream dlq list' to see what there is")
	}
	if f.raw {
		_, err := a.stdout.Write(letters[0].Value)
		return err
	}
	documents := make([]deadletter.Document, len(letters))
	for i, l := range letters {
		documents[i] = deadletter.NewDocument(l)
	}
	if err := a.addRedrives(ctx, cfg, topic, letters, documents); err != nil {
		a.sayNotKnown(err)
	}
	if err := a.printLetters(letters, documents, f); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(a.stderr, "there are more; --limit shows them\n")
	}
	return nil
}

func (a *app) printLetters(letters []*deadletter.Letter, documents []deadletter.Document, f *showFlags) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	for i, l := range letters {
		if f.format == "json" {
			if err := encoder.Encode(documents[i]); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		if err := printLetter(a.stdout, l, &documents[i], f.full); err != nil {
			return err
		}
	}
	return nil
}

// findLetters returns the first letters that are chosen; more says that there are others. The database is needed for those
// that are open.
func (a *app) findLetters(ctx context.Context, cfg config.Config, topic deadletter.Topic, filter deadletter.Filter, limit int) (list []*deadletter.Letter, more bool, err error) {
	spans, err := spansOf(ctx, cfg, topic, filter.Since)
	if err != nil {
		return nil, false, err
	}
	spans = filter.Narrow(spans)
	if !filter.Open {
		return firstLetters(ctx, topic, spans, filter, nil, limit)
	}
	err = a.withAudit(ctx, topic, true, func(audit *deadletter.Audit) (err error) {
		list, more, err = firstLetters(ctx, topic, spans, filter, audit, limit)
		return err
	})
	return list, more, err
}

func firstLetters(ctx context.Context, topic deadletter.Topic, spans []deadletter.Span, filter deadletter.Filter, audit *deadletter.Audit, limit int) (list []*deadletter.Letter, more bool, err error) {
	for _, s := range spans {
		err := topic.Read(ctx, s, audit.Marked(ctx, func(l *deadletter.Letter) error {
			if !filter.Match(l) {
				return nil
			}
			if len(list) == limit {
				more = true
				return deadletter.ErrEnough
			}
			list = append(list, l)
			return nil
		}), nil)
		if err != nil || more {
			return list, more, err
		}
	}
	return list, false, nil
}

// addRedrives adds when the letters were sent back, and what came of it.
func (a *app) addRedrives(ctx context.Context, cfg config.Config, topic deadletter.Topic, letters []*deadletter.Letter, documents []deadletter.Document) error {
	return a.withDatabase(ctx, func(db *postgres.Database) error {
		groups := map[string]string{cfg.Kafka.Topics.Requests: cfg.Kafka.Group, cfg.Kafka.Topics.Feedback: cfg.Kafka.Group + feedbackSuffix}
		history := deadletter.History{Topic: topic, Database: db, Groups: groups}
		for i, l := range letters {
			var err error
			if documents[i].Redriven, err = history.Of(ctx, l); err != nil {
				return withHint(err, migrateHint)
			}
		}
		return nil
	})
}
