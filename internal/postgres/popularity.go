package postgres

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// contextLookBack is how long before its feedback a request may have been decided, and maxLateness how late the
// feedback may come. The context of others is not looked up and counts as unknown: each day further back costs a
// look-up in its partition.
const (
	contextLookBack = 3 * 24 * time.Hour
	maxLateness     = 7 * 24 * time.Hour
)

// countPopularity adds what the events count to their items' popularity, each in the context of its request.
func (l *FeedbackLedger) countPopularity(ctx context.Context, tx pgx.Tx, b schemas.FeedbackBatch, events []schemas.FeedbackEvent) error {
	known, err := l.contextsOf(ctx, tx, events, b.ReceivedAt)
	if err != nil {
		return err
	}
	counts := popularityCounts{}
	for _, e := range events {
		if weight := l.weight(e.Feedback); weight > 0 {
			counts.add(known[e.RequestID].at(e.At, b.ReceivedAt), e.ItemID, weight, e.At, l.halfLife)
		}
	}
	if len(counts) == 0 {
		return nil
	}
	return counts.store(ctx, tx, l.halfLife)
}

// contextsOf returns the contexts of the requests of those events that count and are not too late.
func (l *FeedbackLedger) contextsOf(ctx context.Context, tx pgx.Tx, events []schemas.FeedbackEvent, received time.Time) (map[string]requestContext, error) {
	var requests []string
	earliest := received
	for _, e := range events {
		if !(l.weight(e.Feedback) > 0) || isLate(e.At, received) {
			continue
		}
		requests = append(requests, e.RequestID)
		if e.At.Before(earliest) {
			earliest = e.At
		}
	}
	if len(requests) == 0 {
		return nil, nil
	}
	return requestContexts(ctx, tx, requests, earliest.Add(-contextLookBack), received.Add(maxClockSkew))
}

func isLate(at, received time.Time) bool { return at.Before(received.Add(-maxLateness)) }

// requestContext is the context of a request and when it was decided.
type requestContext struct {
	schemas.Context
	scoredAt time.Time
}

// at is the context for a feedback of that time, unknown if the request is too old for it or the feedback late.
// This does not depend on what else is in the batch.
func (c requestContext) at(t, received time.Time) schemas.Context {
	if isLate(t, received) || c.scoredAt.Before(t.Add(-contextLookBack)) {
		return schemas.Context{}
	}
	return c.Context
}

// requestContexts returns the contexts of the requests that were decided in that time, by request id.
func requestContexts(ctx context.Context, tx pgx.Tx, ids []string, since, until time.Time) (map[string]requestContext, error) {
	rows, _ := tx.Query(ctx, // ForEachRow has its error
		`SELECT request_id, coalesce(mood, ''), coalesce(group_size, ''), coalesce(session_length, ''), scored_at
		 FROM decisions WHERE request_id = ANY($1) AND run_id = $2 AND scored_at >= $3 AND scored_at <= $4
		 ORDER BY scored_at`, ids, int32(LiveRun), since, until)
	known := map[string]requestContext{}
	var id, mood, group, session string
	var scoredAt time.Time
	_, err := pgx.ForEachRow(rows, []any{&id, &mood, &group, &session, &scoredAt}, func() error {
		known[id] = requestContext{parseContext(mood, group, session), scoredAt}
		return nil
	})
	return known, err
}

// popularityCounts are what a batch adds, by context and item.
type popularityCounts map[popularityKey]decayed

type popularityKey struct {
	schemas.Context
	itemID string
}

// decayed is a sum of weights as of a time.
type decayed struct {
	weight float64
	asOf   time.Time
}

func (counts popularityCounts) add(c schemas.Context, itemID string, weight float64, at time.Time, halfLife time.Duration) {
	key := popularityKey{c, itemID}
	sum, there := counts[key]
	switch age := at.Sub(sum.asOf); {
	case !there:
		sum = decayed{weight, at}
	case age > 0:
		sum = decayed{sum.weight*fade(age, halfLife) + weight, at}
	default:
		sum.weight += weight * fade(-age, halfLife)
	}
	counts[key] = sum
}

// fade is what is left of a weight after some time.
func fade(age, halfLife time.Duration) float64 { return math.Exp2(-float64(age) / float64(halfLife)) }

// addPopularity takes columns as arrays, and the half-life in seconds. Rows are locked in the order of the key, so
// that transactions wait for each other in one direction. Items that the catalogue does not have are left out:
// their ids are whatever an app sends. A hundred half-lives fade as much as more do, which would underflow.
const addPopularity = `INSERT INTO popularity AS p (mood, group_size, session_length, item_id, weight, as_of)
	SELECT e.mood, e.group_size, e.session_length, e.item_id, e.weight, e.as_of
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::timestamptz[])
		AS e (mood, group_size, session_length, item_id, weight, as_of)
	WHERE EXISTS (SELECT FROM items i WHERE i.id = e.item_id)
	ORDER BY e.mood, e.group_size, e.session_length, e.item_id
	ON CONFLICT (mood, group_size, session_length, item_id) DO UPDATE SET
		weight = p.weight * power(2, greatest(-100, least(0, extract(epoch FROM p.as_of - excluded.as_of)::float8 / $7)))
			+ excluded.weight * power(2, greatest(-100, least(0, extract(epoch FROM excluded.as_of - p.as_of)::float8 / $7))),
		as_of = greatest(p.as_of, excluded.as_of)`

func (counts popularityCounts) store(ctx context.Context, tx pgx.Tx, halfLife time.Duration) error {
	n := len(counts)
	moods, groups, sessions := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	items, weights, times := make([]string, 0, n), make([]float64, 0, n), make([]time.Time, 0, n)
	for key, sum := range counts {
		moods, groups = append(moods, key.Mood.String()), append(groups, key.GroupSize.String())
		sessions, items = append(sessions, key.SessionLength.String()), append(items, key.itemID)
		weights, times = append(weights, sum.weight), append(times, sum.asOf)
	}
	_, err := tx.Exec(ctx, addPopularity, moods, groups, sessions, items, weights, times, halfLife.Seconds())
	return err
}
