package similarity

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"recstream/schemas"
)

// tolerance is for sums in another order.
const tolerance = 1e-12

// catalogues are of few names, whose signs are exact, and of many, whose signs are not.
var catalogues = []struct {
	name         string
	genres, tags int
}{
	{"few genres, few tags", 20, 60},
	{"as many as a sign holds", 64, 64},
	{"one more", 65, 65},
	{"many", 300, 5000},
	{"hardly any", 1, 2},
}

func TestSimilarityIsTheFormula(t *testing.T) {
	for _, c := range catalogues {
		t.Run(c.name, func(t *testing.T) {
			items := randomItems(rand.New(rand.NewPCG(1, 2)), 150, c.genres, c.tags)
			x := New(items)
			for a := range items {
				for b := range items {
					got, want := x.Similarity(int32(a), int32(b)), naive(&items[a], &items[b])
					if math.Abs(got-want) > tolerance || got < 0 || got > 1 {
						t.Fatalf("similarity of %+v and %+v is %v, want %v", items[a], items[b], got, want)
					}
					if got != x.Similarity(int32(b), int32(a)) {
						t.Fatalf("similarity of %d and %d depends on their order", a, b)
					}
				}
			}
		})
	}
}

func TestSimilarity(t *testing.T) {
	full := schemas.Item{Genres: []string{"Drama", "Crime", "War"}, Tags: []string{"a", "b", "c"}, Franchise: "F", Year: 1999}
	for _, c := range []struct {
		name string
		b    schemas.Item
		want float64
	}{
		{"itself", full, 1},
		{"nothing known", schemas.Item{}, 0},
		{"the same genres", schemas.Item{Genres: []string{"War", "Crime", "Drama", "War"}}, 0.5},
		{"one genre of three", schemas.Item{Genres: []string{"War"}}, 0.5 / math.Sqrt(3)},
		{"a genre in another case", schemas.Item{Genres: []string{"war"}}, 0},
		{"the franchise", schemas.Item{Franchise: "F"}, 0.2},
		{"the same tags", schemas.Item{Tags: []string{"c", "b", "a"}}, 0.2},
		{"the year", schemas.Item{Year: 1999.9}, 0.1},
		{"four years later", schemas.Item{Year: 2003}, 0.06},
		{"ten years earlier", schemas.Item{Year: 1989}, 0},
		{"all but the franchise", schemas.Item{Genres: full.Genres, Tags: full.Tags, Year: 1999}, MostUnrelated},
		{"all but the tags", schemas.Item{Genres: full.Genres, Franchise: "F", Year: 1999}, 0.8},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := New([]schemas.Item{full, c.b})
			if got := x.Similarity(0, 1); got != c.want {
				t.Errorf("similarity is %v, want %v", got, c.want)
			}
		})
	}
	if x := New([]schemas.Item{{}}); x.Similarity(0, 0) != 0 {
		t.Error("an item of which nothing is known is like itself")
	}
}

func TestNearIdentical(t *testing.T) {
	titled := func(title string, year float64) schemas.Item { return schemas.Item{Title: title, Year: year} }
	for _, c := range []struct {
		name string
		a, b schemas.Item
		want bool
	}{
		{"case and punctuation", titled("Spider-Man", 2002), titled("SPIDER MAN!", 2002), true},
		{"a year apart", titled("Heat", 1995), titled("Heat", 1996), true},
		{"two years apart", titled("Heat", 1995), titled("Heat", 1997), false},
		{"a missing year", titled("Heat", 1995), titled("Heat", 0), true},
		{"brackets", titled("Alien (Director's Cut)", 2003), titled("Alien [4K] {restored}", 2003), true},
		{"brackets in brackets", titled("Alien (cut (long))", 2003), titled("Alien", 2003), true},
		{"nothing but brackets", titled("[REC]", 2007), titled("Rec.", 2007), true},
		{"a sequel", titled("Alien", 1979), titled("Alien 2", 1980), false},
		{"a bracket that stays open", titled("Heat (uncut", 1995), titled("Heat", 1995), false},
		{"a bracket that was not open", titled("Heat :) again", 1995), titled("Heat", 1995), false},
		{"no title", titled("", 1995), titled("", 1995), false},
		{"no letters", titled("!!!", 1995), titled("???", 1995), false},
		{"letters beyond ASCII", titled("АМЕЛИ", 2001), titled("Амели", 2001), true},
		{"marks are letters", titled("कि", 2001), titled("का", 2001), false},
		{"another title, similar", schemas.Item{Title: "A", Genres: []string{"g"}, Franchise: "f", Tags: []string{"t"}},
			schemas.Item{Title: "B", Genres: []string{"g"}, Franchise: "f", Tags: []string{"t"}}, true},
		{"another title, less similar", schemas.Item{Title: "A", Genres: []string{"g"}, Franchise: "f"},
			schemas.Item{Title: "B", Genres: []string{"g"}, Franchise: "f"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := New([]schemas.Item{c.a, c.b})
			if got := x.NearIdentical(0, 1, 0.9); got != c.want || got != x.NearIdentical(1, 0, 0.9) {
				t.Errorf("nearly identical is %v, want %v", got, c.want)
			}
		})
	}
}

func TestTasteIsTheMean(t *testing.T) {
	for _, c := range catalogues {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			items := randomItems(rng, 120, c.genres, c.tags)
			x := New(items)
			var taste Taste // used for all, so that what a Reset leaves behind shows
			for range 30 {
				checkTaste(t, rng, &taste, x, items)
			}
		})
	}
}

