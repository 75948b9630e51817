package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"recstream/schemas"
)

// RedriveState says what is known of a letter that was sent back.
type RedriveState string

// The states of a redrive.
const (
	RedriveSending RedriveState = "sending" // on its way, or cut off
	RedriveSent    RedriveState = "sent"
	RedriveAborted RedriveState = "aborted" // it was not sent, and never will be
	RedriveUnknown RedriveState = "unknown" // retention has deleted what would tell
)

// Redrive is a dead letter that is sent back, or is about to be.
type Redrive struct {
	ID         string // UUID
	Run        int64
	Letter     schemas.Source // the dead letter
	LetterAt   time.Time      // of its record
	Reason     string         // code of why it is a dead letter
	From       schemas.Source // the event that was rejected
	RequestID  string         // "" where there is none
	Mended     bool
	Redrives   int            // how often the event was sent back, this time included
	To         schemas.Source // Offset is -1 where it is not known
	ToEnd      int64          // where the partition ended before
	State      RedriveState
	Actor, Why string    // of the call that sent it; only where a redrive is read
	BegunAt    time.Time // likewise
}

// RedriveRun sends letters back, in one call, or in several where it was cut off.
type RedriveRun struct {
	ID         int64
	StartedAt  time.Time
	Actor, Why string // of this call
	Selection  string // which letters, and how, with absolute times: the next call with the same continues the run
	Again      bool   // letters that earlier runs sent are sent once more
	Sent       int    // by this run before it was cut off
	Continued  bool
}

// Redrives is the right to send the dead letters of a topic back: nobody else has it meanwhile. It holds a
// connection, and with it the right is lost. It is not safe for concurrent use.
type Redrives struct {
	conn    *pgxpool.Conn
	timeout time.Duration
	topic   string
	run     RedriveRun
}

// ErrRedriving says that another process sends dead letters of the topic back.
var ErrRedriving = errors.New("another redrive of this topic is running")

// redriveLock is the class of the advisory locks that guard redrives; the topic is hashed into the rest.
const redriveLock = 0x646c71 // "dlq"

// LockRedrives takes the right to redrive a topic's letters, or returns ErrRedriving. The caller closes it.
func (db *Database) LockRedrives(ctx context.Context, topic string) (*Redrives, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, wrap("lock redrives", err)
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// The lock of a process that was killed a moment ago is waited for.
		if _, err := tx.Exec(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockTimeout.Milliseconds())); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `SELECT pg_advisory_lock($1, hashtext($2))`, redriveLock, topic)
		return err
	})
	if hasCode(err, lockNotAvailable) {
		err = ErrRedriving
	}
	if err != nil {
		_ = conn.Hijack().Close(ctx) // it may have the lock
		return nil, wrap("lock redrives", err)
	}
	return &Redrives{conn: conn, timeout: db.timeout, topic: topic}, nil
}

// Close gives the right up. The connection is not used again, so that no lock is left on it.
func (r *Redrives) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	_ = r.conn.Hijack().Close(ctx) // the server ends it otherwise
}

// continuedRun finds the run with a selection that was cut off less than a day ago. An older one is history: who gives the
// same command then means to begin anew.
const continuedRun = `SELECT id, started_at, (SELECT count(*) FROM redrives s WHERE s.run_id = r.id AND s.state IN ('sent', 'unknown'))
	FROM redrive_runs r WHERE topic = $1 AND selection = $2 AND finished_at IS NULL
	AND coalesce((SELECT max(s.begun_at) FROM redrives s WHERE s.run_id = r.id), started_at) > now() - interval '1 day'
	ORDER BY id DESC LIMIT 1`

// Begin starts a run, or continues the one with the same selection that was cut off less than a day ago.
func (r *Redrives) Begin(ctx context.Context, run RedriveRun) (RedriveRun, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	run.Continued = true
	err := r.conn.QueryRow(ctx, continuedRun, r.topic, run.Selection).Scan(&run.ID, &run.StartedAt, &run.Sent)
	if errors.Is(err, pgx.ErrNoRows) {
		run.Continued = false
		err = r.conn.QueryRow(ctx, `INSERT INTO redrive_runs (actor, why, topic, selection) VALUES ($1, $2, $3, $4) RETURNING id, started_at`,
			run.Actor, run.Why, r.topic, run.Selection).Scan(&run.ID, &run.StartedAt)
	}
	run.StartedAt = run.StartedAt.UTC()
	r.run = run
	return run, wrap("begin redrive", err)
}

// Finish notes that the run is through with its selection.
func (r *Redrives) Finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	_, err := r.conn.Exec(ctx, `UPDATE redrive_runs SET finished_at = now() WHERE id = $1`, r.run.ID)
	return wrap("finish redrive", err)
}

const claimRedrive = `INSERT INTO redrives (id, run_id, letter_topic, letter_partition, letter_offset, letter_at, repetition, reason,
		from_topic, from_partition, from_offset, request_id, mended, redrives, to_topic, to_partition, to_end, actor, why)
	SELECT $1, $2, $3, $4, $5, $6,
		(SELECT count(*) FROM redrives WHERE letter_topic = $3 AND letter_partition = $4 AND letter_offset = $5 AND letter_at = $6 AND state <> 'aborted'),
		$7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $18, $19
	WHERE NOT EXISTS (SELECT FROM redrives WHERE letter_topic = $3 AND letter_partition = $4 AND letter_offset = $5 AND letter_at = $6
		AND state <> 'aborted' AND (NOT $17 OR run_id = $2 OR state = 'sending'))`

