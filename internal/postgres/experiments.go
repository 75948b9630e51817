package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// Experiment is a row of the experiments table.
type Experiment struct {
	Name      string
	Spec      []byte // JSON
	Running   bool
	ChangedAt time.Time
}

// Experiments returns all experiments by name.
func (db *Database) Experiments(ctx context.Context) ([]Experiment, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, err := db.pool.Query(ctx, `SELECT name, spec::text, running, changed_at FROM experiments ORDER BY name`)
	if err != nil {
		return nil, wrap("read experiments", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Experiment, err error) {
		var spec string
		err = row.Scan(&e.Name, &spec, &e.Running, &e.ChangedAt)
		e.Spec, e.ChangedAt = []byte(spec), e.ChangedAt.UTC()
		return e, err
	})
	return list, wrap("read experiments", err)
}

// What ChangeExperiment may find.
var (
	ErrExperimentRunning = errors.New("the experiment is running")
	ErrExperimentStopped = errors.New("there is no such running experiment")
)

// StartExperiment stores and starts an experiment. One that is running must be stopped first.
func (db *Database) StartExperiment(ctx context.Context, name string, spec []byte, actor, why string) error {
	return db.changeExperiment(ctx, "start", ErrExperimentRunning, name, actor, why,
		`INSERT INTO experiments (name, spec, running) VALUES ($1, $2::jsonb, true)
		 ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, running = true, changed_at = now()
		 WHERE NOT experiments.running RETURNING spec::text`, name, string(spec))
}

// StopExperiment stops a running experiment.
func (db *Database) StopExperiment(ctx context.Context, name, actor, why string) error {
	return db.changeExperiment(ctx, "stop", ErrExperimentStopped, name, actor, why,
		`UPDATE experiments SET running = false, changed_at = now() WHERE name = $1 AND running RETURNING spec::text`, name)
}

// changeExperiment runs the statement, which returns the spec of the row that it changed, and writes the log.
func (db *Database) changeExperiment(ctx context.Context, action string, none error, name, actor, why, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		// One after the other: DeploymentVersion goes by the last number, so none may be committed after a later one.
		if _, err := tx.Exec(ctx, `LOCK TABLE experiment_changes IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		var spec string
		err := tx.QueryRow(ctx, statement, args...).Scan(&spec)
		if errors.Is(err, pgx.ErrNoRows) {
			return none
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO experiment_changes (actor, name, action, spec, why) VALUES ($1, $2, $3, $4::jsonb, $5)`,
			actor, name, action, spec, why)
		return err
	})
	if errors.Is(err, none) {
		return fmt.Errorf("%s experiment %q: %w", action, name, none)
	}
	return wrap(action+" experiment", err)
}

// DeploymentVersion returns a text that is another one after every change of the active model or of an
// experiment, and in another database.
func (db *Database) DeploymentVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	var version string
	err := db.pool.QueryRow(ctx, `SELECT concat_ws(' ',
		(SELECT concat_ws(' ', c.id, c.at, m.id, m.sha256) FROM model_changes c JOIN models m ON m.id = c.to_id ORDER BY c.id DESC LIMIT 1), '/',
		(SELECT concat_ws(' ', id, at) FROM experiment_changes ORDER BY id DESC LIMIT 1))`).Scan(&version)
	return version, wrap("read deployment version", err)
}

// RecordShadows stores shadow decisions. Experiment names the shadow; of what is stored already nothing is
// changed.
func (db *Database) RecordShadows(ctx context.Context, list []*schemas.Decision) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	done, err := db.inBackground(ctx)
	if err != nil {
		return wrap("record shadow decisions", err)
	}
	defer done()
	batch := new(pgx.Batch)
	batch.Queue(fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockTimeout.Milliseconds()))
	for _, d := range list {
		var model *int32
		if d.Model != nil {
			model = &d.Model.ID
		}
		ids, predictions, scores := columnsOf(d.Items)
		batch.Queue(`INSERT INTO shadow_decisions (request_id, experiment, variant, scored_at, tier, degraded,
			model_id, config_version, item_ids, predictions, scores)
			VALUES ($1, $2, $3, $4, $5, coalesce($6, '{}'::text[]), $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
			d.RequestID, d.Experiment.Name, d.Experiment.Variant, d.ScoredAt, d.Tier, d.Degraded,
			model, d.ConfigVersion, ids, predictions, scores)
	}
	return wrap("record shadow decisions", db.pool.SendBatch(ctx, batch).Close())
}

func columnsOf(items []schemas.ScoredItem) (ids []string, predictions []*float64, scores []float64) {
	ids, predictions, scores = make([]string, len(items)), make([]*float64, len(items)), make([]float64, len(items))
	for i := range items {
		ids[i], scores[i] = items[i].ItemID, items[i].Score
		if p := items[i].Prediction; p == p {
			predictions[i] = &p
		}
	}
	return ids, predictions, scores
}

// dropChunk is how many shadow decisions are deleted at once.
const dropChunk = 20_000

// DropShadows deletes the shadow decisions of requests that were scored before that time, some at once so that a
// large arrear is worked off as well. It returns how many.
func (db *Database) DropShadows(ctx context.Context, before time.Time) (total int64, err error) {
	for {
		n, err := db.dropShadows(ctx, before)
		total += n
		if err != nil || n < dropChunk {
			return total, wrap("drop shadow decisions", err)
		}
	}
}

func (db *Database) dropShadows(ctx context.Context, before time.Time) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	gone, err := db.pool.Exec(ctx, `DELETE FROM shadow_decisions WHERE ctid = ANY(ARRAY(
		SELECT ctid FROM shadow_decisions WHERE scored_at < $1 LIMIT $2))`, before, dropChunk)
	return gone.RowsAffected(), err
}
