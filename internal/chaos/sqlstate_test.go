package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/internal/chaos/workload"
)

// TestSQLStates has Postgres refuse what instances ask for, with one SQLSTATE after the other: truly where that can be
// had, else raised by a trigger. None of them is about an event, so all are waited for, and nothing is left out.
func TestSQLStates(t *testing.T) {
	t.Parallel()
	s := open(t, setup{ownPostgres: true, env: []string{"RECSTREAM_LOG_LEVEL=debug"}})
	s.demote(t)
	s.plantSwitch(t)
	r := s.begin(t, "9", fmt.Sprintf("Postgres: SQLSTATEs, had in %d ways", len(refusals)))
	r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t),
		Feedback: 0.4, Bad: 0.05, Repeats: 0.05, Heavy: -1})
	s.serve(t)
	s.serve(t)
	r.publish(t, 200)
	all := some(r, slices.Repeat(refusals, share(10)))
	for _, c := range all {
		r.advance(t, 1)
		r.refuse(t, c)
	}
	r.advance(t, 25)
	r.finish(t, share(20_000), len(all))
}

// refusal is a SQLSTATE, and how it is had.
type refusal struct {
	code  string
	how   string
	begin func(t *testing.T, r *run) (heal func())
}

// refuse has Postgres refuse with a code until an instance has met it.
func (r *run) refuse(t *testing.T, c refusal) {
	t.Helper()
	before := r.met(c.code)
	heal := c.begin(t, r)
	eventually(t, fmt.Sprintf("SQLSTATE %s, %s", c.code, c.how), patience, func() (bool, string) {
		return r.met(c.code) > before, r.living()[0].tail(3)
	})
	heal()
	r.struck("SQLSTATE %s: %s", c.code, c.how)
}

// met counts how often the logs of the instances have a SQLSTATE.
func (r *run) met(code string) (n int) {
	for _, i := range r.fleet {
		n += i.log.Count("SQLSTATE " + code)
	}
	return n
}

// app is the role that instances log in as after demote.
const app = "app"

// demote has instances log in as a role that owns the tables and is no superuser: to those little is refused.
func (s *stage) demote(t *testing.T) {
	t.Helper()
	s.exec(t, `CREATE ROLE `+app+` LOGIN; GRANT ALL ON SCHEMA public TO `+app+`;
		DO $$
		DECLARE name regclass;
		BEGIN
			FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') LOOP
				EXECUTE format('ALTER TABLE %s OWNER TO `+app+`', name);
			END LOOP;
		END
		$$`)
	s.env = append(s.env, "RECSTREAM_DATABASE_URL="+s.urlOfApp())
}

func (s *stage) urlOfApp() string {
	return strings.Replace(s.db.Config().ConnString(), "//postgres@", "//"+app+"@", 1)
}

// exec has Postgres do something.
func (s *stage) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := s.db.Exec(within(t, patience), sql, args...)
	need(t, err)
}

// plantSwitch makes a table of codes that are raised when a table is written, or when that is committed, as long as
// they stand in it.
func (s *stage) plantSwitch(t *testing.T) {
	t.Helper()
	s.exec(t, `CREATE TABLE raised (place text PRIMARY KEY, code text NOT NULL);
		CREATE FUNCTION raise() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
		DECLARE found text;
		BEGIN
			SELECT code INTO found FROM raised WHERE place = TG_ARGV[0];
			IF found IS NOT NULL THEN
				RAISE EXCEPTION 'planted at %', TG_ARGV[0] USING ERRCODE = found;
			END IF;
			RETURN NULL;
		END
		$$;
		CREATE TRIGGER planted BEFORE INSERT ON decisions EXECUTE FUNCTION raise('decisions');
		CREATE TRIGGER planted BEFORE INSERT ON outcomes EXECUTE FUNCTION raise('outcomes');
		CREATE TRIGGER planted BEFORE UPDATE ON stream_offsets EXECUTE FUNCTION raise('the fence');
		CREATE CONSTRAINT TRIGGER planted_late AFTER UPDATE ON stream_offsets DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION raise('commit')`)
}

// raised is a code that a trigger raises.
func raised(code, place string) refusal {
	return refusal{code, "raised at " + place, func(t *testing.T, r *run) func() {
		r.exec(t, `INSERT INTO raised VALUES ($1, $2)`, place, code)
		return func() { r.exec(t, `DELETE FROM raised`) }
	}}
}

