package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"recstream/internal/devstack"
	"recstream/schemas"
)

// uncommented lists what a reader of the schema would find without a word. goose's own table is not ours.
const uncommented = `
	SELECT 'relation ' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
	WHERE nspname = 'public' AND relkind IN ('r', 'p', 'v') AND relname <> 'goose_db_version'
	  AND obj_description(c.oid, 'pg_class') IS NULL
	UNION ALL
	SELECT 'column ' || relname || '.' || attname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
	JOIN pg_attribute a ON attrelid = c.oid
	WHERE nspname = 'public' AND relkind IN ('r', 'p', 'v') AND relname <> 'goose_db_version'
	  AND attnum > 0 AND NOT attisdropped AND col_description(c.oid, attnum) IS NULL
	UNION ALL
	SELECT 'function ' || proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
	WHERE nspname = 'public' AND obj_description(p.oid, 'pg_proc') IS NULL
	UNION ALL
	SELECT 'role ' || rolname FROM pg_roles
	WHERE rolname = 'analyst' AND shobj_description(oid, 'pg_authid') IS NULL`

func TestEverythingHasAComment(t *testing.T) {
	db := newDatabase(t)
	newLedger(t, db, noon) // a partition too
	if list := queryRows[string](t, db, uncommented); len(list) > 0 {
		t.Errorf("without a comment: %q", list)
	}
	execute(t, db, `CREATE TABLE bare (a integer)`)
	if list := queryRows[string](t, db, uncommented); len(list) != 2 {
		t.Errorf("the query finds %q, want a bare table and its column", list)
	}
}

// asAnalyst runs a statement with an analyst's rights, and undoes it.
func asAnalyst(t *testing.T, db *Database, sql string) error {
	t.Helper()
	tx, err := db.Pool().Begin(deadline(t))
	must(t, err)
	defer rollback(tx, db.timeout)
	_, err = tx.Exec(deadline(t), `SET LOCAL ROLE analyst`)
	must(t, err)
	_, err = tx.Exec(deadline(t), sql)
	return err
}

func TestAnalystReadsAllAndChangesNothing(t *testing.T) {
	db := newDatabase(t)
	newLedger(t, db, noon)
	relations := queryRows[string](t, db, `SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition AND c.relname <> 'goose_db_version'`)
	if !slices.Contains(relations, "recommendations") || !slices.Contains(relations, "decisions") {
		t.Fatalf("relations %v lack the ledger", relations)
	}
	var forbidden []string
	for _, name := range relations {
		if err := asAnalyst(t, db, `SELECT * FROM `+name); err != nil {
			t.Errorf("an analyst cannot read %s: %v", name, err)
		}
		forbidden = append(forbidden, `DELETE FROM `+name, `INSERT INTO `+name+` DEFAULT VALUES`)
	}
	forbidden = append(forbidden, `UPDATE items SET title = ''`, `UPDATE stream_offsets SET next_offset = 0`, `TRUNCATE decisions`,
		`CREATE TABLE mine (a integer)`, `DROP TABLE decisions`, `SELECT decisions_create_partition('2026-01-01')`,
		`SELECT decisions_drop_partitions('9999-01-01')`)
	for _, sql := range forbidden {
		var pgErr *pgconn.PgError
		err := asAnalyst(t, db, sql)
		// A view of a join refuses changes before it comes to rights.
		if !errors.As(err, &pgErr) || pgErr.Code != "42501" && pgErr.Code != "55000" {
			t.Errorf("an analyst tries %s: error %v, want insufficient privilege", sql, err)
		}
	}
}

func TestMigrations(t *testing.T) {
	db := open(t, Options{URL: server.Database(t)})
	states := func() (list []bool) {
		steps, err := db.Migrations(deadline(t))
		must(t, err)
		for _, s := range steps {
			list = append(list, s.Applied)
		}
		return list
	}
	for range 2 {
		if got := states(); len(got) == 0 || slices.Contains(got, true) {
			t.Errorf("on an empty database: applied %v, want none", got)
		}
	}
	all := len(states())
	for _, want := range []int{all, 0} {
		applied, err := db.Migrate(deadline(t))
		if err != nil || len(applied) != want {
			t.Errorf("applied %v, error %v; want %d steps", applied, err, want)
		}
	}
	if got := states(); slices.Contains(got, false) {
		t.Errorf("applied %v, want all", got)
	}
}

