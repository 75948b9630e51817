package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// ErrNotKept says that a past state is not kept: it is past the ledger's retention, was never there, or was there
// before versions were kept.
var ErrNotKept = errors.New("this version is not kept")

// selectItemsAt takes a version of the catalogue.
const selectItemsAt = `WITH items AS (
	SELECT DISTINCT ON (id) * FROM item_versions WHERE version <= $1 ORDER BY id, version DESC)
	` + selectItems + `WHERE NOT deleted ` + inOrder

// CatalogAt returns the items of a version of the catalogue, equal to what Catalog returned then. The error is
// ErrNotKept where that version is not kept, and for one that is still to come.
func (db *Database) CatalogAt(ctx context.Context, version int64) (items []schemas.Item, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*db.timeout)
	defer cancel()
	// Both reads see one snapshot, so that nothing is dropped between them.
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, db.pool, options, func(tx pgx.Tx) error {
		var kept bool
		if err := tx.QueryRow(ctx, `SELECT $1 BETWEEN kept_from AND version FROM catalog_version`, version).Scan(&kept); err != nil {
			return err
		}
		if !kept {
			return ErrNotKept
		}
		rows, err := tx.Query(ctx, selectItemsAt, version)
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, scanItem)
		return err
	})
	if errors.Is(err, ErrNotKept) {
		return nil, fmt.Errorf("version %d of the catalogue: %w", version, err)
	}
	return items, wrap("read past catalogue", err)
}

// droppedTogether is how many rows of past catalogues are dropped in one transaction: no import waits for more.
const droppedTogether = 5000

// DropCatalogVersions drops the versions of the catalogue that were replaced before that time. It returns how many
// rows that were.
func (db *Database) DropCatalogVersions(ctx context.Context, before time.Time) (n int64, err error) {
	for {
		some, err := db.dropCatalogVersions(ctx, before, droppedTogether)
		if n += some; err != nil || some < droppedTogether {
			return n, wrap("drop versions of the catalogue", err)
		}
	}
}

func (db *Database) dropCatalogVersions(ctx context.Context, before time.Time, most int) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err = db.pool.QueryRow(ctx, `SELECT item_versions_drop($1, $2)`, before, most).Scan(&n)
	return n, err
}
