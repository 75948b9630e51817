package scoring_test

import (
	"context"
	"fmt"

	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/catalog"
)

// Without a model the answer comes from the next tier, and says why.
func Example() {
	params := scoring.DefaultParams()
	engine, err := scoring.New(params, scoring.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	snapshot, err := catalog.New([]schemas.Item{
		{ID: "airplane-1980", Title: "Airplane!", Genres: []string{"Comedy"}, Popularity: 900},
		{ID: "the-mask-1994", Title: "The Mask", Genres: []string{"Comedy"}, Popularity: 950},
		{ID: "seven-samurai-1954", Title: "Seven Samurai", Genres: []string{"Action"}, Popularity: 990},
	}, 1, params.Rules)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := engine.SetCatalog(context.Background(), snapshot); err != nil {
		fmt.Println(err)
		return
	}

	scorer := engine.NewScorer()
	var decision schemas.Decision
	request := schemas.Request{RequestID: "r1", Context: schemas.Context{Mood: schemas.MoodFunny}, Limit: 3}
	if err := scorer.Decide(&request, nil, &decision); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(decision.Tier, decision.Degraded)
	for i, item := range decision.Items {
		fmt.Println(i+1, item.Title)
	}
	// Output:
	// popular [model_missing previous_missing no_history]
	// 1 The Mask
	// 2 Airplane!
}
