// Package collect makes a history of a real run: it reads Kafka and Postgres as those do for whom recstream works.
//
//	kafka.go     topics in both isolation levels, the bounds of logs, committed offsets
//	postgres.go  the rows of the ledger, the outcomes, the fences
//	observer.go  the way that offsets and fences take during a run, and the whole history at its end
//
// It shares no code with recstream: its Kafka client is another one, and its SQL is its own. It is to reach the
// servers directly, past whatever faults are made between them and recstream.
package collect
