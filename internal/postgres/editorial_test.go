package postgres

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"recstream/schemas"
)

func editorial(t testing.TB, db *Database) (lists []schemas.EditorialList, version string) {
	t.Helper()
	version, err := db.EditorialVersion(deadline(t))
	must(t, err)
	lists, err = db.EditorialLists(deadline(t))
	must(t, err)
	return lists, version
}

func TestEditorialListsAreEqualInEveryField(t *testing.T) {
	db := newDatabase(t)
	autumn := schemas.EditorialList{Name: "autumn", StartsAt: noon, EndsAt: noon.AddDate(0, 2, 0), Priority: -3, ItemIDs: []string{"b", "a", "七"},
		Context: schemas.Context{Mood: schemas.MoodFunny, GroupSize: schemas.GroupCouple, SessionLength: schemas.SessionShort}}
	always := schemas.EditorialList{Name: "Always", Priority: -3, ItemIDs: []string{"a"}}
	first := schemas.EditorialList{Name: "zebra", Priority: 7, ItemIDs: []string{"a"}}
	_, empty := editorial(t, db)
	var told []int
	removed, err := db.ImportEditorial(deadline(t), []schemas.EditorialList{autumn, always, first}, true, func(n int) { told = append(told, n) })
	must(t, err)
	if removed != 0 || !slices.Equal(told, []int{1, 2, 3}) {
		t.Errorf("%d lists removed, progress %v", removed, told)
	}
	lists, version := editorial(t, db)
	if want := []schemas.EditorialList{first, always, autumn}; !reflect.DeepEqual(lists, want) {
		t.Errorf("lists\n got %+v\nwant %+v", lists, want)
	}
	if version == empty {
		t.Error("the version is that of none")
	}
}

func TestImportReplacesEditorialLists(t *testing.T) {
	list := func(name string, ids ...string) schemas.EditorialList {
		return schemas.EditorialList{Name: name, ItemIDs: ids}
	}
	tests := map[string]struct {
		lists      []schemas.EditorialList
		replaceAll bool
		want       []string // names with their first items
		removed    int
	}{
		"another":         {[]schemas.EditorialList{list("c", "1")}, false, []string{"a 1", "b 1", "c 1"}, 0},
		"one of them":     {[]schemas.EditorialList{list("b", "2", "1")}, false, []string{"a 1", "b 2"}, 0},
		"in place of all": {[]schemas.EditorialList{list("c", "1"), list("b", "2")}, true, []string{"b 2", "c 1"}, 1},
		"none":            {nil, false, []string{"a 1", "b 1"}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			_, err := db.ImportEditorial(deadline(t), []schemas.EditorialList{list("a", "1"), list("b", "1")}, false, nil)
			must(t, err)
			_, before := editorial(t, db)
			removed, err := db.ImportEditorial(deadline(t), test.lists, test.replaceAll, nil)
			must(t, err)
			lists, after := editorial(t, db)
			var got []string
			for _, l := range lists {
				got = append(got, l.Name+" "+l.ItemIDs[0])
			}
			if !slices.Equal(got, test.want) || removed != test.removed {
				t.Errorf("lists %q, %d removed; want %q, %d", got, removed, test.want, test.removed)
			}
			if (after == before) != (len(test.lists) == 0) {
				t.Errorf("version %q before and %q after", before, after)
			}
		})
	}
}

func TestRefusedEditorialListLeavesAll(t *testing.T) {
	db := newDatabase(t)
	good := schemas.EditorialList{Name: "good", ItemIDs: []string{"a"}}
	for name, bad := range map[string]schemas.EditorialList{
		"no name":  {ItemIDs: []string{"a"}},
		"no items": {Name: "bad", ItemIDs: []string{}},
		"no time":  {Name: "bad", ItemIDs: []string{"a"}, StartsAt: noon, EndsAt: noon},
	} {
		if _, err := db.ImportEditorial(deadline(t), []schemas.EditorialList{good, bad}, true, nil); !hasCode(err, checkViolation) {
			t.Errorf("%s: error %v, want that of the check", name, err)
		}
	}
	if lists, _ := editorial(t, db); len(lists) > 0 {
		t.Errorf("stored %+v", lists)
	}
}

func TestDeleteEditorial(t *testing.T) {
	db := newDatabase(t)
	_, err := db.ImportEditorial(deadline(t), []schemas.EditorialList{{Name: "a", ItemIDs: []string{"1"}}}, false, nil)
	must(t, err)
	must(t, db.DeleteEditorial(deadline(t), "a"))
	if err := db.DeleteEditorial(deadline(t), "a"); !errors.Is(err, ErrNoEditorialList) {
		t.Errorf("removed twice: %v", err)
	}
	if lists, _ := editorial(t, db); len(lists) > 0 {
		t.Errorf("left %+v", lists)
	}
}

func TestUnknownItems(t *testing.T) {
	db := newDatabase(t)
	popularItems(t, db, "a", "b")
	got, err := db.UnknownItems(deadline(t), []string{"z", "a", "c", "b", "y"})
	if want := []string{"z", "c", "y"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("unknown %q, error %v; want %q", got, err, want)
	}
}
