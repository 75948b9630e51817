// Package scoring turns a request into a decision: which items to recommend, in what order, and how far the
// answer can be trusted.
//
// It promises an answer as long as there is a catalogue. Three tiers are tried in turn: the model's
// prediction, then popularity, then the catalogue's own order. Each tier that is left adds its reason to the
// decision's Degraded, and a tier that panics is left like any other. Every tier chooses from the same
// eligible items, so a degraded answer never shows what a good one must not. An answer is empty only when
// nothing is eligible, and then says so.
//
// Values in, values out: no globals, no logger, no clock, no I/O. The same request with the same model,
// parameters and catalogue gives the same decision to the bit. Once its buffers have grown and a prediction
// has been made before, deciding allocates nothing and takes no lock.
//
// An Engine holds what all workers share; each worker has a Scorer of its own:
//
//	engine, err := scoring.New(scoring.DefaultParams())
//	engine.SetCatalog(snapshot)
//	engine.SetModel(m)
//	scorer := engine.NewScorer()
//	err = scorer.Begin() // once a batch
//	err = scorer.Decide(&request, &decision)
package scoring
