package similarity

import (
	"math"
	"math/bits"
	"slices"

	"recstream/schemas"
)

// The measure's parts, in tenths. In tenths the sum of all is a whole number, which is 1 exactly when divided.
const (
	genreShare     = 5
	franchiseShare = 2
	tagShare       = 2
	yearShare      = 1
	allShares      = genreShare + franchiseShare + tagShare + yearShare

	// MostUnrelated is the largest similarity of two items that are not of one franchise.
	MostUnrelated = float64(allShares-franchiseShare) / allShares

	yearReach = 10   // years from which on two have nothing in common
	lastYear  = 9999 // later ones are missing
)

// Index holds what is compared of the items of one catalogue, by place. It takes 48 bytes an item, and 4 for each
// of its genres and tags.
type Index struct {
	items                    []features
	ids                      []int32 // of genres and of tags, each set ascending
	genres                   map[string]int32
	tags, franchises, titles int // how many there are; franchises and titles count that of none, 0, too
	exactGenres, exactTags   bool
	earliestYear, latestYear int32 // of the years that are known, 0 if none is
}

// features are what is compared of an item.
type features struct {
	genres, tags     set
	franchise, title int32 // 0 is none
	year             int32 // 0 is missing
}

// set is a set of ids: n of them from ids[at] on. Its sign has bit id mod 64 for each, so sets whose signs are
// disjoint are disjoint, and while all ids are below 64 the sign is the set.
type set struct {
	sign  uint64
	at, n uint32
}

// exactIDs is how many ids a sign tells apart.
const exactIDs = 64

// New builds the index of items; an item's place is its number in the slice. It costs some microseconds an item:
// build it in the background. The items' strings are kept, not the items.
func New(items []schemas.Item) *Index {
	b := builder{
		x:          &Index{items: make([]features, len(items))},
		genres:     map[string]int32{},
		tags:       map[string]int32{},
		franchises: map[string]int32{"": 0},
		titles:     map[string]int32{"": 0},
	}
	for i := range items {
		b.add(&b.x.items[i], &items[i])
	}
	return b.finish()
}

// Len is the number of items.
func (x *Index) Len() int { return len(x.items) }

// Bytes is about how much memory the index holds.
func (x *Index) Bytes() int64 {
	const item, name = 48, 48 // a name's share of the map, without the string, which is the catalogue's
	return int64(len(x.items))*item + int64(cap(x.ids))*4 + int64(len(x.genres))*name
}

// Similarity returns how alike the items at places a and b are, 0 to 1.
func (x *Index) Similarity(a, b int32) float64 {
	p, q := &x.items[a], &x.items[b]
	tenths := 0.0
	if both := p.genres.sign & q.genres.sign; both != 0 {
		tenths = genreShare * x.cosine(&p.genres, &q.genres, both, x.exactGenres)
	}
	if p.franchise == q.franchise && p.franchise != 0 {
		tenths += franchiseShare
	}
	if both := p.tags.sign & q.tags.sign; both != 0 {
		tenths += tagShare * x.cosine(&p.tags, &q.tags, both, x.exactTags)
	}
	if p.year != 0 && q.year != 0 {
		tenths += yearShare * nearness(p.year-q.year)
	}
	return tenths / allShares
}

// NearIdentical reports whether the items at places a and b are almost the same: their similarity is threshold or
// more, or they have one title and years at most one apart.
func (x *Index) NearIdentical(a, b int32, threshold float64) bool {
	return x.SameTitle(a, b) || x.Similarity(a, b) >= threshold
}

// SameTitle reports whether the items at places a and b have one title, as the package's comment says, and years at
// most one apart, where both are known.
func (x *Index) SameTitle(a, b int32) bool {
	p, q := &x.items[a], &x.items[b]
	if p.title != q.title || p.title == 0 {
		return false
	}
	return p.year == 0 || q.year == 0 || (p.year-q.year <= 1 && q.year-p.year <= 1)
}

// cosine is the cosine of two sets that have both in their signs; exact says that signs tell everything.
func (x *Index) cosine(a, b *set, both uint64, exact bool) float64 {
	shared := bits.OnesCount64(both)
	if !exact {
		shared = common(x.of(a), x.of(b))
	}
	// The root of a square is exact, so equal sets have 1.
	return float64(shared) / math.Sqrt(float64(a.n)*float64(b.n))
}

