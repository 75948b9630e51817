package demo

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"recstream/schemas"
)

//go:embed data/world.json
var worldText []byte

// world are the rules that data/households.py explains and trains by. Keys of the maps are genres, or the words
// of a context.
type world struct {
	Base          float64                       `json:"base"`
	MoodTaste     map[string]map[string]float64 `json:"mood_taste"`
	GroupTaste    map[string]map[string]float64 `json:"group_taste"`
	SessionFit    map[string]sessionFit         `json:"session_fit"`
	BestFit       float64                       `json:"best_fit"`
	WorstFit      float64                       `json:"worst_fit"`
	UnknownFit    float64                       `json:"unknown_fit"`
	RecencyWeight map[string]float64            `json:"recency_weight"`
	RecencyOff    map[string]float64            `json:"recency_off"`
	TasteSpread   float64                       `json:"taste_spread"`
	StartedBefore float64                       `json:"started_before"`
	Opened        float64                       `json:"opened"`
	Dismissed     float64                       `json:"dismissed"`
}

// sessionFit is the running time that suits a session best, and how far off it costs one unit of utility; minutes.
type sessionFit struct{ Best, Width float64 }

// Households are made-up people who watch what they are shown, or do not. A household is known by its user id:
// its tastes follow from that and the seed, and it remembers which films it started. They are for one goroutine.
type Households struct {
	world  world
	seed   uint64
	films  map[string]*schemas.Item
	ids    []string // of all films
	genres []string // of all films, sorted
	tastes map[string]map[string]float64
	// started has the films that each household started.
	started map[string]map[string]bool
}

// NewHouseholds returns households that know those films. The same seed makes the same ones.
func NewHouseholds(films []schemas.Item, seed uint64) (*Households, error) {
	h := &Households{seed: seed, films: map[string]*schemas.Item{}, tastes: map[string]map[string]float64{},
		started: map[string]map[string]bool{}}
	if err := json.Unmarshal(worldText, &h.world); err != nil {
		return nil, fmt.Errorf("read the households' rules: %w", err)
	}
	genres := map[string]bool{}
	for i := range films {
		h.films[films[i].ID] = &films[i]
		h.ids = append(h.ids, films[i].ID)
		for _, genre := range films[i].Genres {
			genres[genre] = true
		}
	}
	h.genres = slices.Sorted(maps.Keys(genres))
	return h, nil
}

// Showing is what a household was shown, and when. RequestID names it.
type Showing struct {
	RequestID string
	UserID    string // "" is somebody without a name, whose tastes are nobody's
	Context   schemas.Context
	Items     []string
	At        time.Time
}

// React appends to dst what comes of a showing: an impression of each film, then what the household did with it, a
// second after another. What the app does not know of the context, chance decides.
func (h *Households) React(dst []schemas.Feedback, s Showing) []schemas.Feedback {
	random := h.random("react", s.RequestID)
	c := truth(random, s.Context)
	for _, id := range s.Items {
		film := h.films[id]
		if film == nil {
			continue
		}
		for i, action := range h.act(random, s.UserID, c, film) {
			dst = append(dst, schemas.Feedback{RequestID: s.RequestID, UserID: s.UserID, ItemID: id, Action: action,
				Value: math.NaN(), At: s.At.Add(time.Duration(i) * time.Second)})
		}
	}
	return dst
}

// Past appends what a household did on that many evenings before a time, two to five days apart, when it was shown
// films at random.
func (h *Households) Past(dst []schemas.Feedback, userID string, evenings, films int, before time.Time) []schemas.Feedback {
	random := h.random("past", userID)
	days := make([]time.Time, evenings)
	for i := range days {
		before = before.Add(-48*time.Hour - time.Duration(random.Int64N(int64(72*time.Hour))))
		days[evenings-1-i] = before
	}
	for i, at := range days {
		s := Showing{RequestID: fmt.Sprintf("%s-evening-%d", userID, i+1), UserID: userID, At: at}
		for range films {
			s.Items = append(s.Items, h.ids[random.IntN(len(h.ids))])
		}
		dst = h.React(dst, s)
	}
	return dst
}

