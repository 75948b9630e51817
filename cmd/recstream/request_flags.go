package main

import (
	"errors"
	"math"
	"time"

	"github.com/spf13/cobra"

	"recstream/schemas"
)

// requestFlags describe one request on the command line.
type requestFlags struct {
	id, user, mood, group, session string
	limit                          int
	similarTo                      string
	exclude, pins                  []string
	excludeSeen, explain           bool
	diversity                      float64 // NaN leaves it to the configuration
	deadline                       time.Duration
}

// single are the names of the flags of one request.
var single = []string{"id", "user", "mood", "group", "session", "limit",
	"similar-to", "pins", "exclude", "exclude-seen", "diversity", "explain", "deadline"}

func (f *requestFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.id, "id", "", "request id (default a new UUID)")
	flags.StringVar(&f.user, "user", "", "user id (default anonymous)")
	enumVar(cmd, flags, &f.mood, "mood", "", "the user's mood", "funny", "action", "dramatic", "relaxing")
	enumVar(cmd, flags, &f.group, "group", "", "the user's company", "solo", "couple", "group")
	enumVar(cmd, flags, &f.session, "session", "", "the user's time", "short", "medium", "binge")
	flags.IntVar(&f.limit, "limit", schemas.DefaultLimit, "items wanted")
	flags.StringVar(&f.similarTo, "similar-to", "", "`ITEM` to find the like of")
	flags.StringSliceVar(&f.pins, "pins", nil, "`ITEMS` to come first, separated by commas")
	flags.StringSliceVar(&f.exclude, "exclude", nil, "`ITEMS` not to be returned, separated by commas")
	flags.BoolVar(&f.excludeSeen, "exclude-seen", false, "return nothing that the user has seen")
	flags.Float64Var(&f.diversity, "diversity", math.NaN(), "weight of difference against score, `0..1` (default as configured)")
	flags.Lookup("diversity").DefValue = "0" // the description says it
	flags.BoolVar(&f.explain, "explain", false, "have each item explained")
	flags.DurationVar(&f.deadline, "deadline", 0, "time from the request to its answer, such as 50ms (default as configured)")
}

// request makes the request, and refuses what no event can say.
func (f *requestFlags) request(cmd *cobra.Command) (schemas.Request, error) {
	r := schemas.Request{
		RequestID: f.id, UserID: f.user, Limit: f.limit, SimilarTo: f.similarTo, Pins: f.pins, Exclude: f.exclude,
		ExcludeSeen: f.excludeSeen, Diversity: f.diversity, Explain: f.explain, DeadlineMS: int(f.deadline.Milliseconds()),
	}
	if r.RequestID == "" {
		r.RequestID = newUUID()
	}
	// The flags took known words only.
	r.Mood, _ = schemas.ParseMood(f.mood)
	r.GroupSize, _ = schemas.ParseGroupSize(f.group)
	r.SessionLength, _ = schemas.ParseSessionLength(f.session)
	var refusal *schemas.DecodeError
	err := schemas.DecodeRequest(schemas.AppendRequest(nil, &r), &schemas.Request{})
	if errors.As(err, &refusal) {
		return r, usagef("%s: %s", refusal.Field, refusal.Detail)
	}
	return r, f.checkLeftOut(cmd.Flags().Changed("diversity"))
}

// checkLeftOut refuses values that an event does not have, and that would be left out of it in silence.
func (f *requestFlags) checkLeftOut(diverse bool) error {
	switch {
	case f.limit == 0:
		return usagef("limit: must be at least 1")
	case f.deadline != 0 && f.deadline < time.Millisecond:
		return usagef("deadline: must be at least 1ms")
	case diverse && (math.IsNaN(f.diversity) || math.IsInf(f.diversity, 0)):
		return usagef("diversity: must be 0 to 1")
	}
	return nil
}