// common counts what two ascending lists have in common.
func common(a, b []int32) int {
	n := 0
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			n++
			a, b = a[1:], b[1:]
		}
	}
	return n
}

// nearness is that of two years with that difference.
func nearness(difference int32) float64 {
	distance := max(difference, -difference)
	if distance >= yearReach {
		return 0
	}
	return float64(yearReach-distance) / yearReach
}

// of returns a set's ids. They belong to the index.
func (x *Index) of(s *set) []int32 { return x.ids[s.at:][:s.n] }

// Genres returns the ids of the item's genres, ascending. They belong to the index and must not be changed.
func (x *Index) Genres(place int32) []int32 { return x.of(&x.items[place].genres) }

// NumGenres is the number of genres: ids are below it.
func (x *Index) NumGenres() int { return len(x.genres) }

// Genre returns the id of the genre of that name; ok is false if no item has it.
func (x *Index) Genre(name string) (id int32, ok bool) {
	id, ok = x.genres[name]
	return id, ok
}

// Franchise returns the id of the item's franchise, 0 for none.
func (x *Index) Franchise(place int32) int32 { return x.items[place].franchise }

// NumFranchises is the number of franchises with that of none: ids are below it.
func (x *Index) NumFranchises() int { return x.franchises }

// Title returns the id of the item's title, which those have in common that are told apart by case, punctuation or
// brackets alone, 0 for none.
func (x *Index) Title(place int32) int32 { return x.items[place].title }

// NumTitles is the number of titles with that of none: ids are below it.
func (x *Index) NumTitles() int { return x.titles }

// Year returns the item's year, 0 if missing.
func (x *Index) Year(place int32) int { return int(x.items[place].year) }

// LatestYear is the latest year of any item, 0 if none has one.
func (x *Index) LatestYear() int { return int(x.latestYear) }

// builder gives numbers to names.
type builder struct {
	x                                *Index
	genres, tags, franchises, titles map[string]int32
	fold                             folder
}

func (b *builder) add(f *features, it *schemas.Item) {
	f.genres = b.set(b.genres, it.Genres)
	f.tags = b.set(b.tags, it.Tags)
	f.franchise = number(b.franchises, it.Franchise)
	f.title = b.title(it.Title)
	if it.Year >= 1 && it.Year < lastYear+1 {
		f.year = int32(it.Year)
	}
}

// title returns the number of the folded title. The string is made for a new one only.
func (b *builder) title(title string) int32 {
	folded := b.fold.title(title)
	if id, known := b.titles[string(folded)]; known {
		return id
	}
	return number(b.titles, string(folded))
}

// set appends the numbers of some names, ascending and each once.
func (b *builder) set(numbers map[string]int32, names []string) set {
	ids := b.x.ids
	s := set{at: uint32(len(ids))}
	for _, name := range names {
		if name != "" {
			ids = append(ids, number(numbers, name))
		}
	}
	own := ids[s.at:]
	slices.Sort(own)
	own = slices.Compact(own)
	for _, id := range own {
		s.sign |= 1 << (id % exactIDs)
	}
	b.x.ids = ids[:int(s.at)+len(own)]
	s.n = uint32(len(own))
	return s
}

// number returns the name's number, the next one for a new name.
func number(numbers map[string]int32, name string) int32 {
	id, known := numbers[name]
	if !known {
		id = int32(len(numbers))
		numbers[name] = id
	}
	return id
}

func (b *builder) finish() *Index {
	x := b.x
	x.ids = slices.Clip(x.ids)
	x.genres, x.tags, x.franchises, x.titles = b.genres, len(b.tags), len(b.franchises), len(b.titles)
	x.exactGenres, x.exactTags = len(b.genres) <= exactIDs, len(b.tags) <= exactIDs
	for i := range x.items {
		y := x.items[i].year
		x.latestYear = max(x.latestYear, y)
		if y != 0 && (x.earliestYear == 0 || y < x.earliestYear) {
			x.earliestYear = y
		}
	}
	return x
}