// altered is a code that follows from one change of the database, until another takes it back. Sessions are ended
// where only new ones heed it.
func altered(code, how, change, back string, sessions bool) refusal {
	return refusal{code, how, func(t *testing.T, r *run) func() {
		both := func(sql string) {
			r.exec(t, sql)
			if sessions {
				r.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '`+app+`'`)
			}
		}
		both(change)
		return func() { both(back) }
	}}
}

var refusals = []refusal{
	{"40P01", "deadlock with another transaction", deadlock},
	{"57014", "statement cancelled", func(t *testing.T, r *run) func() { return r.whileBlocked(t, "pg_cancel_backend") }},
	{"57P01", "session ended by an administrator", func(t *testing.T, r *run) func() { return r.whileBlocked(t, "pg_terminate_backend") }},
	{"55P03", "lock not had in time", lockOutcomes},
	{"53300", "connections hogged by others", hog},
	altered("25006", "read-only", `ALTER ROLE app SET default_transaction_read_only = on`, `ALTER ROLE app RESET default_transaction_read_only`, true),
	altered("28000", "not permitted to log in", `ALTER ROLE app NOLOGIN`, `ALTER ROLE app LOGIN`, true),
	altered("42501", "permission denied", `REVOKE INSERT ON decisions FROM app`, `GRANT INSERT ON decisions TO app`, false),
	altered("42P01", "table away", `ALTER TABLE stream_offsets RENAME TO away`, `ALTER TABLE away RENAME TO stream_offsets`, false),
	altered("42703", "column away", `ALTER TABLE decisions RENAME tier TO away`, `ALTER TABLE decisions RENAME away TO tier`, false),

	raised("40001", "commit"),    // serialization_failure
	raised("40003", "commit"),    // statement_completion_unknown
	raised("08006", "decisions"), // connection_failure
	raised("0A000", "decisions"), // feature_not_supported
	raised("23502", "outcomes"),  // not_null_violation
	raised("23503", "decisions"), // foreign_key_violation
	raised("23P01", "decisions"), // exclusion_violation
	raised("55000", "outcomes"),  // object_not_in_prerequisite_state
	raised("53000", "the fence"), // insufficient_resources
	raised("53100", "decisions"), // disk_full
	raised("53100", "commit"),
	raised("53200", "decisions"), // out_of_memory
	raised("53200", "outcomes"),
	raised("54000", "the fence"), // program_limit_exceeded
	raised("55006", "decisions"), // object_in_use
	raised("57P03", "the fence"), // cannot_connect_now
	raised("58030", "outcomes"),  // io_error
	raised("P0001", "decisions"), // raise_exception
	raised("XX000", "the fence"), // internal_error
	raised("XX001", "decisions"), // data_corrupted
}

// deadlock locks the ledger, and then fences that instances have moved that wait for the ledger. Postgres ends the
// transaction that has waited for a second: it is to be theirs, so that this one waits for longer.
func deadlock(t *testing.T, r *run) func() {
	t.Helper()
	var rollback func()
	eventually(t, "a deadlock that an instance loses", patience, func() (bool, string) {
		tx, err := r.db.Begin(t.Context())
		need(t, err)
		rollback = func() { _ = tx.Rollback(context.Background()) }
		_, err = tx.Exec(within(t, patience), `SET LOCAL deadlock_timeout = '3s'; LOCK TABLE decisions IN SHARE MODE`)
		need(t, err)
		r.awaitOneBlocked(t)
		if _, err = tx.Exec(within(t, patience), `UPDATE stream_offsets SET updated_at = now()`); err != nil {
			rollback()
		}
		return err == nil, fmt.Sprint(err)
	})
	return rollback
}

// awaitOneBlocked waits until a session of an instance waits for a lock.
func (r *run) awaitOneBlocked(t *testing.T) {
	t.Helper()
	eventually(t, "a session that waits for a lock", patience, func() (ok bool, state string) {
		err := r.db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE `+blocked+`)`).Scan(&ok)
		return err == nil && ok, fmt.Sprint(err)
	})
}

// blocked are the sessions of instances that wait for a lock.
const blocked = `datname = current_database() AND application_name = 'recstream' AND wait_event_type = 'Lock'`

// whileBlocked has sessions that wait for the locked ledger cancelled, or ended.
func (r *run) whileBlocked(t *testing.T, function string) (unlock func()) {
	t.Helper()
	unlock = r.lockLedger(t)
	r.awaitOneBlocked(t)
	r.exec(t, `SELECT `+function+`(pid) FROM pg_stat_activity WHERE `+blocked)
	return unlock
}

// lockOutcomes keeps feedback from being stored. It does not wait for a lock for long.
func lockOutcomes(t *testing.T, r *run) func() {
	t.Helper()
	tx, err := r.db.Begin(t.Context())
	need(t, err)
	_, err = tx.Exec(within(t, patience), `LOCK TABLE outcomes IN SHARE MODE`)
	need(t, err)
	return func() { _ = tx.Rollback(context.Background()) }
}

// mostConnections is how many the role of the instances may have while they are hogged.
const mostConnections = 4

// hog takes the connections that there are for the instances, and ends theirs, until none is left to have.
func hog(t *testing.T, r *run) func() {
	t.Helper()
	r.exec(t, fmt.Sprintf(`ALTER ROLE app CONNECTION LIMIT %d`, mostConnections))
	var taken []*pgx.Conn
	eventually(t, "all connections to be hogged", patience, func() (bool, string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		config := r.db.Config().ConnConfig.Copy()
		config.User = app
		conn, err := pgx.ConnectConfig(ctx, config)
		if err == nil {
			taken = append(taken, conn)
			return len(taken) == mostConnections, fmt.Sprint(len(taken))
		}
		_, _ = r.db.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE usename = '`+app+`' AND application_name = 'recstream'`) // again the next time
		return false, fmt.Sprint(len(taken), err)
	})
	return func() {
		r.exec(t, `ALTER ROLE app CONNECTION LIMIT -1`)
		for _, conn := range taken {
			_ = conn.Close(context.Background())
		}
	}
}
