package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// ErrTableInUse says that others use a table which a migration changes. Nothing of its step was changed.
var ErrTableInUse = errors.New("a table that it changes is in use")

// migrationLockTimeout is how long a migration waits for each lock. Whoever writes to the table waits behind it,
// the live stream too. It is longer than the server takes to look for deadlocks.
const migrationLockTimeout = 2 * time.Second

// boundedWaits bounds how long migrations wait for locks, in the session that runs them. The connection goes back
// to the pool as it was.
type boundedWaits struct{ lock.SessionLocker }

// SessionLock is called once before the migrations.
func (w boundedWaits) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if err := w.SessionLocker.SessionLock(ctx, conn); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, fmt.Sprintf(`SET lock_timeout = %d`, migrationLockTimeout.Milliseconds()))
	if err != nil { // then nobody unlocks it
		return errors.Join(err, w.SessionLocker.SessionUnlock(context.WithoutCancel(ctx), conn))
	}
	return nil
}

// SessionUnlock is called once after them.
func (w boundedWaits) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `RESET lock_timeout`)
	return errors.Join(err, w.SessionLocker.SessionUnlock(ctx, conn))
}

// stepError says which step went wrong and, if it waited in vain, for whom.
func (db *Database) stepError(ctx context.Context, partial *goose.PartialError) error {
	step := path.Base(partial.Failed.Source.Path)
	if !hasCode(partial.Err, lockNotAvailable) && !hasCode(partial.Err, deadlockDetected) {
		return fmt.Errorf("%s: %w", step, partial.Err)
	}
	err := fmt.Errorf("%s: %w", step, ErrTableInUse)
	users, lookUpFailed := db.tableUsers(ctx)
	switch {
	case lookUpFailed != nil:
		return fmt.Errorf("%w; who uses it is not known: %w", err, lookUpFailed)
	case len(users) == 0:
		return fmt.Errorf("%w; who used it has just finished", err)
	}
	return fmt.Errorf("%w by %s", err, strings.Join(users, "; "))
}

// tableUsers describes the transactions, at most three, the oldest first, that have held a lock on a table of the
// schema for at least as long as a migration waits: those that it waited for are among them. What others run is
// shown to those alone who have the rights of pg_read_all_stats.
func (db *Database) tableUsers(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, _ := db.pool.Query(ctx, // CollectRows has its error
		`SELECT concat('pid ', pid, ' (', concat_ws(', ', coalesce(usename, backend_type), nullif(application_name, ''),
			'for ' || date_trunc('second', clock_timestamp() - xact_start)), '): ',
			left(regexp_replace(btrim(query), '\s+', ' ', 'g'), 200))
		 FROM pg_stat_activity
		 WHERE pid IN (SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
				WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
				AND c.relnamespace = current_schema()::regnamespace)
			AND pid <> pg_backend_pid() AND coalesce(xact_start <= clock_timestamp() - $1::interval, true)
		 ORDER BY xact_start LIMIT 3`, migrationLockTimeout)
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
