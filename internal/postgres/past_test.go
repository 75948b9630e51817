package postgres

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
)

// twoVersions are a profile and the one after it.
func twoVersions() (p, next *schemas.Profile) {
	p = &schemas.Profile{UserID: "ada", Version: 5, AsOf: noon, Activity: 0.1, DurationSum: 100, DurationWeight: 1,
		Genres: []schemas.GenreWeight{{Genre: "Comedy", Weight: 1}, {Genre: "War", Weight: -0.25}},
		Items: []schemas.ProfileItem{{ItemID: "a", Seen: noon}, {ItemID: "b", Dismissed: time.Unix(0, 0).UTC()},
			{ItemID: "d", Impressions: 3}, {ItemID: "e", Seen: noon, Dismissed: noon, Impressions: 1}}}
	next = clones(map[string]*schemas.Profile{"ada": p})["ada"]
	next.Version, next.Activity = 6, 1.1
	next.Items[1].Impressions = 1
	next.Items[2] = schemas.ProfileItem{ItemID: "c", Seen: noon} // and "d" was forgotten
	return p, next
}

func TestPastState(t *testing.T) {
	for name, change := range map[string]func(p, next *schemas.Profile){
		"an item": func(_, _ *schemas.Profile) {},
		"nothing": func(p, next *schemas.Profile) { next.Items = p.Items },
		"a genre more": func(_, next *schemas.Profile) {
			next.Genres = append(next.Genres, schemas.GenreWeight{Genre: "Western"})
		},
		"a genre renamed":      func(_, next *schemas.Profile) { next.Genres[0].Genre = "Drama" },
		"whole":                func(p, _ *schemas.Profile) { p.Version = 64 },
		"never, nothing known": func(p, _ *schemas.Profile) { *p = schemas.Profile{UserID: "ada", Version: 5} },
		"out of order":         func(p, _ *schemas.Profile) { slices.Reverse(p.Items) },
		"next out of order":    func(_, next *schemas.Profile) { slices.Reverse(next.Items) },
		"no items any more":    func(_, next *schemas.Profile) { next.Items = nil },
	} {
		t.Run(name, func(t *testing.T) {
			p, next := twoVersions()
			change(p, next)
			state := pastState(p, next)
			got, err := pastProfile(schemas.ProfileKey{UserID: "ada", Version: p.Version}, state, next)
			must(t, err)
			p.Genres, p.Items = append([]schemas.GenreWeight{}, p.Genres...), append([]schemas.ProfileItem{}, p.Items...)
			if !reflect.DeepEqual(got, p) {
				t.Errorf("got %+v\nwant %+v", got, p)
			}
			for n := range state {
				if _, err := readPast(state[:n]); !errors.Is(err, errPast) {
					t.Errorf("cut off after %d of %d bytes: error %v", n, len(state), err)
				}
			}
			if _, err := readPast(append(state, 0)); !errors.Is(err, errPast) {
				t.Errorf("with a byte too many: error %v", err)
			}
		})
	}
}

func TestStateThatDoesNotFit(t *testing.T) {
	p, next := twoVersions()
	state, k := pastState(p, next), schemas.ProfileKey{UserID: "ada", Version: 5}
	if got, err := pastProfile(k, state, nil); got != nil || err != nil {
		t.Errorf("without the next version: %+v, error %v; want neither", got, err)
	}
	if _, err := pastProfile(k, state, &schemas.Profile{}); err == nil {
		t.Error("the next version has other genres, and that is no error")
	}
	state[0] |= pastFlags + 1
	if _, err := pastProfile(k, state, next); !errors.Is(err, errPast) {
		t.Errorf("an unknown flag: error %v", err)
	}
}

func TestLastOfBlock(t *testing.T) {
	for version, want := range map[int64]int64{1: 32, 31: 32, 32: 32, 33: 64, 1_795_414_814_876: 1_795_414_814_880} {
		if got := lastOfBlock(version); got != want {
			t.Errorf("%d: %d, want %d", version, got, want)
		}
	}
}

// FuzzPastState reads anything without harm, and what it reads it writes again.
func FuzzPastState(f *testing.F) {
	p, next := twoVersions()
	f.Add(pastState(p, next))
	p.Version = wholeEvery
	f.Add(pastState(p, next))
	f.Fuzz(func(t *testing.T, state []byte) {
		s, err := readPast(state)
		if err != nil {
			return
		}
		again, err := readPast(s.bytes())
		if err != nil || string(again.bytes()) != string(s.bytes()) {
			t.Errorf("%x became %x, error %v", s.bytes(), again.bytes(), err)
		}
	})
}