// Claim notes in one transaction that letters are about to be sent. claimed says of each whether it may be: one that
// was sent before may not, unless the run sends letters again, and then not twice in one run.
func (r *Redrives) Claim(ctx context.Context, list []Redrive) (claimed []bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	claimed = make([]bool, len(list))
	batch := new(pgx.Batch)
	for i := range list {
		d := &list[i]
		batch.Queue(claimRedrive, d.ID, r.run.ID, d.Letter.Topic, d.Letter.Partition, d.Letter.Offset, d.LetterAt, d.Reason,
			d.From.Topic, d.From.Partition, d.From.Offset, textOrNull(d.RequestID), d.Mended, d.Redrives,
			d.To.Topic, d.To.Partition, d.ToEnd, r.run.Again, r.run.Actor, r.run.Why).
			Exec(func(tag pgconn.CommandTag) error { claimed[i] = tag.RowsAffected() == 1; return nil })
	}
	err = pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
	return claimed, wrap("claim dead letters", err)
}

// Settle notes in one transaction what became of letters: State, and To.Offset of those that were sent.
func (r *Redrives) Settle(ctx context.Context, list []Redrive) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	batch := new(pgx.Batch)
	for i := range list {
		var offset *int64
		if list[i].State == RedriveSent && list[i].To.Offset >= 0 { // a broker does not always say it again
			offset = &list[i].To.Offset
		}
		batch.Queue(`UPDATE redrives SET state = $2, to_offset = $3, settled_at = now() WHERE id = $1`, list[i].ID, list[i].State, offset)
	}
	return wrap("settle redrives", pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() }))
}

const selectRedrives = `SELECT d.id::text, d.run_id, d.letter_topic, d.letter_partition, d.letter_offset, d.letter_at, d.reason,
	d.from_topic, d.from_partition, d.from_offset, coalesce(d.request_id, ''), d.mended, d.redrives,
	d.to_topic, d.to_partition, coalesce(d.to_offset, -1), d.to_end, d.state, d.begun_at, d.actor, d.why
	FROM redrives d `

// Unsettled returns the letters of the topic of which it is not known whether they were sent. There are few: what
// one run had on its way when it was cut off.
func (r *Redrives) Unsettled(ctx context.Context) ([]Redrive, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	rows, _ := r.conn.Query(ctx, selectRedrives+`WHERE d.letter_topic = $1 AND d.state = 'sending'`, r.topic) // CollectRows has its error
	list, err := pgx.CollectRows(rows, scanRedrive)
	return list, wrap("read redrives", err)
}

// RedrivesOf returns all redrives of some letters of a topic's partition, the oldest first.
func (db *Database) RedrivesOf(ctx context.Context, topic string, partition int, offsets []int64) ([]Redrive, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, _ := db.pool.Query(ctx, selectRedrives+`WHERE d.letter_topic = $1 AND d.letter_partition = $2 AND d.letter_offset = ANY($3)
		ORDER BY d.begun_at, d.id`, topic, partition, offsets) // CollectRows has its error
	list, err := pgx.CollectRows(rows, scanRedrive)
	return list, wrap("read redrives", err)
}

// SentLetter is a dead letter that was sent back: where it stands in its partition, and the time of its record.
type SentLetter struct {
	Offset int64
	At     time.Time
}

const selectSentLetters = `SELECT DISTINCT letter_offset, letter_at FROM redrives
	WHERE letter_topic = $1 AND letter_partition = $2 AND letter_offset >= $3 AND state = 'sent'
	ORDER BY letter_offset, letter_at LIMIT $4`

// SentLetters returns the letters of a topic's partition that were sent back, from an offset on, in order and at most
// limit. Those that are on their way, and those of which it is not known, are not among them.
func (db *Database) SentLetters(ctx context.Context, topic string, partition int, from int64, limit int) ([]SentLetter, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, _ := db.pool.Query(ctx, selectSentLetters, topic, partition, from, limit) // CollectRows has its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SentLetter])
	return list, wrap("read redrives", err)
}

func scanRedrive(row pgx.CollectableRow) (d Redrive, err error) {
	err = row.Scan(&d.ID, &d.Run, &d.Letter.Topic, &d.Letter.Partition, &d.Letter.Offset, &d.LetterAt, &d.Reason,
		&d.From.Topic, &d.From.Partition, &d.From.Offset, &d.RequestID, &d.Mended, &d.Redrives,
		&d.To.Topic, &d.To.Partition, &d.To.Offset, &d.ToEnd, &d.State, &d.BegunAt, &d.Actor, &d.Why)
	d.LetterAt, d.BegunAt = d.LetterAt.UTC(), d.BegunAt.UTC()
	return d, err
}

// Purge is the deletion of a partition's oldest dead letters.
type Purge struct {
	Actor, Why string
	Topic      string
	Partition  int
	From, Next int64 // offsets: of the first that is deleted, and of the first that is kept
	Letters    int64
	OlderThan  time.Time
}

// BeginPurge notes that letters are about to be deleted.
func (db *Database) BeginPurge(ctx context.Context, p Purge) (id int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err = db.pool.QueryRow(ctx, `INSERT INTO dead_letter_purges (actor, why, topic, partition, from_offset, next_offset, letters, older_than)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
		p.Actor, p.Why, p.Topic, p.Partition, p.From, p.Next, p.Letters, p.OlderThan).Scan(&id)
	return id, wrap("record purge", err)
}

// FinishPurge notes that they are deleted.
func (db *Database) FinishPurge(ctx context.Context, id int64) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	_, err := db.pool.Exec(ctx, `UPDATE dead_letter_purges SET done_at = now() WHERE id = $1`, id)
	return wrap("record purge", err)
}
