package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"recstream/schemas"
)

// past is profile_versions.state: a version of a profile, said by what the next version has otherwise. Weights are all
// there, because all of them fade; of the items mostly one is another.
//
// In bytes it is the flags, AsOf if there is one, Activity, the two of Duration, and the lists, each after its length:
// weights, genres if they are named, items (id, flags, the times that there are, impressions), and the ids in Gone.
// Numbers are 8 bytes, the first the lowest, times microseconds since 1970, and lengths unsigned varints.
type past struct {
	asOf     time.Time // zero is never; so are an item's times
	activity float64
	duration [2]float64 // sum and weight
	weights  []float64
	named    bool // genres have their names; else they are the next version's
	genres   []string
	whole    bool                  // it stands for itself: genres and items are all there
	items    []schemas.ProfileItem // that the next version has otherwise or not at all, by id
	gone     []string              // those that only the next version has, by id
}

// The flags of a state and those of an item. What has another one is of a later version.
const (
	pastWhole = 1 << iota
	pastNamed
	pastHasTime
	pastFlags = 1<<iota - 1

	itemSeen      = 1
	itemDismissed = 2
	itemFlags     = itemSeen | itemDismissed
)

// wholeEvery is how many versions of a profile lean on one another: that many are read for one at the most.
const wholeEvery = 32

// lastOfBlock is the version to begin with for another one: it is stored whole, or is the present one.
func lastOfBlock(version int64) int64 { return (version + wholeEvery - 1) / wholeEvery * wholeEvery }

// pastState returns a profile's state for its row, next being the version after it.
func pastState(p, next *schemas.Profile) []byte {
	s := past{asOf: p.AsOf, activity: p.Activity, duration: [2]float64{p.DurationSum, p.DurationWeight},
		weights: make([]float64, len(p.Genres)), whole: p.Version == lastOfBlock(p.Version) || !inOrderOfIDs(p) || !inOrderOfIDs(next)}
	for i, g := range p.Genres {
		s.weights[i] = g.Weight
	}
	if s.named = s.whole || !slices.EqualFunc(p.Genres, next.Genres, sameName); s.named {
		for _, g := range p.Genres {
			s.genres = append(s.genres, g.Genre)
		}
	}
	if s.whole {
		next = &schemas.Profile{}
	}
	s.compareItems(p.Items, next.Items)
	return s.bytes()
}

// inOrderOfIDs reports whether the items are in their order, as all are that nobody has written by hand.
func inOrderOfIDs(p *schemas.Profile) bool {
	for i := 1; i < len(p.Items); i++ {
		if p.Items[i-1].ItemID >= p.Items[i].ItemID {
			return false
		}
	}
	return true
}

func sameName(a, b schemas.GenreWeight) bool { return a.Genre == b.Genre }

// compareItems notes what distinguishes items from the next version's.
func (s *past) compareItems(items, next []schemas.ProfileItem) {
	for len(items) > 0 || len(next) > 0 {
		switch order := compareFirst(items, next); {
		case order < 0:
			s.items, items = append(s.items, items[0]), items[1:]
		case order > 0:
			s.gone, next = append(s.gone, next[0].ItemID), next[1:]
		default:
			if !sameItem(&items[0], &next[0]) {
				s.items = append(s.items, items[0])
			}
			items, next = items[1:], next[1:]
		}
	}
}

// compareFirst compares the first ids of two lists, of which one may be at its end.
func compareFirst(a, b []schemas.ProfileItem) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return strings.Compare(a[0].ItemID, b[0].ItemID)
}

// sameItem compares items with one id as they are stored: times in whole microseconds.
func sameItem(a, b *schemas.ProfileItem) bool {
	return sameMicro(a.Seen, b.Seen) && sameMicro(a.Dismissed, b.Dismissed) && math.Float64bits(a.Impressions) == math.Float64bits(b.Impressions)
}

func sameMicro(a, b time.Time) bool {
	return a.IsZero() == b.IsZero() && a.UnixMicro() == b.UnixMicro()
}

// pastProfile makes the profile of a row, next being the version after it, nil for none: then the profile is nil too
// where it leans on that.
func pastProfile(k schemas.ProfileKey, state []byte, next *schemas.Profile) (*schemas.Profile, error) {
	s, err := readPast(state)
	if err != nil {
		return nil, fmt.Errorf("version %d of a profile: %w", k.Version, err)
	}
	if s.whole {
		next = &schemas.Profile{}
	}
	if next == nil {
		return nil, nil
	}
	if !s.named && len(s.weights) != len(next.Genres) {
		return nil, fmt.Errorf("version %d of a profile: %d weights are not as many as the genres", k.Version, len(s.weights))
	}
	p := &schemas.Profile{UserID: k.UserID, Version: k.Version, AsOf: s.asOf, Activity: s.activity,
		DurationSum: s.duration[0], DurationWeight: s.duration[1],
		Genres: make([]schemas.GenreWeight, len(s.weights)), Items: s.itemsBefore(next.Items)}
	for i, w := range s.weights {
		if p.Genres[i].Weight = w; s.named {
			p.Genres[i].Genre = s.genres[i]
		} else {
			p.Genres[i].Genre = next.Genres[i].Genre
		}
	}
	return p, nil
}

