package popularity_test

import (
	"fmt"
	"time"

	"recstream/schemas"
	"recstream/scoring/popularity"
)

func Example() {
	items := []schemas.Item{{ID: "airplane", Popularity: 20}, {ID: "heat", Popularity: 80}}
	places := map[string]int32{"airplane": 0, "heat": 1}
	lookup := func(id string) (int32, bool) { place, ok := places[id]; return place, ok }

	funny := schemas.Context{Mood: schemas.MoodFunny}
	watched := time.Date(2026, 1, 1, 20, 0, 0, 0, time.UTC)
	counts := []schemas.ItemPopularity{{Context: funny, ItemID: "airplane", Weight: 25, AsOf: watched}}
	table := popularity.New(items, lookup, counts, popularity.Params{HalfLife: 30 * 24 * time.Hour, PriorStrength: 50})

	fmt.Println(table.Context(funny))
	fmt.Println(table.Context(schemas.Context{Mood: schemas.MoodAction}))
	// Output:
	// [1 0.55172414]
	// [0.875 1]
}