func checkTaste(t *testing.T, rng *rand.Rand, taste *Taste, x *Index, items []schemas.Item) {
	t.Helper()
	taste.Reset(x)
	sums, total := make([]float64, len(items)), 0.0
	members := rng.IntN(60)
	for range members {
		member, weight := rng.IntN(len(items)), rng.ExpFloat64()
		taste.Add(int32(member), weight)
		total += weight
		for i := range items {
			sums[i] += weight * naive(&items[member], &items[i])
		}
	}
	taste.Add(0, 0)
	taste.Add(0, -1)
	taste.Add(0, math.NaN())
	taste.Add(0, math.Inf(1))
	if taste.Len() != members {
		t.Fatalf("the taste has %d members, want %d", taste.Len(), members)
	}
	for i := range items {
		want := 0.0
		if members > 0 {
			want = sums[i] / total
		}
		if got := taste.Similarity(int32(i)); math.Abs(got-want) > tolerance || got > 1 {
			t.Fatalf("similarity of %+v to %d members is %v, want %v", items[i], members, got, want)
		}
	}
}

func TestTasteOfAnotherIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var taste Taste
	for _, n := range []int{40, 200, 10, 1, 90} {
		items := randomItems(rng, n, n, 3*n)
		x := New(items)
		for range 5 {
			checkTaste(t, rng, &taste, x, items)
		}
	}
	taste.Reset(nil)
	if taste.x != nil || taste.genres != nil {
		t.Error("a taste without index keeps the old one")
	}
}

func TestEmptyIndex(t *testing.T) {
	x := New(nil)
	if x.Len() != 0 || x.NumGenres() != 0 || x.NumFranchises() != 1 || x.NumTitles() != 1 || x.LatestYear() != 0 {
		t.Errorf("an index of nothing has %+v", x)
	}
	var taste Taste
	taste.Reset(x)
}

func TestAccessors(t *testing.T) {
	x := New([]schemas.Item{
		{Title: "Heat", Genres: []string{"Drama", "Action", "Drama"}, Franchise: "F", Year: 1999.5},
		{Title: "HEAT!", Genres: []string{"Action"}},
		{Franchise: "F", Year: 2001},
	})
	drama, ok := x.Genre("Drama")
	if _, known := x.Genre("drama"); !ok || known {
		t.Error("genres are not known by their exact names")
	}
	if g := x.Genres(0); len(g) != 2 || (g[0] != drama && g[1] != drama) || len(x.Genres(2)) != 0 {
		t.Errorf("genres are %v and %v", g, x.Genres(2))
	}
	if x.Franchise(0) != x.Franchise(2) || x.Franchise(0) == 0 || x.Franchise(1) != 0 {
		t.Error("franchises are not told apart")
	}
	if x.Title(0) != x.Title(1) || x.Title(0) == 0 || x.Title(0) >= int32(x.NumTitles()) || x.Title(2) != 0 {
		t.Errorf("titles are %d, %d, %d of %d", x.Title(0), x.Title(1), x.Title(2), x.NumTitles())
	}
	if x.Year(0) != 1999 || x.Year(1) != 0 || x.LatestYear() != 2001 {
		t.Errorf("years are %d, %d, latest %d", x.Year(0), x.Year(1), x.LatestYear())
	}
}

// A catalogue of 100,000 items is a few megabytes and a moment's work.
func TestLargeIndex(t *testing.T) {
	items := randomItems(rand.New(rand.NewPCG(7, 8)), 100_000, 25, 20_000)
	started := time.Now()
	x := New(items)
	t.Logf("%d items: %d bytes in %v", x.Len(), x.Bytes(), time.Since(started))
	if x.Bytes() > 10<<20 {
		t.Errorf("%d items take %d bytes", x.Len(), x.Bytes())
	}
}

func TestNothingAllocates(t *testing.T) {
	items := randomItems(rand.New(rand.NewPCG(9, 10)), 1000, 100, 1000)
	x := New(items)
	var taste Taste
	sum := 0.0
	use := func() {
		taste.Reset(x)
		for i := range int32(100) {
			taste.Add(i, 1)
		}
		sum += taste.Similarity(500) + x.Similarity(1, 2)
		x.NearIdentical(1, 2, 0.9)
	}
	use()
	if n := testing.AllocsPerRun(100, use); n != 0 {
		t.Errorf("%v allocations a use", n)
	}
}

func BenchmarkSimilarity(b *testing.B) {
	x := New(randomItems(rand.New(rand.NewPCG(11, 12)), 10_000, 20, 5000))
	sum, i := 0.0, int32(0)
	for b.Loop() {
		sum += x.Similarity(i, 77)
		if i++; int(i) == x.Len() {
			i = 0
		}
	}
	_ = sum
}

func BenchmarkTasteSimilarity(b *testing.B) {
	x := New(randomItems(rand.New(rand.NewPCG(11, 12)), 10_000, 20, 5000))
	var taste Taste
	taste.Reset(x)
	for i := range int32(500) {
		taste.Add(i, float64(1+i%4))
	}
	sum, i := 0.0, int32(0)
	for b.Loop() {
		sum += taste.Similarity(i)
		if i++; int(i) == x.Len() {
			i = 0
		}
	}
	_ = sum
}

func BenchmarkTasteOf500(b *testing.B) {
	x := New(randomItems(rand.New(rand.NewPCG(11, 12)), 10_000, 20, 5000))
	var taste Taste
	b.ReportAllocs()
	for b.Loop() {
		taste.Reset(x)
		for i := range int32(500) {
			taste.Add(i, 1)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	items := randomItems(rand.New(rand.NewPCG(11, 12)), 10_000, 20, 5000)
	for b.Loop() {
		New(items)
	}
}
