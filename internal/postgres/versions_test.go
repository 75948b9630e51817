package postgres

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// checkCatalogs compares each noted version with what is read of it now.
func checkCatalogs(t *testing.T, db *Database, noted map[int64][]schemas.Item) {
	t.Helper()
	for version, want := range noted {
		got, err := db.CatalogAt(deadline(t), version)
		must(t, err)
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("version %d\n got %+v\nwant %+v", version, got, want)
		}
	}
}

// noteCatalog adds the present version.
func noteCatalog(t *testing.T, db *Database, noted map[int64][]schemas.Item) int64 {
	t.Helper()
	items, version, err := db.Catalog(deadline(t))
	must(t, err)
	noted[version] = items
	return version
}

// randomItem is one of a few ids, so that changes meet.
func (r random) item() schemas.Item {
	it := schemas.Item{ID: fmt.Sprint("item ", r.IntN(12)), Title: r.text(), Genres: []string{}, Tags: []string{},
		DurationMin: pick(r, 0, 90.5), Year: pick(r, 0.0, 1999, 2024), Popularity: pick(r, 0, 0.25), AddedAt: r.time(),
		ExpiresAt: pick(r, time.Time{}, r.time()), Hidden: r.IntN(3) == 0, Franchise: r.text()}
	for range r.IntN(3) {
		it.Genres, it.Tags = append(it.Genres, r.text()), append(it.Tags, r.text())
		it.Suitability = append(it.Suitability, schemas.GroupCouple)
	}
	return it
}

// Whatever changes the catalogue, every version that it had can be read again.
func TestEveryVersionOfTheCatalogueCanBeReadAgain(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			db, r := newDatabase(t), newRandom(seed)
			noted := map[int64][]schemas.Item{}
			noteCatalog(t, db, noted)
			for step := range 40 {
				switch r.IntN(8) {
				case 0:
					execute(t, db, `DELETE FROM items WHERE id = $1`, r.item().ID)
				case 1:
					execute(t, db, `UPDATE items SET title = title || '!', duration_min = duration_min + 1 WHERE id > $1`, r.item().ID)
				case 2:
					execute(t, db, `UPDATE items SET id = id || $1 WHERE id = (SELECT min(id) FROM items)`, fmt.Sprint(" ", step))
				case 3:
					removeAndAdd(t, db, r.item().ID)
				case 4:
					if r.IntN(4) == 0 {
						execute(t, db, `TRUNCATE items`)
					}
				default:
					must(t, db.ImportItems(deadline(t), []schemas.Item{r.item(), r.item(), r.item()}, nil))
				}
				noteCatalog(t, db, noted)
			}
			checkCatalogs(t, db, noted)
		})
	}
}

