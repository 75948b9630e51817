package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"recstream/internal/loadgen"
	"recstream/schemas"
)

// maxLine is the longest line that is read: what a Kafka broker takes unless told otherwise.
const maxLine = 1 << 20

// event is one request to publish: a line as it was read, or a request still to be written, so that
// its time is that of its sending.
type event struct {
	request schemas.Request // of a line, as far as it could be read
	line    []byte          // nil for a request that is still to be written
}

// eventSeq yields events. An error that is an *invalidLine comes with the line itself and is not the
// last; any other error is. What is yielded holds until the next one.
type eventSeq iter.Seq2[*event, error]

// invalidLine says which line is no request, and why.
type invalidLine struct {
	number int
	cause  error
}

func (e *invalidLine) Error() string {
	var refusal *schemas.DecodeError
	if errors.As(e.cause, &refusal) && refusal.Field != "" {
		return fmt.Sprintf("line %d: %s: %s (%s)", e.number, refusal.Field, refusal.Detail, refusal.Code)
	}
	return fmt.Sprintf("line %d: %v", e.number, e.cause)
}

// events picks the one source that the command line names.
func (f *publishFlags) events(cmd *cobra.Command, app *app) (eventSeq, error) {
	flags := cmd.Flags()
	var sources []string
	if f.file != "" {
		sources = append(sources, "a file")
	}
	if flags.Changed("generate") {
		sources = append(sources, "--generate")
	}
	for _, name := range single {
		if flags.Changed(name) {
			sources = append(sources, "the flags of one request")
			break
		}
	}
	if len(sources) == 0 {
		return nil, usagef("nothing to publish; name a file, --generate N, or describe one request, such as --user ada --mood funny")
	}
	if len(sources) > 1 {
		return nil, usagef("%s exclude each other; use one", strings.Join(sources, " and "))
	}
	if f.rate < 0 || math.IsNaN(f.rate) || math.IsInf(f.rate, 0) {
		return nil, usagef("--rate %v is no rate; use a number of requests a second", f.rate)
	}
	if f.timeout <= 0 {
		return nil, usagef("--timeout %v is no time to wait; use such as 30s", f.timeout)
	}
	switch sources[0] {
	case "a file":
		f.input = &input{ctx: cmd.Context(), reader: app.stdin}
		return f.lines(), nil
	case "--generate":
		return f.generated(flags.Changed("seed"))
	default:
		r, err := f.request(cmd)
		return func(yield func(*event, error) bool) { yield(&event{request: r}, nil) }, err
	}
}

// generated yields made-up requests; without a seed, another sequence each time.
func (f *publishFlags) generated(seeded bool) (eventSeq, error) {
	if f.generate < 1 || f.users < 1 {
		return nil, usagef("--generate and --users must be at least 1")
	}
	seed := f.seed
	if !seeded {
		seed, _ = randomBits()
	}
	return func(yield func(*event, error) bool) {
		generator := loadgen.New(seed, f.users)
		var e event
		for range f.generate {
			generator.Next(&e.request)
			if !yield(&e, nil) {
				return
			}
		}
	}, nil
}

// lines yields the file's lines; empty ones are skipped.
func (f *publishFlags) lines() eventSeq {
	if f.file == "-" {
		return scan(f.input)
	}
	return func(yield func(*event, error) bool) {
		file, err := os.Open(f.file)
		if err != nil {
			yield(nil, err)
			return
		}
		defer file.Close()
		scan(file)(yield)
	}
}

func scan(r io.Reader) eventSeq {
	return func(yield func(*event, error) bool) {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(make([]byte, 64<<10), maxLine)
		var e event
		number := 0
		for scanner.Scan() {
			number++
			if e.line = scanner.Bytes(); len(e.line) == 0 {
				continue
			}
			var invalid error
			if err := schemas.DecodeRequest(e.line, &e.request); err != nil {
				invalid = &invalidLine{number, err}
			}
			if !yield(&e, invalid) {
				return
			}
		}
		if errors.Is(scanner.Err(), bufio.ErrTooLong) {
			yield(nil, fmt.Errorf("line %d: is longer than %d bytes, which Kafka would refuse", number+1, maxLine))
		} else if scanner.Err() != nil {
			yield(nil, fmt.Errorf("read after line %d: %w", number, scanner.Err()))
		}
	}
}

// input is standard input, which may be a terminal or a pipe and stay silent for long. Before it is
// asked for more, idle sends the lines that are there; and a read ends with ctx. A read that is given
// up goes on until the process ends, and so does its buffer.
type input struct {
	ctx    context.Context
	reader io.Reader
	idle   func(context.Context) error
}

func (in *input) Read(p []byte) (int, error) {
	if err := in.idle(in.ctx); err != nil {
		return 0, err
	}
	done := make(chan struct{})
	var n int
	var err error
	go func() {
		defer close(done)
		n, err = in.reader.Read(p)
	}()
	select {
	case <-done:
		return n, err
	case <-in.ctx.Done():
		return 0, in.ctx.Err()
	}
}

func newUUID() string { return loadgen.UUID(randomBits()) }

// randomBits returns 128 bits that nobody can foresee.
func randomBits() (high, low uint64) {
	var bits [16]byte
	rand.Read(bits[:]) // never fails: the program would be ended instead
	return binary.BigEndian.Uint64(bits[:8]), binary.BigEndian.Uint64(bits[8:])
}