// itemsBefore undoes what the next version has changed of the items.
func (s *past) itemsBefore(next []schemas.ProfileItem) []schemas.ProfileItem {
	list := make([]schemas.ProfileItem, 0, len(next)+len(s.items))
	items, gone := s.items, s.gone
	for i := range next {
		id := next[i].ItemID
		for len(items) > 0 && items[0].ItemID < id {
			list, items = append(list, items[0]), items[1:]
		}
		switch {
		case len(items) > 0 && items[0].ItemID == id:
			list, items = append(list, items[0]), items[1:]
		case len(gone) > 0 && gone[0] == id:
			gone = gone[1:]
		default:
			list = append(list, next[i])
		}
	}
	return append(list, items...)
}

func (s *past) bytes() []byte {
	flags := byte(0)
	for i, is := range []bool{s.whole, s.named, !s.asOf.IsZero()} {
		if is {
			flags |= 1 << i
		}
	}
	b := appendTime([]byte{flags}, s.asOf)
	b = appendNumber(appendNumber(appendNumber(b, s.activity), s.duration[0]), s.duration[1])
	b = binary.AppendUvarint(b, uint64(len(s.weights)))
	for _, w := range s.weights {
		b = appendNumber(b, w)
	}
	for _, name := range s.genres {
		b = appendText(b, name)
	}
	b = binary.AppendUvarint(b, uint64(len(s.items)))
	for i := range s.items {
		b = appendItem(b, &s.items[i])
	}
	b = binary.AppendUvarint(b, uint64(len(s.gone)))
	for _, id := range s.gone {
		b = appendText(b, id)
	}
	return b
}

func appendItem(b []byte, it *schemas.ProfileItem) []byte {
	flags := byte(0)
	if !it.Seen.IsZero() {
		flags |= itemSeen
	}
	if !it.Dismissed.IsZero() {
		flags |= itemDismissed
	}
	b = append(appendText(b, it.ItemID), flags)
	return appendNumber(appendTime(appendTime(b, it.Seen), it.Dismissed), it.Impressions)
}

func appendNumber(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// appendTime writes nothing for the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return binary.LittleEndian.AppendUint64(b, uint64(t.UnixMicro()))
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// errPast says that bytes are no state of a profile.
var errPast = errors.New("its state is cut off, or of a later version of the program")

// pastReader reads what past.bytes wrote. After an error there is nothing left, and all that is read is zero.
type pastReader struct {
	b   []byte
	bad bool
}

func readPast(state []byte) (s past, err error) {
	r := pastReader{b: state}
	flags := r.flags(pastFlags)
	s.whole, s.named = flags&pastWhole != 0, flags&pastNamed != 0
	s.asOf = r.time(flags&pastHasTime != 0)
	s.activity, s.duration = r.number(), [2]float64{r.number(), r.number()}
	s.weights = make([]float64, r.length(8))
	for i := range s.weights {
		s.weights[i] = r.number()
	}
	if s.named {
		for range s.weights {
			s.genres = append(s.genres, r.text())
		}
	}
	for range r.length(10) {
		it := schemas.ProfileItem{ItemID: r.text()}
		flags := r.flags(itemFlags)
		it.Seen, it.Dismissed, it.Impressions = r.time(flags&itemSeen != 0), r.time(flags&itemDismissed != 0), r.number()
		s.items = append(s.items, it)
	}
	for range r.length(1) {
		s.gone = append(s.gone, r.text())
	}
	if r.bad || len(r.b) > 0 {
		return past{}, errPast
	}
	return s, nil
}

// take returns the next n bytes.
func (r *pastReader) take(n int) []byte {
	if n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *pastReader) flags(known byte) byte {
	b := r.take(1)
	if len(b) == 0 || b[0]&^known != 0 {
		r.b, r.bad = nil, true
		return 0
	}
	return b[0]
}

func (r *pastReader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *pastReader) number() float64 { return math.Float64frombits(r.uint64()) }

func (r *pastReader) time(is bool) time.Time {
	if !is {
		return time.Time{}
	}
	return time.UnixMicro(int64(r.uint64())).UTC()
}

// length returns that of a list whose entries take so many bytes at least.
func (r *pastReader) length(least int) int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(len(r.b)/least) {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

func (r *pastReader) text() string { return string(r.take(r.length(1))) }