// removeAndAdd makes three versions of which nobody sees the first two.
func removeAndAdd(t *testing.T, db *Database, id string) {
	t.Helper()
	must(t, pgx.BeginFunc(deadline(t), db.pool, func(tx pgx.Tx) error {
		for _, sql := range []string{`DELETE FROM items WHERE id = $1`, `INSERT INTO items (id, title) VALUES ($1, 'anew')`,
			`UPDATE items SET hidden = true WHERE id = $1`} {
			if _, err := tx.Exec(deadline(t), sql, id); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestVersionThatIsNotThere(t *testing.T) {
	db := newDatabase(t)
	for _, version := range []int64{0, -1, 2, math.MaxInt64} {
		if _, err := db.CatalogAt(deadline(t), version); !errors.Is(err, ErrNotKept) {
			t.Errorf("version %d: error %v, want %v", version, err, ErrNotKept)
		}
	}
}

// An import that changes nothing is a version, and no row.
func TestImportOfTheSameItemsKeepsNoRow(t *testing.T) {
	db, r := newDatabase(t), newRandom(3)
	items := []schemas.Item{r.item(), {ID: "other", AddedAt: noon}}
	must(t, db.ImportItems(deadline(t), items, nil))
	rows := func() int { return queryRows[int](t, db, `SELECT count(*) FROM item_versions`)[0] }
	before := rows()
	must(t, db.ImportItems(deadline(t), items, nil))
	if n := rows(); before != 2 || n != before {
		t.Errorf("%d rows, then %d; want 2 both times", before, n)
	}
	items[1].Hidden = true
	must(t, db.ImportItems(deadline(t), items, nil))
	if n := rows(); n != 3 {
		t.Errorf("%d rows after one item was changed, want 3", n)
	}
}

// The history begins with the catalogue of the version before.
func TestHistoryBeginsWithTheCatalogue(t *testing.T) {
	db := newDatabase(t)
	migrateDown(t, db, 6)
	must(t, db.ImportItems(deadline(t), []schemas.Item{{ID: "a", Title: "A", AddedAt: noon}, {ID: "b", AddedAt: noon}}, nil))
	_, err := db.Migrate(deadline(t))
	must(t, err)
	noted := map[int64][]schemas.Item{}
	version := noteCatalog(t, db, noted)
	execute(t, db, `DELETE FROM items WHERE id = 'a'`)
	noteCatalog(t, db, noted)
	checkCatalogs(t, db, noted)
	if _, err := db.CatalogAt(deadline(t), version-1); !errors.Is(err, ErrNotKept) {
		t.Errorf("a version from before: error %v, want %v", err, ErrNotKept)
	}
}

// What is dropped is what no version from the oldest that is kept has.
func TestOldVersionsOfTheCatalogueAreDropped(t *testing.T) {
	db, r := newDatabase(t), newRandom(5)
	noted := map[int64][]schemas.Item{}
	var versions []int64
	for i := range 30 {
		must(t, db.ImportItems(deadline(t), []schemas.Item{r.item(), r.item()}, nil))
		execute(t, db, `DELETE FROM items WHERE id = $1`, r.item().ID)
		versions = append(versions, noteCatalog(t, db, noted))
		execute(t, db, `UPDATE item_versions SET changed_at = $1 WHERE version > $2`, noon.AddDate(0, 0, i), append([]int64{0}, versions...)[i])
	}
	before := noon.AddDate(0, 0, 20).Add(time.Hour)
	kept := maps.Clone(noted)
	for _, version := range versions[:20] {
		delete(kept, version)
	}
	first, err := db.dropCatalogVersions(deadline(t), before, 3)
	must(t, err)
	checkCatalogs(t, db, kept) // in the middle too
	dropped, err := db.DropCatalogVersions(deadline(t), before)
	must(t, err)
	if first != 3 {
		t.Errorf("dropped %d rows of three", first)
	}
	again, err := db.DropCatalogVersions(deadline(t), before)
	must(t, err)
	if dropped == 0 || again != 0 {
		t.Errorf("dropped %d rows, then %d", dropped, again)
	}
	for _, version := range versions[:20] {
		if _, err := db.CatalogAt(deadline(t), version); !errors.Is(err, ErrNotKept) {
			t.Errorf("version %d: error %v, want %v", version, err, ErrNotKept)
		}
		delete(noted, version)
	}
	checkCatalogs(t, db, noted)
	needed := queryRows[int](t, db, `SELECT count(*) FROM item_versions v WHERE version <= (SELECT kept_from FROM catalog_version) AND
		(deleted OR EXISTS (SELECT FROM item_versions w WHERE w.id = v.id AND w.version > v.version AND w.version <= (SELECT kept_from FROM catalog_version)))`)[0]
	if needed != 0 {
		t.Errorf("%d rows are left that nobody needs", needed)
	}
}

// pastOfUsers gives users feedback, and notes every version of their profiles.
type pastOfUsers struct {
	db    *Database
	l     *FeedbackLedger
	next  int64
	noted map[schemas.ProfileKey]*schemas.Profile
}

func (p *pastOfUsers) give(t *testing.T, at time.Time, events ...*schemas.Feedback) {
	t.Helper()
	b := feedbackBatch(0, p.next, events...)
	b.ReceivedAt = at
	must(t, p.l.Record(deadline(t), b))
	p.next += int64(len(events))
	present := map[string]*schemas.Profile{}
	for _, f := range events {
		must(t, p.db.Profiles(deadline(t), []string{f.UserID}, present))
	}
	for user, state := range present {
		p.noted[schemas.ProfileKey{UserID: user, Version: state.Version}] = state
	}
}

// takeIn changes a profile as feedback does: all weights, one item, and of a full profile another one goes.
func takeIn(p *schemas.Profile, f *schemas.Feedback) {
	p.Activity, p.DurationSum, p.DurationWeight = p.Activity*0.9+1, p.DurationSum*0.9+100, p.DurationWeight*0.9+1
	for i := range p.Genres {
		p.Genres[i].Weight *= 0.9
	}
	genre := []string{"Drama", "Comedy", "War", "七"}[len(f.ItemID)%4]
	if at := slices.IndexFunc(p.Genres, func(g schemas.GenreWeight) bool { return g.Genre == genre }); at < 0 {
		p.Genres = slices.Insert(p.Genres, len(p.Genres)/2, schemas.GenreWeight{Genre: genre, Weight: -1})
	}
	if f.At.After(p.AsOf) {
		p.AsOf = f.At
	}
	at, known := slices.BinarySearchFunc(p.Items, f.ItemID, func(it schemas.ProfileItem, id string) int { return strings.Compare(it.ItemID, id) })
	if !known {
		p.Items = slices.Insert(p.Items, at, schemas.ProfileItem{ItemID: f.ItemID})
	}
	switch it := &p.Items[at]; f.Action {
	case schemas.ActionImpression:
		it.Impressions++
	case schemas.ActionDismiss:
		it.Dismissed = f.At
	default:
		it.Seen = f.At
	}
	if n := len(p.Items); n > schemas.MaxProfileItems {
		p.Items = slices.Delete(p.Items, n*(at%7)/7, n*(at%7)/7+1)
	}
}

func newPastOfUsers(t *testing.T, days ...time.Time) *pastOfUsers {
	db := newDatabase(t)
	return &pastOfUsers{db: db, l: newFeedbackLedger(t, db, takeIn, days...), noted: map[schemas.ProfileKey]*schemas.Profile{}}
}

func (r random) feedback(users, items int) *schemas.Feedback {
	return &schemas.Feedback{RequestID: "r", UserID: fmt.Sprint("user ", r.IntN(users)), ItemID: fmt.Sprintf("film-%d", r.IntN(items)),
		Action: schemas.Action(1 + r.IntN(6)), Value: 4, At: pick(r, time.Unix(0, 0), noon.Add(time.Duration(r.IntN(1e6))*time.Second))}
}

// check reads all versions that there were, at once and one by one.
func (p *pastOfUsers) check(t *testing.T) {
	t.Helper()
	var all []schemas.ProfileKey
	for k, want := range p.noted {
		all = append(all, k)
		one, err := p.db.ProfilesAt(deadline(t), []schemas.ProfileKey{k})
		must(t, err)
		if !reflect.DeepEqual(one, map[schemas.ProfileKey]*schemas.Profile{k: want}) {
			t.Fatalf("%v\n got %+v\nwant %+v", k, one[k], want)
		}
	}
	got, err := p.db.ProfilesAt(deadline(t), append(all, all...))
	must(t, err)
	if !reflect.DeepEqual(got, p.noted) {
		t.Errorf("read at once, %d versions are not the %d that there were", len(got), len(p.noted))
	}
}

func TestEveryVersionOfAProfileCanBeReadAgain(t *testing.T) {
	p, r := newPastOfUsers(t, noon), newRandom(2)
	for range 120 {
		var events []*schemas.Feedback
		for range 1 + r.IntN(4) {
			events = append(events, r.feedback(3, 40))
		}
		p.give(t, noon, events...)
	}
	if whole := queryRows[int](t, p.db, `SELECT count(*) FROM profile_versions WHERE get_byte(state, 0) & 1 = 1`)[0]; whole < 3 || whole > 20 {
		t.Errorf("%d versions are stored whole", whole)
	}
	p.check(t)
}

// A full profile forgets an item with each new one.
func TestVersionsOfAFullProfile(t *testing.T) {
	p, r := newPastOfUsers(t, noon), newRandom(4)
	var events []*schemas.Feedback
	for i := range schemas.MaxProfileItems {
		f := r.feedback(1, 1)
		f.ItemID, f.Action = fmt.Sprintf("film-%d", i), schemas.ActionPlay
		events = append(events, f)
	}
	p.give(t, noon, events...)
	for range 40 {
		p.give(t, noon, r.feedback(1, 700))
	}
	p.check(t)
	size := queryRows[int](t, p.db, `SELECT max(length(state)) FROM profile_versions WHERE get_byte(state, 0) & 1 = 0`)[0]
	if size > 200 {
		t.Errorf("a change of one item takes %d bytes", size)
	}
}

// What somebody has written by hand is kept too: items out of order, values that no feedback makes.
func TestVersionsOfOddProfiles(t *testing.T) {
	r := newRandom(9)
	odd := func(p *schemas.Profile, _ *schemas.Feedback) {
		p.AsOf, p.Activity, p.DurationSum, p.Genres = pick(r, time.Time{}, r.time()), r.float(), r.float(), p.Genres[:0]
		for range r.IntN(3) {
			p.Genres = append(p.Genres, schemas.GenreWeight{Genre: r.text(), Weight: r.float()})
		}
		if r.IntN(2) == 0 {
			p.Items = p.Items[:0]
		}
		for range r.IntN(3) {
			p.Items = append(p.Items, schemas.ProfileItem{ItemID: r.text(), Seen: pick(r, time.Time{}, r.time()), Impressions: r.float()})
		}
	}
	db := newDatabase(t)
	p := &pastOfUsers{db: db, l: newFeedbackLedger(t, db, odd, noon), noted: map[schemas.ProfileKey]*schemas.Profile{}}
	for range 100 {
		p.give(t, noon, feedback("ada", "a"))
	}
	for k, state := range p.noted {
		if isFresh(state) && state.Version != 0 {
			delete(p.noted, k) // nothing is known there
		}
	}
	p.check(t)
}

// The partitions of days past go, and what leans on nothing else is still there.
func TestVersionsPastTheirRetentionAreLeftOut(t *testing.T) {
	p, r := newPastOfUsers(t), newRandom(6)
	for day := range 3 {
		_, _, err := p.db.MaintainPartitions(deadline(t), noon.AddDate(0, 0, day), Partitions{})
		must(t, err)
		for range 20 {
			p.give(t, noon.AddDate(0, 0, day), r.feedback(1, 30))
		}
	}
	p.check(t)
	_, _, err := p.db.MaintainPartitions(deadline(t), noon.AddDate(0, 0, 3), Partitions{Retention: 24 * time.Hour})
	must(t, err)
	var versions []int64
	for k := range p.noted {
		versions = append(versions, k.Version)
	}
	slices.Sort(versions)
	for _, v := range versions[:20] { // the last one of the first day was replaced on the second
		k := schemas.ProfileKey{UserID: "user 0", Version: v}
		if v < versions[19] {
			delete(p.noted, k)
			if got, err := p.db.ProfilesAt(deadline(t), []schemas.ProfileKey{k}); len(got) != 0 || err != nil {
				t.Errorf("version %d: %v, error %v; want nothing", v, got, err)
			}
		}
	}
	p.check(t)
}

// Whoever removes a user removes the past, and one who comes again has no version that another state had.
func TestRemovedUsersHaveNoPast(t *testing.T) {
	for _, remove := range []string{`DELETE FROM profiles WHERE user_id = 'user 0'`, `TRUNCATE profiles`} {
		p, r := newPastOfUsers(t, noon), newRandom(8)
		for range 10 {
			p.give(t, noon, r.feedback(1, 30))
		}
		execute(t, p.db, remove)
		if n := queryRows[int](t, p.db, `SELECT count(*) FROM profile_versions`)[0]; n != 0 {
			t.Errorf("%s: %d versions are left", remove, n)
		}
		before := len(p.noted)
		p.give(t, noon, r.feedback(1, 30))
		if len(p.noted) != before+1 {
			t.Errorf("%s: a version has two states", remove)
		}
	}
}

// A change that does not keep what was before is a version all the same: nothing else is taken for what it replaced.
func TestChangesByHandAreVersions(t *testing.T) {
	p, r := newPastOfUsers(t, noon), newRandom(12)
	for range 5 {
		p.give(t, noon, r.feedback(1, 30))
	}
	last := schemas.ProfileKey{UserID: "user 0"}
	for k := range p.noted {
		last.Version = max(last.Version, k.Version)
	}
	execute(t, p.db, `UPDATE profiles SET activity = 1000`)
	for range 40 {
		p.give(t, noon, r.feedback(1, 30))
	}
	for k := range p.noted {
		if k.Version > last.Version {
			continue
		}
		// What leans on the one that is not kept is not kept either.
		got, err := p.db.ProfilesAt(deadline(t), []schemas.ProfileKey{k})
		if err != nil || got[k] != nil && !reflect.DeepEqual(got[k], p.noted[k]) || k == last && got[k] != nil {
			t.Errorf("%v: %+v, error %v", k, got[k], err)
		}
		delete(p.noted, k)
	}
	p.check(t)
}

// A state that cannot be read costs that version and what leans on it; the others are had all the same.
func TestUnreadableVersionIsLeftOut(t *testing.T) {
	p, r := newPastOfUsers(t, noon), newRandom(14)
	for range 70 {
		p.give(t, noon, r.feedback(2, 30))
	}
	var all []schemas.ProfileKey
	for k := range p.noted {
		all = append(all, k)
	}
	bad := queryRows[string](t, p.db, `UPDATE profile_versions SET state = '\xff' WHERE (user_id, version) IN
		(SELECT user_id, max(version) FROM profile_versions WHERE user_id = 'user 0' GROUP BY 1) RETURNING user_id || ' ' || version`)
	got, err := p.db.ProfilesAt(deadline(t), all)
	if !errors.Is(err, ErrUnreadable) || len(bad) != 1 {
		t.Fatalf("error %v of %q, want %v", err, bad, ErrUnreadable)
	}
	lost := 0
	for k, want := range p.noted {
		switch {
		case reflect.DeepEqual(got[k], want):
		case got[k] == nil && k.UserID == "user 0":
			lost++
		default:
			t.Errorf("%v is %+v, want %+v", k, got[k], want)
		}
	}
	if lost == 0 || lost > wholeEvery {
		t.Errorf("%d versions are left out of %d, at most %d lean on one another", lost, len(all), wholeEvery)
	}
}
