package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// insertPast takes columns as arrays, and the time.
const insertPast = `INSERT INTO profile_versions (user_id, version, state, replaced_at)
	SELECT p.user_id, p.version, p.state, $4
	FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS p (user_id, version, state)`

// keepPast queues a statement that keeps what profiles were before a batch changed them.
func keepPast(batch *pgx.Batch, users []string, before, after map[string]*schemas.Profile, at time.Time) {
	var kept []string
	var versions []int64
	var states [][]byte
	for _, user := range users {
		p := before[user]
		if isFresh(p) {
			continue
		}
		kept, versions, states = append(kept, user), append(versions, p.Version), append(states, pastState(p, after[user]))
	}
	if len(kept) > 0 {
		batch.Queue(insertPast, kept, versions, states, at)
	}
}

// isFresh reports whether a profile was made in this transaction, for the user's first feedback. Nobody saw it.
func isFresh(p *schemas.Profile) bool {
	return p.AsOf.IsZero() && p.Activity == 0 && len(p.Genres) == 0 && len(p.Items) == 0
}

// clones returns copies of profiles that share nothing which feedback changes.
func clones(profiles map[string]*schemas.Profile) map[string]*schemas.Profile {
	list := make(map[string]*schemas.Profile, len(profiles))
	for user, p := range profiles {
		c := *p
		c.Genres, c.Items = slices.Clone(p.Genres), slices.Clone(p.Items)
		list[user] = &c
	}
	return list
}

// ErrUnreadable says that states of profiles are kept and cannot be read.
var ErrUnreadable = errors.New("past profiles are damaged, or of a later version of recstream")

// ProfilesAt returns those states of profiles, each equal to what Profiles returned then. What is not kept is left out.
// So is what cannot be read: then the error is ErrUnreadable, and the others are there.
func (db *Database) ProfilesAt(ctx context.Context, keys []schemas.ProfileKey) (map[schemas.ProfileKey]*schemas.Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	s := search{wanted: make(map[schemas.ProfileKey]bool, len(keys)), present: map[string]*schemas.Profile{},
		found: make(map[schemas.ProfileKey]*schemas.Profile, len(keys))}
	for _, k := range keys {
		s.wanted[k] = true
	}
	// Both reads see one snapshot, so that the past is that of this present.
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, db.pool, options, func(tx pgx.Tx) error {
		users := make([]string, 0, len(keys))
		for _, k := range keys {
			users = append(users, k.UserID)
		}
		rows, err := tx.Query(ctx, selectProfiles, users)
		if err != nil {
			return err
		}
		if err := collectProfiles(rows, s.present); err != nil {
			return err
		}
		return s.goBack(ctx, tx)
	})
	if err == nil && s.unreadable {
		return s.found, ErrUnreadable
	}
	return s.found, wrap("read past profiles", err)
}

// search is one for past states of profiles.
type search struct {
	wanted     map[schemas.ProfileKey]bool
	present    map[string]*schemas.Profile // by user
	found      map[schemas.ProfileKey]*schemas.Profile
	unreadable bool // one or more that are wanted, or lead to such
}

func (s *search) note(p *schemas.Profile) {
	if k := (schemas.ProfileKey{UserID: p.UserID, Version: p.Version}); s.wanted[k] {
		s.found[k] = p
	}
}

// selectPast takes users and, for each, the first and the last version.
const selectPast = `SELECT v.user_id, v.version, v.state
	FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS w (user_id, lo, hi)
	JOIN profile_versions v ON v.user_id = w.user_id AND v.version BETWEEN w.lo AND w.hi
	ORDER BY v.user_id, v.version DESC`

// goBack finds what is wanted, from the present state of a user and from those that are stored whole.
func (s *search) goBack(ctx context.Context, tx pgx.Tx) error {
	for p := range maps.Values(s.present) {
		s.note(p)
	}
	users, from, to := s.ranges()
	if len(users) == 0 {
		return nil
	}
	rows, _ := tx.Query(ctx, selectPast, users, from, to) // ForEachRow has its error
	var k schemas.ProfileKey
	var state []byte
	var last *schemas.Profile // of the row before, nil for none
	_, err := pgx.ForEachRow(rows, []any{&k.UserID, &k.Version, &state}, func() error {
		if last == nil || !follows(last, k) {
			last = s.present[k.UserID]
		}
		if last != nil && !follows(last, k) {
			last = nil
		}
		var bad error
		if last, bad = pastProfile(k, state, last); last != nil {
			s.note(last)
		}
		s.unreadable = s.unreadable || bad != nil
		return nil
	})
	return err
}

// follows reports whether p is the version after k.
func follows(p *schemas.Profile, k schemas.ProfileKey) bool {
	return p.UserID == k.UserID && p.Version == k.Version+1
}

// ranges are the versions to read: from the first that is wanted of each block to the block's last.
func (s *search) ranges() (users []string, from, to []int64) {
	firsts := map[schemas.ProfileKey]int64{} // by user and the block's last version
	for k := range s.wanted {
		if s.found[k] != nil {
			continue
		}
		block := schemas.ProfileKey{UserID: k.UserID, Version: lastOfBlock(k.Version)}
		if first, known := firsts[block]; !known || k.Version < first {
			firsts[block] = k.Version
		}
	}
	for block, first := range firsts {
		users, from, to = append(users, block.UserID), append(from, first), append(to, block.Version)
	}
	return users, from, to
}
