// Package consumer reads the events of a topic from Kafka, requests or feedback, and sees each through to its
// outcome.
//
// One worker owns each assigned partition. The way of a batch, one file a stage:
//
//	fetch.go     reads records by way of package committed, gathers messages into a batch
//	worker.go    takes one batch after the other, in the partition's order
//	settle.go    decodes, rejects, stores: Postgres first
//	requests.go  looks requests up, scores them, stores their decisions
//	feedback.go  stores feedback
//	worker.go    publishes results and dead letters and commits the offset, through its outbox
//
// It promises: an offset is committed only after everything before it is stored and published; a partition's
// events are handled in order; a bad event becomes a dead letter and never stops a partition; an error that
// may pass is retried for as long as it takes; at most one batch a partition waits while another is in hand.
// When a partition is taken away or the service stops, the batch in hand is finished within the drain timeout
// or abandoned: its next owner finds in the ledger what was stored, and publishes that again.
package consumer
