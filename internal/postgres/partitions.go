package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The tables that are partitioned by day. Each has a pair of functions in the schema that makes and drops them.
const (
	tableDecisions       = "decisions"
	tableOutcomes        = "outcomes"
	tableProfileVersions = "profile_versions"
)

// Partitions says how many day partitions of decisions, of outcomes and of past profiles to keep.
type Partitions struct {
	Ahead     int           // days after today that are made ahead of time
	Retention time.Duration // days wholly older than that are dropped; 0 keeps all
}

// MaintainPartitions makes the partitions from the day of now on and drops those past their retention. It
// returns how many it made and the names of those that it dropped.
func (db *Database) MaintainPartitions(ctx context.Context, now time.Time, p Partitions) (made int, dropped []string, err error) {
	tables := []string{tableDecisions, tableOutcomes, tableProfileVersions}
	for _, table := range tables {
		for day := 0; day <= p.Ahead; day++ {
			isNew, err := db.createPartition(ctx, table, utcDay(now).AddDate(0, 0, day))
			if err != nil {
				return made, nil, wrap("create partition", err)
			}
			if isNew {
				made++
			}
		}
	}
	if p.Retention == 0 {
		return made, nil, nil
	}
	var errs []error
	for _, table := range tables { // the readers of one do not keep the other
		until := now.Add(-p.Retention)
		if table == tableProfileVersions {
			until = until.AddDate(0, 0, -1) // the oldest decisions may be of versions that were replaced the day before
		}
		names, err := db.dropPartitions(ctx, table, until)
		dropped = append(dropped, names...)
		errs = append(errs, err)
	}
	return made, dropped, wrap("drop partitions", errors.Join(errs...))
}

func (db *Database) createPartition(ctx context.Context, table string, at time.Time) (made bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err = db.pool.QueryRow(ctx, fmt.Sprintf(`SELECT %s_create_partition($1)`, table), utcDay(at)).Scan(&made)
	return made, err
}

// errMissingPartition says that the partition of the batch's day was missing. It is there by now, or will be.
var errMissingPartition = errors.New("the partition of the day was missing; it has been added for the next attempt")

// addMissingPartition makes the partitions that the day of a batch lacks and returns errMissingPartition. It never
// blames the batch: where there is nothing to make, another instance was quicker.
func (db *Database) addMissingPartition(ctx context.Context, at time.Time, tables ...string) error {
	for _, table := range tables {
		if _, err := db.createPartition(ctx, table, at); err != nil {
			return fmt.Errorf("add partition: %w", err)
		}
	}
	return errMissingPartition
}

// dropPartitions drops the table's partitions of the days that ended by then.
func (db *Database) dropPartitions(ctx context.Context, table string, until time.Time) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, err := db.pool.Query(ctx, fmt.Sprintf(`SELECT %s_drop_partitions($1)`, table), utcDay(until))
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
