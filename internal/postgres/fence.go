package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"recstream/schemas"
)

// fences are those of one consumer group.
type fences struct {
	db    *Database
	group string
}

// Fence returns the fence of a partition, the offset after the last event that is stored; ok is false where
// none was set yet.
func (f fences) Fence(ctx context.Context, topic string, partition int) (next int64, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.db.timeout)
	defer cancel()
	err = f.db.pool.QueryRow(ctx,
		`SELECT next_offset FROM stream_offsets WHERE group_name = $1 AND topic = $2 AND partition = $3`,
		f.group, topic, partition).Scan(&next)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	return next, err == nil, wrapf(err, "read fence of %s/%d", topic, partition)
}

// MoveFence moves the fence of a partition that was found at an offset, or makes it where there was none, for which
// from is negative. The error is ErrFenced where it stands elsewhere by now.
func (f fences) MoveFence(ctx context.Context, topic string, partition int, from, to int64) error {
	ctx, cancel := context.WithTimeout(ctx, f.db.timeout)
	defer cancel()
	var moved pgconn.CommandTag
	var err error
	if from < 0 {
		moved, err = f.db.pool.Exec(ctx,
			`INSERT INTO stream_offsets (group_name, topic, partition, next_offset) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			f.group, topic, partition, to)
	} else {
		moved, err = f.db.pool.Exec(ctx, moveFence, f.group, topic, partition, from, to)
	}
	if err == nil && moved.RowsAffected() == 0 {
		err = ErrFenced
	}
	return wrapf(err, "move fence of %s/%d", topic, partition)
}

// moveFence moves a fence that stands where it is believed to.
const moveFence = `UPDATE stream_offsets SET next_offset = $5, updated_at = now()
	WHERE group_name = $1 AND topic = $2 AND partition = $3 AND next_offset = $4`

// NoteGap keeps a record of events that were passed over, and reports whether it is new. One that is known already is
// left as it is.
func (f fences) NoteGap(ctx context.Context, g schemas.Gap) (isNew bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.db.timeout)
	defer cancel()
	noted, err := f.db.pool.Exec(ctx,
		`INSERT INTO stream_gaps (group_name, topic, partition, from_offset, to_offset, reason) VALUES ($1, $2, $3, $4, $5, $6)
		 ON CONFLICT DO NOTHING`, f.group, g.Topic, g.Partition, g.From, g.To, g.Reason)
	return err == nil && noted.RowsAffected() > 0, wrapf(err, "note gap of %s/%d", g.Topic, g.Partition)
}

// fenceMove takes the fence of a partition from one offset to another, not below it.
type fenceMove struct {
	topic      string
	partition  int
	from, next int64
}

// begin starts a transaction and moves a fence in it; the error is ErrFenced where the fence stands elsewhere.
// Each statement must see what was committed before it, whatever isolation the database is set to by default.
func (f fences) begin(ctx context.Context, conn *pgx.Conn, m fenceMove) (pgx.Tx, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return nil, err
	}
	moved, err := tx.Exec(ctx, moveFence, f.group, m.topic, m.partition, m.from, m.next)
	if err == nil && moved.RowsAffected() == 0 {
		err = ErrFenced
	}
	if err != nil {
		rollback(tx, f.db.timeout)
		return nil, err
	}
	return tx, nil
}

// rollback ends a transaction that was not committed; after a commit it does nothing.
func rollback(tx pgx.Tx, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_ = tx.Rollback(ctx)
}
