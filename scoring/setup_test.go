package scoring

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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

// predictorFunc lets a test stand in for the model: a whole row of the seventeen features to a raw score that
// is the prediction as well.
type predictorFunc func(x []float64) float64

// byYear predicts higher for later years: 0 for 0, 1 for 10,000.
func byYear(x []float64) float64 { return x[len(x)-1] / 10_000 }

func constantly(p float64) predictorFunc { return func([]float64) float64 { return p } }

func panicking([]float64) float64 { panic("broken tree") }

// funcRater rates with a predictorFunc.
type funcRater struct {
	predict  predictorFunc
	features *feature.Extractor
	catalog  *catalog.Snapshot
}

func (r *funcRater) Score(x []float64, candidates []int32, _, out []float64) {
	request := len(x) - r.features.NumItems()
	for n, i := range candidates {
		r.features.Item(x[request:], r.catalog.Item(i))
		out[n] = r.predict(x)
	}
}

// setPredictor puts p into force instead of a model, for the catalogue that is in force.
func (e *Engine) setPredictor(t testing.TB, p predictorFunc, ref schemas.ModelRef) {
	t.Helper()
	features, err := feature.New(feature.Default())
	if err != nil {
		t.Fatal(err)
	}
	c := e.state.Load().catalog
	next := *e.state.Load()
	a := *next.base
	a.rungs = slices.Clone(a.rungs)
	r := &a.rungs[0]
	r.reason = ""
	r.model = &boundModel{
		ref: &ref, features: features, memo: newMemo(c.Len()),
		newRater: func() rater { return &funcRater{p, features, c} },
		predict:  func(raw float64) float64 { return raw },
	}
	r.watch = newWatch(r, "", &a.params.Fallback, e.opts.Changed)
	a.answers = newAnswers(&a)
	next.base, next.arms, next.models = &a, []*arm{&a}, []*boundModel{r.model}
	e.state.Store(&next)
}

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
	e, err := New(params, Options{})
	if err != nil {
		t.Fatal(err)
	}
	setCatalog(t, e, items, 1)
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

func setCatalog(t testing.TB, e *Engine, items []schemas.Item, version int64) {
	t.Helper()
	if err := e.SetCatalog(t.Context(), snapshot(t, items, version)); err != nil {
		t.Fatal(err)
	}
}

func deploy(t testing.TB, e *Engine, d Deployment) {
	t.Helper()
	if err := e.Deploy(t.Context(), d); err != nil {
		t.Fatal(err)
	}
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
	if err := s.Decide(req, nil, &d); err != nil {
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

// equalItems compares to the bit, so that NaN equals NaN.
func equalItems(a, b []schemas.ScoredItem) bool {
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
