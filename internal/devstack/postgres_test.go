package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

func startPostgres(t *testing.T, opts PostgresOptions) *Postgres {
	t.Helper()
	p, err := StartPostgres(deadline(t), opts)
	needServer(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

// query runs one statement on a connection of its own and returns its one value.
func query(ctx context.Context, t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer conn.Close(ctx)
	var value string
	if err := conn.QueryRow(ctx, sql).Scan(&value); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func TestPostgresSettings(t *testing.T) {
	ctx := deadline(t)
	var log bytes.Buffer
	p := startPostgres(t, PostgresOptions{Fsync: true, Settings: map[string]string{"work_mem": "7MB"}, Log: &log})
	want := map[string]string{
		"fsync": "on", "work_mem": "7MB", "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
		"server_encoding": "UTF8", "lc_collate": "C", "timezone": "UTC",
	}
	for name, value := range want {
		sql := fmt.Sprintf("SELECT coalesce(current_setting('%s', true), (SELECT datcollate FROM pg_database WHERE datname = 'postgres'))", name)
		if got := query(ctx, t, p.URL("postgres"), sql); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	must(t, p.Stop(ctx)) // the log is complete once the server has ended
	if !strings.Contains(log.String(), "ready to accept connections") {
		t.Errorf("log %q lacks the server's lines", log.String())
	}
}

func TestPostgresDatabasesAreApart(t *testing.T) {
	ctx := deadline(t)
	p := startPostgres(t, PostgresOptions{})
	one, err := p.CreateDatabase(ctx)
	must(t, err)
	two, err := p.CreateDatabase(ctx)
	must(t, err)
	query(ctx, t, one, "CREATE TABLE films ()")
	if got := query(ctx, t, two, "SELECT coalesce(to_regclass('films')::text, 'none')"); got != "none" {
		t.Errorf("the second database has the first one's table %s", got)
	}
}

func TestPostgresKeepsDataAndPort(t *testing.T) {
	ctx := deadline(t)
	p := startPostgres(t, PostgresOptions{})
	url := p.URL("postgres")
	query(ctx, t, url, "CREATE TABLE films (title text)")
	ends := map[string]func() error{
		"stop": func() error { return p.Stop(ctx) },
		"kill": p.Kill,
	}
	for name, end := range ends {
		query(ctx, t, url, "INSERT INTO films VALUES ('"+name+"')")
		must(t, end())
		if _, err := pgx.Connect(ctx, url); err == nil {
			t.Fatalf("%s: the server still answers", name)
		}
		must(t, end()) // ending twice is no error
		must(t, p.Start(ctx))
		must(t, p.Start(ctx)) // nor is starting twice
		if got := query(ctx, t, url, "SELECT title FROM films WHERE title = '"+name+"'"); got != name {
			t.Errorf("%s: the row is %q after the restart", name, got)
		}
	}
}

func TestPostgresCloseRemovesTemporaryDir(t *testing.T) {
	p, err := StartPostgres(deadline(t), PostgresOptions{})
	needServer(t, err)
	dir := p.opts.Dir
	if _, err := os.Stat(filepath.Join(dir, "PG_VERSION")); err != nil {
		t.Fatal(err)
	}
	must(t, p.Close())
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	must(t, p.Close())
}

// openDir returns a directory whose parents the server's user may enter; t.TempDir's are closed.
func openDir(t *testing.T) string {
	t.Helper()
	parent, err := os.MkdirTemp("", "recstream-devstack-*")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(parent)) })
	must(t, os.Chmod(parent, 0o755)) //nolint:gosec // on purpose
	return filepath.Join(parent, "data")
}

func TestPostgresKeepsGivenDir(t *testing.T) {
	ctx := deadline(t)
	dir := openDir(t)
	p := startPostgres(t, PostgresOptions{Dir: dir})
	query(ctx, t, p.URL("postgres"), "CREATE TABLE films ()")
	must(t, p.Close())
	again := startPostgres(t, PostgresOptions{Dir: dir})
	if got := query(ctx, t, again.URL("postgres"), "SELECT 'films'::regclass::text"); got != "films" {
		t.Errorf("table %q after a second start on the directory", got)
	}
}

func TestPostgresHasNoRootRights(t *testing.T) {
	p := startPostgres(t, PostgresOptions{})
	info, err := os.Stat(fmt.Sprintf("/proc/%d", p.proc.cmd.Process.Pid))
	must(t, err)
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		t.Error("the server runs as root")
	}
}

func TestPostgresSaysWhyItEnded(t *testing.T) {
	first := startPostgres(t, PostgresOptions{})
	_, err := StartPostgres(deadline(t), PostgresOptions{Port: portOf(t, fmt.Sprintf("127.0.0.1:%d", first.port.Port)), Settings: map[string]string{"work_mem": "lots"}})
	if err == nil || !strings.Contains(err.Error(), "work_mem") {
		t.Errorf("error %v does not name the wrong setting", err)
	}
}

func TestPostgresStartEndsWithContext(t *testing.T) {
	p := startPostgres(t, PostgresOptions{})
	must(t, p.Stop(deadline(t)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	must(t, p.Start(deadline(t)))
}

func TestPostgresEndsWithParent(t *testing.T) {
	if _, err := findPostgres(""); err != nil {
		t.Skip(err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can end a process with its parent")
	}
	endsWithParent(t, "postgres", openDir(t))
}

// A goroutine that returns while it is locked to its thread takes the thread with it, and Linux
// takes that for the end of the parent of whatever the thread started.
func TestPostgresOutlivesThreadOfCaller(t *testing.T) {
	ctx := deadline(t)
	started := make(chan error)
	var p *Postgres
	thread := make(chan int, 1)
	go func() {
		runtime.LockOSThread()
		var err error
		p, err = StartPostgres(ctx, PostgresOptions{})
		thread <- syscall.Gettid()
		started <- err
	}()
	tid := <-thread
	needServer(t, <-started)
	defer p.Close()
	eventually(ctx, t, "the caller's thread ends", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
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
