package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// ModelInfo is what the models table says of a model beside its reference.
type ModelInfo struct {
	Format                               string
	Features, UserFeatures, PairFeatures []string // names, in order
}

// RegisterModel returns the model's id in the models table, adding it where it is new. What the table says of a
// model is not changed any more: rows of the ledger are read by it.
func (db *Database) RegisterModel(ctx context.Context, ref schemas.ModelRef, info ModelInfo) (int32, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	var id int32
	err := db.pool.QueryRow(ctx, `INSERT INTO models (name, version, sha256, format, features, user_features, pair_features)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (name, version, sha256) DO UPDATE
		SET format = coalesce(models.format, excluded.format), features = coalesce(models.features, excluded.features),
			user_features = coalesce(models.user_features, excluded.user_features),
			pair_features = coalesce(models.pair_features, excluded.pair_features) RETURNING id`,
		ref.Name, ref.Version, ref.SHA256, info.Format, info.Features, info.UserFeatures, info.PairFeatures).Scan(&id)
	return id, wrap("register model", err)
}

// The actions of model changes.
const (
	ActionActivate = "activate"
	ActionRollback = "rollback"
)

// ModelChange is a change of the active model.
type ModelChange struct {
	ID       int64
	At       time.Time
	Actor    string
	Action   string
	From, To *schemas.ModelRef // From is nil for the first
	Why      string
	ServedAt time.Time // when an instance first served with To; zero is never
}

const selectChanges = `SELECT c.id, c.at, c.actor, c.action, c.why, c.served_at,
	f.id, f.name, f.version, f.sha256, t.id, t.name, t.version, t.sha256
	FROM model_changes c LEFT JOIN models f ON f.id = c.from_id JOIN models t ON t.id = c.to_id `

// ModelChanges returns the latest changes of the active model, the latest first.
func (db *Database) ModelChanges(ctx context.Context, limit int) ([]ModelChange, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, err := db.pool.Query(ctx, selectChanges+`ORDER BY c.id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, wrap("read model changes", err)
	}
	list, err := pgx.CollectRows(rows, scanChange)
	return list, wrap("read model changes", err)
}

// ActiveModel returns the change that made the active model, nil where none was ever activated.
func (db *Database) ActiveModel(ctx context.Context) (*ModelChange, error) {
	list, err := db.ModelChanges(ctx, 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// PreviousModel returns the last model that served well before the active one and is another one, nil if there
// is none. One that was left by a rollback did not serve well, until it is activated again.
func (db *Database) PreviousModel(ctx context.Context) (*schemas.ModelRef, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, err := db.pool.Query(ctx, selectChanges+`WHERE c.served_at IS NOT NULL
		AND c.to_id <> (SELECT to_id FROM model_changes ORDER BY id DESC LIMIT 1)
		AND NOT EXISTS (SELECT FROM model_changes r WHERE r.id > c.id AND r.action = 'rollback' AND r.from_id = c.to_id)
		ORDER BY c.id DESC LIMIT 1`)
	if err != nil {
		return nil, wrap("read previous model", err)
	}
	list, err := pgx.CollectRows(rows, scanChange)
	if err != nil || len(list) == 0 {
		return nil, wrap("read previous model", err)
	}
	return list[0].To, nil
}

func scanChange(row pgx.CollectableRow) (ModelChange, error) {
	var (
		c                  ModelChange
		served             *time.Time
		id                 *int32
		name, version, sum *string
	)
	c.To = new(schemas.ModelRef)
	err := row.Scan(&c.ID, &c.At, &c.Actor, &c.Action, &c.Why, &served, &id, &name, &version, &sum,
		&c.To.ID, &c.To.Name, &c.To.Version, &c.To.SHA256)
	if served != nil {
		c.ServedAt = served.UTC()
	}
	if id != nil {
		c.From = &schemas.ModelRef{ID: *id, Name: deref(name), Version: deref(version), SHA256: deref(sum)}
	}
	c.At = c.At.UTC()
	return c, err
}

// ErrModelChanged says that the active model is not the one that a change was to start from.
var ErrModelChanged = errors.New("the active model was changed meanwhile")

// ChangeModel makes c.To, which is registered, the active model. From is the change that the caller saw as the
// latest, 0 for none: where there is a later one, nothing is changed and the error is ErrModelChanged.
func (db *Database) ChangeModel(ctx context.Context, from int64, c ModelChange) (id int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE model_changes IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		var latest int64
		var active *int32
		err := tx.QueryRow(ctx, `SELECT id, to_id FROM model_changes ORDER BY id DESC LIMIT 1`).Scan(&latest, &active)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if latest != from {
			return ErrModelChanged
		}
		return tx.QueryRow(ctx, `INSERT INTO model_changes (actor, action, from_id, to_id, why)
			VALUES ($1, $2, $3, $4, $5) RETURNING id`, c.Actor, c.Action, active, c.To.ID, c.Why).Scan(&id)
	})
	if errors.Is(err, ErrModelChanged) {
		return 0, err
	}
	return id, wrap(fmt.Sprintf("%s model", c.Action), err)
}

// MarkServed notes that an instance serves with the model of that change.
func (db *Database) MarkServed(ctx context.Context, change int64) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	_, err := db.pool.Exec(ctx, `UPDATE model_changes SET served_at = now() WHERE id = $1 AND served_at IS NULL`, change)
	return wrap("mark model served", err)
}
