// Package loadgen makes request events as a town of households would send them: few households ask
// often and many ask rarely, each has moods, companies and session lengths of its own, and some
// requests leave out what the app did not know.
//
// It promises that the same seed and number of users give the same requests, request ids included.
// Publishing a seed twice therefore repeats the ids, and the second round is answered from the ledger.
package loadgen

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"

	"recstream/schemas"
)

// How often an app leaves something out, and how many items it asks for.
const (
	anonymousShare = 0.03 // requests without a user id
	unknownShare   = 0.05 // requests without a mood; likewise without a company, and without a session length
	maxLimit       = 10   // limits are from 1 to this, schemas.DefaultLimit in half of the requests
)

// Generator makes requests. It is not safe for use by several goroutines.
type Generator struct {
	rng        *rand.Rand
	households []household
	activity   []float64 // running sum of the households' weights, for the draw
}

// household is one user id and its habits, as running sums of weights.
type household struct {
	userID   string
	moods    [schemas.NumMoods]float64
	groups   [schemas.NumGroupSizes]float64
	sessions [schemas.NumSessionLengths]float64
}

// New returns a generator of requests of that many households, at least 1.
func New(seed uint64, users int) *Generator {
	g := &Generator{rng: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
	total := 0.0
	for i := range max(users, 1) {
		h := household{userID: fmt.Sprintf("household-%05d", i+1)}
		g.habits(h.moods[:])
		g.habits(h.groups[:])
		g.habits(h.sessions[:])
		g.households = append(g.households, h)
		// Zipf's law with exponent 0.7: the first of 1,000 households sends 4 % of all requests.
		total += math.Pow(float64(i+1), -0.7)
		g.activity = append(g.activity, total)
	}
	return g
}

// habits fills the running sums of a value's weights; the unknown value, at 0, keeps none.
// A cubed weight makes a clear favourite of one value, and leaves room for the others.
func (g *Generator) habits(sums []float64) {
	sums[0] = 0
	for i := 1; i < len(sums); i++ {
		sums[i] = sums[i-1] + 0.05 + math.Pow(g.rng.Float64(), 3)
	}
}

// Next overwrites dst with the next request. RequestedAt is left zero: the time is the caller's.
// It allocates the request's id and nothing else.
func (g *Generator) Next(dst *schemas.Request) {
	h := &g.households[g.draw(g.activity)]
	*dst = schemas.Request{
		RequestID: UUID(g.rng.Uint64(), g.rng.Uint64()),
		UserID:    h.userID,
		Context: schemas.Context{
			Mood:          schemas.Mood(g.drawKnown(h.moods[:])),
			GroupSize:     schemas.GroupSize(g.drawKnown(h.groups[:])),
			SessionLength: schemas.SessionLength(g.drawKnown(h.sessions[:])),
		},
		Limit:     g.limit(),
		Diversity: math.NaN(),
	}
	if g.rng.Float64() < anonymousShare {
		dst.UserID = ""
	}
}

// drawKnown draws by the running sums, or 0, the unknown value, in the share of requests that leave it out.
func (g *Generator) drawKnown(sums []float64) int {
	if g.rng.Float64() < unknownShare {
		return 0
	}
	return g.draw(sums)
}

// draw returns i with a probability in proportion to sums[i]-sums[i-1].
func (g *Generator) draw(sums []float64) int {
	x := g.rng.Float64() * sums[len(sums)-1]
	// The first sum above x: a weight of 0 is never drawn.
	return sort.Search(len(sums)-1, func(i int) bool { return sums[i] > x })
}

func (g *Generator) limit() int {
	if g.rng.Float64() < 0.5 {
		return schemas.DefaultLimit
	}
	return 1 + g.rng.IntN(maxLimit)
}

// UUID writes 128 random bits as a UUID of version 4 (RFC 9562); 6 of them give way to its marks.
func UUID(high, low uint64) string {
	high = high&^0xf000 | 0x4000
	low = low&^(3<<62) | 2<<62
	var raw [16]byte
	for i := range 8 {
		raw[i] = byte(high >> (56 - 8*i))
		raw[8+i] = byte(low >> (56 - 8*i))
	}
	var text [36]byte
	hex.Encode(text[0:], raw[0:4])
	hex.Encode(text[9:], raw[4:6])
	hex.Encode(text[14:], raw[6:8])
	hex.Encode(text[19:], raw[8:10])
	hex.Encode(text[24:], raw[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
