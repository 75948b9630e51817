package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/deadletter"
	"recstream/schemas"
)

func newDLQListCommand(app *app) *cobra.Command {
	var f letterFlags
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Count the dead letters by their cause",
		Long: `list reads the topic once, up to where it ends now, and prints a line for each reason code, stage and source topic: how
many letters there are, which share that is, how many of them nobody has sent back (OPEN), how many are of events that had
been sent back before (CAME BACK), when the first and the last came, and where the last stands, as PARTITION/OFFSET for
'recstream dlq show'. Which are open stands in the database; without it, OPEN is "?".`,
		Example: `  recstream dlq list
  recstream dlq list --open
  recstream dlq list --since 24h
  recstream dlq list --reason unknown_field,wrong_type --topic recommendation.requests
  recstream dlq list -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(nil, time.Now())
			if err != nil {
				return err
			}
			return app.withLetters(cmd.Context(), filter, func(cfg config.Config, topic deadletter.Topic) error {
				return app.withAudit(cmd.Context(), topic, filter.Open, func(audit *deadletter.Audit) error {
					return app.listLetters(cmd.Context(), cfg, topic, filter, audit, format)
				})
			})
		},
	}
	f.register(cmd)
	outputVar(cmd, &format, "table", "json")
	return cmd
}

// letterList is what list prints as JSON.
type letterList struct {
	Topic   string        `json:"topic"`
	Letters int64         `json:"letters"`
	Open    *int64        `json:"open,omitempty"` // were not sent back; nil is not known
	Groups  []letterGroup `json:"groups"`
}

type letterGroup struct {
	Reason   string    `json:"reason"`
	Stage    string    `json:"stage"`
	From     string    `json:"from"` // topic
	Letters  int64     `json:"letters"`
	Open     *int64    `json:"open,omitempty"`
	Share    float64   `json:"share"` // 0..1
	CameBack int64     `json:"came_back"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Example  string    `json:"example"` // PARTITION/OFFSET
	Meaning  string    `json:"meaning"`
	Advice   string    `json:"advice"`
}

func (a *app) listLetters(ctx context.Context, cfg config.Config, topic deadletter.Topic, filter deadletter.Filter, audit *deadletter.Audit, format string) error {
	spans, err := spansOf(ctx, cfg, topic, filter.Since)
	if err != nil {
		return err
	}
	var groups deadletter.Groups
	bar := a.newReadBar(spans, "read")
	for _, s := range spans {
		err := topic.Read(ctx, s, audit.Marked(ctx, func(l *deadletter.Letter) error {
			if filter.Match(l) {
				groups.Add(l)
			}
			return nil
		}), bar.add)
		if err != nil {
			return err
		}
	}
	bar.finish()
	list := listOf(topic.Name, &groups)
	if audit == nil {
		list.forgetOpen()
	}
	if format == "json" {
		return printJSON(a.stdout, list)
	}
	return printGroups(a.stdout, list)
}

// listOf returns groups as they are printed.
func listOf(topic string, groups *deadletter.Groups) letterList {
	list := letterList{Topic: topic, Open: new(int64), Groups: []letterGroup{}}
	for _, g := range groups.List() {
		open := g.Letters - g.SentBack
		list.Letters += g.Letters
		*list.Open += open
		meaning := deadletter.MeaningOf(g.Reason)
		list.Groups = append(list.Groups, letterGroup{Reason: g.Reason, Stage: g.Stage, From: g.Topic, Letters: g.Letters, Open: &open,
			CameBack: g.CameBack, First: g.First, Last: g.Last, Example: placeText(g.Example), Meaning: meaning.What, Advice: meaning.Do})
	}
	for i := range list.Groups {
		list.Groups[i].Share = float64(list.Groups[i].Letters) / float64(list.Letters)
	}
	return list
}

// forgetOpen is for letters of which the audit was not asked.
func (l *letterList) forgetOpen() {
	l.Open = nil
	for i := range l.Groups {
		l.Groups[i].Open = nil
	}
}

func placeText(s schemas.Source) string { return fmt.Sprintf("%d/%d", s.Partition, s.Offset) }

// printGroups prints what list has found.
func printGroups(w io.Writer, list letterList) error {
	if list.Letters == 0 {
		_, err := fmt.Fprintf(w, "no such dead letters in %s\n", list.Topic)
		return err
	}
	if err := printGroupTable(w, list.Groups, true); err != nil {
		return err
	}
	open := "; how many are open is not known"
	if list.Open != nil {
		open = fmt.Sprintf(", %d of them open", *list.Open)
	}
	_, err := fmt.Fprintf(w, "%s%s\n", lettersText(list.Letters), open)
	return err
}

// printGroupTable prints a line for each group, with the column OPEN or without.
func printGroupTable(w io.Writer, groups []letterGroup, withOpen bool) error {
	const column = 4
	header := []string{"REASON", "STAGE", "FROM", "LETTERS", "OPEN", "SHARE", "CAME BACK", "FIRST", "LAST", "LATEST"}
	rows := make([][]string, len(groups))
	for i, g := range groups {
		open := "?"
		if g.Open != nil {
			open = fmt.Sprint(*g.Open)
		}
		rows[i] = []string{orNone(g.Reason), orNone(g.Stage), orNone(g.From), fmt.Sprint(g.Letters), open, percent(g.Share), fmt.Sprint(g.CameBack),
			g.First.Format(timeFormat), g.Last.Format(timeFormat), g.Example}
		if !withOpen {
			rows[i] = slices.Delete(rows[i], column, column+1)
		}
	}
	if !withOpen {
		header = slices.Delete(header, column, column+1)
	}
	return printTable(w, header, rows)
}

// orNone is what others have written, fit for a terminal.
func orNone(text string) string { return printable(cmp.Or(text, deadletter.None)) }
