package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	parent, err := os.MkdirTemp("", "recstream-devstack-*") //nolint:usetesting // see above
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(parent)) })
	must(t, os.Chmod(parent, 0o755))
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

func TestPostgresSaysWhyItCannotStart(t *testing.T) {
	running := startPostgres(t, PostgresOptions{})
	tests := map[string]struct {
		opts PostgresOptions
		want string
	}{
		"wrong setting": {PostgresOptions{Settings: map[string]string{"work_mem": "lots"}}, "work_mem"},
		"port in use":   {PostgresOptions{Port: running.port.Port}, "address already in use"},
		"foreign files": {PostgresOptions{Dir: foreignDir(t)}, "neither empty nor"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := StartPostgres(deadline(t), tt.opts)
			if err == nil {
				p.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
		})
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

// foreignDir returns a directory with somebody else's file in it.
func foreignDir(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o600))
	return dir
}

func TestPostgresPause(t *testing.T) {
	ctx := deadline(t)
	p := startPostgres(t, PostgresOptions{})
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	must(t, err)
	defer conn.Close(ctx)
	must(t, p.Pause())

	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := pgx.Connect(short, p.URL("postgres")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v of a new connection while paused, want a deadline", err)
	}
	answer := make(chan error, 1)
	go func() { answer <- conn.Ping(ctx) }()
	select {
	case err := <-answer:
		t.Errorf("answer %v while paused", err)
	case <-short.Done():
	case <-time.After(50 * time.Millisecond):
	}
	must(t, p.Resume())
	must(t, <-answer)

	must(t, p.Pause())
	must(t, p.Kill()) // ends even so
	must(t, p.Pause())
	must(t, p.Resume())
	must(t, p.Start(ctx))
	if got := query(ctx, t, p.URL("postgres"), "SELECT 'alive'"); got != "alive" {
		t.Errorf("query gives %q", got)
	}
}
