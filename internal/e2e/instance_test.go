package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"recstream/internal/logbook"
)

// instance is a running "recstream serve".
type instance struct {
	cmd  *exec.Cmd
	log  book
	done chan struct{} // closed when the process has ended
	err  error         // of the process, once done
}

// serve starts an instance, which is killed at the test's end if it still runs.
func (s *stack) serve(t *testing.T, extraEnv ...string) *instance {
	t.Helper()
	return s.serveProgram(t, program, extraEnv...)
}

// serveProgram starts an instance of another build of the program.
func (s *stack) serveProgram(t *testing.T, path string, extraEnv ...string) *instance {
	t.Helper()
	i := &instance{cmd: exec.Command(path, "serve"), log: book{new(logbook.Book)}, done: make(chan struct{})}
	i.cmd.Env = append(append([]string{}, s.env...), extraEnv...)
	i.cmd.Stdout, i.cmd.Stderr = i.log, i.log
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		i.err = i.cmd.Wait()
		close(i.done)
	}()
	t.Cleanup(func() {
		i.kill()
		if t.Failed() {
			t.Logf("log of instance %d:\n%s", i.cmd.Process.Pid, i.log.tail(60))
		}
	})
	return i
}

// kill ends the instance as kill -9 does and waits until it is gone.
func (i *instance) kill() {
	_ = i.cmd.Process.Kill()
	<-i.done
}

// stop asks the instance to stop and waits until it has, with status 0.
func (i *instance) stop(t *testing.T) {
	t.Helper()
	if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-i.done:
	case <-time.After(patience):
		t.Fatal("the instance does not stop")
	}
	if i.err != nil {
		t.Errorf("stopped with %v\n%s", i.err, i.log.tail(20))
	}
}

// peakMemory returns the most memory that the instance has had so far, in bytes.
func (i *instance) peakMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", i.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM in /proc/…/status")
	return 0
}

// book is the log of an instance.
type book struct{ *logbook.Book }

// tail returns the last n lines.
func (b book) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func contains(text string, parts ...string) bool {
	for _, line := range strings.Split(text, "\n") {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			return true
		}
	}
	return false
}
