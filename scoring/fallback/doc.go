// Package fallback owns the ladder of tiers as it is configured, and what finds out that a tier is not to be
// trusted: a circuit breaker for each tier, and for a model the comparison of its predictions with those of its
// training. Params has the order of the tiers and every threshold. Who asks the tiers is package scoring.
//
// # Breaker
//
// A [Breaker] keeps requests away from a tier that failed too often of late. Each request that it allows is
// reported once: as a Success, as a Failure, or with Cancel where it says nothing about the tier.
//
//	         Failures among the latest Window reports
//	closed ────────────────────────────────────────────► open ◄─────────────┐
//	   ▲                                                  │ Rest is over    │ a trial fails
//	   │            Probes trials in a row succeed        ▼                 │
//	   └────────────────────────────────────────────── half-open ───────────┘
//
// In the closed state Allow is one atomic load and Success an atomic add; the rest takes a lock. That is enough for
// an exact count: reports are numbered in the order of their atomic adds, and of failures the latest numbers are
// kept, as many as open the breaker. The breaker opens with the failure n for which the oldest number kept is above
// n - Window. Each call takes effect at one moment, its atomic step or under the lock, so whatever goroutines do
// together they could have done one after the other.
//
// On trial, requests pass as long as those that passed and have not reported, and those that succeeded, are fewer
// than Probes together. A request that never reports does not block the trial: when Rest has gone by since the
// latest one passed, whoever has not reported is given up, and others may pass. A report is taken for what it says of
// the tier when it comes, even if its request was allowed before the breaker opened; while the breaker is open, or
// nobody is on trial, it counts nothing.
//
// # Drift
//
// A [Drift] counts predictions in the bins of the training's histogram, and compares each full window with it by the
// population stability index ([PSI]). Windows tumble: they do not overlap, and one says nothing of the next. So a model
// that was left for its drift is trusted again after the first window that is fine, for which somebody must go on
// to observe its predictions.
//
// Nothing here has a clock, a goroutine or a log. Times are the caller's; a breaker's are of the clock on the wall,
// not of events.
package fallback