func TestInstancesMigrateTogether(t *testing.T) {
	url := server.Database(t)
	var wg sync.WaitGroup
	var applied [3]int
	for i := range applied {
		db := open(t, Options{URL: url, MaxConnections: 1}) // one connection is enough
		wg.Go(func() {
			steps, err := db.Migrate(t.Context())
			if err != nil {
				t.Error(err)
			}
			applied[i] = len(steps)
		})
	}
	wg.Wait()
	steps, err := open(t, Options{URL: url}).Migrations(deadline(t))
	must(t, err)
	if sum := applied[0] + applied[1] + applied[2]; sum != len(steps) {
		t.Errorf("applied %v, want %d in all", applied, len(steps))
	}
}

// TestMigrationGoesOnSoonAfterAnother holds the lock of another instance until it was asked for.
func TestMigrationGoesOnSoonAfterAnother(t *testing.T) {
	url := server.Database(t)
	other, db := open(t, Options{URL: url, MaxConnections: 1}), open(t, Options{URL: url})
	execute(t, other, `SELECT pg_advisory_lock($1)`, lock.DefaultLockID)
	migrated := make(chan error, 1)
	go func() {
		_, err := db.Migrate(context.WithoutCancel(t.Context()))
		migrated <- err
	}()
	eventually(t, "the lock is asked for", func() bool {
		return queryRows[int](t, other, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'`)[0] > 0
	})
	execute(t, other, `SELECT pg_advisory_unlock($1)`, lock.DefaultLockID)
	select {
	case err := <-migrated:
		must(t, err)
	case <-time.After(3 * time.Second):
		t.Error("the migration still waits, 3 s after the lock was free")
		must(t, <-migrated)
	}
}

// TestMigrationGivesUpOnATableInUse has a long query read the ledger. The migration does not hold the ledger's
// writers up for long, says who is in the way, and changes nothing until it is tried again.
func TestMigrationGivesUpOnATableInUse(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	migrateDown(t, db, 5)
	reader, err := pgx.Connect(deadline(t), db.pool.Config().ConnString()+"&application_name=a-report")
	must(t, err)
	defer reader.Close(context.WithoutCancel(t.Context()))
	tx, err := reader.Begin(deadline(t))
	must(t, err)
	_, err = tx.Exec(deadline(t), `SELECT count(*)
		FROM decisions`)
	must(t, err)

	one := open(t, Options{URL: db.pool.Config().ConnString(), MaxConnections: 1})
	migrated := make(chan error, 1)
	go func() {
		_, err := one.Migrate(context.WithoutCancel(t.Context()))
		migrated <- err
	}()
	eventually(t, "the migration waits", func() bool {
		return queryRows[int](t, db, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'decisions'::regclass`)[0] > 0
	})
	_, err = db.pool.Exec(deadline(t), `SELECT 1 FROM decisions LIMIT 1`) // waits behind it
	must(t, err)
	err = <-migrated
	want := fmt.Sprintf(`^migrate database: 00006_decisions\.sql: a table that it changes is in use by pid %d \(postgres, a-report, for 00:00:0\d\): SELECT count\(\*\) FROM decisions$`,
		reader.PgConn().PID())
	if !errors.Is(err, ErrTableInUse) || !regexp.MustCompile(want).MatchString(err.Error()) {
		t.Errorf("error %q, want %s", err, want)
	}
	if timeouts := queryRows[string](t, one, `SELECT setting FROM pg_settings WHERE name = 'lock_timeout'`); timeouts[0] != "0" {
		t.Errorf("lock_timeout is left at %s ms", timeouts[0])
	}
	must(t, tx.Rollback(deadline(t)))
	applied, err := one.Migrate(deadline(t))
	if len(applied) == 0 || applied[0].Version != 6 || err != nil {
		t.Errorf("applied %v, error %v when nobody is in the way; want the sixth step and those after it", applied, err)
	}
	must(t, l.Record(deadline(t), batchOf(0, decision("r", noon))))
}

// TestMigrationsRewriteNoTable takes the steps one by one: a table that is there has the same file after them.
func TestMigrationsRewriteNoTable(t *testing.T) {
	db := open(t, Options{URL: server.Database(t)})
	files := map[string]uint32{}
	must(t, db.withMigrations(func(p *goose.Provider) error {
		for range p.ListSources() {
			step, err := p.UpByOne(deadline(t))
			must(t, err)
			if step.Source.Version == 1 {
				_, err := db.createPartition(deadline(t), tableDecisions, noon)
				must(t, err)
			}
			for _, name := range queryRows[string](t, db, `SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`) {
				file := queryRows[uint32](t, db, `SELECT pg_relation_filenode($1::regclass)::oid`, name)[0]
				if before, there := files[name]; there && before != file {
					t.Errorf("%s rewrites %s", step.Source.Path, name)
				}
				files[name] = file
			}
		}
		return nil
	}))
	if files["decisions_20260314"] == 0 || files["items"] == 0 {
		t.Errorf("looked at %v alone", files)
	}
}

func migrateDown(t *testing.T, db *Database, version int64) {
	t.Helper()
	must(t, db.withMigrations(func(p *goose.Provider) error {
		_, err := p.DownTo(deadline(t), version)
		return err
	}))
}

// TestLedgerOfTheVersionBefore has rows from before the migration, and from an instance that has not followed yet.
func TestLedgerOfTheVersionBefore(t *testing.T) {
	const insert = `INSERT INTO decisions (request_id, requested_at, scored_at, tier, degraded, config_version, catalog_version,
		considered, item_ids, titles, predictions, scores, queue_us, score_us, source_topic, source_partition, source_offset)
		VALUES ($1, $2, $2, 'basic', '{}', 'c', 1, 1, '{a}', '{A}', '{NULL}', '{0.5}', 1, 1, 't', 0, 0)`
	db := newDatabase(t)
	newLedger(t, db, noon)
	migrateDown(t, db, 5)
	execute(t, db, insert, "before", noon)
	_, err := db.Migrate(deadline(t))
	must(t, err)
	execute(t, db, insert, "beside", noon)
	for _, id := range []string{"before", "beside"} {
		d, err := db.Decision(deadline(t), id)
		must(t, err)
		if d == nil || d.Pinned != 0 || d.ColdStart != nil || d.Explain || d.Explanation != nil ||
			d.ProfileVersion != schemas.ProfileVersionUnknown || d.Items[0].Terms != (schemas.Terms{0.5}) {
			t.Errorf("%s: decision %+v", id, d)
		}
	}
}

func TestMigrationsDownLeaveNothing(t *testing.T) {
	db := newDatabase(t)
	newLedger(t, db, noon)
	migrateDown(t, db, 0)
	left := queryRows[string](t, db, `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'goose%'
		UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace`)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	_, err := db.Migrate(deadline(t))
	must(t, err)
}

// TestPlainUserMigrates needs a server on which no other test has made the analyst role.
func TestPlainUserMigrates(t *testing.T) {
	own, err := devstack.StartPostgres(deadline(t), devstack.PostgresOptions{})
	if errors.Is(err, devstack.ErrNoPostgres) {
		t.Skip(err)
	}
	must(t, err)
	defer own.Close()
	admin := open(t, Options{URL: own.URL("postgres")})
	execute(t, admin, `CREATE ROLE app LOGIN`)
	execute(t, admin, `CREATE DATABASE app OWNER app`)
	db := open(t, Options{URL: strings.Replace(own.URL("app"), "postgres@", "app@", 1)})

	_, err = db.Migrate(deadline(t))
	must(t, err)
	migrateDown(t, db, 0)
	execute(t, admin, `CREATE ROLE analyst NOLOGIN`)
	_, err = db.Migrate(deadline(t))
	must(t, err)
	// The plain user could not comment on the role; its grants count all the same.
	conn, err := pgx.Connect(deadline(t), own.URL("app"))
	must(t, err)
	defer conn.Close(t.Context())
	for _, sql := range []string{`SET ROLE analyst`, `SELECT * FROM decisions`, `SELECT * FROM recommendations`, `SELECT * FROM items`} {
		if _, err := conn.Exec(deadline(t), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, _, err := db.MaintainPartitions(deadline(t), noon, Partitions{Ahead: 1, Retention: 1}); err != nil {
		t.Errorf("the plain user maintains partitions: %v", err)
	}
	must(t, NewLedger(db, group, twoDay).MoveFence(deadline(t), topic, 0, -1, 0))
	must(t, NewLedger(db, group, twoDay).Record(deadline(t), batchOf(0, decision("r", noon))))
}
