package popularity_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/popularity"
)

const (
	halfLife = 10 * 24 * time.Hour
	strength = 10

	tolerance = 1e-7 // of float32
)

var (
	params = popularity.Params{HalfLife: halfLife, PriorStrength: strength}
	start  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	funny  = schemas.Context{Mood: schemas.MoodFunny}
	couple = schemas.Context{GroupSize: schemas.GroupCouple}
	none   = schemas.Context{}
)

// day is so many days after the start; the half-life is ten of them.
func day(n float64) time.Time { return start.Add(time.Duration(n * 24 * float64(time.Hour))) }

// films are items of these popularities, with ids 0, 1 and so on.
func films(popularities ...float64) []schemas.Item {
	items := make([]schemas.Item, len(popularities))
	for i, p := range popularities {
		items[i] = schemas.Item{ID: fmt.Sprint(i), Popularity: p}
	}
	return items
}

func hidden(items []schemas.Item, places ...int) []schemas.Item {
	for _, i := range places {
		items[i].Hidden = true
	}
	return items
}

func lookup(items []schemas.Item) func(string) (int32, bool) {
	return func(id string) (int32, bool) {
		i := slices.IndexFunc(items, func(it schemas.Item) bool { return it.ID == id })
		return int32(i), i >= 0
	}
}

func count(c schemas.Context, id int, weight float64, asOf time.Time) schemas.ItemPopularity {
	return schemas.ItemPopularity{Context: c, ItemID: fmt.Sprint(id), Weight: weight, AsOf: asOf}
}

// The expected values are computed by hand, in proportion; the strength is 10.
func TestContext(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	type counts = []schemas.ItemPopularity
	tests := map[string]struct {
		items   []schemas.Item
		counts  counts
		context schemas.Context
		want    []float64 // in proportion
	}{
		"catalogue alone":        {films(10, 40, 0), nil, funny, []float64{1, 4, 0}},
		"huge popularities":      {films(1e308, 1e308, 5e307), nil, funny, []float64{2, 2, 1}},
		"popularities to ignore": {films(8, -1, nan, inf, 2), nil, funny, []float64{4, 0, 0, 0, 1}},
		"hidden items":           {hidden(films(8, 100, 2), 1), counts{count(funny, 1, 100, start)}, funny, []float64{4, 0, 1}},
		"outcomes alone": {films(0, 0), counts{count(funny, 1, 10, start)}, none,
			[]float64{0 + 10*0.5, 10 + 10*0.5}},
		"outcomes alone, one hidden": {hidden(films(0, 0, 0), 1), counts{count(funny, 2, 10, start)}, none,
			[]float64{0 + 10*0.5, 0, 10 + 10*0.5}},
		"elsewhere": {films(30, 70), counts{count(funny, 0, 20, start), count(couple, 0, 10, start)}, none,
			[]float64{30 + 3, 0 + 7}},
		"in the context": {films(30, 70), counts{count(funny, 0, 20, start), count(couple, 1, 10, start)}, funny,
			[]float64{20 + 10*(20+3)/40., 10 * (10 + 7) / 40.}},
		"faded to the latest": {films(30, 70), counts{count(funny, 0, 40, day(0)), count(couple, 1, 10, day(10))}, funny,
			[]float64{20 + 10*(20+3)/40., 10 * (10 + 7) / 40.}},
		"unknown item, whose time counts": {films(30, 70), counts{count(none, 0, 40, day(0)), count(none, 7, 1, day(20))}, funny,
			[]float64{10 + 3, 0 + 7}},
		"one item twice": {films(30, 70), counts{count(funny, 0, 5, day(0)), count(funny, 0, 15, day(0))}, none,
			[]float64{20 + 3, 0 + 7}},
		"weights to ignore": {films(30, 70), counts{count(funny, 0, -5, day(0)), count(funny, 0, nan, day(0)), count(funny, 1, inf, day(0))}, funny,
			[]float64{3, 7}},
		"ages ago": {films(30, 70), counts{count(none, 0, 1e6, time.Time{}), count(none, 1, 20, start)}, none,
			[]float64{10 * 3 / 30., 20 + 10*27/30.}},
		"nothing":             {films(0, 0), nil, none, nil},
		"nothing to be shown": {hidden(films(9, 0), 0), counts{count(funny, 0, 5, start), count(funny, 7, 5, start)}, funny, nil},
		"no item":             {nil, counts{count(funny, 0, 5, start)}, funny, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := popularity.New(tt.items, lookup(tt.items), tt.counts, params).Context(tt.context)
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want one for each of %d", got, len(tt.want))
			}
			for i := range got {
				if want := tt.want[i] / slices.Max(tt.want); !(math.Abs(float64(got[i])-want) <= tolerance) {
					t.Errorf("item %d: got %v, want %v", i, got[i], want)
				}
			}
		})
	}
}

