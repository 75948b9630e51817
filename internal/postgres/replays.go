package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// ReplayState says how a replay stands.
type ReplayState string

// The states of a replay.
const (
	ReplayRunning   ReplayState = "running" // or killed: its partitions tell when they were stored last
	ReplayPaused    ReplayState = "paused"
	ReplayDone      ReplayState = "done"
	ReplayCancelled ReplayState = "cancelled"
)

// Replay is a row of the replays table, with its partitions by number.
type Replay struct {
	RunID      int32
	State      ReplayState
	CreatedAt  time.Time // scored_at of all its decisions
	CreatedBy  string
	Why        string
	Topic      string
	Owner      string    // who works on it, or did last
	Plan       []byte    // JSON
	Report     []byte    // JSON; nil before it is done
	FinishedAt time.Time // zero before it is done
	Partitions []ReplayPartition
}

// ReplayPartition is a range of offsets of one partition, and how far a replay has come in it.
type ReplayPartition struct {
	Partition int
	From, To  int64 // offsets: the first, and after the last
	Next      int64 // of the first event that is still to be read
	Figures   []byte
	UpdatedAt time.Time
}

// replayError is how a replay is found to be.
type replayError string

func (e replayError) Error() string { return string(e) }

// Transient is false: somebody meant it so.
func (e replayError) Transient() bool { return false }

// What a replay may be found to be.
const (
	// ErrNoReplay says that there is no replay of that number, or not any more.
	ErrNoReplay replayError = "there is no such replay"

	// ErrReplayOver says that a replay is done or cancelled.
	ErrReplayOver replayError = "the replay is done or cancelled"

	// ErrReplayNotOver says that a replay is neither done nor cancelled.
	ErrReplayNotOver replayError = "the replay is neither done nor cancelled"

	// ErrReplayTaken says that a replay is not this process's any more: it was paused, cancelled, or resumed by
	// another process. Nothing was stored.
	ErrReplayTaken replayError = "the replay was paused, cancelled or taken over"
)

// CreateReplay stores a replay that is about to run, for owner, and returns it with its number. The ledger has the
// partition of its time then.
func (db *Database) CreateReplay(ctx context.Context, r Replay, owner string) (*Replay, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	if _, err := db.createPartition(ctx, tableDecisions, r.CreatedAt); err != nil {
		return nil, wrap("create replay", err)
	}
	err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `INSERT INTO replays (created_at, created_by, why, topic, plan, owner)
			VALUES ($1, $2, $3, $4, $5, $6) RETURNING run_id`,
			r.CreatedAt, r.CreatedBy, r.Why, r.Topic, r.Plan, owner).Scan(&r.RunID)
		if err != nil {
			return err
		}
		var batch pgx.Batch
		for _, p := range r.Partitions {
			batch.Queue(`INSERT INTO replay_partitions (run_id, partition, from_offset, to_offset, next_offset)
				VALUES ($1, $2, $3, $4, $3)`, r.RunID, p.Partition, p.From, p.To)
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return nil, wrap("create replay", err)
	}
	return db.Replay(ctx, r.RunID)
}

// Replay returns a replay. The error is ErrNoReplay where there is none of that number.
func (db *Database) Replay(ctx context.Context, run int32) (*Replay, error) {
	list, err := db.replays(ctx, `WHERE r.run_id = $1`, run)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNoReplay
	}
	return &list[0], nil
}

// Replays returns all replays, the latest first.
func (db *Database) Replays(ctx context.Context) ([]Replay, error) { return db.replays(ctx, ``) }

func (db *Database) replays(ctx context.Context, where string, args ...any) ([]Replay, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, err := db.pool.Query(ctx, `SELECT r.run_id, r.state, r.created_at, r.created_by, r.why, r.topic, r.owner, r.plan, r.report,
			r.finished_at, p.partition, p.from_offset, p.to_offset, p.next_offset, p.figures, p.updated_at
		FROM replays r JOIN replay_partitions p USING (run_id) `+where+` ORDER BY r.run_id DESC, p.partition`, args...)
	if err != nil {
		return nil, wrap("read replays", err)
	}
	list, err := collectReplays(rows)
	return list, wrap("read replays", err)
}

