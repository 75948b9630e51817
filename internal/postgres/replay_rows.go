package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"recstream/schemas"
)

// LiveDecisions returns the live decisions on those request ids that were scored in that time. An id can have
// several, the latest comes last.
func (db *Database) LiveDecisions(ctx context.Context, ids []string, since, until time.Time) ([]*schemas.Decision, error) {
	return db.decisionsOf(ctx, LiveRun, ids, since, until)
}

// ReplayedDecisions returns the decisions that a replay has stored on those request ids.
func (db *Database) ReplayedDecisions(ctx context.Context, r *Replay, ids []string) ([]*schemas.Decision, error) {
	return db.decisionsOf(ctx, r.RunID, ids, r.CreatedAt, r.CreatedAt)
}

func (db *Database) decisionsOf(ctx context.Context, run int32, ids []string, since, until time.Time) ([]*schemas.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, err := db.pool.Query(ctx, findDecisions, ids, run, since, until)
	if err != nil {
		return nil, wrap("find decisions", err)
	}
	defer rows.Close()
	list := make([]*schemas.Decision, 0, len(ids))
	for rows.Next() {
		d, err := scanDecision(rows)
		if err != nil {
			return nil, wrap("find decisions", err)
		}
		list = append(list, d)
	}
	return list, wrap("find decisions", rows.Err())
}

// ReplayBatch is what a replay stores at once: decisions of one partition, what differs, and how far it has come.
type ReplayBatch struct {
	RunID       int32
	Owner       string
	Partition   int
	From, Next  int64 // where the checkpoint stands, and where it goes
	Figures     []byte
	Decisions   []*schemas.Decision // scored at the replay's CreatedAt
	Differences []ReplayDifference
}

// ReplayDifference is a request that a replay did not reproduce to the byte.
type ReplayDifference struct {
	Offset          int64
	RequestID       string
	LiveScoredAt    time.Time // zero is no live decision
	Causes          []string
	Reproducible    bool
	Compared        bool    // Overlap counts
	Overlap         float64 // share of the items that both decisions have
	ScoreDifference float64 // NaN where no item is in both
}

// RecordReplay stores a batch and moves the checkpoint, or does neither. The error is ErrReplayTaken where the replay
// is not the owner's any more or the checkpoint stands elsewhere, ErrConflict where it has a decision on one of the
// request ids. After any other error the batch may have been stored all the same: the checkpoint tells.
func (db *Database) RecordReplay(ctx context.Context, b ReplayBatch) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err := pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		return recordReplay(ctx, tx, b)
	})
	switch {
	case errors.Is(err, ErrReplayTaken):
		return err
	case hasCode(err, uniqueViolation):
		return fmt.Errorf("record replay: %w", ErrConflict)
	case isMissingPartition(err): // dropped meanwhile, as it was past its retention
		return wrap("record replay", db.addMissingPartition(ctx, b.Decisions[0].ScoredAt, tableDecisions))
	}
	return wrap("record replay", err)
}

// moveCheckpoint locks the replay against being paused, cancelled or taken over meanwhile.
const moveCheckpoint = `UPDATE replay_partitions p SET next_offset = $5, figures = $6, updated_at = now()
	FROM (SELECT run_id FROM replays WHERE run_id = $1 AND owner = $2 AND state = 'running' FOR SHARE) r
	WHERE p.run_id = r.run_id AND p.partition = $3 AND p.next_offset = $4`

func recordReplay(ctx context.Context, tx pgx.Tx, b ReplayBatch) error {
	moved, err := tx.Exec(ctx, moveCheckpoint, b.RunID, b.Owner, b.Partition, b.From, b.Next, b.Figures)
	if err != nil {
		return err
	}
	if moved.RowsAffected() == 0 {
		return ErrReplayTaken
	}
	conn := tx.Conn().PgConn()
	if len(b.Decisions) > 0 {
		if err := copyReplayed(ctx, conn, b); err != nil {
			return err
		}
	}
	if len(b.Differences) > 0 {
		return copyDifferences(ctx, conn, b)
	}
	return nil
}

// copyReplayed writes decisions under the run.
func copyReplayed(ctx context.Context, conn *pgconn.PgConn, b ReplayBatch) error {
	buffer := copyBuffers.Get().(*copyBuffer)
	defer copyBuffers.Put(buffer)
	buffer.begin()
	for _, d := range b.Decisions {
		if err := appendDecision(buffer, b.RunID, d); err != nil {
			return err
		}
	}
	buffer.end()
	_, err := conn.CopyFrom(ctx, bytes.NewReader(buffer.b), copyDecisions)
	return err
}

func copyDifferences(ctx context.Context, conn *pgconn.PgConn, b ReplayBatch) error {
	buffer := copyBuffers.Get().(*copyBuffer)
	defer copyBuffers.Put(buffer)
	buffer.begin()
	for i := range b.Differences {
		appendDifference(buffer, &b, &b.Differences[i])
	}
	buffer.end()
	_, err := conn.CopyFrom(ctx, bytes.NewReader(buffer.b), `COPY replay_differences (run_id, source_partition, source_offset,
		request_id, live_scored_at, causes, reproducible, overlap, score_difference) FROM STDIN BINARY`)
	return err
}

func appendDifference(c *copyBuffer, b *ReplayBatch, d *ReplayDifference) {
	c.row(9)
	c.int4(b.RunID)
	c.int4(int32(b.Partition))
	c.int8(d.Offset)
	c.text(d.RequestID)
	if d.LiveScoredAt.IsZero() {
		c.null()
	} else {
		c.timestamptz(d.LiveScoredAt)
	}
	c.array(oidText, len(d.Causes), false, func(i int) { c.text(d.Causes[i]) })
	c.bool(d.Reproducible)
	if !d.Compared {
		c.null()
		c.null()
		return
	}
	c.float8(d.Overlap)
	c.float8OrNull(d.ScoreDifference)
}
