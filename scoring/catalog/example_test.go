package catalog_test

import (
	"fmt"

	"recstream/schemas"
	"recstream/scoring/catalog"
)

func Example() {
	snapshot, err := catalog.New([]schemas.Item{
		{ID: "airplane-1980", Genres: []string{"Comedy"}, DurationMin: 88},
		{ID: "seven-samurai-1954", Genres: []string{"Action", "Drama"}, DurationMin: 207},
		{ID: "the-mask-1994", Genres: []string{"Comedy"}, DurationMin: 101},
	}, 1, catalog.DefaultRules())
	if err != nil {
		fmt.Println(err)
		return
	}
	var filter catalog.Filter
	request := schemas.Request{Context: schemas.Context{Mood: schemas.MoodFunny, SessionLength: schemas.SessionShort}}
	for _, i := range filter.Eligible(snapshot, &request, nil) {
		fmt.Println(snapshot.Item(i).ID)
	}
	// Output:
	// airplane-1980
}
