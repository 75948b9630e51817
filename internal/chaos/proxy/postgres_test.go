package proxy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/internal/devstack"
)

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// database is a Postgres behind a proxy.
type database struct {
	*Proxy
	url, direct string // through the proxy, and past it
}

// TestPostgres runs its tests on one server, each with a proxy of its own.
func TestPostgres(t *testing.T) {
	server, err := devstack.StartPostgres(deadline(t), devstack.PostgresOptions{})
	if errors.Is(err, devstack.ErrNoPostgres) {
		t.Skip(err)
	}
	must(t, err)
	defer func() { must(t, server.Close()) }()
	direct := server.URL("postgres")
	_, rest, _ := strings.Cut(direct, "@")
	target, _, _ := strings.Cut(rest, "/")

	tests := map[string]func(*testing.T, *database){
		"is passed on":              postgresIsPassedOn,
		"commit is cut":             commitIsCut,
		"messages are counted":      messagesAreCounted,
		"silence":                   postgresIsSilenced,
		"chosen trigger given back": chosenTriggerIsGivenBack,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := start(t, target, Postgres)
			test(t, &database{p, strings.Replace(direct, target, p.Addr(), 1), direct})
		})
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(deadline(t), url)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(deadline(t), sql)
	must(t, err)
}

// films counts the rows of the table.
func films(t *testing.T, conn *pgx.Conn) (n int) {
	t.Helper()
	must(t, conn.QueryRow(deadline(t), "SELECT count(*) FROM films").Scan(&n))
	return n
}

// The ways that a transaction can be told to commit.
var commits = map[string]func(context.Context, pgx.Tx) error{
	"query": func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) },
	"prepared": func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Conn().Prepare(ctx, "end", "commit")
		if err == nil {
			_, err = tx.Conn().Exec(ctx, "end", pgx.QueryExecModeCacheStatement)
		}
		return err
	},
	"batch": func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue("INSERT INTO films VALUES ('two')")
		batch.Queue("commit")
		return tx.SendBatch(ctx, batch).Close()
	},
}

func commitIsCut(t *testing.T, db *database) {
	stages := map[string]struct {
		when   Stage
		stored []bool // what may be
	}{
		"before it was sent": {BeforeRequest, []bool{false}},
		// The client asks the server to cancel what it does, on another connection that may be faster.
		"after it was sent":     {AfterRequest, []bool{true, false}},
		"after it was answered": {AfterResponse, []bool{true}},
	}
	watch := connect(t, db.direct)
	exec(t, watch, "DROP TABLE IF EXISTS films; CREATE TABLE films (title text)")
	for way, commit := range commits {
		for name, tt := range stages {
			t.Run(way+" "+name, func(t *testing.T) {
				ctx := deadline(t)
				exec(t, watch, "TRUNCATE films")
				armed := db.Arm(Trigger{Match: Statement("(?i)^commit"), When: tt.when})
				defer armed.Disarm()
				tx, err := connect(t, db.url).Begin(ctx)
				must(t, err)
				_, err = tx.Exec(ctx, "INSERT INTO films VALUES ('one')")
				must(t, err)
				if err := commit(ctx, tx); err == nil {
					t.Error("the client was told of the commit")
				}
				if armed.Fired() != 1 {
					t.Errorf("fired %d times, want once", armed.Fired())
				}
				if tt.when == AfterResponse && films(t, watch) == 0 {
					t.Error("cut before the answer")
				}
				eventually(t, "the server ends the connection", func() bool { return db.Connections() == 0 })
				if stored := films(t, watch) > 0; !slices.Contains(tt.stored, stored) {
					t.Errorf("stored: %v, want %v", stored, tt.stored)
				}
			})
		}
	}
	if n := db.Counts().Cut; n != len(commits)*len(stages) {
		t.Errorf("%d cuts counted, want %d", n, len(commits)*len(stages))
	}
}

func postgresIsPassedOn(t *testing.T, db *database) {
	ctx := deadline(t)
	db.Arm(Trigger{Match: Statement("never said"), When: AfterResponse})
	for name, url := range map[string]string{"plain": db.url, "asks for encryption": strings.Replace(db.url, "disable", "prefer", 1)} {
		t.Run(name, func(t *testing.T) {
			conn := connect(t, url)
			exec(t, conn, "DROP TABLE IF EXISTS films; CREATE TABLE films (title text)")
			rows := make([][]any, 10_000)
			for i := range rows {
				rows[i] = []any{strings.Repeat("x", 50)}
			}
			_, err := conn.CopyFrom(ctx, pgx.Identifier{"films"}, []string{"title"}, pgx.CopyFromRows(rows))
			must(t, err)
			if n := films(t, conn); n != len(rows) {
				t.Errorf("%d rows, want %d", n, len(rows))
			}
			if _, err := conn.Exec(ctx, "SELECT 1/0"); err == nil {
				t.Error("no error of a division by zero")
			}
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			if _, err := conn.Exec(short, "SELECT pg_sleep(60)"); err == nil { // a cancel request
				t.Error("no error of a statement that was given up")
			}
		})
	}
}

func messagesAreCounted(t *testing.T, db *database) {
	armed := db.Arm(Trigger{Match: Statement("^SELECT 1$"), Skip: 2, Times: 2, When: AfterResponse, Do: Cut})
	failed := ""
	for range 6 {
		conn := connect(t, db.url)
		outcome := "."
		if _, err := conn.Exec(deadline(t), "SELECT 1"); err != nil {
			outcome = "x"
		}
		failed += outcome
	}
	if failed != "..xx.." {
		t.Errorf("outcomes %s, want ..xx..", failed)
	}
	select {
	case <-armed.Done():
	default:
		t.Error("the trigger is not done")
	}
}

func postgresIsSilenced(t *testing.T, db *database) {
	db.Arm(Trigger{Match: Statement("^SELECT 1$"), When: AfterResponse, Do: Silence})
	conn := connect(t, db.url)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := conn.Exec(short, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline's", err)
	}
	must(t, conn.PgConn().Conn().Close()) // pgx itself takes its time for that
	eventually(t, "the server learns that the client has given up", func() bool { return db.Connections() == 0 })
	if n := db.Counts().Silenced; n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
}

func chosenTriggerIsGivenBack(t *testing.T, db *database) {
	armed := db.Arm(Trigger{Match: Statement("pg_sleep"), When: AfterResponse})
	conn := connect(t, db.url)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := conn.Exec(short, "SELECT pg_sleep(60)"); err == nil {
		t.Error("no error of a statement that was given up")
	}
	db.Reset() // before there was an answer
	eventually(t, "the connection ends", func() bool { return db.Connections() == 0 })
	fired := armed.Fired()
	if _, err := connect(t, db.url).Exec(deadline(t), "SELECT pg_sleep(0)"); err == nil || armed.Fired() != 1 {
		t.Errorf("error %v, fired %d then %d; want one at the second attempt", err, fired, armed.Fired())
	}
}