// naive is the formula as it is written, without a thought of speed.
func naive(items []schemas.Item, counts []schemas.ItemPopularity, c schemas.Context) []float64 {
	latest := slices.MaxFunc(counts, func(a, b schemas.ItemPopularity) int { return a.AsOf.Compare(b.AsOf) }).AsOf
	number := func(i int, in func(schemas.Context) bool) (sum float64) {
		for _, n := range counts {
			if n.ItemID == items[i].ID && in(n.Context) && !items[i].Hidden {
				sum += n.Weight * math.Pow(0.5, latest.Sub(n.AsOf).Hours()/halfLife.Hours())
			}
		}
		return sum
	}
	anywhere := func(schemas.Context) bool { return true }
	here := func(other schemas.Context) bool { return other == c }
	var all, total, totalHere float64
	for i := range items {
		if !items[i].Hidden {
			all += items[i].Popularity
		}
		total += number(i, anywhere)
		totalHere += number(i, here)
	}
	p := make([]float64, len(items))
	for i := range items {
		if items[i].Hidden {
			continue
		}
		p[i] = (number(i, anywhere) + strength*items[i].Popularity/all) / (total + strength)
		p[i] = (number(i, here) + strength*p[i]) / (totalHere + strength)
	}
	for i, largest := 0, slices.Max(p); i < len(p); i++ {
		p[i] /= largest
	}
	return p
}

// randomCounts has at most one for an item and context.
func randomCounts(rng *rand.Rand, items, n int) (counts []schemas.ItemPopularity) {
	taken := map[[2]int]bool{}
	for range n {
		c := schemas.Context{Mood: schemas.Mood(rng.IntN(int(schemas.NumMoods))), GroupSize: schemas.GroupSize(rng.IntN(int(schemas.NumGroupSizes)))}
		id := rng.IntN(items)
		if key := [2]int{c.Index(), id}; !taken[key] {
			taken[key] = true
			counts = append(counts, count(c, id, rng.ExpFloat64()*20, day(rng.Float64()*50)))
		}
	}
	return counts
}

// The table is the formula, for every context; the best item has 1; and it does not depend on the order of the counts.
func TestTableEqualsNaive(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 4))
		items := films(make([]float64, 1+rng.IntN(20))...)
		for i := range items {
			items[i].Popularity, items[i].Hidden = rng.Float64()*100, i > 0 && rng.IntN(5) == 0
		}
		counts := randomCounts(rng, len(items), 1+rng.IntN(100))
		table := popularity.New(items, lookup(items), counts, params)
		rng.Shuffle(len(counts), func(i, j int) { counts[i], counts[j] = counts[j], counts[i] })
		again := popularity.New(items, lookup(items), counts, params)
		for mood := range schemas.NumMoods {
			for size := range schemas.NumGroupSizes {
				c := schemas.Context{Mood: mood, GroupSize: size}
				got, want := table.Context(c), naive(items, counts, c)
				for i := range want {
					if !(math.Abs(float64(got[i])-want[i]) <= tolerance) {
						t.Fatalf("seed %d, %+v, item %d: got %v, want %v", seed, c, i, got[i], want[i])
					}
				}
				if slices.Max(got) != 1 || slices.Min(got) < 0 {
					t.Fatalf("seed %d, %+v: %v", seed, c, got)
				}
				if !slices.Equal(got, again.Context(c)) {
					t.Fatalf("seed %d, %+v: another order of counts gives %v, not %v", seed, c, again.Context(c), got)
				}
			}
		}
	}
}

// More outcomes make an item more popular, and what is known of a context weighs more the more of it there is.
func TestContextPrevailsWithOutcomes(t *testing.T) {
	items := films(90, 10)
	last := 0.0
	for _, n := range []float64{0, 1, 5, 20, 100, 1e6} {
		table := popularity.New(items, lookup(items), []schemas.ItemPopularity{count(funny, 1, n, start), count(couple, 0, 1000, start)}, params)
		list := table.Context(funny)
		share := float64(list[1]) / float64(list[0]+list[1])
		if share <= last {
			t.Errorf("%v outcomes: share %v after %v", n, share, last)
		}
		last = share
	}
	if last < 0.999 {
		t.Errorf("a million outcomes give a share of %v", last)
	}
}

// Contexts of which nothing is known take no memory of their own.
func TestContextsWithoutOutcomesShareOneList(t *testing.T) {
	items := films(1, 2, 3)
	table := popularity.New(items, lookup(items), []schemas.ItemPopularity{count(funny, 0, 1, start)}, params)
	if &table.Context(none)[0] != &table.Context(couple)[0] {
		t.Error("two contexts without outcomes have lists of their own")
	}
	if &table.Context(none)[0] == &table.Context(funny)[0] {
		t.Error("a context with outcomes shares the list of those without")
	}
}

func TestContextAllocatesNothing(t *testing.T) {
	items := films(1, 2, 3)
	table := popularity.New(items, lookup(items), nil, params)
	if n := testing.AllocsPerRun(100, func() { table.Context(funny) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A catalogue of 100,000 items, of which 2,000 have outcomes in each of 20 contexts.
func BenchmarkNew(b *testing.B) {
	const n = 100_000
	rng := rand.New(rand.NewPCG(1, 1))
	items := films(make([]float64, n)...)
	index := make(map[string]int32, n)
	for i := range items {
		items[i].Popularity = rng.ExpFloat64()
		index[items[i].ID] = int32(i)
	}
	find := func(id string) (int32, bool) { i, ok := index[id]; return i, ok }
	counts := randomCounts(rng, n, 20*2000)
	for b.Loop() {
		popularity.New(items, find, counts, params)
	}
}
