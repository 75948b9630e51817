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

// LiveRun is the run_id of live traffic.
const LiveRun = 0

// midnightWindow is how close to the change of the UTC day batches are stored one after the other, in all
// instances. A request id is unique within a day's partition by its index; two copies of one event that are
// stored at the same moment on both sides of midnight meet no index, so they are made to wait for each other.
// The window allows for clocks that differ by as much.
const midnightWindow = time.Minute

// maxClockSkew is how far ahead another instance's clock may be. A look-up goes no further into the partitions
// that are made for the days to come: each would cost a search of its empty index.
const maxClockSkew = 24 * time.Hour

// Ledger stores the decisions of one consumer group and the fence of each partition that it reads.
// It is safe for concurrent use; the batches of one partition come one after the other.
type Ledger struct {
	fences
	lookBack time.Duration
}

// NewLedger returns the ledger of a consumer group. A request id that was answered within lookBack, or on
// the same UTC day, is not stored again.
func NewLedger(db *Database, group string, lookBack time.Duration) *Ledger {
	return &Ledger{fences: fences{db: db, group: group}, lookBack: lookBack}
}

// Find returns the stored live decisions of those request ids, by id. It looks back from now by the look-back
// window, or, with ever, as far as the ledger goes.
func (l *Ledger) Find(ctx context.Context, ids []string, now time.Time, ever bool) (map[string]*schemas.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, l.db.timeout)
	defer cancel()
	since, until := l.window(now)
	if ever {
		since, until = beginning, end
	}
	return l.db.decisions(ctx, ids, since, until)
}

// The ledger has nothing before its beginning and nothing after its end.
var (
	beginning = time.Unix(0, 0)
	end       = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Decision returns the stored live decision of a request, however long ago it was made: the latest of several,
// nil where there is none.
func (db *Database) Decision(ctx context.Context, requestID string) (*schemas.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	found, err := db.decisions(ctx, []string{requestID}, beginning, end)
	return found[requestID], err
}

// decisions returns the live decisions of those request ids that were scored in that time, by id.
func (db *Database) decisions(ctx context.Context, ids []string, since, until time.Time) (map[string]*schemas.Decision, error) {
	rows, err := db.pool.Query(ctx, findDecisions, ids, int32(LiveRun), since, until)
	if err != nil {
		return nil, wrap("find decisions", err)
	}
	found, err := collectDecisions(rows)
	return found, wrap("find decisions", err)
}

// window is what the look-back covers: at least the whole UTC day, because a day's partition holds an id once,
// and what instances with a clock ahead of ours have stored.
func (l *Ledger) window(now time.Time) (since, until time.Time) {
	since, until = utcDay(now), now.Add(maxClockSkew)
	if t := now.Add(-l.lookBack); t.Before(since) {
		since = t
	}
	return since, until
}

// Record stores a batch and moves the fence, in one transaction. It returns an error that is ErrFenced or
// ErrConflict where that is the cause. After any other error the batch may have been stored all the same:
// the fence tells.
func (l *Ledger) Record(ctx context.Context, b schemas.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, l.db.timeout)
	defer cancel()
	err := l.record(ctx, b)
	switch {
	case errors.Is(err, ErrFenced), errors.Is(err, ErrConflict):
		return err
	case hasCode(err, uniqueViolation):
		return fmt.Errorf("record decisions: %w", ErrConflict)
	case isMissingPartition(err):
		return l.addMissingPartition(ctx, b)
	}
	return wrap("record decisions", err)
}

func (l *Ledger) record(ctx context.Context, b schemas.Batch) error {
	conn, err := l.db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx, err := l.begin(ctx, conn.Conn(), b)
	if err != nil {
		return err
	}
	defer rollback(tx, l.db.timeout)
	if len(b.Decisions) > 0 {
		if err := l.copyDecisions(ctx, conn.Conn().PgConn(), b); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

// begin starts the transaction, moves the fence, and takes the midnight lock if it is time.
func (l *Ledger) begin(ctx context.Context, conn *pgx.Conn, b schemas.Batch) (pgx.Tx, error) {
	tx, err := l.fences.begin(ctx, conn, fenceMove{b.Topic, b.Partition, b.From, b.Next})
	if err != nil {
		return nil, err
	}
	if nearMidnight(b) {
		if err := l.serialize(ctx, tx, b); err != nil {
			rollback(tx, l.db.timeout)
			return nil, err
		}
	}
	return tx, nil
}

func nearMidnight(b schemas.Batch) bool {
	if len(b.Decisions) == 0 {
		return false
	}
	at := b.Decisions[0].ScoredAt
	return at.Sub(at.Truncate(24*time.Hour)) < midnightWindow || at.Add(midnightWindow).Truncate(24*time.Hour).After(at)
}

// serialize waits for the other batches of the midnight window and then looks once more for the batch's ids.
func (l *Ledger) serialize(ctx context.Context, tx pgx.Tx, b schemas.Batch) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('recstream.decisions.midnight'))`); err != nil {
		return err
	}
	ids := make([]string, len(b.Decisions))
	for i, d := range b.Decisions {
		ids[i] = d.RequestID
	}
	since, until := l.window(b.Decisions[0].ScoredAt)
	var n int
	err := tx.QueryRow(ctx,
		`SELECT count(*) FROM decisions WHERE request_id = ANY($1) AND run_id = $2 AND scored_at >= $3 AND scored_at <= $4`,
		ids, int32(LiveRun), since, until).Scan(&n)
	if err == nil && n > 0 {
		err = fmt.Errorf("record decisions: %w, on the other side of midnight", ErrConflict)
	}
	return err
}

func (l *Ledger) copyDecisions(ctx context.Context, conn *pgconn.PgConn, b schemas.Batch) error {
	buffer := copyBuffers.Get().(*copyBuffer)
	defer copyBuffers.Put(buffer)
	buffer.begin()
	for _, d := range b.Decisions {
		if err := appendDecision(buffer, LiveRun, d); err != nil {
			return err
		}
	}
	buffer.end()
	_, err := conn.CopyFrom(ctx, bytes.NewReader(buffer.b), copyDecisions)
	return err
}

// addMissingPartition makes the partition that the batch's day lacks, so that the next attempt finds it.
func (l *Ledger) addMissingPartition(ctx context.Context, b schemas.Batch) error {
	return wrap("record decisions", l.db.addMissingPartition(ctx, b.Decisions[0].ScoredAt, tableDecisions))
}
