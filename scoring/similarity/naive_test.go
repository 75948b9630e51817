package similarity

import (
	"fmt"
	"math"
	"math/rand/v2"

	"recstream/schemas"
)

// naive is the formula as it stands in the package's comment, item by item with maps.
func naive(a, b *schemas.Item) float64 {
	same := 0.0
	if a.Franchise == b.Franchise && a.Franchise != "" {
		same = 1
	}
	return 0.5*naiveCosine(a.Genres, b.Genres) + 0.2*same + 0.2*naiveCosine(a.Tags, b.Tags) + 0.1*naiveYears(a.Year, b.Year)
}

func naiveCosine(a, b []string) float64 {
	setA, setB := naiveSet(a), naiveSet(b)
	shared := 0
	for name := range setA {
		if setB[name] {
			shared++
		}
	}
	if shared == 0 {
		return 0
	}
	return float64(shared) / math.Sqrt(float64(len(setA))*float64(len(setB)))
}

func naiveSet(names []string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		if name != "" {
			set[name] = true
		}
	}
	return set
}

func naiveYears(a, b float64) float64 {
	known := func(y float64) bool { return y >= 1 && y < 10_000 }
	if !known(a) || !known(b) {
		return 0
	}
	return max(0, 1-math.Abs(math.Floor(a)-math.Floor(b))/10)
}

// randomItems have genres and tags out of so many, some twice or empty, and parts missing.
func randomItems(rng *rand.Rand, n, genres, tags int) []schemas.Item {
	items := make([]schemas.Item, n)
	for i := range items {
		it := &items[i]
		it.ID = fmt.Sprint("i", i)
		it.Title = []string{"", "Alien", "ALIEN!", "Alien (1979)", "Heat", "[REC]"}[rng.IntN(6)]
		it.Genres = randomNames(rng, "g", rng.IntN(5), genres)
		it.Tags = randomNames(rng, "t", rng.IntN(7), tags)
		if rng.IntN(3) == 0 {
			it.Franchise = fmt.Sprint("f", rng.IntN(1+n/10))
		}
		it.Year = []float64{0, 1975, 2000.7, math.NaN(), math.Inf(1), -3, 1e300}[rng.IntN(7)]
		if rng.IntN(3) > 0 {
			it.Year = float64(1930 + rng.IntN(95))
		}
	}
	return items
}

func randomNames(rng *rand.Rand, prefix string, n, of int) []string {
	var names []string
	for range n {
		names = append(names, fmt.Sprint(prefix, rng.IntN(of)))
	}
	if rng.IntN(10) == 0 {
		names = append(names, "")
	}
	return names
}
