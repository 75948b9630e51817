package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"recstream/internal/wait"
)

// instance is a led child, as the parent has it.
type instance struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	log    bytes.Buffer // read it when the child has ended
	joined int          // partitions that the group has dealt to it, -1 before it has dealt any
	last   word         // what it reported at its end
}

// told is what an instance says: a word, or with nil that it has ended, and how.
type told struct {
	by   *instance
	word *word
	err  error
}

// fleet is several instances in one group, each in a process of its own.
type fleet struct {
	instances []*instance
	told      chan told
	running   int
	cancel    context.CancelFunc
}

// launch starts n instances that do the job, and returns when the group has dealt all partitions out to them. They
// wait for begin. The caller calls close.
func launch(ctx context.Context, j job, n int) (*fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	f := &fleet{told: make(chan told), cancel: cancel}
	j.Led, j.Filled = true, true
	input, err := json.Marshal(j)
	if err != nil {
		return f, err
	}
	for range n {
		if err := f.start(ctx, input); err != nil {
			return f, err
		}
	}
	for !f.dealt(j.Partitions) {
		if err := f.hear(ctx); err != nil {
			return f, err
		}
	}
	return f, nil
}

// start starts one instance.
func (f *fleet) start(ctx context.Context, input []byte) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	in := &instance{cmd: exec.CommandContext(ctx, self, "-child"), joined: -1}
	in.cmd.Stderr = &in.log
	words, err := in.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if in.orders, err = in.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := in.cmd.Start(); err != nil {
		return err
	}
	f.instances = append(f.instances, in)
	f.running++
	go f.listen(in, json.NewDecoder(words))
	_, err = in.orders.Write(input)
	return err
}

// listen hands an instance's words on, and that it has ended as the last.
func (f *fleet) listen(in *instance, words *json.Decoder) {
	for {
		w := new(word)
		if err := words.Decode(w); err != nil {
			break // it has ended, or what it says makes no sense
		}
		f.told <- told{by: in, word: w}
	}
	err := in.cmd.Wait()
	if err != nil {
		err = fmt.Errorf("%w:\n%s", err, &in.log)
	}
	f.told <- told{by: in, err: err}
}

// hear takes what is told next. An instance that has ended is an error while others are to go on.
func (f *fleet) hear(ctx context.Context) error {
	select {
	case t := <-f.told:
		f.take(t)
		if t.word == nil {
			return errors.Join(errors.New("an instance has ended early"), t.err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take keeps what is told.
func (f *fleet) take(t told) {
	switch {
	case t.word == nil:
		f.running--
	case t.word.Joined != nil:
		t.by.joined = *t.word.Joined
	default:
		t.by.last = *t.word
	}
}

// dealt tells whether each instance is in the group, and all partitions are in the hands of one.
func (f *fleet) dealt(partitions int) bool {
	sum := 0
	for _, in := range f.instances {
		if in.joined < 0 {
			return false
		}
		sum += in.joined
	}
	return sum == partitions
}

// begin lets all instances read.
func (f *fleet) begin() error {
	var errs []error
	for _, in := range f.instances {
		_, err := in.orders.Write([]byte("{}\n"))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// lookPause is the time between looks at how far the group is. What is measured does not depend on it.
const lookPause = 20 * time.Millisecond

// until waits until the condition holds. An instance that ends before is an error.
func (f *fleet) until(ctx context.Context, holds func() (bool, error)) error {
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case t := <-f.told:
			f.take(t)
			if t.word == nil {
				return errors.Join(errors.New("an instance has ended early"), t.err)
			}
		default:
		}
		if err := wait.For(ctx, lookPause); err != nil {
			return err
		}
	}
}

// end has all instances stop and report, and waits for them.
func (f *fleet) end() error {
	var errs []error
	for _, in := range f.instances {
		errs = append(errs, in.orders.Close())
	}
	for f.running > 0 {
		t := <-f.told
		f.take(t)
		errs = append(errs, t.err)
	}
	return errors.Join(errs...)
}

// close kills what still runs and waits for it.
func (f *fleet) close() {
	f.cancel()
	for f.running > 0 {
		f.take(<-f.told)
	}
}

// cpu returns the seconds of processor time that the instances have used together.
func (f *fleet) cpu(all processes) (sum float64) {
	for _, in := range f.instances {
		sum += all.cpu(in.cmd.Process.Pid)
	}
	return sum
}
