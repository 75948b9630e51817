package main

import (
	"slices"

	"recstream/schemas"
	"recstream/scoring/catalog"
)

// filter appends the films that suit a context, as one would write down the catalogue's rules: film after film, at each
// request.
func (w *world) filter(dst []int32, c schemas.Context) []int32 {
	moods := map[schemas.Mood][]string{
		schemas.MoodFunny: w.rules.MoodGenres.Funny, schemas.MoodAction: w.rules.MoodGenres.Action,
		schemas.MoodDramatic: w.rules.MoodGenres.Dramatic, schemas.MoodRelaxing: w.rules.MoodGenres.Relaxing,
	}[c.Mood]
	minutes := map[schemas.SessionLength]catalog.Range{
		schemas.SessionShort: w.rules.SessionMinutes.Short, schemas.SessionMedium: w.rules.SessionMinutes.Medium,
		schemas.SessionBinge: w.rules.SessionMinutes.Binge,
	}[c.SessionLength]
	for i := range w.catalog.Items() {
		it := w.catalog.Item(int32(i))
		long := it.DurationMin > 0 && (it.DurationMin < minutes.Min || minutes.Max > 0 && it.DurationMin >= minutes.Max)
		suits := len(it.Suitability) == 0 || slices.Contains(it.Suitability, c.GroupSize)
		if !it.Hidden && !long && suits && slices.ContainsFunc(it.Genres, func(g string) bool { return slices.Contains(moods, g) }) {
			dst = append(dst, int32(i))
		}
	}
	return dst
}
