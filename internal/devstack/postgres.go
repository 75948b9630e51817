package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions say how a Postgres is made. The zero value is right for tests.
type PostgresOptions struct {
	// BinDir holds initdb and postgres. Empty looks for them as scripts/postgres.sh does.
	BinDir string
	// Dir is the data directory, made if it is missing or empty, and kept at Close. Empty is a
	// temporary one. Started by root, it is given to the user that the server runs as.
	Dir string
	// Port on 127.0.0.1; 0 chooses a free one.
	Port int
	// Fsync makes commits durable against a crash of the machine, as in production. Off, they
	// survive a crash of the server alone: enough for tests, and faster.
	Fsync bool
	// Settings of postgresql.conf, by name.
	Settings map[string]string
	// Log gets what the server prints; nil drops it.
	Log io.Writer
}

// Postgres is a database server of our own, with one superuser, postgres, who needs no password.
type Postgres struct {
	server
	opts PostgresOptions
	temp string // to be removed at Close, or ""
	made bool   // the data directory has a cluster
	user *syscall.Credential
}

// StartPostgres makes a data directory where needed, starts a server on it and waits until it
// accepts connections or ctx ends. Close it to end it; ctx does not. The error is ErrNoPostgres
// where the machine has no server binaries.
func StartPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	bin, err := findPostgres(ctx, opts.BinDir)
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	opts.BinDir = bin
	p := &Postgres{opts: opts}
	p.begin, p.probe = p.spawn, p.accepts
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Postgres: %w", err), p.Close())
	}
	return p, nil
}

func (p *Postgres) open(ctx context.Context) (err error) {
	if p.user, err = unprivileged(); err != nil {
		return err
	}
	if err := p.makeDir(); err != nil {
		return err
	}
	if err := p.initdb(ctx); err != nil {
		return err
	}
	if p.port, err = reserve(p.opts.Port); err != nil {
		return err
	}
	return p.Start(ctx)
}

// makeDir makes the data directory, and its owner the user that the server runs as.
func (p *Postgres) makeDir() (err error) {
	if p.opts.Dir == "" {
		p.temp, err = os.MkdirTemp("", "recstream-postgres-*")
		p.opts.Dir = p.temp
	} else {
		err = os.MkdirAll(p.opts.Dir, 0o700)
	}
	if err != nil {
		return err
	}
	if p.made, err = holdsCluster(p.opts.Dir); err != nil || p.user == nil {
		return err
	}
	return os.Chown(p.opts.Dir, int(p.user.Uid), int(p.user.Gid))
}

// holdsCluster tells a data directory from an empty one. Anything else is an error: it is not ours
// to give to another user.
func holdsCluster(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return false, err
	}
	if _, err := os.Stat(dir + "/PG_VERSION"); err != nil {
		return false, fmt.Errorf("%s is neither empty nor a Postgres data directory; choose another", dir)
	}
	return true, nil
}

// initdb makes a cluster where there is none. The C locale makes text sort by bytes, the same
// everywhere.
func (p *Postgres) initdb(ctx context.Context) error {
	if p.made {
		return nil
	}
	cmd := exec.CommandContext(ctx, p.opts.BinDir+"/initdb", "--pgdata="+p.opts.Dir, "--username=postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	p.confine(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// spawn starts the server. Orphaned, it quits at once, as at Kill.
func (p *Postgres) spawn() (*process, error) {
	args := []string{"-D", p.opts.Dir, "-p", strconv.Itoa(p.port.Port)}
	set := func(name, value string) { args = append(args, "-c", name+"="+value) }
	set("listen_addresses", "127.0.0.1")
	set("unix_socket_directories", "")
	set("fsync", strconv.FormatBool(p.opts.Fsync))
	for name, value := range p.opts.Settings {
		set(name, value)
	}
	//nolint:noctx // the server outlives the context of its start
	cmd := exec.Command(p.opts.BinDir+"/postgres", args...)
	p.confine(cmd)
	return startProcess("Postgres", cmd, p.opts.Log, syscall.SIGQUIT)
}

// confine takes root's rights and the caller's PG… variables from a command, and has it start in
// the data directory, since the user that it runs as may not enter ours.
func (p *Postgres) confine(cmd *exec.Cmd) {
	cmd.Dir = p.opts.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PG") && !strings.HasPrefix(variable, "LC_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C", "TZ=UTC")
}

func (p *Postgres) accepts(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// URL returns what a client connects to for the database.
func (p *Postgres) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", p.port.Port, database)
}

// CreateDatabase makes an empty database with a name of its own and returns its URL.
func (p *Postgres) CreateDatabase(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	defer conn.Close(ctx)
	name := "db_" + strings.ToLower(rand.Text()[:12])
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	return p.URL(name), nil
}

// Stop ends the server in the way of pg_ctl's fast mode: transactions are rolled back, connections
// closed, everything written. Where ctx ends first, it is killed.
func (p *Postgres) Stop(ctx context.Context) error { return p.stop(ctx, syscall.SIGINT) }

// Kill ends the server at once and unclean: the next Start recovers from the log. It is the signal
// of pg_ctl's immediate mode, which takes the server's children along; kill -9 leaves them to find
// out, and Start would have to wait for that. They may be in the middle of a write for which a busy
// machine takes its time.
func (p *Postgres) Kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	return p.stop(ctx, syscall.SIGQUIT)
}

// Close ends the server and removes its directory if that was a temporary one. A directory that was
// given is left clean, for a later StartPostgres.
func (p *Postgres) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if p.temp == "" {
		return p.Stop(ctx)
	}
	return errors.Join(p.Kill(), os.RemoveAll(p.temp))
}
