package model

import "slices"

// MaxBins is how many bins a histogram of a training profile has at the most.
const MaxBins = 20

// newProfile makes the profile of a sample: a histogram of each feature and one of the predictions.
func newProfile(names []string, rows [][]float64, predictions []float64) *Profile {
	p := &Profile{Rows: len(rows), Features: make([]Histogram, len(names))}
	column := make([]float64, len(rows))
	for i, name := range names {
		for j, row := range rows {
			column[j] = row[i]
		}
		p.Features[i] = NewHistogram(name, column)
	}
	p.Score = NewHistogram(predictionName, predictions)
	return p
}

// NewHistogram counts values, finite ones or NaN, in up to MaxBins bins of its own choosing, which suit
// statistics that compare distributions bin by bin, such as the population stability index. Where there are no
// more than MaxBins different values, each has a bin to itself. Otherwise bins hold about as many values each, and
// a value that is more frequent than a bin would be has its own, as far as it goes. Bounds lie halfway
// between neighbours; the first and the last edge are the smallest and the largest value, so a statistic that
// meets others counts them in the outer bins.
func NewHistogram(name string, values []float64) Histogram {
	h := Histogram{Name: name, Edges: []float64{}, Counts: []int{}}
	sorted := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return v != v })
	h.Missing = len(values) - len(sorted)
	if len(sorted) == 0 {
		return h
	}
	slices.Sort(sorted)
	runs := runsOf(sorted)
	h.Edges = append(h.Edges, sorted[0])
	b := binner{rest: len(sorted), left: MaxBins, single: len(runs) <= MaxBins}
	for i, r := range runs {
		if i > 0 && b.closes(r.count) {
			if cut := halfway(runs[i-1].value, r.value); cut < sorted[len(sorted)-1] {
				h.Edges, h.Counts = append(h.Edges, cut), append(h.Counts, b.take())
			}
		}
		b.count += r.count
	}
	h.Counts = append(h.Counts, b.count)
	if len(runs) > 1 {
		h.Edges = append(h.Edges, sorted[len(sorted)-1])
	}
	return h
}

// run is a value that occurs count times.
type run struct {
	value float64
	count int
}

func runsOf(sorted []float64) (runs []run) {
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			runs = append(runs, run{value: v})
		}
		runs[len(runs)-1].count++
	}
	return runs
}

// binner decides where a bin ends.
type binner struct {
	single bool // every run has its own bin
	count  int  // of the bin that is being filled
	rest   int  // values that are in no full bin yet
	left   int  // bins that are not full yet
}

// closes reports whether the bin is full before a run of next values: it has its share of what is left, or next
// has that alone.
func (b *binner) closes(next int) bool {
	if b.left == 1 {
		return false
	}
	share := (b.rest + b.left - 1) / b.left
	return b.single || b.count >= share || next >= share
}

// take ends the bin, and returns its count.
func (b *binner) take() int {
	count := b.count
	b.rest, b.left, b.count = b.rest-count, b.left-1, 0
	return count
}

// halfway returns a number above a and not above b, where a < b: their mean, if there is one between them.
func halfway(a, b float64) float64 {
	if m := a/2 + b/2; m > a {
		return min(m, b)
	}
	return b
}
