package postgres

import (
	"context"
	"time"
)

// Partitions says how many of the ledger's day partitions to keep.
type Partitions struct {
	Ahead     int           // days after today that are made ahead of time
	Retention time.Duration // days wholly older than that are dropped; 0 keeps all
}

// MaintainPartitions makes the ledger's partitions from the day of now on and drops those past their
// retention. It returns how many it made and the names of those that it dropped.
func (db *Database) MaintainPartitions(ctx context.Context, now time.Time, p Partitions) (made int, dropped []string, err error) {
	for day := 0; day <= p.Ahead; day++ {
		isNew, err := db.createPartition(ctx, utcDay(now).AddDate(0, 0, day))
		if err != nil {
			return made, nil, wrap("create partition", err)
		}
		if isNew {
			made++
		}
	}
	if p.Retention > 0 {
		dropped, err = db.dropPartitions(ctx, now.Add(-p.Retention))
	}
	return made, dropped, wrap("drop partitions", err)
}

func (db *Database) createPartition(ctx context.Context, at time.Time) (made bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err = db.pool.QueryRow(ctx, `SELECT decisions_create_partition($1)`, utcDay(at)).Scan(&made)
	return made, err
}

// dropPartitions drops the partitions of the days that ended by then.
func (db *Database) dropPartitions(ctx context.Context, until time.Time) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, err := db.pool.Query(ctx, `SELECT decisions_drop_partitions($1)`, utcDay(until))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func utcDay(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
