package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// FeedbackLedger stores feedback: a row of each event in outcomes, what it changes in its user's profile and in its
// item's popularity, and the fence of each partition of the topic, all in one transaction. It is safe for concurrent use; the batches of
// one partition come one after the other.
type FeedbackLedger struct {
	fences
	apply    func(*schemas.Profile, *schemas.Feedback)
	weight   func(*schemas.Feedback) float64
	halfLife time.Duration
}

// NewFeedbackLedger returns the feedback ledger of a consumer group. apply brings a feedback into the profile of
// its user; a new user's profile has nothing but the id. A panic of apply, or a profile with a number that is
// not finite, makes the event one that is refused. weight is what a feedback counts for its item's popularity, where
// it is above 0; halfLife, above 0, is the event time in which that halves.
func NewFeedbackLedger(db *Database, group string, apply func(*schemas.Profile, *schemas.Feedback),
	weight func(*schemas.Feedback) float64, halfLife time.Duration) *FeedbackLedger {
	return &FeedbackLedger{fences: fences{db: db, group: group}, apply: apply, weight: weight, halfLife: halfLife}
}

// Record stores a batch and moves the fence, in one transaction. It returns an error that is ErrFenced where that
// is the cause. After any other error the batch may have been stored all the same: the fence tells.
//
// An event is known by its place in Kafka and its time. Where the batch says that it may be repeated, events that
// stand in outcomes are left out; one whose row is past its retention counts as new.
func (l *FeedbackLedger) Record(ctx context.Context, b schemas.FeedbackBatch) error {
	ctx, cancel := context.WithTimeout(ctx, l.db.timeout)
	defer cancel()
	err := l.record(ctx, b)
	switch {
	case errors.Is(err, ErrFenced):
		return err
	case isMissingPartition(err):
		err = l.db.addMissingPartition(ctx, b.ReceivedAt, tableOutcomes, tableProfileVersions)
	}
	return wrap("record feedback", err)
}

func (l *FeedbackLedger) record(ctx context.Context, b schemas.FeedbackBatch) error {
	done, err := l.db.inBackground(ctx)
	if err != nil {
		return err
	}
	defer done()
	conn, err := l.db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx, err := l.begin(ctx, conn.Conn(), fenceMove{b.Topic, b.Partition, b.From, b.Next})
	if err != nil {
		return err
	}
	defer rollback(tx, l.db.timeout)
	if _, err := tx.Exec(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockTimeout.Milliseconds())); err != nil {
		return err
	}
	if err := l.store(ctx, tx, b); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// store writes the events that are new, and brings them into their users' profiles and their items' popularity, in
// this order in every transaction: popular items are in everybody's way, so they are locked last.
func (l *FeedbackLedger) store(ctx context.Context, tx pgx.Tx, b schemas.FeedbackBatch) error {
	if b.Repeated && len(b.Events) > 0 {
		known, err := storedOutcomes(ctx, tx, b)
		if err != nil {
			return err
		}
		b.Events = slices.DeleteFunc(slices.Clone(b.Events), func(e schemas.FeedbackEvent) bool {
			return known[outcomePlace{e.Offset, e.At.UnixMicro()}]
		})
	}
	if len(b.Events) == 0 {
		return nil
	}
	inserted, err := insertOutcomes(ctx, tx, b)
	if err != nil {
		return err
	}
	if err := l.applyAll(ctx, tx, inserted, b.ReceivedAt); err != nil {
		return err
	}
	return l.countPopularity(ctx, tx, b, inserted)
}

// outcomePlace is what an event of one Kafka partition is known by. The time is there because a topic that is
// made anew has its offsets anew.
type outcomePlace struct{ offset, unixMicro int64 }

// storedOutcomes returns what stands in outcomes between the batch's first offset and its last.
func storedOutcomes(ctx context.Context, tx pgx.Tx, b schemas.FeedbackBatch) (map[outcomePlace]bool, error) {
	rows, _ := tx.Query(ctx, // ForEachRow has its error
		`SELECT source_offset, at FROM outcomes
		 WHERE source_topic = $1 AND source_partition = $2 AND source_offset BETWEEN $3 AND $4`,
		b.Topic, b.Partition, b.Events[0].Offset, b.Events[len(b.Events)-1].Offset)
	known := map[outcomePlace]bool{}
	var offset int64
	var at time.Time
	_, err := pgx.ForEachRow(rows, []any{&offset, &at}, func() error {
		known[outcomePlace{offset, at.UnixMicro()}] = true
		return nil
	})
	return known, err
}

// insertOutcome takes columns as arrays, and what the batch has in common. An event that stands there already is
// left alone: the fence may have been set back by hand.
const insertOutcome = `INSERT INTO outcomes (request_id, user_id, item_id, action, value, at, source_offset,
		source_topic, source_partition, received_at)
	SELECT request_id, nullif(user_id, ''), item_id, action, nullif(value, 'NaN'), at, source_offset, $8, $9, $10
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::timestamptz[], $7::bigint[])
		AS e (request_id, user_id, item_id, action, value, at, source_offset)
	ON CONFLICT DO NOTHING
	RETURNING source_offset`

// insertOutcomes writes the batch's events and returns those that were not there, in their order.
func insertOutcomes(ctx context.Context, tx pgx.Tx, b schemas.FeedbackBatch) ([]schemas.FeedbackEvent, error) {
	n := len(b.Events)
	requests, users, items, actions := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	values, times, offsets := make([]float64, n), make([]time.Time, n), make([]int64, n)
	for i, e := range b.Events {
		requests[i], users[i], items[i], actions[i] = e.RequestID, e.UserID, e.ItemID, e.Action.String()
		values[i], times[i], offsets[i] = e.Value, e.At, e.Offset
	}
	rows, _ := tx.Query(ctx, insertOutcome, // CollectRows has its error
		requests, users, items, actions, values, times, offsets, b.Topic, b.Partition, b.ReceivedAt)
	inserted, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(inserted) == n {
		return b.Events, err
	}
	slices.Sort(inserted)
	return slices.DeleteFunc(slices.Clone(b.Events), func(e schemas.FeedbackEvent) bool {
		_, isNew := slices.BinarySearch(inserted, e.Offset)
		return !isNew
	}), nil
}

// applyAll brings events into the profiles of their users, in order. Anonymous users have none.
func (l *FeedbackLedger) applyAll(ctx context.Context, tx pgx.Tx, events []schemas.FeedbackEvent, at time.Time) error {
	var users []string
	for _, e := range events {
		if e.UserID != "" {
			users = append(users, e.UserID)
		}
	}
	if len(users) == 0 {
		return nil
	}
	slices.Sort(users)
	users = slices.Compact(users)
	profiles, err := lockProfiles(ctx, tx, users)
	if err != nil {
		return err
	}
	before := clones(profiles)
	for _, e := range events {
		if p := profiles[e.UserID]; p != nil {
			if err := applySafely(l.apply, p, e.Feedback); err != nil {
				return err
			}
		}
	}
	return writeProfiles(ctx, tx, users, before, profiles, at)
}
