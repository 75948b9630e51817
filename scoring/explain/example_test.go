package explain_test

import (
	"fmt"

	"recstream/schemas"
	"recstream/scoring/explain"
)

func ExampleReason() {
	fmt.Println(explain.Reason(&explain.Facts{
		Tier:    schemas.TierModel,
		Context: schemas.Context{Mood: schemas.MoodRelaxing, GroupSize: schemas.GroupCouple},
		Suits:   true,
		Item:    &schemas.Item{ID: "up", Genres: []string{"Animation", "Comedy"}, DurationMin: 89},
		Profile: &schemas.Profile{Genres: []schemas.GenreWeight{{Genre: "Comedy", Weight: 6}}},
		Terms:   schemas.Terms{schemas.TermBase: 0.71, schemas.TermAffinity: 0.2},
	}))
	// Output: short comedy, fits a relaxed session for two; you like comedies
}
