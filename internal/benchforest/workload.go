package main

import "math/rand/v2"

// The features of the models that peers/train.py trains: those of the request, then those of the item.
const (
	requestWidth = 20
	itemWidth    = 20
	rowWidth     = requestWidth + itemWidth
)

// numRequests is how many requests take turns. With 1,000 candidates each they reach nine in ten of 100,000
// items, so nothing that one of them touched is in a near cache when its turn comes again.
const numRequests = 256

// workload is a catalogue and the requests for it, the same for each contender.
type workload struct {
	items    []float64 // itemWidth values each
	numItems int
	requests []request
}

// request asks for the scores of some items.
type request struct {
	x          []float64 // a full row, whose item part is zero
	candidates []int32   // in no order, none twice
}

// newWorkload draws a workload with requests of that many candidates. The same arguments give the same values.
// They are float32 numbers, since none of the contenders may depend on how the others round.
func newWorkload(numItems, candidates int) *workload {
	random := rand.New(rand.NewPCG(uint64(numItems), uint64(candidates)))
	w := &workload{items: normal(random, numItems*itemWidth), numItems: numItems}
	ids := make([]int32, numItems)
	for i := range ids {
		ids[i] = int32(i)
	}
	for range numRequests {
		x := append(normal(random, requestWidth), make([]float64, itemWidth)...)
		shuffle(random, ids, candidates)
		w.requests = append(w.requests, request{x, append([]int32(nil), ids[:candidates]...)})
	}
	return w
}

// normal draws n values.
func normal(random *rand.Rand, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = float64(float32(random.NormFloat64()))
	}
	return values
}

// shuffle puts n values drawn at random first.
func shuffle(random *rand.Rand, ids []int32, n int) {
	for i := range n {
		j := i + random.IntN(len(ids)-i)
		ids[i], ids[j] = ids[j], ids[i]
	}
}

// fill copies an item's features behind those of the request.
func (w *workload) fill(row []float64, item int32) {
	copy(row[requestWidth:rowWidth], w.items[int(item)*itemWidth:])
}
