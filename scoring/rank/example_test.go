package rank_test

import (
	"fmt"
	"math"

	"recstream/schemas"
	"recstream/scoring/rank"
	"recstream/scoring/similarity"
)

func Example() {
	items := []schemas.Item{
		{Title: "Alien", Year: 1979, Genres: []string{"Horror"}, Franchise: "Alien"},
		{Title: "Aliens", Year: 1986, Genres: []string{"Action"}, Franchise: "Alien"},
		{Title: "Heat", Year: 1995, Genres: []string{"Crime"}},
		{Title: "Airplane!", Year: 1980, Genres: []string{"Comedy"}},
	}
	params := rank.DefaultParams()
	params.Caps.Franchise = 1
	params.Boosts = []rank.Boost{{Name: "comedies", Add: 0.25, Genres: []string{"Comedy"}}}
	plan := rank.NewPlan(&params, items, similarity.New(items))

	var ranker rank.Ranker
	query := rank.Query{
		Plan: plan, SimilarTo: -1, Limit: 3, Diversity: math.NaN(),
		Items: []int32{0, 1, 2, 3}, Raw: []float64{0.75, 0.7, 0.5, 0.375}, Pins: []int32{2},
	}
	for _, r := range ranker.Rank(nil, &query) {
		fmt.Printf("%-10s %.3f = %.3f base + %.3f boost %v\n", items[r.Item].Title, r.Score,
			r.Terms[schemas.TermBase], r.Terms[schemas.TermBoost], plan.ActiveBoosts(nil, r.Item, query.At))
	}
	for _, d := range ranker.Dropped(nil, 10) {
		fmt.Println(items[d.Item].Title, d.Code)
	}
	// Output:
	// Heat       0.500 = 0.500 base + 0.000 boost []
	// Alien      0.750 = 0.750 base + 0.000 boost []
	// Airplane!  0.625 = 0.375 base + 0.250 boost [comedies]
	// Aliens cap_franchise
}
