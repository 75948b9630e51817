// Package devstack owns the servers that the demo, the tests and the benchmark run against, so that
// none of them needs Docker or a machine prepared by hand:
//
//   - StartBroker: an embedded Kafka in this process, up in a millisecond;
//   - StartPostgres: a real Postgres of its own, from whatever server binaries the machine has;
//   - StartKafka: a real Apache Kafka, from what scripts/kafka.sh installed;
//   - StartCluster: one or three such brokers, each of which can be killed and paused by itself.
//
// It promises that every server listens on 127.0.0.1 only, on a port that it keeps over a restart;
// that Start, Stop and Kill can be called in any order while clients are connected; that a server
// ends with the process that started it, even if that process is killed; and that Close leaves
// nothing behind. (A killed process leaves its temporary directories: nobody is left to remove them.)
//
// Nothing here is for production: there are no passwords, no fsync unless asked for, and timeouts
// that are as short as tests want them.
package devstack
