package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"recstream/schemas"
)

// Migration is one step of the database's schema.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Migrate brings the schema up to date and returns the steps that it applied. Instances may do this at the
// same time: a lock in the database lets one go first.
//
// A step waits for those who use its tables, and all others wait behind it, so it gives up soon: the error is then
// ErrTableInUse and says who is in the way. That step has changed nothing, and can be tried again.
func (db *Database) Migrate(ctx context.Context) ([]Migration, error) {
	var applied []Migration
	err := db.withMigrations(func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		if partial, ok := errors.AsType[*goose.PartialError](err); ok {
			results, err = partial.Applied, db.stepError(ctx, partial)
		}
		for _, r := range results {
			applied = append(applied, Migration{Version: r.Source.Version, Name: r.Source.Path, Applied: true})
		}
		return err
	})
	return applied, wrap("migrate database", err)
}

// Migrations lists all steps, oldest first, and whether each is applied. It changes nothing and waits for nobody.
func (db *Database) Migrations(ctx context.Context) ([]Migration, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	applied, err := db.appliedMigrations(ctx)
	if err != nil {
		return nil, wrap("read migrations", err)
	}
	names, err := fs.Glob(schemas.Migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var steps []Migration
	for _, name := range names { // Glob sorts
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, Migration{Version: version, Name: path.Base(name), Applied: applied[version]})
	}
	return steps, nil
}

// appliedMigrations reads goose's table, which is not there before the first migration.
func (db *Database) appliedMigrations(ctx context.Context) (map[int64]bool, error) {
	applied := map[int64]bool{}
	var version int64
	var isApplied bool
	rows, _ := db.pool.Query(ctx, `SELECT version_id, is_applied FROM goose_db_version ORDER BY id`) // ForEachRow has its error
	_, err := pgx.ForEachRow(rows, []any{&version, &isApplied}, func() error {
		applied[version] = isApplied
		return nil
	})
	if hasCode(err, undefinedTable) {
		return nil, nil
	}
	return applied, err
}

// While another instance migrates, its lock is asked for once a period, in seconds, this many times.
const (
	lockPeriod   = 1
	lockAttempts = 300
)

func (db *Database) withMigrations(use func(*goose.Provider) error) error {
	files, err := fs.Sub(schemas.Migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockAttempts))
	if err != nil {
		return err
	}
	conn := stdlib.OpenDBFromPool(db.pool)
	defer closeQuietly(conn)
	provider, err := goose.NewProvider(goose.DialectPostgres, conn, files, goose.WithSessionLocker(boundedWaits{locker}))
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return use(provider)
}

// closeQuietly closes the database/sql view of the pool; the pool itself stays open.
func closeQuietly(conn *sql.DB) { _ = conn.Close() }
