package rank

import (
	"recstream/schemas"
	"recstream/scoring/similarity"
)

// tally counts what is alike among the items of an answer, and tells what the caps leave room for. What is full
// stays full: nothing is taken away before the next answer.
type tally struct {
	caps      Caps
	x         *similarity.Index
	genre     []int32 // by genre
	franchise []int32 // by franchise
	band      []int32 // by band of years
}

// start prepares for another answer; all counts are 0.
func (t *tally) start(caps Caps, x *similarity.Index) {
	t.caps, t.x = caps, x
	t.genre = zeros(t.genre, caps.Genre, x.NumGenres())
	t.franchise = zeros(t.franchise, caps.Franchise, x.NumFranchises())
	t.band = zeros(t.band, caps.YearBand, x.LatestYear()/caps.BandYears+1)
}

// zeros returns n zeros in the old room if that is enough, and none without a cap. The old ones are all 0.
func zeros(old []int32, limit, n int) []int32 {
	switch {
	case limit == 0:
		return old[:0]
	case cap(old) < n:
		return make([]int32, n)
	}
	return old[:n]
}

// any reports whether there is a cap.
func (t *tally) any() bool { return t.caps.Genre > 0 || t.caps.Franchise > 0 || t.caps.YearBand > 0 }

// full returns the code of the cap that has no room for the item, "" if none.
func (t *tally) full(item int32) schemas.DropCode {
	if t.caps.Genre > 0 {
		for _, g := range t.x.Genres(item) {
			if int(t.genre[g]) >= t.caps.Genre {
				return schemas.DropCapGenre
			}
		}
	}
	if t.caps.Franchise > 0 {
		if f := t.x.Franchise(item); f != 0 && int(t.franchise[f]) >= t.caps.Franchise {
			return schemas.DropCapFranchise
		}
	}
	if t.caps.YearBand > 0 {
		if y := t.x.Year(item); y != 0 && int(t.band[y/t.caps.BandYears]) >= t.caps.YearBand {
			return schemas.DropCapYear
		}
	}
	return ""
}

// count adds n for an item: 1 when it comes in, -1 when the answer is done with.
func (t *tally) count(item, n int32) {
	if t.caps.Genre > 0 {
		for _, g := range t.x.Genres(item) {
			t.genre[g] += n
		}
	}
	if t.caps.Franchise > 0 {
		t.franchise[t.x.Franchise(item)] += n
	}
	if y := t.x.Year(item); t.caps.YearBand > 0 && y != 0 {
		t.band[y/t.caps.BandYears] += n
	}
}
