package devstack

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// orphanVariable makes this test binary start the named server, print its address and hang, so that
// a test can kill it.
const orphanVariable = "RECSTREAM_TEST_ORPHAN"

func TestMain(m *testing.M) {
	if which := os.Getenv(orphanVariable); which != "" {
		beKilled(which)
	}
	os.Exit(m.Run())
}

func beKilled(which string) {
	var addr string
	switch which {
	case "postgres":
		p, err := StartPostgres(context.Background(), PostgresOptions{Dir: os.Getenv("DIR")})
		if err != nil {
			panic(err)
		}
		addr = strings.TrimPrefix(p.URL(""), "postgres://postgres@")
		addr, _, _ = strings.Cut(addr, "/")
	case "kafka":
		k, err := StartKafka(context.Background(), KafkaOptions{Dir: os.Getenv("DIR")})
		if err != nil {
			panic(err)
		}
		addr = k.Addr()
	}
	os.Stdout.WriteString(addr + "\n")
	select {}
}

func TestPostgresEndsWithParent(t *testing.T) {
	if _, err := findPostgres(t.Context(), ""); err != nil {
		t.Skip(err)
	}
	endsWithParent(t, "postgres", openDir(t))
}

func TestKafkaEndsWithParent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Apache Kafka, which takes seconds")
	}
	script, err := kafkaScript()
	must(t, err)
	needServer(t, kafkaInstalled(t.Context(), script))
	endsWithParent(t, "kafka", filepath.Join(t.TempDir(), "broker"))
}

// endsWithParent kills a process that started the server and waits for the server to be gone.
func endsWithParent(t *testing.T, which, dir string) {
	t.Helper()
	ctx := deadline(t)
	parent := exec.CommandContext(ctx, os.Args[0])
	parent.Env = append(os.Environ(), orphanVariable+"="+which, "DIR="+dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	addr := strings.TrimSpace(line)
	if !listening(addr) {
		t.Fatalf("%s does not listen on %s", which, addr)
	}
	must(t, parent.Process.Kill())
	_ = parent.Wait() // "signal: killed", as it was
	eventually(ctx, t, which+" ends with its parent", func() bool { return !listening(addr) })
}

// A goroutine that returns while it is locked to its thread takes the thread with it, and Linux
// takes that for the end of the parent of whatever the thread started.
func TestPostgresOutlivesThreadOfCaller(t *testing.T) {
	ctx := deadline(t)
	var p *Postgres
	var err error
	thread := onDyingThread(func() { p, err = StartPostgres(ctx, PostgresOptions{}) })
	needServer(t, err)
	defer p.Close()
	eventually(ctx, t, "the caller's thread ends", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
		return err != nil
	})
	if got := query(ctx, t, p.URL("postgres"), "SELECT 'alive'"); got != "alive" {
		t.Errorf("query gives %q", got)
	}
	select {
	case <-p.proc.done:
		t.Error("the server ended with the thread")
	default:
	}
}

// onDyingThread calls f on a thread that then ends, and returns its number. The first thread of a
// process is never ended, so a goroutine that finds itself on it passes the call on.
func onDyingThread(f func()) (thread int) {
	done := make(chan int)
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() == syscall.Getpid() {
			defer runtime.UnlockOSThread()
			done <- onDyingThread(f)
			return
		}
		f()
		done <- syscall.Gettid()
	}()
	return <-done
}

func TestPostgresHasNoRootRights(t *testing.T) {
	p := startPostgres(t, PostgresOptions{})
	info, err := os.Stat(fmt.Sprintf("/proc/%d", p.proc.cmd.Process.Pid))
	must(t, err)
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		t.Error("the server runs as root")
	}
}
