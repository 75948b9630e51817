package profile_test

import (
	"fmt"
	"time"

	"recstream/schemas"
	"recstream/scoring/profile"
)

func Example() {
	film := schemas.Item{ID: "heat", Genres: []string{"Crime"}, DurationMin: 170}
	played := schemas.Feedback{
		UserID: "ada", ItemID: "heat", Action: schemas.ActionPlay, At: time.Date(2026, 1, 1, 20, 0, 0, 0, time.UTC),
	}
	ada := schemas.Profile{UserID: "ada"}
	profile.Apply(&ada, &played, &film, profile.DefaultHalfLife)

	var now schemas.Profile
	profile.At(&now, &ada, played.At.Add(profile.DefaultHalfLife), profile.DefaultHalfLife)
	fmt.Println(ada.Genres, now.Genres, now.DurationSum/now.DurationWeight)
	// Output: [{Crime 2}] [{Crime 1}] 170
}
