package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"recstream/schemas"
)

// selectProfiles takes user ids. The columns are in the order of scanProfile.
const selectProfiles = `SELECT user_id, version, as_of, activity, duration_sum, duration_weight,
	genres, genre_weights, item_ids, seen_at, dismissed_at, impressions
	FROM profiles WHERE user_id = ANY($1)`

// Profiles puts the profiles of those users into a map, by user id; a user who has none is left out.
func (db *Database) Profiles(ctx context.Context, userIDs []string, into map[string]*schemas.Profile) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, err := db.pool.Query(ctx, selectProfiles, userIDs)
	if err != nil {
		return wrap("read profiles", err)
	}
	return wrap("read profiles", collectProfiles(rows, into))
}

// lockProfiles returns the profiles of those users until the transaction's end. Users without one are given an
// empty one: without a row to lock, two transactions with a new user's first feedback would not notice each
// other. Both statements go by the order of the ids, so that transactions wait for each other in one direction.
func lockProfiles(ctx context.Context, tx pgx.Tx, users []string) (map[string]*schemas.Profile, error) {
	_, err := tx.Exec(ctx, `INSERT INTO profiles (user_id) SELECT u FROM unnest($1::text[]) u ORDER BY u
		ON CONFLICT DO NOTHING`, users)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, selectProfiles+` ORDER BY user_id FOR UPDATE`, users)
	if err != nil {
		return nil, err
	}
	profiles := make(map[string]*schemas.Profile, len(users))
	return profiles, collectProfiles(rows, profiles)
}

func collectProfiles(rows pgx.Rows, into map[string]*schemas.Profile) error {
	defer rows.Close()
	for rows.Next() {
		p, err := scanProfile(rows)
		if err != nil {
			return err
		}
		into[p.UserID] = p
	}
	return rows.Err()
}

// scanProfile makes of a row the profile that updateProfile wrote, equal in every field.
func scanProfile(rows pgx.Rows) (*schemas.Profile, error) {
	var (
		p                    schemas.Profile
		asOf                 pgtype.Timestamptz
		genres, ids          []string
		weights, impressions []float64
		seen, dismissed      []pgtype.Timestamptz
	)
	err := rows.Scan(&p.UserID, &p.Version, &asOf, &p.Activity, &p.DurationSum, &p.DurationWeight,
		&genres, &weights, &ids, &seen, &dismissed, &impressions)
	if err != nil {
		return nil, err
	}
	p.AsOf = timeOf(asOf)
	p.Genres = make([]schemas.GenreWeight, len(genres))
	for i := range genres {
		p.Genres[i] = schemas.GenreWeight{Genre: genres[i], Weight: weights[i]}
	}
	p.Items = make([]schemas.ProfileItem, len(ids))
	for i := range ids {
		p.Items[i] = schemas.ProfileItem{ItemID: ids[i], Seen: timeOf(seen[i]), Dismissed: timeOf(dismissed[i]), Impressions: impressions[i]}
	}
	return &p, nil
}

// timeOf returns the zero time for null and for -infinity.
func timeOf(t pgtype.Timestamptz) time.Time {
	if !t.Valid || t.InfinityModifier != pgtype.Finite {
		return time.Time{}
	}
	return t.Time.UTC()
}

// timestamptz is the reverse of timeOf: null for the zero time.
func timestamptz(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

const updateProfile = `UPDATE profiles SET as_of = coalesce($2::timestamptz, '-infinity'), activity = $3, duration_sum = $4, duration_weight = $5,
	genres = $6, genre_weights = $7, item_ids = $8, seen_at = $9, dismissed_at = $10, impressions = $11, version = version + 1
	WHERE user_id = $1`

// writeProfiles writes profiles that are locked, and keeps what they were before. The statements go in one round trip, and so take less than a
// single one that has all rows: nothing is converted on the way.
func writeProfiles(ctx context.Context, tx pgx.Tx, users []string, before, profiles map[string]*schemas.Profile, at time.Time) error {
	var batch pgx.Batch
	keepPast(&batch, users, before, profiles, at)
	for _, user := range users {
		p := profiles[user]
		if err := checkProfile(p); err != nil {
			return err
		}
		batch.Queue(updateProfile, profileArguments(p)...)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

func profileArguments(p *schemas.Profile) []any {
	genres, weights := make([]string, len(p.Genres)), make([]float64, len(p.Genres))
	for i, g := range p.Genres {
		genres[i], weights[i] = g.Genre, g.Weight
	}
	n := len(p.Items)
	ids, impressions := make([]string, n), make([]float64, n)
	seen, dismissed := make([]pgtype.Timestamptz, n), make([]pgtype.Timestamptz, n)
	for i, it := range p.Items {
		ids[i], impressions[i] = it.ItemID, it.Impressions
		seen[i], dismissed[i] = timestamptz(it.Seen), timestamptz(it.Dismissed)
	}
	return []any{p.UserID, timestamptz(p.AsOf), p.Activity, p.DurationSum, p.DurationWeight,
		genres, weights, ids, seen, dismissed, impressions}
}

// checkProfile refuses numbers that are not finite: whatever is added to them later would be lost.
func checkProfile(p *schemas.Profile) error {
	finite := isFinite(p.Activity) && isFinite(p.DurationSum) && isFinite(p.DurationWeight)
	for i := range p.Genres {
		finite = finite && isFinite(p.Genres[i].Weight)
	}
	for i := range p.Items {
		finite = finite && isFinite(p.Items[i].Impressions)
	}
	if !finite {
		return &refusedError{"bring into profile: a number would not be finite"}
	}
	return nil
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// applySafely turns a panic of apply, which is a defect of ours, into an error: one event must not stop its partition.
func applySafely(apply func(*schemas.Profile, *schemas.Feedback), p *schemas.Profile, f *schemas.Feedback) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &refusedError{fmt.Sprintf("bring into profile: panic: %v", v)}
		}
	}()
	apply(p, f)
	return nil
}
