// Package replay reads requests again that were answered live, decides them again, and says what became of it.
//
// A replay has a plan, which is stored with the range of offsets of each partition when the replay is created, and a
// number, its run id, under which its decisions stand in the ledger. One worker a partition takes batch after batch:
//
//	read.go     reads records as a read_committed reader sees them, and decodes them as live does
//	match.go    finds the live decision of each request, and what it was decided with
//	engines.go  brings that state back: parameters, catalogue, model
//	worker.go   decides again, compares, and stores decisions, figures and the checkpoint in one transaction
//	report.go   puts the partitions' figures together
//
// It promises: no offset of a consumer group is read or moved; no live row is changed; each event of the range counts
// once, whatever is killed in between and however often it is resumed; what cannot be reproduced is counted by its
// cause. Results are published only where a plan says so, at least once each and always with the same ce_id.
package replay
