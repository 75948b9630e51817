package similarity

import "math"

// Taste is a weighted set of items. The zero value needs a Reset first. It is for one goroutine at a time, keeps 8
// bytes for each genre, tag, franchise and year of its index, and is used again for the next set.
type Taste struct {
	x      *Index
	places []int32 // of the members
	total  float64 // of their weights
	// Sums over the members, each divided by the root of how many of the kind the member has: by genre and by tag.
	genres, tags []float64
	franchises   []float64 // sums of weights, by franchise; that of none stays 0
	years        []float64 // sums of weight times nearness, by year from the index's earliest on
}

// Reset empties the set; what is added and asked from now on are places in x. It allocates only where x is larger
// than all before. A nil x lets go of the index and the sums.
func (t *Taste) Reset(x *Index) {
	if x == nil {
		*t = Taste{}
		return
	}
	for _, place := range t.places {
		t.forget(&t.x.items[place])
	}
	t.places, t.total = t.places[:0], 0
	if t.x == x {
		return
	}
	t.x = x
	t.genres = room(t.genres, len(x.genres))
	t.tags = room(t.tags, x.tags)
	t.franchises = room(t.franchises, x.franchises)
	t.years = room(t.years, int(x.latestYear-x.earliestYear)+1)
}

// room returns n zeros, in the old room where it is enough; there all are 0 already.
func room(zeros []float64, n int) []float64 {
	if cap(zeros) < n {
		return make([]float64, n)
	}
	return zeros[:n]
}

// Add adds the item at a place. One that is added again weighs more. A weight that is not above 0, or not finite, adds
// nothing.
func (t *Taste) Add(place int32, weight float64) {
	if !(weight > 0) || math.IsInf(weight, 1) {
		return
	}
	f := &t.x.items[place]
	t.places = append(t.places, place)
	t.total += weight
	t.addTo(t.genres, &f.genres, weight)
	t.addTo(t.tags, &f.tags, weight)
	if f.franchise != 0 {
		t.franchises[f.franchise] += weight
	}
	if f.year != 0 {
		window, first := t.window(f.year)
		for i := range window {
			window[i] += weight * nearness(first+int32(i)-f.year)
		}
	}
}

func (t *Taste) addTo(sums []float64, s *set, weight float64) {
	share := weight / math.Sqrt(float64(s.n))
	for _, id := range t.x.of(s) {
		sums[id] += share
	}
}

// window returns the sums of the years that are near a year, and the first of these.
func (t *Taste) window(year int32) (sums []float64, first int32) {
	first = max(year-yearReach+1, t.x.earliestYear)
	last := min(year+yearReach-1, t.x.latestYear)
	return t.years[first-t.x.earliestYear : last-t.x.earliestYear+1], first
}

// forget sets the sums of a member's features to 0.
func (t *Taste) forget(f *features) {
	for _, id := range t.x.of(&f.genres) {
		t.genres[id] = 0
	}
	for _, id := range t.x.of(&f.tags) {
		t.tags[id] = 0
	}
	t.franchises[f.franchise] = 0
	if f.year != 0 {
		window, _ := t.window(f.year)
		clear(window)
	}
}

// Len is the number of items that were added, repetitions included.
func (t *Taste) Len() int { return len(t.places) }

// Similarity returns the weighted mean of the similarities between the item at a place and those added, 0 to 1. It is
// 0 where none was added. Rounding aside it is the mean of Index.Similarity.
func (t *Taste) Similarity(place int32) float64 {
	if len(t.places) == 0 {
		return 0
	}
	f := &t.x.items[place]
	tenths := genreShare*t.mean(t.genres, &f.genres) +
		franchiseShare*t.franchises[f.franchise] +
		tagShare*t.mean(t.tags, &f.tags)
	if f.year != 0 {
		tenths += yearShare * t.years[f.year-t.x.earliestYear]
	}
	return min(tenths/(allShares*t.total), 1)
}

// mean is the sum over a set, divided by the root of its size.
func (t *Taste) mean(sums []float64, s *set) float64 {
	sum := 0.0
	for _, id := range t.x.of(s) {
		sum += sums[id]
	}
	if sum == 0 {
		return 0
	}
	return sum / math.Sqrt(float64(s.n))
}
