package feature_test

import (
	"fmt"

	"recstream/schemas"
	"recstream/scoring/feature"
)

func Example() {
	x := make([]float64, feature.Num)
	feature.Request(x, schemas.Context{Mood: schemas.MoodFunny, GroupSize: schemas.GroupCouple})
	feature.Item(x[feature.NumRequest:], &schemas.Item{Genres: []string{"Comedy"}, DurationMin: 95, Year: 1999})
	for i, name := range feature.Names {
		if x[i] != 0 {
			fmt.Println(name, x[i])
		}
	}
	// Output:
	// mood_funny 1
	// group_couple 1
	// genre_comedy 1
	// duration 95
	// year 1999
}
