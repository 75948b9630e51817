package readers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell starts a child that is a shell script.
func shell(t *testing.T, script string) *Reader {
	t.Helper()
	r := &Reader{language: "sh", command: []string{"sh", "-c", script, "sh"}}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// within returns a context for all that a test waits for.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// script prints a record, then waits for the signal; told where to go on, it prints the next one and ends.
const script = `
	if [ "$*" = "--until 0:2 --from 0:1" ]; then echo '{"offset":1}'; exit; fi
	printf '{"offset"'; echo ':0}'
	trap 'exit 143' TERM; while :; do sleep 0.01; done`

func TestFinishGoesOn(t *testing.T) {
	r := shell(t, script)
	if err := r.Await(within(t), Offsets{0: 1}); err != nil {
		t.Fatal(err)
	}
	got, err := r.Finish(within(t), Offsets{0: 2})
	if err != nil || len(got) != 2 || got[0].Offset != 0 || got[1].Offset != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestReaderThatEnds(t *testing.T) {
	tests := map[string]struct{ script, says string }{
		"by itself":   {`echo out of order >&2; exit 1`, "exit status 1"},
		"with words":  {`echo out of order >&2; exit 1`, "out of order"},
		"in peace":    {`exit 0`, "ended early: exit status 0"},
		"with a line": {`echo hello; echo hello`, "ended early"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := shell(t, test.script)
			if err := r.Await(within(t), Offsets{0: 1}); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("await: %v, want %q", err, test.says)
			}
			if _, err := r.Finish(within(t), Offsets{0: 1}); err == nil || !strings.Contains(err.Error(), "ended early") {
				t.Errorf("finish: %v", err)
			}
		})
	}
}

// tooLong is what an error says of a reader that does not end in time.
const tooLong = "deadline exceeded"

func TestReaderThatFailsToEnd(t *testing.T) {
	tests := map[string]struct{ script, says string }{
		"deaf":                {`trap '' TERM; echo '{}'; while :; do sleep 0.01; done`, tooLong},
		"at once":             {`echo '{}'; exec sleep 60`, "signal: terminated"},
		"wrong status":        {`trap 'exit 1' TERM; echo '{}'; while :; do sleep 0.01; done`, "exit status 1"},
		"within a line":       {`trap 'printf half; exit 0' TERM; echo '{}'; while :; do sleep 0.01; done`, "ended within a line"},
		"no way to go on":     {`[ $# = 0 ] || exit 4; trap 'exit 0' TERM; echo '{}'; while :; do sleep 0.01; done`, "exit status 4"},
		"never at its end":    {`[ $# = 0 ] || exec sleep 60; trap 'exit 0' TERM; echo '{}'; while :; do sleep 0.01; done`, tooLong},
		"not a record at end": {`trap 'echo hello; exit 0' TERM; echo '{}'; while :; do sleep 0.01; done`, "is no record"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := shell(t, test.script)
			if err := r.Await(within(t), Offsets{0: 1}); err != nil {
				t.Fatal(err)
			}
			ctx := within(t)
			if test.says == tooLong {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Second)
				defer cancel()
			}
			if _, err := r.Finish(ctx, Offsets{0: 2}); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}

func TestNothingToRun(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for language, none := range map[Language]error{Python: ErrNoPython, Java: errNoJava} {
		if _, err := Start(t.Context(), language, "", ""); !errors.Is(err, none) {
			t.Errorf("%s: %v, want %v", language, err, none)
		}
	}
	if _, err := Start(t.Context(), "COBOL", "", ""); err == nil {
		t.Error("there is a reader in COBOL")
	}
}

// A reader that is not up yet when it is stopped has missed nothing.
func TestFinishBeforeUp(t *testing.T) {
	r := shell(t, `[ $# = 0 ] || exec echo '{}'; exec sleep 60`)
	if got, err := r.Finish(within(t), Offsets{0: 1}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// orphanVariable makes the test program a parent that starts a reader and prints its process's number.
const orphanVariable = "RECSTREAM_TEST_READERS_PARENT"

// TestOrphan kills a parent and wants its reader to end.
func TestOrphan(t *testing.T) {
	if os.Getenv(orphanVariable) != "" {
		fmt.Println(shell(t, `exec sleep 600`).child.cmd.Process.Pid)
		<-within(t).Done()
		return
	}
	parent := exec.CommandContext(within(t), os.Args[0], "-test.run", "^TestOrphan$")
	parent.Env = append(os.Environ(), orphanVariable+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	ended := within(t)
	for alive(pid) {
		if ended.Err() != nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d outlived its parent", pid)
		}
	}
}

// alive tells whether a process runs. One that has ended and that nobody has waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
