// Package rank chooses and orders the items of an answer. It owns the parameters, the terms that make a score, the
// choice of the best by diversity and caps, and the account of what was dropped.
//
// # Score
//
// A tier gives a raw number for each candidate, and with it a measure: of a model the prediction, else the number
// itself. The score is the sum of the terms in schemas.Terms, from the first to the last:
//
//	base        weights.base · measure; of a model's prediction p, 1/(1+exp(-(slope·ln(p/(1-p))+intercept))) is the measure
//	boost       the sum of add over the rules that match the item at the time
//	affinity    weights.affinity · (Σ W over the item's genres) / (Σ |W| over the profile's genres), -1 to 1
//	freshness   weights.freshness · 2^(-age/half-life), with age 0 for what is added later
//	popularity  weights.popularity · ln(1+popularity)/ln(1+the catalogue's largest)
//	similarity  weights.similarity · similarity.Index.Similarity to the item that the request names
//	diversity   -δ·(S + the largest similarity to an item before it), S being the sum of the terms above
//
// A term whose part is missing is 0: no profile, no time, no popularity. Calibration is Platt's ("Probabilistic
// Outputs for Support Vector Machines", 1999); slope 1 and intercept 0 leave predictions alone, anything else takes
// them to be within 0 to 1. Time is the request's, to the microsecond.
//
// # Choice
//
// With δ, the strength of diversity, above 0, items are chosen by maximal marginal relevance (Carbonell and Goldstein,
// "The Use of MMR", SIGIR 1998): the next is that of the largest (1-δ)·S - δ·(similarity to what is before it), which
// is its score. They are chosen from a pool of the best by S, diversity.pool of them or
// as many as the limit if that is more. With δ 0 the order is that of S. Among equal scores
// the larger raw number comes first, then the item that is first in the catalogue. So the answer depends on the
// candidates and not on their order.
//
// Pins come first, in their order. Caps hold at every place, pins counting as others do but never dropped. On
// the first page no item is nearly identical (package similarity) to one before it, pins aside; after the page it may
// follow. So the scores of what is not pinned fall down the list, unless the page held back a nearly identical item
// or caps exhausted the pool. An exhausted pool doubles, by the next best that the caps leave room for. Caps
// and the page may make an answer shorter than its limit, never empty.
//
// Without raw numbers the candidates' order is the order, and there are no terms.
//
// # Promises
//
// The same query gives the same answer to the bit. No full sort: candidates are scanned and the best kept in a heap.
// Where nothing but the base counts, candidates are compared by their raw numbers alone, and only what is
// returned is predicted: that is the same order, except that raw numbers too close for their measures to differ
// keep their own. An item is compared with those before it only while it may be the next, and first with those that
// it is likeliest to be nearly identical to, so that the worst of 10,000 candidates take some milliseconds. Once its
// buffers have grown, a Ranker allocates nothing. A Plan never changes, so any number of goroutines share one. No clock,
// no I/O.
package rank
