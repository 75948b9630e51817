package feature

import (
	"math"
	"slices"

	"recstream/schemas"
)

// The lengths of a vector and of its parts. The request part comes first.
const (
	NumRequest = 10
	NumItem    = 7
	Num        = NumRequest + NumItem
)

// Names are the features in the model's order.
var Names = [Num]string{
	"mood_funny", "mood_action", "mood_dramatic", "mood_relaxing",
	"group_solo", "group_couple", "group_group",
	"session_short", "session_medium", "session_binge",
	"genre_comedy", "genre_action", "genre_drama", "genre_thriller", "genre_scifi",
	"duration", "year",
}

// genres are the names, matched with their case, behind the five genre flags.
var genres = [...]string{"Comedy", "Action", "Drama", "Thriller", "Science Fiction"}

// Where each group of one-hot values starts in the request part. A known value v of a group is at
// start+v-1, since 0 is the unknown value, which has no flag.
const (
	moodStart    = 0
	groupStart   = moodStart + int(schemas.NumMoods) - 1
	sessionStart = groupStart + int(schemas.NumGroupSizes) - 1
)

// Request writes the request part into dst[:NumRequest]: 1 for each known value of c, else 0.
// It panics when dst is shorter.
func Request(dst []float64, c schemas.Context) {
	dst = dst[:NumRequest]
	clear(dst)
	setFlag(dst, moodStart, int(c.Mood))
	setFlag(dst, groupStart, int(c.GroupSize))
	setFlag(dst, sessionStart, int(c.SessionLength))
}

func setFlag(dst []float64, start, value int) {
	if value > 0 {
		dst[start+value-1] = 1
	}
}

// Item writes the item part into dst[:NumItem]: five genre flags, the duration in minutes and the year of
// release. It panics when dst is shorter.
func Item(dst []float64, it *schemas.Item) {
	dst = dst[:NumItem]
	clear(dst)
	for i, genre := range genres {
		if slices.Contains(it.Genres, genre) {
			dst[i] = 1
		}
	}
	dst[len(genres)] = finite(it.DurationMin)
	dst[len(genres)+1] = finite(it.Year)
}

// finite returns v, or 0 where v is NaN or infinite.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}
