package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/deadletter"
	"recstream/internal/kafkaconn"
)

func newDLQCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dlq",
		Short:   "Look into dead letters, send them back, delete old ones",
		GroupID: groupData,
		Long: `An event that cannot be answered becomes a dead letter: its own bytes and headers, with headers that say why, and
where it came from. dlq works on the topic kafka.topics.dead_letters of the configuration. list and show change
nothing; redrive and purge are written into the database, with who did it and why.`,
		Example: `  recstream dlq list
  recstream dlq show 3/17
  recstream dlq show --reason unknown_field -o json > letters.json
  recstream dlq redrive --mended letters.json --why "app 2.1 misspelt a field"
  recstream dlq purge --older-than 30d --yes`,
	}
	cmd.AddCommand(newDLQListCommand(app), newDLQShowCommand(app), newDLQRedriveCommand(app), newDLQPurgeCommand(app))
	onlySubcommands(cmd)
	return cmd
}

// letterFlags choose letters.
type letterFlags struct {
	deadletter.Filter
	since, until string
}

func (f *letterFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.Reasons, "reason", nil, "only of these reason `codes`")
	flags.StringSliceVar(&f.Stages, "stage", nil, "only of faults found there: decode, score or record")
	flags.StringSliceVar(&f.Topics, "topic", nil, "only of events that came from these `topics`")
	flags.StringVar(&f.since, "since", "", "only from then on: a `time` (RFC 3339), a day in UTC, or an age such as 36h or 7d")
	flags.StringVar(&f.until, "until", "", "only from before that `time`, likewise")
	flags.StringVar(&f.Key, "key", "", "only of this key")
	flags.StringVar(&f.User, "user", "", "only of this user `id`, in the event or as its key")
	flags.StringVar(&f.Request, "request", "", "only of this request `id`")
}

// filter returns what the flags and the arguments, which are places, choose.
func (f *letterFlags) filter(args []string, now time.Time) (deadletter.Filter, error) {
	var err error
	if f.Since, err = momentOf("--since", f.since, now); err != nil {
		return f.Filter, err
	}
	if f.Until, err = momentOf("--until", f.until, now); err != nil {
		return f.Filter, err
	}
	f.Places = nil
	for _, arg := range args {
		p, err := parsePlace(arg)
		if err != nil {
			return f.Filter, err
		}
		f.Places = append(f.Places, p)
	}
	return f.Filter, nil
}

// parsePlace reads PARTITION/OFFSET.
func parsePlace(text string) (deadletter.Place, error) {
	left, right, _ := strings.Cut(text, "/")
	partition, err := strconv.ParseInt(left, 10, 32)
	offset, errOffset := strconv.ParseInt(right, 10, 64)
	if err != nil || errOffset != nil || partition < 0 || offset < 0 {
		return deadletter.Place{}, usagef("%q is no place; use PARTITION/OFFSET, such as 3/17, as 'recstream dlq list' prints it", text)
	}
	return deadletter.Place{Partition: int(partition), Offset: offset}, nil
}

// momentOf reads a time, a day or an age, which counts whole seconds; "" is the zero time.
func momentOf(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	age, err := parseAge(text)
	if err != nil {
		return time.Time{}, usagef("%s %q is neither a time such as 2026-01-31T19:30:00Z, nor a day, nor an age such as 36h or 7d", flag, text)
	}
	return now.Add(-age).Truncate(time.Second).UTC(), nil
}

// parseAge reads a duration that may be in days, such as 30d.
func parseAge(text string) (time.Duration, error) {
	age, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		age = time.Duration(n) * 24 * time.Hour
	}
	if err == nil && age < 0 {
		err = fmt.Errorf("%s is negative", text)
	}
	return age, err
}

// withLetters runs use with the configured topic of dead letters.
func (a *app) withLetters(use func(cfg config.Config, topic deadletter.Topic) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	transport, err := kafkaconn.NewTransport(cfg.Kafka)
	if err != nil {
		return configError(err)
	}
	defer transport.CloseIdleConnections()
	client := kafkaconn.NewClient(cfg.Kafka, transport)
	return use(cfg, deadletter.Topic{Client: client, Name: cfg.Kafka.Topics.DeadLetters})
}

// spansOf looks up what there is to read.
func spansOf(ctx context.Context, cfg config.Config, topic deadletter.Topic, since time.Time) ([]deadletter.Span, error) {
	spans, err := topic.Spans(ctx, since)
	return spans, withHint(err, "is Kafka running at "+strings.Join(cfg.Kafka.Brokers, ",")+", and is kafka.topics.dead_letters its topic of dead letters?")
}

// readBar shows on a terminal how much of the spans is read.
type readBar struct{ bar *progressbar.ProgressBar }

func (a *app) newReadBar(spans []deadletter.Span, what string) readBar {
	var n int64
	for _, s := range spans {
		n += s.End - s.First
	}
	return readBar{progress(a.stderr, int(n), what)}
}

func (b readBar) add(offsets int64) {
	if b.bar != nil {
		_ = b.bar.Add64(offsets) // it can only fail to draw
	}
}

func (b readBar) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}