// collectReplays reads rows of which there is one a partition.
func collectReplays(rows pgx.Rows) (list []Replay, err error) {
	defer rows.Close()
	for rows.Next() {
		var r Replay
		var p ReplayPartition
		var finished *time.Time
		err := rows.Scan(&r.RunID, &r.State, &r.CreatedAt, &r.CreatedBy, &r.Why, &r.Topic, &r.Owner, &r.Plan, &r.Report, &finished,
			&p.Partition, &p.From, &p.To, &p.Next, &p.Figures, &p.UpdatedAt)
		if err != nil {
			return nil, err
		}
		if n := len(list); n == 0 || list[n-1].RunID != r.RunID {
			r.CreatedAt = r.CreatedAt.UTC()
			if finished != nil {
				r.FinishedAt = finished.UTC()
			}
			list = append(list, r)
		}
		p.UpdatedAt = p.UpdatedAt.UTC()
		last := &list[len(list)-1]
		last.Partitions = append(last.Partitions, p)
	}
	return list, rows.Err()
}

// ClaimReplay makes owner the one who works on a replay, and the replay a running one, whoever worked on it before.
// The error is ErrNoReplay, or ErrReplayOver.
func (db *Database) ClaimReplay(ctx context.Context, run int32, owner string) (*Replay, error) {
	err := db.changeReplay(ctx, run, `UPDATE replays SET state = 'running', owner = $2
		WHERE run_id = $1 AND state IN ('running', 'paused')`, run, owner)
	if err != nil {
		return nil, err
	}
	return db.Replay(ctx, run)
}

// PauseReplay makes whoever works on a replay stop. With an owner it does so only while it is theirs: "" is
// whoever's. The error is ErrNoReplay, or ErrReplayOver.
func (db *Database) PauseReplay(ctx context.Context, run int32, owner string) error {
	return db.changeReplay(ctx, run, `UPDATE replays SET state = 'paused'
		WHERE run_id = $1 AND state IN ('running', 'paused') AND $2 IN ('', owner)`, run, owner)
}

// CancelReplay makes whoever works on a replay stop, for good. The error is ErrNoReplay, or ErrReplayOver.
func (db *Database) CancelReplay(ctx context.Context, run int32) error {
	return db.changeReplay(ctx, run, `UPDATE replays SET state = 'cancelled' WHERE run_id = $1 AND state <> 'done'`, run)
}

// changeReplay runs a statement that changes one replay.
func (db *Database) changeReplay(ctx context.Context, run int32, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	changed, err := db.pool.Exec(ctx, statement, args...)
	if err != nil {
		return wrap("change replay", err)
	}
	if changed.RowsAffected() > 0 {
		return nil
	}
	if _, err := db.Replay(ctx, run); err != nil {
		return err
	}
	return ErrReplayOver
}

// deletedTogether is how many rows of a replay are deleted in one transaction.
const deletedTogether = 5000

// Rows of a replay are deleted in the order of a key that they are found by, so that each statement goes on where the
// one before has ended. Live rows stand beside them, and only their index is read.
const (
	deleteDecisions = `WITH part AS (SELECT request_id FROM decisions WHERE run_id = $1 AND scored_at = $2 AND request_id > $3
			ORDER BY request_id LIMIT $4),
		gone AS (DELETE FROM decisions d USING part p WHERE d.run_id = $1 AND d.scored_at = $2 AND d.request_id = p.request_id)
		SELECT count(*), coalesce(max(request_id), '') FROM part`

	deleteDifferences = `DELETE FROM replay_differences WHERE ctid = ANY (ARRAY(
		SELECT ctid FROM replay_differences WHERE run_id = $1 ORDER BY source_partition, source_offset LIMIT $2))`
)

