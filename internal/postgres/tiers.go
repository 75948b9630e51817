package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// TierChange is a change of an instance's circuit breaker: it stopped trusting a tier, or does again.
type TierChange struct {
	At       time.Time
	Instance string
	Tier     schemas.Tier
	Model    *schemas.ModelRef // that the tier ranked by, registered; nil for none
	From, To string            // closed, open, half_open or drifted
	Reason   schemas.Reason    // of the failure that led to it; "" for none
}

// RecordTierChange stores a change.
func (db *Database) RecordTierChange(ctx context.Context, c TierChange) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	var model *int32
	if c.Model != nil && c.Model.ID != 0 { // 0 is one that was served before the table could be asked
		model = &c.Model.ID
	}
	_, err := db.pool.Exec(ctx, `INSERT INTO tier_changes (at, instance, tier, model_id, from_state, to_state, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		c.At, c.Instance, c.Tier, model, c.From, c.To, textOrNull(string(c.Reason)))
	return wrap("record tier change", err)
}

// TierChanges returns the latest changes of all instances, the latest first.
func (db *Database) TierChanges(ctx context.Context, limit int) ([]TierChange, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, _ := db.pool.Query(ctx, // CollectRows has its error
		`SELECT c.at, c.instance, c.tier, c.model_id, m.name, m.version, m.sha256, c.from_state, c.to_state, coalesce(c.reason, '')
		 FROM tier_changes c LEFT JOIN models m ON m.id = c.model_id ORDER BY c.at DESC, c.id DESC LIMIT $1`, limit)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c TierChange, err error) {
		var id *int32
		var name, version, sum *string
		err = row.Scan(&c.At, &c.Instance, &c.Tier, &id, &name, &version, &sum, &c.From, &c.To, &c.Reason)
		c.At = c.At.UTC()
		if id != nil {
			c.Model = &schemas.ModelRef{ID: *id, Name: deref(name), Version: deref(version), SHA256: deref(sum)}
		}
		return c, err
	})
	return list, wrap("read tier changes", err)
}

// DropTierChanges deletes the changes before that time and returns how many.
func (db *Database) DropTierChanges(ctx context.Context, before time.Time) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	gone, err := db.pool.Exec(ctx, `DELETE FROM tier_changes WHERE at < $1`, before)
	return gone.RowsAffected(), wrap("drop tier changes", err)
}
