package postgres

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"recstream/schemas"
)

func catalogOf(t testing.TB, db *Database) ([]schemas.Item, int64) {
	t.Helper()
	items, version, err := db.Catalog(deadline(t))
	must(t, err)
	return items, version
}

func TestImportedItemsAreEqualInEveryField(t *testing.T) {
	db := newDatabase(t)
	want := []schemas.Item{
		{ID: "B", Title: "七人の侍", Genres: []string{"Drama", "Science Fiction"}, DurationMin: 207.5, Year: 1954, Popularity: 0.25,
			AddedAt: noon, ExpiresAt: noon.AddDate(1, 0, 0), Hidden: true,
			Suitability: []schemas.GroupSize{schemas.GroupSolo, schemas.GroupGroup}, Franchise: "f", Tags: []string{"Kurosawa, Akira", "samurai"}},
		{ID: "Z", Title: "", Genres: []string{}, Tags: []string{}, AddedAt: noon},
		{ID: "a", Title: "lower case comes after upper case", Genres: []string{}, Tags: []string{}, AddedAt: noon},
		{ID: "é", Title: "and other letters after that", Genres: []string{}, Tags: []string{}, AddedAt: noon},
	}
	shuffled := []schemas.Item{want[3], want[1], want[0], want[2]}
	must(t, db.ImportItems(deadline(t), shuffled, nil))
	if got, _ := catalogOf(t, db); !reflect.DeepEqual(got, want) {
		t.Errorf("catalogue\n got %+v\nwant %+v", got, want)
	}
	for i := range want {
		if got, err := db.Item(deadline(t), want[i].ID); err != nil || !reflect.DeepEqual(got, &want[i]) {
			t.Errorf("item %+v, error %v; want %+v", got, err, want[i])
		}
	}
	if got, err := db.Item(deadline(t), "b"); got != nil || err != nil {
		t.Errorf("item %+v, error %v; want none", got, err)
	}
	must(t, db.ImportItems(deadline(t), []schemas.Item{{ID: "B"}}, nil))
	if got, err := db.Item(deadline(t), "B"); err != nil || len(got.Tags) > 0 {
		t.Errorf("item %+v, error %v; want no tags after an import without", got, err)
	}
}

func TestImportReplacesAndKeepsWhatTheFileDoesNotSay(t *testing.T) {
	db := newDatabase(t)
	imported := func(items ...schemas.Item) map[string]schemas.Item {
		t.Helper()
		must(t, db.ImportItems(deadline(t), items, nil))
		list, _ := catalogOf(t, db)
		byID := map[string]schemas.Item{}
		for _, it := range list {
			byID[it.ID] = it
		}
		return byID
	}
	began := time.Now().Add(-time.Second)
	got := imported(schemas.Item{ID: "dated", Title: "1", AddedAt: noon}, schemas.Item{ID: "undated", Title: "1"}, schemas.Item{ID: "other", Title: "kept"})
	undated := got["undated"].AddedAt
	if undated.Before(began) || undated.After(time.Now().Add(time.Second)) {
		t.Errorf("an item without added_at was added at %s, want now", undated)
	}
	got = imported(schemas.Item{ID: "dated", Title: "2"}, schemas.Item{ID: "undated", Title: "2"})
	if it := got["dated"]; it.Title != "2" || !it.AddedAt.Equal(noon) {
		t.Errorf("after an import without added_at: %+v, want title 2 added at %s", it, noon)
	}
	if it := got["undated"]; it.Title != "2" || !it.AddedAt.Equal(undated) {
		t.Errorf("after an import without added_at: %+v, want title 2 added at %s", it, undated)
	}
	if it := got["other"]; it.Title != "kept" {
		t.Errorf("an item that the file lacks is %+v", it)
	}
	later := noon.AddDate(0, 1, 0)
	got = imported(schemas.Item{ID: "dated", Title: "first", AddedAt: noon}, schemas.Item{ID: "dated", Title: "last", AddedAt: later})
	if it := got["dated"]; it.Title != "last" || !it.AddedAt.Equal(later) {
		t.Errorf("of two items with one id %+v stands, want the last", it)
	}
}

func TestRefusedItemLeavesTheCatalogue(t *testing.T) {
	db := newDatabase(t)
	must(t, db.ImportItems(deadline(t), []schemas.Item{{ID: "a"}}, nil))
	_, version := catalogOf(t, db)
	err := db.ImportItems(deadline(t), []schemas.Item{{ID: "b"}, {ID: "c", DurationMin: -1}}, nil)
	if !hasCode(err, checkViolation) {
		t.Errorf("error %v, want that of the check", err)
	}
	if items, v := catalogOf(t, db); len(items) != 1 || v != version {
		t.Errorf("%d items of version %d, want 1 of %d", len(items), v, version)
	}
}

func TestImportTellsItsProgress(t *testing.T) {
	db := newDatabase(t)
	var told []int
	must(t, db.ImportItems(deadline(t), numbered(2500), func(done int) { told = append(told, done) }))
	if want := []int{1000, 2000, 2500}; !slices.Equal(told, want) {
		t.Errorf("progress %v, want %v", told, want)
	}
	must(t, db.ImportItems(deadline(t), nil, func(int) { t.Error("progress of nothing") }))
}

func numbered(n int) []schemas.Item {
	items := make([]schemas.Item, n)
	for i := range items {
		items[i].ID = fmt.Sprintf("i%06d", i)
	}
	return items
}

// TestImportingAgainIsNotQuadratic takes minutes where each item is looked up among all.
func TestImportingAgainIsNotQuadratic(t *testing.T) {
	db := newDatabase(t)
	items := numbered(30_000)
	for range 2 {
		must(t, db.ImportItems(deadline(t), items, nil))
	}
}

func TestEveryChangeMakesANewVersion(t *testing.T) {
	db := newDatabase(t)
	before, err := db.CatalogVersion(deadline(t))
	must(t, err)
	for _, sql := range []string{
		`INSERT INTO items (id, title) VALUES ('a', 'A'), ('b', 'B')`, `UPDATE items SET hidden = true`,
		`DELETE FROM items WHERE id = 'a'`, `TRUNCATE items`,
	} {
		execute(t, db, sql)
		after, err := db.CatalogVersion(deadline(t))
		must(t, err)
		if after != before+1 {
			t.Errorf("after %s: version %d, want %d", sql, after, before+1)
		}
		before = after
	}
}

// TestCatalogIsOfItsVersion reads while statements add an item each: there are as many items as versions.
func TestCatalogIsOfItsVersion(t *testing.T) {
	db := newDatabase(t)
	_, first := catalogOf(t, db)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			if _, err := db.Pool().Exec(t.Context(), `INSERT INTO items (id, title) VALUES ($1, '')`, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		}
	})
	for version := first; version < first+200 && !t.Failed(); {
		var items []schemas.Item
		items, version = catalogOf(t, db)
		if int64(len(items)) != version-first {
			t.Errorf("%d items at version %d, want %d", len(items), version, version-first)
		}
	}
	wg.Wait()
}
