package forest

import (
	"math"
	"math/rand/v2"
)

// Prober makes up rows that lead to all parts of a forest's trees: what a feature is compared with, values
// beside that, missing ones, and ones far out.
type Prober struct {
	values [][]float64 // by feature, what it is compared with
}

// NewProber returns a prober for the forest.
func (f *Forest) NewProber() *Prober {
	p := &Prober{values: make([][]float64, len(f.features))}
	for i := range f.trees {
		for j := range f.trees[i].nodes {
			n := &f.trees[i].nodes[j]
			if n.categories == nil {
				p.values[n.feature] = append(p.values[n.feature], n.threshold)
			} else {
				p.values[n.feature] = append(p.values[n.feature], float64(len(*n.categories)*64))
			}
		}
	}
	return p
}

// Row makes up a row.
func (p *Prober) Row(random *rand.Rand, row []float64) {
	for i := range row {
		row[i] = p.value(random, p.values[i])
	}
}

func (p *Prober) value(random *rand.Rand, compared []float64) float64 {
	if len(compared) == 0 {
		return random.NormFloat64()
	}
	v := compared[random.IntN(len(compared))]
	switch random.IntN(8) {
	case 0:
		return v
	case 1:
		return math.Nextafter(v, math.Inf(1))
	case 2:
		return 0
	case 3:
		return math.NaN()
	case 4:
		return v * random.NormFloat64()
	case 5:
		return float64(random.IntN(1 + int(min(math.Abs(v), 1<<20))))
	}
	return (v + compared[random.IntN(len(compared))]) / 2
}

// Categorical reports, by feature, whether a split asks for its category.
func (f *Forest) Categorical() []bool {
	list := make([]bool, len(f.features))
	for i := range f.trees {
		for j := range f.trees[i].nodes {
			n := &f.trees[i].nodes[j]
			list[n.feature] = list[n.feature] || n.categories != nil
		}
	}
	return list
}
