// Package producer publishes what leaves towards Kafka: results and dead letters, and the events of apps that came
// by another way than Kafka.
//
// An Outbox belongs to one input partition. What is added to it is encoded once, in order, into Kafka record
// batches that carry a producer id and sequence numbers, and sent until every partition has acknowledged on
// all in-sync replicas. A batch is sent again with the same bytes and numbers, so that the broker drops what
// it has already. One key's records keep their order: they go to one partition, one batch at a time.
//
// A Publisher is for events of many goroutines, one at a time each: what comes while a write is on its way leaves
// with the next.
//
// With transactions an Outbox writes the records and the input offset in one Kafka transaction, under a transactional id
// of the input partition: whoever opens the partition's next outbox ends it, and fences this one.
//
// A Courier is for records whose partitions are given: one transaction a call, without an offset.
package producer
