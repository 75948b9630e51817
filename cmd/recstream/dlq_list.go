package main

import (
	"context"
	"fmt"
	"io"
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
many letters there are, which share that is, how many of them are of events that had been sent back before (CAME BACK),
when the first and the last came, and where the last stands, as PARTITION/OFFSET for 'recstream dlq show'.`,
		Example: `  recstream dlq list
  recstream dlq list --since 24h
  recstream dlq list --reason unknown_field,wrong_type --topic recommendation.requests
  recstream dlq list -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(nil, time.Now())
			if err != nil {
				return err
			}
			return app.withLetters(func(cfg config.Config, topic deadletter.Topic) error {
				return app.listLetters(cmd.Context(), cfg, topic, filter, format)
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
	Groups  []letterGroup `json:"groups"`
}

type letterGroup struct {
	Reason   string    `json:"reason"`
	Stage    string    `json:"stage"`
	From     string    `json:"from"` // topic
	Letters  int64     `json:"letters"`
	Share    float64   `json:"share"` // 0..1
	CameBack int64     `json:"came_back"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Example  string    `json:"example"` // PARTITION/OFFSET
	Meaning  string    `json:"meaning"`
	Advice   string    `json:"advice"`
}

func (a *app) listLetters(ctx context.Context, cfg config.Config, topic deadletter.Topic, filter deadletter.Filter, format string) error {
	spans, err := spansOf(ctx, cfg, topic, filter.Since)
	if err != nil {
		return err
	}
	var groups deadletter.Groups
	bar := a.newReadBar(spans, "read")
	for _, s := range spans {
		err := topic.Read(ctx, s, func(l *deadletter.Letter) error {
			if filter.Match(l) {
				groups.Add(l)
			}
			return nil
		}, bar.add)
		if err != nil {
			return err
		}
	}
	bar.finish()
	list := letterList{Topic: topic.Name}
	list.Groups, list.Letters = printedGroups(&groups)
	if format == "json" {
		return printJSON(a.stdout, list)
	}
	return printGroups(a.stdout, list)
}

func printedGroups(groups *deadletter.Groups) (list []letterGroup, letters int64) {
	list = []letterGroup{}
	for _, g := range groups.List() {
		letters += g.Letters
		meaning := deadletter.MeaningOf(g.Reason)
		list = append(list, letterGroup{Reason: g.Reason, Stage: g.Stage, From: g.Topic, Letters: g.Letters, CameBack: g.CameBack,
			First: g.First, Last: g.Last, Example: placeText(g.Example), Meaning: meaning.What, Advice: meaning.Do})
	}
	for i := range list {
		list[i].Share = float64(list[i].Letters) / float64(letters)
	}
	return list, letters
}

func placeText(s schemas.Source) string { return fmt.Sprintf("%d/%d", s.Partition, s.Offset) }

func printGroups(w io.Writer, list letterList) error {
	if list.Letters == 0 {
		_, err := fmt.Fprintf(w, "no such dead letters in %s\n", list.Topic)
		return err
	}
	rows := make([][]string, len(list.Groups))
	for i, g := range list.Groups {
		rows[i] = []string{printable(g.Reason), printable(g.Stage), printable(g.From), fmt.Sprint(g.Letters), percent(g.Share), fmt.Sprint(g.CameBack),
			g.First.Format(timeFormat), g.Last.Format(timeFormat), g.Example}
	}
	return printTable(w, []string{"REASON", "STAGE", "FROM", "LETTERS", "SHARE", "CAME BACK", "FIRST", "LAST", "LATEST"}, rows)
}
