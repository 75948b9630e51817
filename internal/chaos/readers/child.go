package readers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// pipeTimeout is what a dead reader's output gets to be read to its end.
	pipeTimeout = 5 * time.Second
	// keptWords is how much of what a reader says is kept for errors, in bytes.
	keptWords = 4 << 10
	// terminated is the status of a Java that SIGTERM has ended in good order.
	terminated = 128 + int(syscall.SIGTERM)
)

// child is one run of a reader.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; read it after done

	mu      sync.Mutex
	records []Record // in the order in which they were printed
	line    []byte   // that has begun
	words   []byte   // the last of standard error
}

// startChild starts a reader, which prints records, in a process that dies with this one.
func startChild(command []string) (*child, error) {
	c := &child{cmd: exec.Command(command[0], command[1:]...), done: make(chan struct{})} //nolint:noctx // stop ends it
	c.cmd.Stdout, c.cmd.Stderr = (*output)(c), (*complaints)(c)
	c.cmd.WaitDelay = pipeTimeout
	// A process group of its own: Ctrl-C is for us, who then stop it.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(c.cmd.SysProcAttr)
	started := make(chan error)
	go c.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// run starts the process and waits for it on one thread, which it keeps to itself: Linux tells a child that its parent
// has died when the thread has that started it.
func (c *child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err == nil {
		c.err = c.cmd.Wait()
		close(c.done)
	}
}

// output takes what a child prints: one JSON line a record.
type output child

// Write fails at a line that is no record, which ends the child.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.line = append(o.line, p...)
	for {
		line, rest, whole := bytes.Cut(o.line, []byte("\n"))
		if !whole {
			o.line = slices.Clone(line) // gives the room of the lines before it back
			return len(p), nil
		}
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return 0, fmt.Errorf("%q is no record: %w", line, err)
		}
		o.records = append(o.records, r)
		o.line = rest
	}
}

// complaints keeps the end of what a child says on standard error.
type complaints child

// Write never fails.
func (w *complaints) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.words = append(w.words, p...)
	w.words = w.words[max(0, len(w.words)-keptWords):]
	return len(p), nil
}

// seen returns the records until now.
func (c *child) seen() []Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.records)
}

// explain adds what the child said last to an error.
func (c *child) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Errorf("%w; it said last:\n%s", err, bytes.TrimSpace(c.words))
}

// outcome returns how the child ended, nil for in good order.
func (c *child) outcome() error {
	if c.err != nil {
		return c.explain(fmt.Errorf("ended: %w", c.err))
	}
	if len(c.line) > 0 {
		return c.explain(fmt.Errorf("ended within a line: %q", c.line))
	}
	return nil
}

// early says how a child ended that was not told to.
func (c *child) early() error { return c.explain(fmt.Errorf("ended early: %v", c.cmd.ProcessState)) }

// wait returns when the child has ended by itself.
func (c *child) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.outcome()
	case <-ctx.Done():
		return c.explain(ctx.Err())
	}
}

// stop ends the child as an operator does, and waits for its end. When ctx ends first, it is killed.
func (c *child) stop(ctx context.Context) error {
	select {
	case <-c.done:
		return c.early()
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	err := c.wait(ctx)
	switch {
	case err == nil || c.obeyed():
		return nil
	case ctx.Err() != nil:
		c.kill()
	}
	return err
}

// obeyed tells whether SIGTERM has ended the child as it may: with Java's status for that, or at once where it had not
// printed anything yet, as it may not have been up.
func (c *child) obeyed() bool {
	select {
	case <-c.done:
	default:
		return false
	}
	status, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	early := status.Signaled() && status.Signal() == syscall.SIGTERM && len(c.records) == 0
	return early || status.ExitStatus() == terminated && len(c.line) == 0
}

// kill ends the child at once.
func (c *child) kill() {
	_ = c.cmd.Process.Signal(os.Kill)
	<-c.done
}
