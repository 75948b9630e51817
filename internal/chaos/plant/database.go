//go:build faults

package plant

import (
	"bytes"
	"context"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool plants faults into the transactions of a pool.
func Pool(config *pgxpool.Config) {
	config.ConnConfig.Tracer = tracer{}
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &copySpy{Conn: c}, nil
	}
}

// tracer reaches the points between the statements of a ledger's transactions. What it returns cannot fail.
type tracer struct{}

var _ pgx.QueryTracer = tracer{}

// statementKey is what a context has its statement under.
type statementKey struct{}

// TraceQueryStart is called before a statement.
func (tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s := streamOf(ctx)
	if s == nil {
		return ctx
	}
	if data.SQL == commit {
		_ = planted.reach(s, BeforeCommit)
	}
	return context.WithValue(ctx, statementKey{}, data.SQL)
}

// TraceQueryEnd is called after a statement.
func (tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	sql, ok := ctx.Value(statementKey{}).(string)
	if !ok || data.Err != nil {
		return
	}
	s := streamOf(ctx)
	switch {
	case strings.HasPrefix(sql, "UPDATE stream_offsets"):
		_ = planted.reach(s, Fenced)
	case strings.HasPrefix(sql, "INSERT INTO outcomes"):
		_ = planted.reach(s, written)
	case sql == commit:
		_ = planted.reach(s, AfterCommit)
	}
}

const commit = "commit" // as pgx writes it

// copySpy is a connection that reaches the point within a COPY of decisions, which no tracer sees. Only requests
// have it.
type copySpy struct {
	net.Conn
	copying bool
}

var (
	copyQuery = []byte("COPY decisions")
	rowsOf    = &stream{}
)

// Write writes messages of Postgres's protocol: Q is a query, d has rows.
func (c *copySpy) Write(b []byte) (int, error) {
	switch {
	case len(b) > 0 && b[0] == 'Q':
		c.copying = bytes.Contains(b, copyQuery)
	case c.copying && len(b) > 0 && b[0] == 'd':
		c.copying = false
		half, err := c.Conn.Write(b[:len(b)/2])
		if err != nil {
			return half, err
		}
		_ = planted.reach(rowsOf, Copying)
		rest, err := c.Conn.Write(b[len(b)/2:])
		return half + rest, err
	}
	return c.Conn.Write(b)
}