// DeleteReplay deletes a replay that is done or cancelled, with all its rows, and returns how many decisions it had.
// Progress is told how many of them are deleted, every few thousand. A call that was cut off is called again. The error
// is ErrNoReplay, or ErrReplayNotOver.
func (db *Database) DeleteReplay(ctx context.Context, run int32, progress func(decisions int64)) (decisions int64, err error) {
	r, err := db.Replay(ctx, run)
	if err != nil {
		return 0, err
	}
	if r.State != ReplayDone && r.State != ReplayCancelled {
		return 0, ErrReplayNotOver
	}
	after := ""
	for n := int64(deletedTogether); n == deletedTogether; {
		err := db.patiently(ctx, func(ctx context.Context) error {
			return db.pool.QueryRow(ctx, deleteDecisions, run, r.CreatedAt, after, deletedTogether).Scan(&n, &after)
		})
		if err != nil {
			return decisions, wrap("delete replay", err)
		}
		decisions += n
		progress(decisions)
	}
	for n := int64(deletedTogether); n == deletedTogether; {
		err := db.patiently(ctx, func(ctx context.Context) error {
			gone, err := db.pool.Exec(ctx, deleteDifferences, run, deletedTogether)
			n = gone.RowsAffected()
			return err
		})
		if err != nil {
			return decisions, wrap("delete replay", err)
		}
	}
	return decisions, wrap("delete replay", db.patiently(ctx, func(ctx context.Context) error {
		_, err := db.pool.Exec(ctx, `DELETE FROM replays WHERE run_id = $1`, run)
		return err
	}))
}

// expiredReplays lists replays that nobody has worked on of late. One that was killed is still called running.
const expiredReplays = `SELECT run_id FROM replays r WHERE created_at < $1 AND (state <> 'running' OR NOT EXISTS (
	SELECT FROM replay_partitions p WHERE p.run_id = r.run_id AND p.updated_at >= $1)) ORDER BY run_id`

// DropReplays deletes the replays that were created before then and do not run any more, with all their rows, and
// returns their numbers. Several may do so at once; a call that was cut off is called again.
func (db *Database) DropReplays(ctx context.Context, before time.Time) (dropped []int32, err error) {
	var expired []int32
	err = db.patiently(ctx, func(ctx context.Context) error {
		rows, _ := db.pool.Query(ctx, expiredReplays, before) // its error is that of the rows
		expired, err = pgx.CollectRows(rows, pgx.RowTo[int32])
		return err
	})
	if err != nil {
		return nil, wrap("look for old replays", err)
	}
	for _, run := range expired {
		if err := db.CancelReplay(ctx, run); err != nil && !errors.Is(err, ErrReplayOver) && !errors.Is(err, ErrNoReplay) {
			return dropped, err
		}
		switch _, err := db.DeleteReplay(ctx, run, func(int64) {}); {
		case err == nil:
			dropped = append(dropped, run)
		case !errors.Is(err, ErrNoReplay): // somebody else was quicker
			return dropped, err
		}
	}
	return dropped, nil
}

// patiently gives a statement that may read much the time for it.
func (db *Database) patiently(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*db.timeout)
	defer cancel()
	return do(ctx)
}

// ReplayFigure is a row of replay_figures: what the requests of one context came to that had these two models.
type ReplayFigure struct {
	LiveModel, ReplayModel string // name@version; "" is none
	schemas.Context
	Compared, Identical              int64
	Tier, Items, Rank, Score, Others int64      // that many differ in it
	Overlap                          [4]float64 // means: of all items, of the first, of the first three, of the first ten
}

// FinishReplay stores the report of a replay that has come to its end. The error is ErrReplayTaken where it is not
// the owner's any more.
func (db *Database) FinishReplay(ctx context.Context, run int32, owner string, report []byte, figures []ReplayFigure) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, `UPDATE replays SET state = 'done', finished_at = now(), report = $3
			WHERE run_id = $1 AND owner = $2 AND state = 'running'`, run, owner, report)
		if err == nil && done.RowsAffected() == 0 {
			err = ErrReplayTaken
		}
		if err != nil {
			return err
		}
		var batch pgx.Batch
		for i := range figures {
			f := &figures[i]
			batch.Queue(`INSERT INTO replay_figures VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
				run, f.LiveModel, f.ReplayModel, f.Mood.String(), f.GroupSize.String(), f.SessionLength.String(),
				f.Compared, f.Identical, f.Tier, f.Items, f.Rank, f.Score, f.Others, f.Overlap[0], f.Overlap[1], f.Overlap[2], f.Overlap[3])
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
	if errors.Is(err, ErrReplayTaken) {
		return err
	}
	return wrap("finish replay", err)
}
