package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"recstream/internal/chaos/history"
)

// readDecisions reads the ledger, as an analyst can.
const readDecisions = `SELECT d.run_id, d.request_id, coalesce(d.user_id, ''), coalesce(d.mood, ''), coalesce(d.group_size, ''),
	coalesce(d.session_length, ''), d.requested_at, d.scored_at, d.tier, d.degraded, d.cold_start,
	m.name, m.version, m.sha256, coalesce(d.experiment, ''), coalesce(d.variant, ''), d.config_version,
	d.item_ids, d.titles, d.predictions, d.scores, d.pinned, d.explain, d.explanation, d.queue_us, d.score_us,
	d.source_topic, d.source_partition, d.source_offset
	FROM decisions d LEFT JOIN models m ON m.id = d.model_id`

// Decisions returns all rows of the ledger, of all runs.
func Decisions(ctx context.Context, db *pgxpool.Pool) ([]history.Decision, error) {
	rows, err := db.Query(ctx, readDecisions)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanDecision)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	return list, nil
}

func scanDecision(row pgx.CollectableRow) (history.Decision, error) {
	var (
		d                  history.Decision
		name, version, sum *string
		explanation        []byte
	)
	err := row.Scan(&d.Run, &d.RequestID, &d.UserID, &d.Mood, &d.GroupSize,
		&d.SessionLength, &d.RequestedAt, &d.ScoredAt, &d.Tier, &d.Degraded, &d.ColdStart,
		&name, &version, &sum, &d.Experiment, &d.Variant, &d.ConfigVersion,
		&d.ItemIDs, &d.Titles, &d.Predictions, &d.Scores, &d.Pinned, &d.Explain, &explanation, &d.QueueMicros, &d.ScoreMicros,
		&d.Source.Topic, &d.Source.Partition, &d.Source.Offset)
	if err != nil {
		return d, err
	}
	d.RequestedAt, d.ScoredAt = d.RequestedAt.UTC(), d.ScoredAt.UTC()
	if name != nil && version != nil && sum != nil {
		d.Model = &history.Model{Name: *name, Version: *version, SHA256: *sum}
	}
	d.Reasons, err = reasons(explanation)
	return d, err
}

// reasons returns what a row's explanation says of each item.
func reasons(explanation []byte) ([]string, error) {
	if explanation == nil {
		return nil, nil
	}
	var kept struct {
		Items []struct {
			Reason string `json:"reason"`
		} `json:"items"`
	}
	if err := json.Unmarshal(explanation, &kept); err != nil {
		return nil, fmt.Errorf("explanation: %w", err)
	}
	var list []string
	for _, it := range kept.Items {
		list = append(list, it.Reason)
	}
	return list, nil
}

// Outcomes returns all rows of outcomes.
func Outcomes(ctx context.Context, db *pgxpool.Pool) ([]history.Outcome, error) {
	rows, err := db.Query(ctx, `SELECT request_id, coalesce(user_id, ''), item_id, action, value, at,
		source_topic, source_partition, source_offset FROM outcomes`)
	if err != nil {
		return nil, fmt.Errorf("read outcomes: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o history.Outcome, err error) {
		err = row.Scan(&o.RequestID, &o.UserID, &o.ItemID, &o.Action, &o.Value, &o.At,
			&o.Source.Topic, &o.Source.Partition, &o.Source.Offset)
		o.At = o.At.UTC()
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("read outcomes: %w", err)
	}
	return list, nil
}

// Profiles returns what is judged of all profiles. One that no feedback was brought into is as of no time.
func Profiles(ctx context.Context, db *pgxpool.Pool) ([]history.Profile, error) {
	rows, err := db.Query(ctx, `SELECT user_id, nullif(as_of, '-infinity'), activity FROM profiles`)
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p history.Profile, err error) {
		var asOf *time.Time
		err = row.Scan(&p.UserID, &asOf, &p.Activity)
		p.AsOf = timeOf(asOf)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	return list, nil
}

// Popularity returns the popularity of every item of the catalogue, in each context where it has one.
func Popularity(ctx context.Context, db *pgxpool.Pool) ([]history.Popularity, error) {
	rows, err := db.Query(ctx, `SELECT i.id, p.as_of, coalesce(p.weight, 0) FROM items i LEFT JOIN popularity p ON p.item_id = i.id`)
	if err != nil {
		return nil, fmt.Errorf("read popularity: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p history.Popularity, err error) {
		var asOf *time.Time
		err = row.Scan(&p.ItemID, &asOf, &p.Weight)
		p.AsOf = timeOf(asOf)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read popularity: %w", err)
	}
	return list, nil
}

// timeOf returns the zero time for null.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// fences returns a group's fences in a topic, by partition.
func fences(ctx context.Context, db *pgxpool.Pool, group, topic string) (map[int]int64, error) {
	rows, err := db.Query(ctx, `SELECT partition, next_offset FROM stream_offsets WHERE group_name = $1 AND topic = $2`, group, topic)
	if err != nil {
		return nil, fmt.Errorf("read fences of %s: %w", group, err)
	}
	found := map[int]int64{}
	var partition int
	var next int64
	_, err = pgx.ForEachRow(rows, []any{&partition, &next}, func() error {
		found[partition] = next
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read fences of %s: %w", group, err)
	}
	return found, nil
}
