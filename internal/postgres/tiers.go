package postgres

import (
	"context"
	"time"

	"recstream/schemas"
)

// TierChange is a change of an instance's circuit breaker: it stopped trusting a tier, or does again.
type TierChange struct {
	At       time.Time
	Instance string
	Tier     schemas.Tier
	Model    *schemas.ModelRef // that the tier ranked by, registered; nil for none
	Variant  string            // experiment/variant of one with a ladder of its own; "" for all others
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
	_, err := db.pool.Exec(ctx, `INSERT INTO tier_changes (at, instance, tier, model_id, variant, from_state, to_state, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.At, c.Instance, c.Tier, model, textOrNull(c.Variant), c.From, c.To, textOrNull(string(c.Reason)))
	return wrap("record tier change", err)
}

// DropTierChanges deletes the changes before that time and returns how many.
func (db *Database) DropTierChanges(ctx context.Context, before time.Time) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	gone, err := db.pool.Exec(ctx, `DELETE FROM tier_changes WHERE at < $1`, before)
	return gone.RowsAffected(), wrap("drop tier changes", err)
}
