package workload

import (
	"time"

	"recstream/internal/chaos/history"
)

// Options say what a Generator makes. Shares are from 0 to 1.
type Options struct {
	Seed   uint64
	Topics history.Topics // of which Requests and Feedback are used
	Prefix string         // of request ids; generators of one run need one each
	Users  int            // how many, of which few are busy; default 300
	Items  []string       // ids of items in the catalogue; unknown ones are mixed in
	Start  time.Time      // when the first event was made; default the beginning of 2026

	Feedback float64 // share of feedback
	Bad      float64 // share of bad events, in requests and feedback alike
	Repeats  float64 // share of requests, of those that are not bad, that have the id of another
	// Heavy is how often each bad event of more than 100 kB is made at the most; default 1, negative is never.
	Heavy int
}

const defaultUsers = 300

var defaultStart = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func (o Options) withDefaults() Options {
	if o.Users == 0 {
		o.Users = defaultUsers
	}
	if o.Start.IsZero() {
		o.Start = defaultStart
	}
	if o.Heavy == 0 {
		o.Heavy = 1
	}
	return o
}
