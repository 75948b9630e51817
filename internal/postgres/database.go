package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say how a database is reached. The zero value of each field is replaced by its default.
type Options struct {
	URL            string                // postgres://user:password@host:port/database?...
	MaxConnections int                   // default 8
	Timeout        time.Duration         // of one operation, default 30 s; a server that does not answer is given up then
	Configure      func(*pgxpool.Config) // has the last word on the pool, as for a tracer; nil changes nothing
}

// Database is a pool of connections to one PostgreSQL database. It is safe for concurrent use.
type Database struct {
	pool    *pgxpool.Pool
	timeout time.Duration
	// background has a place for each connection that work may take which no request waits for: half of them.
	background chan struct{}
}

// lockTimeout is how long background work waits for a lock before it gives its connection back and tries again.
const lockTimeout = 2 * time.Second

// inBackground takes a place for background work, or waits for one until ctx ends. The caller calls done.
func (db *Database) inBackground(ctx context.Context) (done func(), err error) {
	select {
	case db.background <- struct{}{}:
		return func() { <-db.background }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sessionSettings let the server notice a client that is gone without a word, in COPY too: what it holds is the
// lock on the fence. They are set by a statement because poolers refuse them at the start of a connection.
const sessionSettings = `SET idle_in_transaction_session_timeout = %d; SET tcp_keepalives_idle = 15;
	SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 30000`

// Open makes a pool; it does not connect yet, so that an instance starts while its database is away.
func Open(ctx context.Context, o Options) (*Database, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("database.url: %w", err)
	}
	config.MaxConns = int32(orDefault(o.MaxConnections, 8))
	timeout := orDefault(o.Timeout, 30*time.Second)
	setDefault(config.ConnConfig.RuntimeParams, "application_name", "recstream")
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, fmt.Sprintf(sessionSettings, (2*timeout).Milliseconds()))
		return err
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if o.Configure != nil {
		o.Configure(config)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, wrap("open database", err)
	}
	return &Database{pool: pool, timeout: timeout, background: make(chan struct{}, max(1, config.MaxConns/2))}, nil
}

// Close closes all connections; it waits for those in use.
func (db *Database) Close() { db.pool.Close() }

// Ping reports whether the database answers.
func (db *Database) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	return wrap("connect to database", db.pool.Ping(ctx))
}

// Pool returns the pool, for queries that are nobody's business but the caller's.
func (db *Database) Pool() *pgxpool.Pool { return db.pool }

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func setDefault(params map[string]string, name, value string) {
	if _, set := params[name]; !set {
		params[name] = value
	}
}
