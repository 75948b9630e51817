package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/segmentio/kafka-go"
	"golang.org/x/term"

	"recstream/internal/wait"
	"recstream/schemas"
)

const (
	publishBatch = 1000 // events of one write; with 5 ms each, no limit to the rate
	shownErrors  = 20   // invalid lines that are reported one by one
)

// eventSource is the ce_source of what publish writes.
const eventSource = "/recstream/publish"

// publisher writes events in batches, at a rate.
type publisher struct {
	writer *kafka.Writer
	rate   float64 // events a second, 0 is no limit
	force  bool
	stderr io.Writer
	bar    *progressbar.ProgressBar // nil where there is nobody to look at it
	expect func(requestID string)   // told of each event before it is sent

	batch   []kafka.Message
	started time.Time
	elapsed time.Duration
	taken   int // events given to a batch
	sent    int // events that Kafka has
	refused int // lines that are no valid request
}

// run sends the events. After an error, what the counters say was sent, was sent.
func (p *publisher) run(ctx context.Context, events eventSeq) error {
	p.started = time.Now()
	defer func() {
		p.elapsed = time.Since(p.started)
		if p.bar != nil {
			_ = p.bar.Finish() // what cannot be drawn is not worth an error
		}
	}()
	for e, err := range events {
		var invalid *invalidLine
		if errors.As(err, &invalid) {
			p.refuse(invalid)
			if !p.force {
				continue
			}
		} else if err != nil {
			return errors.Join(p.flush(ctx), err)
		}
		if err := p.add(ctx, e); err != nil {
			return err
		}
	}
	return p.flush(ctx)
}

// refuse reports an invalid line.
func (p *publisher) refuse(err *invalidLine) {
	p.refused++
	switch {
	case p.refused <= shownErrors:
		fmt.Fprintln(p.stderr, err)
	case p.refused == shownErrors+1:
		fmt.Fprintln(p.stderr, "further invalid lines are counted only")
	}
}

// add takes the event when it is due. Nothing taken earlier waits for that.
func (p *publisher) add(ctx context.Context, e *event) error {
	if p.rate > 0 {
		due := p.started.Add(time.Duration(float64(p.taken) / p.rate * float64(time.Second)))
		if time.Until(due) > 0 {
			if err := p.flush(ctx); err != nil {
				return err
			}
			if err := wait.Until(ctx, due); err != nil {
				return err
			}
		}
	}
	p.batch = append(p.batch, kafkaMessage(e, time.Now()))
	p.taken++
	if id := e.request.RequestID; id != "" {
		p.expect(id)
	}
	if len(p.batch) < publishBatch {
		return nil
	}
	return p.flush(ctx)
}

// flush writes what was taken. The writer tries again by itself, so an event may be there twice
// after a broker's fault; both are answered with one decision.
func (p *publisher) flush(ctx context.Context) error {
	if len(p.batch) == 0 {
		return ctx.Err()
	}
	err := p.writer.WriteMessages(ctx, p.batch...)
	lost, cause := unwritten(len(p.batch), err)
	p.sent += len(p.batch) - lost
	if p.bar != nil {
		_ = p.bar.Add(len(p.batch))
	}
	p.batch = p.batch[:0]
	if cause != nil {
		return fmt.Errorf("write to %s: %w", p.writer.Topic, cause)
	}
	return nil
}

// unwritten returns how many messages of a write were not written, and the first cause.
func unwritten(n int, err error) (int, error) {
	var each kafka.WriteErrors
	if !errors.As(err, &each) {
		if err != nil {
			return n, err
		}
		return 0, nil
	}
	lost, cause := 0, error(nil)
	for _, e := range each {
		if e != nil {
			lost++
		}
		if cause == nil {
			cause = e
		}
	}
	return lost, cause
}

// summary says what was sent, in one line.
func (p *publisher) summary() string {
	rate := float64(p.sent) / max(p.elapsed.Seconds(), 1e-6)
	text := fmt.Sprintf("sent %s to %s in %.1fs (%.0f/s)", counted(p.sent, "request"), p.writer.Topic, p.elapsed.Seconds(), rate)
	if p.refused > 0 {
		text += "; " + counted(p.refused, "invalid line")
	}
	return text
}

// kafkaMessage makes the Kafka message of an event: a line as it is, a request with the time of its sending.
func kafkaMessage(e *event, now time.Time) kafka.Message {
	value := e.line
	if value == nil {
		e.request.RequestedAt = now
		value = schemas.AppendRequest(nil, &e.request)
	} else {
		value = append([]byte(nil), value...) // the line's buffer is used again
	}
	id := e.request.RequestID
	if id == "" {
		id = newUUID() // of an invalid line; an event has to have some id
	}
	var key []byte
	if k := e.request.PartitionKey(); k != "" {
		key = []byte(k)
	}
	return kafka.Message{Key: key, Value: value, Time: now, Headers: eventHeaders(schemas.TypeRequest, id, now)}
}

// eventHeaders are those of an event that this program publishes as an app would.
func eventHeaders(eventType, id string, now time.Time) []kafka.Header {
	return []kafka.Header{
		{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)},
		{Key: schemas.HeaderSpecVersion, Value: []byte(schemas.SpecVersion)},
		{Key: schemas.HeaderID, Value: []byte(id)},
		{Key: schemas.HeaderType, Value: []byte(eventType)},
		{Key: schemas.HeaderSource, Value: []byte(eventSource)},
		{Key: schemas.HeaderTime, Value: now.UTC().AppendFormat(nil, time.RFC3339Nano)},
	}
}

// progress returns a bar of n steps on a terminal, nil where w is none or one step makes no bar.
// Lines of a file have no bar: their number is not known in advance.
func progress(w io.Writer, n int, what string) *progressbar.ProgressBar {
	file, ok := w.(*os.File)
	if !ok || n < 2 || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return progressbar.NewOptions(n,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond),
	)
}