// act draws what a household does with a film.
func (h *Households) act(random *rand.Rand, userID string, c schemas.Context, film *schemas.Item) []schemas.Action {
	chance := h.chance(userID, c, film)
	complete, other := random.Float64() < chance, random.Float64()
	if complete || other < h.world.Opened*chance {
		h.start(userID, film.ID)
	}
	switch {
	case complete:
		return []schemas.Action{schemas.ActionImpression, schemas.ActionClick, schemas.ActionPlay, schemas.ActionComplete}
	case other < h.world.Opened*chance:
		return []schemas.Action{schemas.ActionImpression, schemas.ActionClick, schemas.ActionPlay}
	case other > 1-h.world.Dismissed*(1-chance):
		return []schemas.Action{schemas.ActionImpression, schemas.ActionDismiss}
	default:
		return []schemas.Action{schemas.ActionImpression}
	}
}

func (h *Households) start(userID, id string) {
	if userID == "" {
		return
	}
	if h.started[userID] == nil {
		h.started[userID] = map[string]bool{}
	}
	h.started[userID][id] = true
}

// chance is the probability that a household in a context, which is known in full, watches a film to the end.
func (h *Households) chance(userID string, c schemas.Context, film *schemas.Item) float64 {
	w := &h.world
	mood, group := c.Mood.String(), c.GroupSize.String()
	taste := h.taste(userID)
	utility := w.Base + h.fit(c.SessionLength.String(), film.DurationMin) +
		(w.RecencyWeight[group]-w.RecencyOff[mood])*recency(film.Year)
	for _, genre := range film.Genres {
		utility += w.MoodTaste[mood][genre] + w.GroupTaste[group][genre] + taste[genre]
	}
	if h.started[userID][film.ID] {
		utility += w.StartedBefore
	}
	return 1 / (1 + math.Exp(-utility))
}

// fit falls with the square of the distance from the best running time.
func (h *Households) fit(session string, minutes float64) float64 {
	if minutes <= 0 {
		return h.world.UnknownFit
	}
	s := h.world.SessionFit[session]
	off := (minutes - s.Best) / s.Width
	return max(h.world.BestFit-off*off, h.world.WorstFit)
}

// recency is 0 for old films and nearly 1 for those of the catalogue's last years, as in data/train.py.
func recency(year float64) float64 { return 1 / (1 + math.Exp(-(year-1992)/5)) }

// taste returns what a household adds to a film's utility, by genre.
func (h *Households) taste(userID string) map[string]float64 {
	if userID == "" {
		return nil
	}
	if h.tastes[userID] == nil {
		random := h.random("taste", userID)
		taste := make(map[string]float64, len(h.genres))
		for _, genre := range h.genres {
			taste[genre] = random.NormFloat64() * h.world.TasteSpread
		}
		h.tastes[userID] = taste
	}
	return h.tastes[userID]
}

// truth fills in what is unknown of a context.
func truth(random *rand.Rand, c schemas.Context) schemas.Context {
	if c.Mood == schemas.MoodUnknown {
		c.Mood = 1 + schemas.Mood(random.IntN(int(schemas.NumMoods)-1))
	}
	if c.GroupSize == schemas.GroupUnknown {
		c.GroupSize = 1 + schemas.GroupSize(random.IntN(int(schemas.NumGroupSizes)-1))
	}
	if c.SessionLength == schemas.SessionUnknown {
		c.SessionLength = 1 + schemas.SessionLength(random.IntN(int(schemas.NumSessionLengths)-1))
	}
	return c
}

// random returns the numbers of one purpose, always the same, so that nothing depends on an order.
func (h *Households) random(purpose, id string) *rand.Rand {
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%s/%s", purpose, id) // never fails
	return rand.New(rand.NewPCG(h.seed, sum.Sum64()))
}
