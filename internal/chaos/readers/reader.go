package readers

import (
	"context"
	"fmt"
	"time"

	"recstream/internal/wait"
)

// poll is the time between looks at what a reader has seen.
const poll = 10 * time.Millisecond

// Reader is one of the readers that apps learn from, running. It is not safe for concurrent use.
type Reader struct {
	language Language
	command  []string // with broker and topic
	child    *child
	earlier  []Record // of the runs before
}

// Start starts the language's reader at the beginning of a topic that is there. Brokers is a list with commas. Close
// it; ctx is only for the start. The error is ErrNoPython or devstack.ErrNoKafka where that is not installed.
func Start(ctx context.Context, language Language, brokers, topic string) (*Reader, error) {
	command, err := language.command(ctx)
	if err != nil {
		return nil, err
	}
	r := &Reader{language: language, command: append(command, brokers, topic)}
	if err := r.run(); err != nil {
		return nil, err
	}
	return r, nil
}

// run starts the program, with more arguments.
func (r *Reader) run(args ...string) error {
	c, err := startChild(append(r.command[:len(r.command):len(r.command)], args...))
	if err != nil {
		return fmt.Errorf("start the reader in %s: %w", r.language, err)
	}
	r.child = c
	return nil
}

// Records returns what the reader has printed until now, in that order.
func (r *Reader) Records() []Record {
	return append(r.earlier[:len(r.earlier):len(r.earlier)], r.child.seen()...)
}

// Await returns when the reader has printed a record right before each of the offsets, or one after it.
func (r *Reader) Await(ctx context.Context, next Offsets) error {
	for !after(r.Records()).reach(next) {
		select {
		case <-r.child.done:
			return fmt.Errorf("the reader in %s: %w", r.language, r.child.early())
		default:
		}
		if err := wait.For(ctx, poll); err != nil {
			return fmt.Errorf("the reader in %s is at %v, not at %v: %w", r.language, after(r.Records()), next, r.child.explain(err))
		}
	}
	return nil
}

// Finish has the reader read up to the ends and returns all that it saw since Start. For that it is stopped as an app
// is, with SIGTERM, and started again where it stood: a stop and a start must lose and repeat nothing either.
// Afterwards no process is left.
func (r *Reader) Finish(ctx context.Context, ends Offsets) ([]Record, error) {
	if err := r.child.stop(ctx); err != nil {
		return nil, fmt.Errorf("stop the reader in %s: %w", r.language, err)
	}
	seen := r.Records()
	if err := r.run(arguments(after(seen), ends)...); err != nil {
		return nil, err
	}
	r.earlier = seen
	if err := r.child.wait(ctx); err != nil {
		return nil, fmt.Errorf("the reader in %s, told to end at %v: %w", r.language, ends, err)
	}
	return r.Records(), nil
}

// arguments are those of a run between offsets.
func arguments(from, until Offsets) []string {
	args := []string{"--until", until.String()}
	if len(from) > 0 {
		args = append(args, "--from", from.String())
	}
	return args
}

// Close ends the reader at once, if it runs.
func (r *Reader) Close() { r.child.kill() }
