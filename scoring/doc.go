// Package scoring turns a request into a decision: which items to recommend, in what order, and how far the
// answer can be trusted.
//
// It promises an answer as long as there is a catalogue. Tiers are tried in turn, down the ladder of
// Params.Fallback.Tiers: the model, the one before it, likeness, popularity, editorial lists, and the catalogue's own
// order. Each tier that is left adds its reason to the decision's Degraded; one that panics is left like any other,
// and one that keeps failing rests. Every tier chooses from the same eligible items, so a degraded answer never shows
// what a good one must not. An answer is empty only when nothing is eligible, and then says so.
//
// Values in, values out: no globals, no logger, no I/O. Where no tier was left, the same request with the same
// deployment, parameters, catalogue, popularity, lists and profile gives the same decision to the bit. The clock of
// Options.Now decides about deadlines and about tiers that rest, and about nothing else. Once its buffers have
// grown, deciding allocates nothing; the only lock, a short one, is that of the watch over a model's drift.
//
// What many requests have in common is remembered: raw scores of models that know context and item alone, and whole
// answers to requests that ask for nothing but their context. Both belong to the state that they were made in, so
// nothing stale is served, and decisions are the same with and without them; see Options.Without.
//
// An Engine holds what all workers share: the catalogue, and the Deployment, which is the model in force and the
// running experiments. Whatever changes is built aside and swapped in; a batch is decided by one state. Each
// worker has a Scorer of its own:
//
//	engine, err := scoring.New(scoring.DefaultParams(), scoring.Options{})
//	err = engine.SetCatalog(ctx, snapshot)
//	err = engine.Deploy(ctx, scoring.Deployment{Model: m})
//	scorer := engine.NewScorer()
//	err = scorer.Begin() // once a batch
//	err = scorer.Decide(&request, profile, &decision)
package scoring
