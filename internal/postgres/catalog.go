package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// CatalogVersion returns the version of the catalogue: it grows with every statement that changes items.
func (db *Database) CatalogVersion(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	var version int64
	err := db.pool.QueryRow(ctx, `SELECT version FROM catalog_version`).Scan(&version)
	return version, wrap("read catalogue version", err)
}

// CountItems returns the number of items in the catalogue, hidden ones included.
func (db *Database) CountItems(ctx context.Context) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err = db.pool.QueryRow(ctx, `SELECT count(*) FROM items`).Scan(&n)
	return n, wrap("count items", err)
}

// Catalog returns all items, ordered by id, with the version that they are of.
func (db *Database) Catalog(ctx context.Context) (items []schemas.Item, version int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*db.timeout)
	defer cancel()
	// Both reads see one snapshot, so that the version is that of the items.
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, db.pool, options, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT version FROM catalog_version`).Scan(&version); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectItems+inOrder)
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, scanItem)
		return err
	})
	return items, version, wrap("read catalogue", err)
}

// Item returns an item of the catalogue, hidden and expired ones included, nil where there is none with that id.
func (db *Database) Item(ctx context.Context, id string) (*schemas.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, _ := db.pool.Query(ctx, selectItems+`WHERE id = $1`, id) // CollectExactlyOneRow has its error
	item, err := pgx.CollectExactlyOneRow(rows, scanItem)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("read item", err)
	}
	return &item, nil
}

// inOrder is by bytes, so that the order is the same whatever the database's collation.
const inOrder = `ORDER BY id COLLATE "C"`

const selectItems = `SELECT id, title, genres, coalesce(duration_min, 0), coalesce(year, 0)::float8,
	coalesce(popularity, 0), added_at, expires_at, hidden, suitability, coalesce(franchise, ''), tags
	FROM items `

func scanItem(row pgx.CollectableRow) (schemas.Item, error) {
	var (
		it          schemas.Item
		expires     *time.Time
		suitability []string
	)
	err := row.Scan(&it.ID, &it.Title, &it.Genres, &it.DurationMin, &it.Year, &it.Popularity,
		&it.AddedAt, &expires, &it.Hidden, &suitability, &it.Franchise, &it.Tags)
	if expires != nil {
		it.ExpiresAt = expires.UTC()
	}
	it.AddedAt = it.AddedAt.UTC()
	for _, name := range suitability {
		if g, ok := schemas.ParseGroupSize(name); ok {
			it.Suitability = append(it.Suitability, g)
		}
	}
	return it, err
}

// ImportItems adds the items to the catalogue, replacing those whose ids are there, in one transaction.
// progress, if not nil, is told the number of items that were sent so far. The last of several items with
// one id wins. An item without AddedAt keeps the stored one, or gets the time of the import.
func (db *Database) ImportItems(ctx context.Context, items []schemas.Item, progress func(done int)) error {
	err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE import
			(n integer, LIKE items) ON COMMIT DROP; ALTER TABLE import ALTER added_at DROP NOT NULL`); err != nil {
			return err
		}
		n := 0
		next := func() ([]any, error) {
			if n == len(items) {
				return nil, nil
			}
			n++
			if progress != nil && (n%1000 == 0 || n == len(items)) {
				progress(n)
			}
			return importRow(n, &items[n-1]), nil
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"import"}, importColumns, pgx.CopyFromFunc(next)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, mergeImport)
		return err
	})
	return wrap("import items", err)
}

var importColumns = []string{"n", "id", "title", "genres", "duration_min", "year", "popularity",
	"added_at", "expires_at", "hidden", "suitability", "franchise", "tags"}

// mergeImport reads each table once: a look-up for each item would make a large import quadratic.
const mergeImport = `
	INSERT INTO items (id, title, genres, duration_min, year, popularity, added_at, expires_at, hidden, suitability, franchise, tags)
	SELECT DISTINCT ON (n.id) n.id, n.title, n.genres, n.duration_min, n.year, n.popularity,
		coalesce(n.added_at, i.added_at, now()), n.expires_at, n.hidden, n.suitability, n.franchise, n.tags
	FROM import n LEFT JOIN items i ON i.id = n.id ORDER BY n.id, n.n DESC
	ON CONFLICT (id) DO UPDATE SET title = excluded.title, genres = excluded.genres, duration_min = excluded.duration_min,
		year = excluded.year, popularity = excluded.popularity, added_at = excluded.added_at, expires_at = excluded.expires_at,
		hidden = excluded.hidden, suitability = excluded.suitability, franchise = excluded.franchise,
		tags = excluded.tags`

func importRow(n int, it *schemas.Item) []any {
	suitability := make([]string, len(it.Suitability))
	for i, g := range it.Suitability {
		suitability[i] = g.String()
	}
	var year *int32
	if it.Year != 0 {
		y := int32(it.Year)
		year = &y
	}
	return []any{int32(n), it.ID, it.Title, notNil(it.Genres), positiveOrNull(it.DurationMin), year, positiveOrNull(it.Popularity),
		timeOrNull(it.AddedAt), timeOrNull(it.ExpiresAt), it.Hidden, suitability, textOrNull(it.Franchise), notNil(it.Tags)}
}

// notNil returns an empty list for nil, which would be null.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func positiveOrNull(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return &v
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
