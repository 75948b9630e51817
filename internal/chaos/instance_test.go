package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"recstream/internal/logbook"
)

// instance is a running "recstream serve".
type instance struct {
	number int
	cmd    *exec.Cmd
	log    *logbook.Book
	meant  atomic.Bool   // it is to end
	done   chan struct{} // closed when the process has ended
	err    error         // of the process, once done
}

// serve starts an instance, which is killed at the test's end if it still runs.
func (s *stage) serve(t *testing.T, env ...string) *instance {
	t.Helper()
	i := &instance{number: len(s.fleet) + 1, cmd: exec.Command(s.program, "serve"), log: new(logbook.Book), done: make(chan struct{})}
	i.cmd.Env = append(append([]string{}, s.env...), env...)
	i.cmd.Stdout, i.cmd.Stderr = i.log, i.log
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	need(t, i.cmd.Start())
	go func() {
		i.err = i.cmd.Wait()
		close(i.done)
	}()
	s.fleet = append(s.fleet, i)
	t.Cleanup(func() {
		i.kill()
		if t.Failed() {
			_ = os.WriteFile(s.path(fmt.Sprintf("instance-%d.log", i.number)), []byte(i.log.String()), 0o600)
		}
	})
	return i
}

// living returns the instances that are not to end.
func (s *stage) living() (list []*instance) {
	for _, i := range s.fleet {
		if !i.meant.Load() {
			list = append(list, i)
		}
	}
	return list
}

// mustLive fails the test if an instance has ended that was not to.
func (s *stage) mustLive(t *testing.T) {
	t.Helper()
	for _, i := range s.living() {
		select {
		case <-i.done:
			t.Fatalf("instance %d ended by itself: %v\n%s", i.number, i.err, i.tail(20))
		default:
		}
	}
}

// kill ends the instance as kill -9 does, waits until it is gone, and tells whether that was what ended it.
func (i *instance) kill() bool {
	i.meant.Store(true)
	_ = i.cmd.Process.Kill() // it fails where the process has ended
	<-i.done
	return i.signalled() == syscall.SIGKILL
}

// signalled returns the signal that the process ended by, 0 for none.
func (i *instance) signalled() syscall.Signal {
	status, ok := i.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return 0
	}
	return status.Signal()
}

// signal sends the instance a signal that it is not to end by.
func (i *instance) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := i.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal %v to instance %d: %v (%v)\n%s", sig, i.number, err, i.err, i.tail(20))
	}
}

// stop asks the instance to stop, waits until it has, with status 0, and returns how long that took.
func (i *instance) stop(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	i.meant.Store(true)
	began := time.Now()
	i.signal(t, syscall.SIGTERM)
	if !i.endsWithin(limit) {
		t.Fatalf("instance %d has not stopped within %s\n%s", i.number, limit, i.tail(20))
	}
	if i.err != nil {
		t.Errorf("instance %d stopped with %v\n%s", i.number, i.err, i.tail(20))
	}
	return time.Since(began)
}

// endsWithin waits for the end of the process, and returns false if that takes longer.
func (i *instance) endsWithin(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-i.done:
		return true
	case <-timer.C:
		return false
	}
}

// awaitLog waits until a line of the log has all the parts.
func (i *instance) awaitLog(t *testing.T, parts ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q of instance %d", parts, i.number), patience, func() (bool, string) {
		for line := range strings.Lines(i.log.String()) {
			if containsAll(line, parts) {
				return true, ""
			}
		}
		return false, i.tail(5)
	})
}

func containsAll(line string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(line, p) {
			return false
		}
	}
	return true
}

// tail returns the last n lines of the log.
func (i *instance) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(i.log.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
