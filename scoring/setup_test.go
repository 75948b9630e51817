package scoring

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/feature"
	"recstream/scoring/model"
)

const (
	demoModel  = "../internal/demo/data/model.txt"
	otherModel = "model/testdata/other.txt"
)

// predictorFunc lets a test stand in for the model.
type predictorFunc func(x []float64) float64

func (f predictorFunc) Probability(x []float64) float64 { return f(x) }

// byYear predicts higher for later years: 0 for 0, 1 for 10,000.
func byYear(x []float64) float64 { return x[feature.Num-1] / 10_000 }

func constantly(p float64) predictorFunc { return func([]float64) float64 { return p } }

func panicking([]float64) float64 { panic("broken tree") }

// numbered returns n items i000, i001, …; the year grows with the number and the popularity falls.
func numbered(n int) []schemas.Item {
	items := make([]schemas.Item, n)
	for i := range items {
		items[i] = schemas.Item{
			ID:         fmt.Sprintf("i%03d", i),
			Title:      fmt.Sprintf("Title %d", i),
			Genres:     []string{"Comedy"},
			Year:       float64(1900 + i),
			Popularity: float64(n - i),
		}
	}
	return items
}

// randomItems returns n items that differ in all that the model sees.
func randomItems(random *rand.Rand, n int) []schemas.Item {
	genres := []string{"Comedy", "Action", "Drama", "Thriller", "Science Fiction", "Music"}
	items := numbered(n)
	for i := range items {
		first := random.IntN(len(genres))
		items[i].Genres = genres[first : first+1+random.IntN(len(genres)-first)]
		items[i].DurationMin = float64(random.IntN(180))
		items[i].Year = float64(1930 + random.IntN(95))
		items[i].Popularity = float64(random.IntN(50))
	}
	return items
}

func newEngine(t testing.TB, items []schemas.Item) *Engine {
	t.Helper()
	params := DefaultParams()
	e, err := New(params)
	if err != nil {
		t.Fatal(err)
	}
	e.SetCatalog(snapshot(t, items, 1))
	return e
}

func snapshot(t testing.TB, items []schemas.Item, version int64) *catalog.Snapshot {
	t.Helper()
	s, err := catalog.New(items, version, catalog.DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func loadModel(t testing.TB, path string) *model.Model {
	t.Helper()
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func decide(t testing.TB, s *Scorer, req *schemas.Request) *schemas.Decision {
	t.Helper()
	var d schemas.Decision
	if err := s.Decide(req, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

func itemIDs(d *schemas.Decision) (list []string) {
	for _, item := range d.Items {
		list = append(list, item.ItemID)
	}
	return list
}

func namesOf(n int) []string {
	var list []string
	for _, item := range numbered(n) {
		list = append(list, item.ID)
	}
	return list
}

// sameItems compares to the bit, so that NaN equals NaN.
func sameItems(a, b []schemas.ScoredItem) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ItemID != b[i].ItemID || a[i].Title != b[i].Title ||
			math.Float64bits(a[i].Prediction) != math.Float64bits(b[i].Prediction) ||
			math.Float64bits(a[i].Score) != math.Float64bits(b[i].Score) {
			return false
		}
	}
	return true
}
