package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"recstream/schemas"
)

func TestTransient(t *testing.T) {
	code := func(c string) error { return &pgconn.PgError{Code: c} }
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"NUL in a text":               {code("22021"), false},
		"time out of range":           {code("22008"), false},
		"a column of a later version": {code("23502"), true},
		"an owner's constraint":       {code("23514"), true},
		"a column of another type":    {code("22P03"), true},
		"wrapped":                     {fmt.Errorf("copy: %w", code("22021")), false},
		"deadlock":                    {code("40P01"), true},
		"serialization":               {code("40001"), true},
		"no such table":               {code("42P01"), true},
		"no right":                    {code("42501"), true},
		"too many connections":        {code("53300"), true},
		"disk full":                   {code("53100"), true},
		"lock not available":          {code("55P03"), true},
		"shut down":                   {code("57P01"), true},
		"starting up":                 {code("57P03"), true},
		"read-only standby":           {code("25006"), true},
		"password":                    {code("28P01"), true},
		"no code":                     {code(""), true},
		"network":                     {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		"deadline":                    {context.DeadlineExceeded, true},
		"a partition that lacks":      {errMissingPartition, true},
		"a code that is something":    {code("2"), true},
	} {
		t.Run(name, func(t *testing.T) {
			err := wrap("record decisions", test.err)
			if got := transient(err); got != test.want {
				t.Errorf("transient %t, want %t", got, test.want)
			}
			if !errors.Is(err, test.err) || !strings.HasPrefix(err.Error(), "record decisions: ") {
				t.Errorf("error %q has lost its cause or its operation", err)
			}
		})
	}
	if wrap("x", nil) != nil {
		t.Error("no error is wrapped")
	}
}

// operations are all that wait for the server.
var operations = map[string]func(context.Context, *Database) error{
	"ping":    func(ctx context.Context, db *Database) error { return db.Ping(ctx) },
	"version": func(ctx context.Context, db *Database) error { _, err := db.CatalogVersion(ctx); return err },
	"register": func(ctx context.Context, db *Database) error {
		_, err := db.RegisterModel(ctx, schemas.ModelRef{}, ModelInfo{})
		return err
	},
	"partitions": func(ctx context.Context, db *Database) error {
		_, _, err := db.MaintainPartitions(ctx, noon, Partitions{})
		return err
	},
	"move fence": func(ctx context.Context, db *Database) error {
		return NewLedger(db, group, twoDay).MoveFence(ctx, topic, 0, -1, 0)
	},
	"fence": func(ctx context.Context, db *Database) error {
		_, _, err := NewLedger(db, group, twoDay).Fence(ctx, topic, 0)
		return err
	},
	"find": func(ctx context.Context, db *Database) error {
		_, err := NewLedger(db, group, twoDay).Find(ctx, nil, noon, false)
		return err
	},
	"record": func(ctx context.Context, db *Database) error {
		return NewLedger(db, group, twoDay).Record(ctx, batchOf(0, decision("r", noon)))
	},
	"record no event": func(ctx context.Context, db *Database) error {
		return NewLedger(db, group, twoDay).Record(ctx, batchOf(0))
	},
}

// eachFailsInTime runs all operations beside each other; each must fail, transiently, within the limit.
func eachFailsInTime(t *testing.T, db *Database, limit time.Duration) {
	t.Helper()
	var wg sync.WaitGroup
	for name, operation := range operations {
		wg.Go(func() {
			began := time.Now()
			err := operation(t.Context(), db)
			if err == nil || !transient(err) {
				t.Errorf("%s: error %v, want a transient one", name, err)
			}
			if took := time.Since(began); took > limit {
				t.Errorf("%s took %s, want at most %s", name, took, limit)
			}
		})
	}
	wg.Wait()
}

// silent accepts connections and never says a word; it returns its address.
func silent(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		var held []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			held = append(held, conn)
		}
		for _, conn := range held {
			conn.Close()
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return listener.Addr().String()
}

func TestServerThatNeverAnswers(t *testing.T) {
	db := open(t, Options{URL: "postgres://u@" + silent(t) + "/db?connect_timeout=1&sslmode=disable",
		Timeout: 200 * time.Millisecond, MaxConnections: len(operations)})
	eachFailsInTime(t, db, 2*time.Second)
}

func TestServerThatIsAway(t *testing.T) {
	db := open(t, Options{URL: "postgres://u@127.0.0.1:1/db?sslmode=disable", Timeout: 5 * time.Second})
	eachFailsInTime(t, db, 5*time.Second)
}

func TestUnknownSchemaIsForAnOperatorToMend(t *testing.T) {
	db := open(t, Options{URL: server.Database(t)})
	err := NewLedger(db, group, twoDay).Record(deadline(t), batchOf(0, decision("r", noon)))
	if !hasCode(err, "42P01") || !transient(err) {
		t.Errorf("error %v, want a transient 42P01", err)
	}
}

// TestLockedTableEndsAtTheTimeout has the server answer, but not this statement.
func TestLockedTableEndsAtTheTimeout(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	tx, err := db.Pool().Begin(deadline(t))
	must(t, err)
	_, err = tx.Exec(deadline(t), `LOCK TABLE decisions`)
	must(t, err)
	hasty := NewLedger(&Database{pool: db.pool, timeout: 100 * time.Millisecond}, group, twoDay)
	if err := hasty.Record(deadline(t), batchOf(0, decision("r", noon))); !errors.Is(err, context.DeadlineExceeded) || !transient(err) {
		t.Errorf("error %v, want a transient one that is %v", err, context.DeadlineExceeded)
	}
	must(t, tx.Rollback(deadline(t)))
	// The attempt that was given up holds the fence until the server has noticed.
	must(t, l.Record(deadline(t), batchOf(0, decision("r", noon))))
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestOpenNamesTheSettingAndKeepsThePassword(t *testing.T) {
	_, err := Open(t.Context(), Options{URL: "postgres://user:secret@host:port/db"})
	if err == nil || !strings.Contains(err.Error(), "database.url") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v, want one that names database.url and not the password", err)
	}
}
