package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/deadletter"
	"recstream/internal/kafkaconn"
	"recstream/internal/postgres"
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
	flags.StringSliceVar(&f.Reasons, "reason", nil, "only of these reason `codes`; "+deadletter.None+" is of letters that say none")
	flags.StringSliceVar(&f.Stages, "stage", nil, "only of faults found there: decode, score or record; or "+deadletter.None)
	flags.StringSliceVar(&f.Topics, "topic", nil, "only of events that came from these `topics`; or "+deadletter.None)
	flags.BoolVar(&f.Open, "open", false, "only letters that were not sent back, as far as the database knows")
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
	for _, list := range [][]string{f.Reasons, f.Stages, f.Topics} {
		for i := range list {
			if list[i] == deadletter.None {
				list[i] = ""
			}
		}
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

// withLetters runs use with the configured topic of dead letters, once what the filter names is known to be there.
func (a *app) withLetters(ctx context.Context, filter deadletter.Filter, use func(cfg config.Config, topic deadletter.Topic) error) error {
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
	topic := deadletter.Topic{Client: client, Name: cfg.Kafka.Topics.DeadLetters}
	if err := checkFilter(ctx, cfg, topic, filter); err != nil {
		return err
	}
	return use(cfg, topic)
}

// checkFilter finds words that are misspelt, and places without a letter.
func checkFilter(ctx context.Context, cfg config.Config, topic deadletter.Topic, filter deadletter.Filter) error {
	err := topic.CheckWords(ctx, filter, []string{cfg.Kafka.Topics.Requests, cfg.Kafka.Topics.Feedback})
	if unknown, ok := errors.AsType[*deadletter.UnknownWordError](err); ok {
		return usagef("--%s: %v", unknown.What, unknown)
	}
	if err != nil {
		return withHint(err, kafkaHint(cfg))
	}
	missing, err := topic.Missing(ctx, filter.Places)
	if err != nil {
		return withHint(err, kafkaHint(cfg))
	}
	if len(missing) == 0 {
		return nil
	}
	list := make([]string, len(missing))
	for i, p := range missing {
		list[i] = fmt.Sprintf("%d/%d", p.Partition, p.Offset)
	}
	return withHint(fmt.Errorf("no dead letter in %s at %s", topic.Name, strings.Join(list, ", ")), "run 'recstream dlq list' to see what there is")
}

// kafkaHint says what to look at when the topic cannot be read.
func kafkaHint(cfg config.Config) string {
	return "is Kafka running at " + strings.Join(cfg.Kafka.Brokers, ",") + ", and is kafka.topics.dead_letters its topic of dead letters?"
}

// withAudit runs use with what the database has of letters that were sent back. Where the database does not tell, that is
// an error if it is needed; else it is said, and use goes without, with nil.
func (a *app) withAudit(ctx context.Context, topic deadletter.Topic, needed bool, use func(*deadletter.Audit) error) error {
	told := false
	err := a.withDatabase(ctx, func(db *postgres.Database) error {
		audit, err := deadletter.OpenAudit(ctx, db, topic.Name)
		if err != nil {
			return withHint(err, migrateHint)
		}
		told = true
		return use(audit)
	})
	if told || needed || ctx.Err() != nil {
		return err
	}
	a.sayNotKnown(err)
	return use(nil)
}

// sayNotKnown says why it is not known which letters were sent back. What is in Kafka is shown all the same.
func (a *app) sayNotKnown(err error) {
	fmt.Fprintf(a.stderr, "which letters were sent back is not known: %s\n", failed("database", err, "").Detail)
	if next, ok := errors.AsType[hinted](err); ok {
		fmt.Fprintf(a.stderr, "hint: %s\n", next.hint)
	}
}

// lettersText is a number of letters in words.
func lettersText(n int64) string {
	if n == 1 {
		return "1 letter"
	}
	return fmt.Sprintf("%d letters", n)
}

// spansOf looks up what there is to read.
func spansOf(ctx context.Context, cfg config.Config, topic deadletter.Topic, since time.Time) ([]deadletter.Span, error) {
	spans, err := topic.Spans(ctx, since)
	return spans, withHint(err, kafkaHint(cfg))
}

// readBar shows on a terminal how much of the spans is read.
type readBar struct{ bar *progressbar.ProgressBar }

func (a *app) newReadBar(spans []deadletter.Span, what string) readBar {
	return readBar{progress(a.stderr, int(offsetsOf(spans)), what)}
}

func offsetsOf(spans []deadletter.Span) (n int64) {
	for _, s := range spans {
		n += s.End - s.First
	}
	return n
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
