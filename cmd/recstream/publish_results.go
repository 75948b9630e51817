package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/segmentio/kafka-go"

	"recstream/consumer/committed"
	"recstream/internal/config"
	"recstream/internal/wait"
	"recstream/schemas"
)

// resultWatch reads the results topic from where it ended before anything was published, and prints
// the results of the requests that it was told to expect.
//
// It reads every record, those of aborted transactions too: what they say is the decision that the
// ledger has, and a later copy of it is not awaited any more.
type resultWatch struct {
	cancel  context.CancelFunc
	workers sync.WaitGroup
	sink    resultSink
	arrived chan struct{} // holds one token after a result was printed
	failed  chan error    // the first error of printing

	mu       sync.Mutex
	awaited  map[string]int // results still to come, by request id
	statuses map[schemas.Status]int
	trouble  error // the last error of reading, for when results are missing
}

// watchResults starts reading. The caller ends it with finish.
func watchResults(ctx context.Context, cfg config.Config, client *kafka.Client, sink resultSink) (*resultWatch, error) {
	topic := cfg.Kafka.Topics.Results
	ends, err := endOffsetsSoon(ctx, client, topic)
	if err != nil {
		return nil, fmt.Errorf("find the end of %s: %w", topic, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &resultWatch{
		cancel: cancel, sink: sink,
		arrived: make(chan struct{}, 1), failed: make(chan error, 1),
		awaited: map[string]int{}, statuses: map[schemas.Status]int{},
	}
	for partition, end := range ends {
		source := committed.Partition{Client: client, Topic: topic, Number: partition, MaxBytes: 1 << 20, Timeout: client.Timeout}
		w.workers.Go(func() { w.read(ctx, source, end) })
	}
	return w, nil
}

// endOffsetsSoon is endOffsets, with some patience for topics that have just been made and brokers that have
// just started.
func endOffsetsSoon(ctx context.Context, client *kafka.Client, topic string) (ends map[int]int64, err error) {
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxElapsedTime(10*time.Second))
	err = backoff.Retry(func() (err error) {
		ends, err = endOffsets(ctx, client, topic)
		return err
	}, backoff.WithContext(policy, ctx))
	return ends, err
}

// endOffsets returns the offset after the last record of each partition.
func endOffsets(ctx context.Context, client *kafka.Client, topic string) (map[int]int64, error) {
	found, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, err
	}
	var wanted []kafka.OffsetRequest
	for _, p := range found.Topics[0].Partitions {
		wanted = append(wanted, kafka.LastOffsetOf(p.ID))
	}
	answer, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: wanted}})
	if err != nil {
		return nil, err
	}
	ends := map[int]int64{}
	for _, p := range answer.Topics[topic] {
		if p.Error != nil {
			return nil, p.Error
		}
		ends[p.Partition] = p.LastOffset
	}
	return ends, nil
}

// read takes the results of one partition, from an offset on, until the watch ends.
func (w *resultWatch) read(ctx context.Context, source committed.Partition, offset int64) {
	for ctx.Err() == nil {
		records, err := source.Fetch(ctx, offset, fetchWait)
		if err == nil {
			err = w.takeAll(records)
			offset = records.Next()
		}
		if broken := (*printError)(nil); errors.As(err, &broken) {
			select {
			case w.failed <- broken.err:
			default:
			}
			return
		}
		if err != nil { // a broker that is away may come back before wait's patience ends
			w.noteTrouble(err)
			_ = wait.For(ctx, readPause)
		}
	}
}

// fetchWait is how long a broker holds an empty fetch.
const fetchWait = 250 * time.Millisecond

// takeAll takes the results of one fetch.
func (w *resultWatch) takeAll(records *committed.Records) error {
	for {
		r, err := records.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.take(r.Value); err != nil {
			return &printError{err}
		}
	}
}

// printError says that a result could not be printed. Reading on does not help.
type printError struct{ err error }

// Error is that of printing.
func (e *printError) Error() string { return e.err.Error() }

// readPause is how long a reader waits before it tries a broker again.
const readPause = 200 * time.Millisecond

func (w *resultWatch) noteTrouble(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = err
}

