package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// EditorialVersion returns a text that is another one after every change of the editorial lists.
func (db *Database) EditorialVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	var version string
	err := db.pool.QueryRow(ctx, // the lists are few, so their content is their version
		`SELECT encode(sha256(convert_to(coalesce(string_agg(l::text, ' ' ORDER BY l.name), ''), 'UTF8')), 'hex')
		 FROM editorial_lists l`).Scan(&version)
	return version, wrap("read version of editorial lists", err)
}

// EditorialLists returns all editorial lists: the larger priority first, then by name, by bytes.
func (db *Database) EditorialLists(ctx context.Context) ([]schemas.EditorialList, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, _ := db.pool.Query(ctx, // CollectRows has its error
		`SELECT name, coalesce(mood, ''), coalesce(group_size, ''), coalesce(session_length, ''), starts_at, ends_at, priority, item_ids
		 FROM editorial_lists ORDER BY priority DESC, name COLLATE "C"`)
	list, err := pgx.CollectRows(rows, scanEditorial)
	return list, wrap("read editorial lists", err)
}

func scanEditorial(row pgx.CollectableRow) (l schemas.EditorialList, err error) {
	var mood, group, session string
	var starts, ends *time.Time
	err = row.Scan(&l.Name, &mood, &group, &session, &starts, &ends, &l.Priority, &l.ItemIDs)
	l.Context = parseContext(mood, group, session)
	if starts != nil {
		l.StartsAt = starts.UTC()
	}
	if ends != nil {
		l.EndsAt = ends.UTC()
	}
	return l, err
}

const upsertEditorial = `INSERT INTO editorial_lists AS l (name, mood, group_size, session_length, starts_at, ends_at, priority, item_ids)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
	ON CONFLICT (name) DO UPDATE SET mood = excluded.mood, group_size = excluded.group_size,
		session_length = excluded.session_length, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
		priority = excluded.priority, item_ids = excluded.item_ids, changed_at = now()`

// ImportEditorial stores lists, replacing those of the same names, in one transaction. With replaceAll every
// other list is removed; it returns how many were. progress, if not nil, is told the number of lists that were
// stored so far.
func (db *Database) ImportEditorial(ctx context.Context, lists []schemas.EditorialList, replaceAll bool, progress func(done int)) (removed int, err error) {
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		// One after the other: imports whose lists have the same names in another order would be in each other's way.
		if _, err := tx.Exec(ctx, `LOCK TABLE editorial_lists IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		names := make([]string, len(lists))
		for i := range lists {
			l := &lists[i]
			names[i] = l.Name
			_, err := tx.Exec(ctx, upsertEditorial, l.Name, textOrNull(l.Mood.String()), textOrNull(l.GroupSize.String()),
				textOrNull(l.SessionLength.String()), timeOrNull(l.StartsAt), timeOrNull(l.EndsAt), l.Priority, l.ItemIDs)
			if err != nil {
				return err
			}
			if progress != nil {
				progress(i + 1)
			}
		}
		if !replaceAll {
			return nil
		}
		gone, err := tx.Exec(ctx, `DELETE FROM editorial_lists WHERE name <> ALL($1)`, names)
		removed = int(gone.RowsAffected())
		return err
	})
	return removed, wrap("import editorial lists", err)
}

// ErrNoEditorialList says that there is no editorial list of that name.
var ErrNoEditorialList = errors.New("there is no such editorial list")

// DeleteEditorial removes a list. The error is ErrNoEditorialList where there is none of that name.
func (db *Database) DeleteEditorial(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	gone, err := db.pool.Exec(ctx, `DELETE FROM editorial_lists WHERE name = $1`, name)
	if err == nil && gone.RowsAffected() == 0 {
		return ErrNoEditorialList
	}
	return wrap("remove editorial list", err)
}

// UnknownItems returns those of the ids that the catalogue does not have, in their order.
func (db *Database) UnknownItems(ctx context.Context, ids []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, _ := db.pool.Query(ctx, // CollectRows has its error
		`SELECT e.id FROM unnest($1::text[]) WITH ORDINALITY AS e (id, place)
		 WHERE NOT EXISTS (SELECT FROM items i WHERE i.id = e.id) ORDER BY e.place`, ids)
	unknown, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return unknown, wrap("look up items", err)
}
