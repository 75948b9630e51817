package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// PopularityVersion returns a text that is another one after every batch of feedback that the consumer group
// has stored. Nothing else changes what popularity says, so it need be read again only then.
func (db *Database) PopularityVersion(ctx context.Context, feedbackGroup string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	var version string
	err := db.pool.QueryRow(ctx, `SELECT coalesce(string_agg(concat_ws(' ', topic, partition, next_offset, updated_at), ', '
		ORDER BY topic, partition), '') FROM stream_offsets WHERE group_name = $1`, feedbackGroup).Scan(&version)
	return version, wrap("read popularity version", err)
}

// What fades below leastPopularity counts for nothing. maxPopularity bounds what an instance holds of the rest: some
// hundred bytes a row.
const (
	leastPopularity = 0.01
	maxPopularity   = 1_000_000
)

// faded is what is left of a row's weight at the time of the latest outcome of all; $1 is the half-life in seconds.
// Where nothing happens, nothing fades. Two to the power of less than -100 could underflow.
const faded = `p.weight * power(2, greatest(-100, least(0, extract(epoch FROM p.as_of - latest.at)::float8 / $1)))`

// Popularity returns how much each item was watched in each context, the largest counts first and in an order that
// is always the same. What has faded away, by the half-life, is left out, and so is what is beyond a million.
func (db *Database) Popularity(ctx context.Context, halfLife time.Duration) ([]schemas.ItemPopularity, error) {
	return db.popularity(ctx, halfLife, maxPopularity)
}

func (db *Database) popularity(ctx context.Context, halfLife time.Duration, limit int) ([]schemas.ItemPopularity, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*db.timeout)
	defer cancel()
	rows, _ := db.pool.Query(ctx, // CollectRows has its error
		`SELECT mood, group_size, session_length, item_id, weight, as_of
		 FROM popularity p, (SELECT max(as_of) AS at FROM popularity) latest
		 WHERE `+faded+` >= $2
		 ORDER BY `+faded+` DESC, mood, group_size, session_length, item_id LIMIT $3`,
		halfLife.Seconds(), leastPopularity, limit)
	list, err := pgx.CollectRows(rows, scanPopularity)
	return list, wrap("read popularity", err)
}

func scanPopularity(row pgx.CollectableRow) (p schemas.ItemPopularity, err error) {
	var mood, group, session string
	err = row.Scan(&mood, &group, &session, &p.ItemID, &p.Weight, &p.AsOf)
	p.Context, p.AsOf = parseContext(mood, group, session), p.AsOf.UTC()
	return p, err
}

// parseContext is the reverse of the values' names; a name that is none is unknown.
func parseContext(mood, group, session string) (c schemas.Context) {
	c.Mood, _ = schemas.ParseMood(mood)
	c.GroupSize, _ = schemas.ParseGroupSize(group)
	c.SessionLength, _ = schemas.ParseSessionLength(session)
	return c
}

// DropPopularity deletes what has faded away, by the half-life, and what is of items that the catalogue does not have,
// and returns how many counts that were. It goes one context at a time and passes over rows that feedback holds, so
// that it waits for nobody and nobody waits long for it; they are taken the next time.
func (db *Database) DropPopularity(ctx context.Context, halfLife time.Duration) (int64, error) {
	total := int64(0)
	var latest *time.Time // nil where there is nothing
	err := db.pool.QueryRow(ctx, `SELECT max(as_of) FROM popularity`).Scan(&latest)
	if err != nil || latest == nil {
		return 0, wrap("drop popularity", err)
	}
	for c := range allContexts {
		gone, err := db.dropPopularityOf(ctx, c, *latest, halfLife)
		if err != nil {
			return total, wrap("drop popularity", err)
		}
		total += gone
	}
	return total, nil
}

func (db *Database) dropPopularityOf(ctx context.Context, c schemas.Context, latest time.Time, halfLife time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	gone, err := db.pool.Exec(ctx,
		`WITH gone AS (
			SELECT p.ctid FROM popularity p, (SELECT $3::timestamptz AS at) latest
			WHERE mood = $4 AND group_size = $5 AND session_length = $6
				AND (`+faded+` < $2 OR NOT EXISTS (SELECT FROM items i WHERE i.id = p.item_id))
			FOR UPDATE OF p SKIP LOCKED)
		 DELETE FROM popularity WHERE ctid IN (SELECT ctid FROM gone)`,
		halfLife.Seconds(), leastPopularity, latest, c.Mood.String(), c.GroupSize.String(), c.SessionLength.String())
	return gone.RowsAffected(), err
}

// allContexts yields every context.
func allContexts(yield func(schemas.Context) bool) {
	for mood := range schemas.NumMoods {
		for group := range schemas.NumGroupSizes {
			for session := range schemas.NumSessionLengths {
				if !yield(schemas.Context{Mood: mood, GroupSize: group, SessionLength: session}) {
					return
				}
			}
		}
	}
}