// take prints the result if it is awaited; other apps' results are passed over.
func (w *resultWatch) take(value []byte) error {
	var result schemas.Result
	if json.Unmarshal(value, &result) != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.awaited[result.RequestID] == 0 {
		return nil
	}
	if w.awaited[result.RequestID]--; w.awaited[result.RequestID] == 0 {
		delete(w.awaited, result.RequestID)
	}
	w.statuses[result.Status]++
	select {
	case w.arrived <- struct{}{}:
	default:
	}
	return w.sink.result(value, &result)
}

// expect adds one result to those to come; a request published twice gets two.
func (w *resultWatch) expect(requestID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.awaited[requestID]++
}

// finish waits until every expected result is there or none has come for timeout, ends the watch and
// says what came. When publishing has failed it does not wait; that error is returned.
func (w *resultWatch) finish(ctx context.Context, timeout time.Duration, published error, a *app) error {
	err := published
	if err == nil {
		err = w.wait(ctx, timeout)
	}
	w.stop()
	err = errors.Join(err, w.sink.flush())
	fmt.Fprintln(a.stderr, w.summary())
	return err
}

func (w *resultWatch) stop() {
	w.cancel()
	w.workers.Wait()
}

func (w *resultWatch) wait(ctx context.Context, timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		missing := w.missing()
		if missing == 0 {
			return nil
		}
		select {
		case <-w.arrived:
			timer.Reset(timeout)
		case err := <-w.failed:
			return fmt.Errorf("print results: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return withHint(w.missingError(missing, timeout),
				"is 'recstream serve' running on the same topics? A longer --timeout waits longer")
		}
	}
}

func (w *resultWatch) missingError(missing int, timeout time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trouble != nil {
		return fmt.Errorf("%s missing, and none has come for %v; reading them met: %w", counted(missing, "result"), timeout, w.trouble)
	}
	return fmt.Errorf("%s missing, and none has come for %v", counted(missing, "result"), timeout)
}

func (w *resultWatch) missing() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, count := range w.awaited {
		n += count
	}
	return n
}

// summary counts the results by status, in one line.
func (w *resultWatch) summary() string {
	missing := w.missing()
	w.mu.Lock()
	defer w.mu.Unlock()
	text := "results:"
	for _, status := range slices.Sorted(maps.Keys(w.statuses)) {
		text += fmt.Sprintf(" %d %s,", w.statuses[status], status)
	}
	return text + fmt.Sprintf(" %d missing", missing)
}

// resultSink takes the results that a watch awaits, one at a time.
type resultSink interface {
	result(value []byte, r *schemas.Result) error
	flush() error // after the last
}

// resultPrinter prints results: JSON at once, a table at the end.
type resultPrinter struct {
	out    io.Writer
	output string
	rows   [][]string
}

func (a *app) newResultPrinter(output string) *resultPrinter {
	return &resultPrinter{out: a.stdout, output: output}
}

func (p *resultPrinter) result(value []byte, r *schemas.Result) error {
	if p.output == "json" {
		_, err := fmt.Fprintf(p.out, "%s\n", value)
		return err
	}
	p.rows = append(p.rows, []string{r.RequestID, r.UserID, string(r.Status), string(r.Tier), answer(r)})
	return nil
}

func (p *resultPrinter) flush() error {
	if p.output == "json" || len(p.rows) == 0 {
		return nil
	}
	return printTable(p.out, []string{"REQUEST", "USER", "STATUS", "TIER", "ANSWER"}, p.rows)
}

// answer is the items with their predictions, or why there are none.
func answer(r *schemas.Result) string {
	if r.Error != nil {
		return strings.TrimSpace(r.Error.Code + " " + r.Error.Field + " " + r.Error.Detail)
	}
	if len(r.Items) == 0 {
		return fmt.Sprint(r.Degraded)
	}
	var items []string
	for _, item := range r.Items {
		text := item.Title
		if text == "" {
			text = item.ItemID
		}
		if item.Prediction != nil {
			text += fmt.Sprintf(" %.3f", *item.Prediction)
		}
		items = append(items, text)
	}
	return strings.Join(items, ", ")
}
