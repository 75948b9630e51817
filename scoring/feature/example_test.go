package feature_test

import (
	"fmt"

	"recstream/schemas"
	"recstream/scoring/feature"
)

func ExampleExtractor() {
	e, err := feature.New(feature.Declaration{Features: []feature.Feature{
		{Name: "funny", Source: feature.SourceRequest, Kind: feature.KindOneHot, Field: "mood", Value: "funny"},
		{Name: "affinity", Source: feature.SourceUserItem, Kind: feature.KindNumber, Field: "genre_affinity", Aggregate: feature.AggregateMean},
		{Name: "year", Source: feature.SourceItem, Kind: feature.KindNumber, Field: "year",
			Transforms: []feature.Transform{{Kind: feature.TransformStandardise, Mean: new(2000.0), Scale: new(10.0)}}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	request := schemas.Request{Context: schemas.Context{Mood: schemas.MoodFunny}}
	ada := schemas.Profile{UserID: "ada", Genres: []schemas.GenreWeight{{Genre: "Comedy", Weight: 4}}}
	films := []schemas.Item{{ID: "up", Genres: []string{"Comedy", "Family"}, Year: 2009}, {ID: "heat", Genres: []string{"Crime"}, Year: 1995}}

	items := make([][]float64, len(films)) // once a catalogue
	for i := range films {
		items[i] = make([]float64, e.NumItems())
		e.Item(items[i], &films[i])
	}
	var in feature.Inputs // once a goroutine
	row, pair := make([]float64, len(e.Names())), make([]float64, e.NumPairs())
	e.Prepare(&in, &request, &ada) // once a request
	e.Request(row, &in)
	for i := range films {
		e.Pair(pair, &in, &films[i])
		fmt.Println(films[i].ID, e.Names(), row[0], pair, items[i])
	}
	// Output:
	// up [funny affinity year] 1 [2] [0.9]
	// heat [funny affinity year] 1 [0] [-0.5]
}
