//go:build faults

package plant

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
)

// planted is what this process was started with.
var planted = mustLoad(os.Getenv)

// faults are the fault and the bug of a process; at most one of each.
type faults struct {
	point   Point
	at      int64
	do      Action
	reached atomic.Int64

	bug  Bug
	said sync.Once
}

// mustLoad reads the environment. What it does not know is no test, so the process ends.
func mustLoad(getenv func(string) string) *faults {
	f := &faults{point: Point(getenv(EnvPoint)), bug: Bug(getenv(EnvBug)), do: Action(getenv(EnvDo)), at: 1}
	if f.do == "" {
		f.do = Kill
	}
	if text := getenv(EnvAt); text != "" {
		var err error
		if f.at, err = strconv.ParseInt(text, 10, 64); err != nil || f.at < 1 {
			panic(fmt.Sprintf("%s: %q is not a number from 1 on", EnvAt, text))
		}
	}
	switch {
	case f.point != "" && !slices.Contains(points, f.point):
		panic(fmt.Sprintf("%s: there is no point %q", EnvPoint, f.point))
	case f.bug != "" && !slices.Contains(bugs, f.bug):
		panic(fmt.Sprintf("%s: there is no bug %q", EnvBug, f.bug))
	case !slices.Contains([]Action{Kill, Stop, Fail}, f.do):
		panic(fmt.Sprintf("%s: there is no action %q", EnvDo, f.do))
	}
	return f
}

// lostError is what Fail makes of an operation. It looks like a connection that broke.
type lostError struct{ at Point }

func (e *lostError) Error() string {
	return fmt.Sprintf("planted at %s: %v", e.at, io.ErrUnexpectedEOF)
}

func (e *lostError) Unwrap() error { return io.ErrUnexpectedEOF }

// reach does what is to be done at a point of a stream; nil is none that has points.
func (f *faults) reach(s *stream, p Point) error {
	if s == nil || p == "" {
		return nil
	}
	if p = s.prefix + p; p != f.point || f.reached.Add(1) != f.at {
		return nil
	}
	fmt.Fprintf(os.Stderr, "%s the %d. time: %s\n", PointReached(p), f.at, f.do)
	switch f.do {
	case Kill:
		end(syscall.SIGKILL)
		select {}
	case Stop:
		stop()
	case Fail:
		return &lostError{p}
	}
	return nil
}

// stop stops this process and returns when it has been told to go on: the signal takes a moment to reach all threads,
// and what is to come after the point must not be done in that.
func stop() {
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, syscall.SIGCONT)
	defer signal.Stop(resumed)
	end(syscall.SIGSTOP)
	<-resumed
}

// end sends a signal to this process. It cannot fail.
func end(by syscall.Signal) { _ = syscall.Kill(os.Getpid(), by) }

// wrong says, once, that the bug goes wrong now.
func (f *faults) wrong() {
	f.said.Do(func() { fmt.Fprintln(os.Stderr, BugAtWork(f.bug)) })
}
